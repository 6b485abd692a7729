from __future__ import annotations

import time
from base64 import b64encode, urlsafe_b64decode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from apsig.rfc9421 import RFC9421Signer
from cryptography.hazmat.primitives import serialization
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)
from hypothesis import example, given
from hypothesis import strategies as st

from activitypub import keys, message_signatures
from activitypub.cavage import MalformedSignature
from activitypub.message_signatures import UnsupportedComponent, parse, sign, signature_base

KEY = keys.generate_rsa()
ED25519 = keys.generate_ed25519()
KEY_ID = "https://hub.example/ap/p/m81xzt#main-key"
# The worked example of the federation reference, §3.2 and §3.3.
BODY = (
    b'{"@context":"https://www.w3.org/ns/activitystreams","id":"https://hub.example/ap/c/9q2",'
    b'"type":"Follow","actor":"https://hub.example/ap/p/m81xzt",'
    b'"object":"https://peer.example/users/ida"}'
)
EXAMPLE = (
    '("@method" "@target-uri" "content-digest");created=1795256100;'
    'keyid="https://hub.example/ap/p/m81xzt#main-key";alg="rsa-v1_5-sha256"'
)


@dataclass
class Message:
    method: str
    url: str
    headers: dict[str, str]


class Resolver(HTTPSignatureKeyResolver):
    def __init__(self, key: keys.PrivateKey) -> None:
        self.key = key

    def resolve_public_key(self, key_id: str) -> bytes:
        assert key_id == KEY_ID
        return self.key.public().to_pem().encode()

    def resolve_private_key(self, key_id: str) -> bytes:
        return self.key.to_pem().encode()


ORACLES = pytest.mark.parametrize(
    ("key", "algorithm"),
    [(KEY, algorithms.RSA_V1_5_SHA256), (ED25519, algorithms.ED25519)],
    ids=["rsa", "ed25519"],
)


def test_the_worked_example_is_signed_as_written() -> None:
    headers = sign("POST", "https://peer.example/inbox", BODY, KEY, KEY_ID, 1795256100)
    assert list(headers) == ["Host", "Content-Digest", "Signature-Input", "Signature"]
    assert headers["Content-Digest"] == "sha-256=:0tiQyLdjUrnT5LBGCDWdQxSwPYAG2PYCsHFsqssIw9E=:"
    assert headers["Signature-Input"] == f"sig1={EXAMPLE}"
    base = (
        '"@method": POST\n'
        '"@target-uri": https://peer.example/inbox\n'
        '"content-digest": sha-256=:0tiQyLdjUrnT5LBGCDWdQxSwPYAG2PYCsHFsqssIw9E=:\n'
        f'"@signature-params": {EXAMPLE}'
    )
    parsed = parse(headers["Signature-Input"], headers["Signature"])
    assert KEY.public().verify(parsed.signature, base.encode())


def test_a_get_is_signed_without_digest() -> None:
    headers = sign("GET", "https://peer.example/u?page=2", None, KEY, KEY_ID, 1)
    assert "Content-Digest" not in headers
    parsed = parse(headers["Signature-Input"], headers["Signature"])
    assert parsed.components == ("@method", "@target-uri")


def test_the_target_uri_is_written_as_the_receiver_will_rebuild_it() -> None:
    signature = [
        sign("GET", url, None, ED25519, KEY_ID, 1)["Signature"]
        for url in ("https://Peer.Example:443/a#b", "https://peer.example/a")
    ]
    assert signature[0] == signature[1]


def test_further_headers_and_parameters_are_covered() -> None:
    headers = sign(
        "POST",
        "https://peer.example/inbox",
        b"x",
        ED25519,
        'k"\\',
        5,
        headers={"Date": "Sat, 21 Nov 2026 10:15:00 GMT"},
        expires=9,
        nonce="n1",
        tag="activitypub",
    )
    parsed = parse(headers["Signature-Input"], headers["Signature"])
    assert parsed.components == ("@method", "@target-uri", "content-digest", "date")
    assert (parsed.created, parsed.expires, parsed.nonce) == (5, 9, "n1")
    assert (parsed.key_id, parsed.algorithm, parsed.tag) == ('k"\\', "ed25519", "activitypub")
    assert headers["Signature-Input"] == f"sig1={parsed.parameters}"


# RFC 9421 appendix B.2.6, with the key of B.1.4.
B26_INPUT = (
    'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
B26_SIGNATURE = (
    "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1"
    "u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"
)
B26_FIELDS = {
    "host": "example.com",
    "date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "content-type": "application/json",
    "content-length": "18",
}
B14_PUBLIC = urlsafe_b64decode("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs=")


def b26_base(fields: dict[str, str], target: str = "/foo?param=Value&Pet=dog") -> bytes:
    parsed = parse(B26_INPUT, B26_SIGNATURE)
    return signature_base(
        parsed.components,
        parsed.parameters,
        method="POST",
        url=f"https://example.com{target}",
        target=target,
        fields=fields,
    )


def test_the_ed25519_vector_of_rfc_9421_verifies() -> None:
    key = keys.load_public_multibase(keys.encode_multibase(b"\xed\x01" + B14_PUBLIC))
    parsed = parse(B26_INPUT, B26_SIGNATURE)
    assert (parsed.label, parsed.key_id, parsed.created) == (
        "sig-b26",
        "test-key-ed25519",
        1618884473,
    )
    base = b26_base(B26_FIELDS)
    assert base.decode() == (
        '"date": Tue, 20 Apr 2021 02:07:55 GMT\n'
        '"@method": POST\n'
        '"@path": /foo\n'
        '"@authority": example.com\n'
        '"content-type": application/json\n'
        '"content-length": 18\n'
        '"@signature-params": ' + B26_INPUT.removeprefix("sig-b26=")
    )
    assert key.verify(parsed.signature, base)
    assert not key.verify(parsed.signature, b26_base(B26_FIELDS | {"content-length": "19"}))
    assert not key.verify(parsed.signature, b26_base(B26_FIELDS, "/bar"))


@pytest.mark.parametrize(
    ("component", "url", "target", "value"),
    [  # RFC 9421 §2.2
        ("@method", "https://www.example.com/path", "/path", "POST"),
        ("@target-uri", "https://www.example.com/p?a=b", "/p?a=b", "https://www.example.com/p?a=b"),
        ("@authority", "https://www.Example.com/path", "/path", "www.example.com"),
        ("@authority", "https://www.example.com:443/path", "/path", "www.example.com"),
        ("@authority", "https://www.example.com:8443/path", "/path", "www.example.com:8443"),
        ("@scheme", "http://www.example.com/path", "/path", "http"),
        ("@request-target", "https://www.example.com/p?a=b", "/p?a=b", "/p?a=b"),
        ("@path", "https://www.example.com/path?a=b", "/path?a=b", "/path"),
        ("@query", "https://www.example.com/p?param=value&foo=bar&baz=bat%2Dman", None, None),
        ("@query", "https://www.example.com/path?queryString", "/path?queryString", "?queryString"),
        ("@query", "https://www.example.com/path", "/path", "?"),
    ],
)
def test_derived_components_are_those_of_the_rfc(
    component: str, url: str, target: str | None, value: str | None
) -> None:
    target = target or "/p?param=value&foo=bar&baz=bat%2Dman"
    value = value or "?param=value&foo=bar&baz=bat%2Dman"
    base = signature_base((component,), "p", method="POST", url=url, target=target, fields={})
    assert base.decode() == f'"{component}": {value}\n"@signature-params": p'


@ORACLES
@pytest.mark.parametrize("body", [BODY, None], ids=["post", "get"])
def test_http_message_signatures_verifies_ours(
    key: keys.PrivateKey, algorithm: type, body: bytes | None
) -> None:
    method = "GET" if body is None else "POST"
    url = "https://peer.example/inbox?a=b"
    headers = sign(method, url, body, key, KEY_ID, int(time.time()), tag="activitypub")
    verifier = HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=Resolver(key))
    (result,) = verifier.verify(
        Message(method, url, headers),
        expect_tag="activitypub",
        require_components=("@method", "@target-uri"),
        body=body,
    )
    assert result.parameters["keyid"] == KEY_ID
    with pytest.raises(InvalidSignature):
        verifier.verify(Message(method, url + "c", headers), expect_tag="activitypub")


@ORACLES
def test_we_verify_what_http_message_signatures_signs(
    key: keys.PrivateKey, algorithm: type
) -> None:
    message = Message(
        "POST", "https://peer.example/inbox?a=b", {"Date": "Sat, 21 Nov 2026 10:15:00 GMT"}
    )
    HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=Resolver(key)).sign(
        message,
        key_id=KEY_ID,
        created=datetime(2026, 11, 21, 10, 15, tzinfo=UTC),
        expires=datetime(2026, 11, 21, 10, 15, tzinfo=UTC) + timedelta(minutes=5),
        nonce="n",
        tag="activitypub",
        label="activitypub",
        covered_component_ids=(
            "@method",
            "@target-uri",
            "@authority",
            "@scheme",
            "@path",
            "@query",
            "@request-target",
            "date",
        ),
        body=BODY,
    )
    parsed = parse(message.headers["Signature-Input"], message.headers["Signature"])
    assert (parsed.created, parsed.expires) == (1795256100, 1795256400)
    base = signature_base(
        parsed.components,
        parsed.parameters,
        method="POST",
        url=message.url,
        target="/inbox?a=b",
        fields={name.lower(): value for name, value in message.headers.items()},
    )
    assert key.public().verify(parsed.signature, base)


def test_we_verify_what_apsig_signs() -> None:
    private = serialization.load_pem_private_key(KEY.to_pem().encode(), None)
    signer = RFC9421Signer(private, KEY_ID)  # type: ignore[arg-type]
    fields = {"content-type": "application/activity+json", "content-length": "188"}
    signed = signer.sign("POST", "/inbox", "peer.example", fields, BODY)
    parsed = parse(signed["Signature-Input"], signed["Signature"])
    base = signature_base(
        parsed.components,
        parsed.parameters,
        method="POST",
        url="https://peer.example/inbox",
        target="/inbox",
        fields=signed,
    )
    assert KEY.public().verify(parsed.signature, base)


@pytest.mark.parametrize(
    "text",
    [
        'sig1=( "@method"   "date" );created=1;keyid="k"',
        ' sig1=("@method" "date");  created=1; keyid="k"',
        'sig1=("@method" "date");created=01;keyid="k"\t',
    ],
)
def test_the_parameters_are_serialised_as_the_rfc_demands(text: str) -> None:
    assert parse(text, "sig1=:AAAA:").parameters == '("@method" "date");created=1;keyid="k"'


def test_unknown_parameters_stay_in_the_base() -> None:
    parameters = '("date");created=1;a;b=?0;c=tok/en;d=:AAAA:;e="q\\"";f=-5'
    parsed = parse(f"s={parameters.replace(';a', ';a=?1')}", "s=:AAAA:")
    assert parsed.parameters == parameters


GOOD = 'sig1=("@method" "@target-uri");created=1;keyid="https://a.example/k"'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sig1",
        "sig1=",
        "sig1=:AAAA:",
        "Sig1=()",
        "sig1=(",
        'sig1=("@method"',
        'sig1=("@method""date")',
        'sig1=(@method "date")',
        'sig1=("@method" "@method")',
        "sig1=(date)",
        GOOD + ', sig2=("date")',
        GOOD + ",",
        GOOD + ";",
        GOOD + ';keyid="https://b.example/k"',
        GOOD + ";created=2",
        GOOD + ";x=1;x=1",
        GOOD + ";x=1.5",
        GOOD + ";x=1234567890123456",
        GOOD + ';X="1"',
        GOOD + ";expires=now",
        GOOD + ';expires="2"',
        GOOD + ";expires",
        GOOD + ";expires=?1",
        GOOD + ";alg=ed25519",
        GOOD + ";alg",
        GOOD + ";tag=1",
        GOOD + ';tag="\\x"',
        GOOD + ';tag="é"',
        GOOD + ';tag="a\nb"',
    ],
)
def test_what_needs_guessing_is_refused(text: str) -> None:
    with pytest.raises(MalformedSignature):
        parse(text, "sig1=:AAAA:")


@pytest.mark.parametrize(
    "component",
    [
        '"date";bs',
        '"date";sf',
        '"signature";key="sig1"',
        '"@method";req',
        '"date";tr',
        '"@query-param";name="a"',
        '"@query-param"',
        '"@status"',
        '"@signature-params"',
        '"@METHOD"',
        '"Date"',
        '"a b"',
        '""',
        '"@"',
    ],
)
def test_components_that_are_not_rebuilt_are_refused(component: str) -> None:
    with pytest.raises(UnsupportedComponent):
        parse(f'sig1=("@method" {component});created=1', "sig1=:AAAA:")


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sig1",
        "sig1=AAAA",
        "sig1=::",
        "sig1=:AAA:",
        "sig1=:AA-_:",
        "sig1=:AAAA====:",
        "sig2=:AAAA:",
        "sig1=:AAAA:, sig2=:AAAA:",
        "sig1=:AAAA:, sig1=:BBBB:",
        "sig1=:AAAA:;x=1",
        'keyId="https://a.example/k",signature="AAAA"',
    ],
)
def test_the_signature_is_exactly_the_one_announced(signature: str) -> None:
    with pytest.raises(MalformedSignature):
        parse(GOOD, signature)


def test_the_lengths_are_bounded() -> None:
    most = " ".join(f'"x{number}"' for number in range(message_signatures.COMPONENTS_MAX))
    assert parse(f"s=({most})", "s=:AAAA:")
    with pytest.raises(MalformedSignature):
        parse(f's=({most} "more")', "s=:AAAA:")
    parameters = "".join(f";p{number}" for number in range(message_signatures.PARAMETERS_MAX))
    assert parse(f's=("date"){parameters}', "s=:AAAA:")
    with pytest.raises(MalformedSignature):
        parse(f's=("date"){parameters};more', "s=:AAAA:")
    longest = GOOD + " " * (message_signatures.FIELD_CHARS_MAX - len(GOOD))
    assert parse(longest, "sig1=:AAAA:")
    with pytest.raises(MalformedSignature):
        parse(longest + " ", "sig1=:AAAA:")
    with pytest.raises(MalformedSignature):
        parse(GOOD, f"sig1=:{b64encode(bytes(6200)).decode()}:")


def test_a_covered_field_that_is_absent_is_an_error() -> None:
    with pytest.raises(MalformedSignature):
        signature_base(("date",), "p", method="GET", url="https://a/", target="/", fields={})


@pytest.mark.parametrize("value", ['a\n"@method": GET', "a\r", "\ud800"])
def test_a_value_cannot_forge_a_line(value: str) -> None:
    with pytest.raises(MalformedSignature):
        signature_base(("x",), "p", method="GET", url="https://a/", target="/", fields={"x": value})


GRAMMAR = st.lists(
    st.sampled_from(
        [
            *'=",();: \t1Aé\\\n?-.',
            "sig1=(",
            '"@method"',
            '"date"',
            ";created=",
            ';keyid="',
            ":AAAA:",
        ]
    )
).map("".join)


@given(GRAMMAR | st.text(), GRAMMAR | st.text() | st.just("sig1=:AAAA:"))
@example(GOOD, "sig1=:AAAA:")
def test_no_text_makes_the_parser_raise_anything_but_its_error(text: str, signature: str) -> None:
    try:
        parsed = parse(text, signature)
    except MalformedSignature:
        return
    assert parsed.signature
    # What was serialised reads the same again.
    assert parse(f"{parsed.label}={parsed.parameters}", signature) == parsed


@given(st.integers(0, len(GOOD)), st.text(max_size=3), st.integers(0, 3))
def test_no_damage_makes_the_parser_raise_anything_but_its_error(
    position: int, inserted: str, removed: int
) -> None:
    damaged = GOOD[:position] + inserted + GOOD[position + removed :]
    try:
        parse(damaged, "sig1=:AAAA:")
    except MalformedSignature:
        return
