from __future__ import annotations

import email.utils
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # httpsig imports pkg_resources
    from httpsig import HeaderSigner, HeaderVerifier

from apsig.draft import Signer as ApsigSigner
from apsig.draft import Verifier as ApsigVerifier
from cryptography.hazmat.primitives import serialization

from activitypub import cavage, keys
from activitypub.cavage import MalformedSignature

# The worked example of the federation reference, §3.2.
BODY = (
    b'{"@context":"https://www.w3.org/ns/activitystreams","id":"https://hub.example/ap/c/9q2",'
    b'"type":"Follow","actor":"https://hub.example/ap/p/m81xzt",'
    b'"object":"https://peer.example/users/ida"}'
)
KEY = keys.generate_rsa()
KEY_ID = "https://hub.example/ap/p/m81xzt#main-key"
DATE = 1795256100  # Sat, 21 Nov 2026 10:15:00 GMT


def test_the_worked_example_is_signed_as_written() -> None:
    headers = cavage.sign("POST", "https://peer.example/inbox", BODY, KEY, KEY_ID, date=DATE)
    assert list(headers) == ["Host", "Date", "Digest", "Signature"]
    assert headers["Host"] == "peer.example"
    assert headers["Date"] == "Sat, 21 Nov 2026 10:15:00 GMT"
    assert headers["Digest"] == "SHA-256=0tiQyLdjUrnT5LBGCDWdQxSwPYAG2PYCsHFsqssIw9E="
    assert headers["Signature"].startswith(
        f'keyId="{KEY_ID}",algorithm="rsa-sha256",'
        'headers="(request-target) host date digest",signature="'
    )
    message = (
        b"(request-target): post /inbox\n"
        b"host: peer.example\n"
        b"date: Sat, 21 Nov 2026 10:15:00 GMT\n"
        b"digest: SHA-256=0tiQyLdjUrnT5LBGCDWdQxSwPYAG2PYCsHFsqssIw9E="
    )
    assert KEY.public().verify(cavage.parse(headers["Signature"]).signature, message)


def test_a_get_is_signed_without_digest() -> None:
    headers = cavage.sign("GET", "https://peer.example/u/ida?page=2", None, KEY, KEY_ID, date=DATE)
    assert "Digest" not in headers
    parsed = cavage.parse(headers["Signature"])
    assert parsed.headers == ("(request-target)", "host", "date")
    message = (
        b"(request-target): get /u/ida?page=2\n"
        b"host: peer.example\n"
        b"date: Sat, 21 Nov 2026 10:15:00 GMT"
    )
    assert KEY.public().verify(parsed.signature, message)


def test_a_get_may_carry_the_digest_of_the_empty_body() -> None:
    headers = cavage.sign("GET", "https://peer.example/c/x", b"", KEY, KEY_ID, date=DATE)
    assert headers["Digest"] == "SHA-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert cavage.parse(headers["Signature"]).headers[-1] == "digest"


def test_further_headers_are_covered_and_not_repeated() -> None:
    extra = {"Collection-Synchronization": 'collectionId="https://hub.example/f"'}
    headers = cavage.sign("POST", "https://p.example/i", b"x", KEY, KEY_ID, date=1, headers=extra)
    assert "Collection-Synchronization" not in headers
    parsed = cavage.parse(headers["Signature"])
    assert parsed.headers[-1] == "collection-synchronization"
    fields = {name.lower(): value for name, value in (headers | extra).items()}
    message = cavage.signing_string(parsed.headers, method="POST", target="/i", fields=fields)
    assert message.endswith(b'\ncollection-synchronization: collectionId="https://hub.example/f"')
    assert KEY.public().verify(parsed.signature, message)


def test_an_ed25519_key_signs_as_hs2019() -> None:
    key = keys.generate_ed25519()
    headers = cavage.sign("GET", "https://peer.example/", None, key, KEY_ID, date=DATE)
    assert cavage.parse(headers["Signature"]).algorithm == "hs2019"


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("https://peer.example", "/", "peer.example"),
        ("https://peer.example:443/a?b#c", "/a?b", "peer.example"),
        ("https://peer.example:8443/a", "/a", "peer.example:8443"),
        ("http://peer.example:80/a", "/a", "peer.example"),
        ("http://peer.example:443/a", "/a", "peer.example:443"),
        ("https://Peer.Example/A%2fb", "/A%2fb", "peer.example"),
        ("http://[::1]:8000/a", "/a", "[::1]:8000"),
    ],
)
def test_targets_and_hosts_are_those_of_the_url(url: str, target: str, host: str) -> None:
    assert cavage.target_and_host(url) == (target, host)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_httpsig_verifies_ours(method: str) -> None:
    body = BODY if method == "POST" else None
    headers = cavage.sign(method, "https://peer.example/inbox?a=b", body, KEY, KEY_ID)
    required = ["(request-target)", "host", "date"] + (["digest"] if body else [])

    def verified(path: str) -> bool:
        return bool(
            HeaderVerifier(
                headers,
                KEY.public().to_pem(),
                required_headers=required,
                method=method,
                path=path,
                sign_header="signature",
            ).verify()
        )

    assert verified("/inbox?a=b")
    assert not verified("/inbox")


def test_we_read_what_httpsig_signs() -> None:
    names = ["(request-target)", "host", "date", "content-type"]
    signer = HeaderSigner(KEY_ID, KEY.to_pem(), "rsa-sha256", names, sign_header="signature")
    fields = {"host": "h.example", "date": "Sat, 21 Nov 2026 10:15:00 GMT", "content-type": "a/b"}
    parsed = cavage.parse(signer.sign(fields, method="GET", path="/x?y")["signature"])
    assert (parsed.key_id, parsed.algorithm) == (KEY_ID, "rsa-sha256")
    message = cavage.signing_string(parsed.headers, method="GET", target="/x?y", fields=fields)
    assert KEY.public().verify(parsed.signature, message)


def test_apsig_verifies_ours() -> None:
    url = "https://peer.example/inbox"
    headers = cavage.sign("POST", url, BODY, KEY, KEY_ID)
    pem = KEY.public().to_pem()
    assert ApsigVerifier(pem, "POST", url, headers, BODY).verify() == KEY_ID
    assert ApsigVerifier(pem, "POST", url, headers, BODY + b" ").verify() is None


def test_we_verify_what_apsig_signs() -> None:
    private = serialization.load_pem_private_key(KEY.to_pem().encode(), None)
    signed = ApsigSigner({}, private, "POST", "https://p.example/inbox", KEY_ID, BODY).sign()  # type: ignore[arg-type]
    parsed = cavage.parse(signed["Signature"])
    message = cavage.signing_string(parsed.headers, method="POST", target="/inbox", fields=signed)
    assert KEY.public().verify(parsed.signature, message)


def test_spaces_and_order_do_not_matter() -> None:
    parsed = cavage.parse(
        ' signature = "AAAA" ,\theaders="(request-target)  Host",  keyId="https://a.example/k" '
    )
    assert parsed == cavage.CavageSignature(
        "https://a.example/k", None, ("(request-target)", "host"), b"\0\0\0", None, None
    )


@pytest.mark.parametrize("value", ['"1795256100"', "1795256100"])
def test_times_may_be_quoted_or_bare(value: str) -> None:
    parsed = cavage.parse(
        f'keyId="k",algorithm="hs2019",created={value},expires={value},'
        'headers="(request-target) (created) (expires)",signature="AAAA"'
    )
    assert (parsed.created, parsed.expires) == (1795256100, 1795256100)
    message = cavage.signing_string(
        parsed.headers,
        method="POST",
        target="/inbox",
        fields={},
        created=parsed.created,
        expires=parsed.expires,
    )
    expected = b"(request-target): post /inbox\n(created): 1795256100\n(expires): 1795256100"
    assert message == expected


GOOD = 'keyId="https://a.example/k",headers="(request-target) host date",signature="AAAA"'


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Signature " + GOOD,
        GOOD + ",",
        GOOD + ',keyId="https://b.example/k"',
        GOOD + ',KEYID="https://b.example/k"',
        GOOD + ',signature="BBBB"',
        GOOD + ',x="1",x="1"',
        GOOD + ',created="soon"',
        GOOD + ",created=-1",
        GOOD + ",created=1.5",
        GOOD + ',created="1',
        GOOD + ',created=""',
        GOOD + ",created=1234567890123456",
        GOOD.replace("keyId", "key"),
        GOOD.replace("https://a.example/k", ""),
        GOOD.replace("AAAA", ""),
        GOOD.replace("AAAA", "AAA"),
        GOOD.replace("AAAA", "A A A A"),
        GOOD.replace("AAAA", "AA-_"),
        GOOD.replace("AAAA", "AAAA===="),
        GOOD.replace('"AAAA"', "AAAA"),
        GOOD.replace("host date", "host host"),
        GOOD.replace("host date", "host Host"),
        GOOD.replace("host date", "host: date"),
        GOOD.replace("host date", "(response-status)"),
        GOOD.replace("(request-target) host date", ""),
        GOOD.replace("host date", "hóst"),
        GOOD.replace(",", ";"),
        GOOD.replace("keyId=", "keyId=\r\n"),
    ],
)
def test_what_needs_guessing_is_refused(header: str) -> None:
    with pytest.raises(MalformedSignature):
        cavage.parse(header)


def test_the_lengths_are_bounded() -> None:
    fill = "x" * (cavage.SIGNATURE_CHARS_MAX - len(GOOD) - len(',y=""'))
    assert cavage.parse(f'{GOOD},y="{fill}"')
    with pytest.raises(MalformedSignature):
        cavage.parse(f'{GOOD},y="{fill}x"')
    names = " ".join(f"x{number}" for number in range(cavage.COVERED_MAX))
    assert cavage.parse(f'keyId="k",headers="{names}",signature="AAAA"')
    with pytest.raises(MalformedSignature):
        cavage.parse(f'keyId="k",headers="{names} more",signature="AAAA"')


def test_a_covered_header_that_is_absent_is_an_error() -> None:
    for covered in (("digest",), ("(created)",), ("(expires)",)):
        with pytest.raises(MalformedSignature):
            cavage.signing_string(covered, method="GET", target="/", fields={})


@pytest.mark.parametrize("value", ["a\nhost: b", "a\r", "\ud800"])
def test_a_value_cannot_forge_a_line(value: str) -> None:
    with pytest.raises(MalformedSignature):
        cavage.signing_string(("x",), method="GET", target="/", fields={"x": value})
    with pytest.raises(MalformedSignature):
        cavage.signing_string(("(request-target)",), method="GET", target=f"/{value}", fields={})


def test_header_bytes_that_are_no_text_are_signed_as_they_came() -> None:
    value = b"caf\xe9".decode("utf-8", "surrogateescape")
    message = cavage.signing_string(("x",), method="GET", target="/", fields={"x": value})
    assert message == b"x: caf\xe9"


# Letters of the grammar, so that the search gets past the first character.
GRAMMAR = st.lists(
    st.sampled_from(
        [*'=",() \t1Aé\\\n', "keyId", "signature", "headers", "created", "AAAA", "https://a/k"]
    )
).map("".join)


@given(GRAMMAR | st.text())
@example(GOOD)
def test_no_text_makes_the_parser_raise_anything_but_its_error(text: str) -> None:
    try:
        parsed = cavage.parse(text)
    except MalformedSignature:
        return
    assert parsed.key_id
    assert parsed.signature
    assert len(set(parsed.headers)) == len(parsed.headers) > 0


@given(st.integers(0, len(GOOD)), st.text(max_size=3), st.integers(0, 3))
def test_no_damage_makes_the_parser_raise_anything_but_its_error(
    position: int, inserted: str, removed: int
) -> None:
    damaged = GOOD[:position] + inserted + GOOD[position + removed :]
    try:
        cavage.parse(damaged)
    except MalformedSignature:
        return


@given(st.integers(0, 4102444800))
def test_dates_survive_their_text(seconds: int) -> None:
    text = cavage.http_date(seconds)
    assert cavage.parse_http_date(text) == seconds
    assert int(email.utils.parsedate_to_datetime(text).timestamp()) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sat, 21 Nov 2026 10:15:00",
        "Sat, 21 Nov 2026 10:15:00 +0000",
        "Sat, 21 Nov 2026 10:15:00 GMT+1",
        "Sat, 21 Nov 2026 24:00:00 GMT",
        "Sat, 21 Nov 2026 10:60:00 GMT",
        "Sat, 00 Nov 2026 10:15:00 GMT",
        "Sat, 32 Nov 2026 10:15:00 GMT",
        "Sat, 21 Nov 0000 10:15:00 GMT",
        "Sat, 21 Nov 2026 10:15:00 GMT\n",
        "2026-11-21T10:15:00Z",
        "Saturday, 21-Nov-26 10:15:00 GMT",
        "Sat, ２1 Nov 2026 10:15:00 GMT",
    ],
)
def test_other_forms_of_date_are_refused(text: str) -> None:
    with pytest.raises(MalformedSignature):
        cavage.parse_http_date(text)
