from __future__ import annotations

import json
import re
import time
import typing
import warnings
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from apsig.draft import Signer as ApsigSigner
from apsig.rfc9421 import RFC9421Signer
from cryptography.hazmat.primitives import serialization
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from hypothesis import given
from hypothesis import strategies as st

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # httpsig imports pkg_resources
    from httpsig import HeaderSigner

from activitypub import cavage, keys, message_signatures, signatures
from activitypub.digests import content_digest_header, digest_header
from activitypub.signatures import (
    WINDOW_S,
    Claim,
    Reason,
    Request,
    SignatureRefused,
    inspect,
    verify,
)

RSA = keys.generate_rsa()
ED25519 = keys.generate_ed25519()
KEY_ID = "https://peer.example/users/ida#main-key"
ORIGIN = "https://hub.example"
NOW = 1795256100  # Sat, 21 Nov 2026 10:15:00 GMT
SAMPLES = Path(__file__).parents[2] / "../shared/samples"
BODY = b'{"type":"Follow"}'

STYLES = pytest.mark.parametrize("style", ["cavage", "rfc9421"])
BOTH_KEYS = pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])


def request(
    headers: dict[str, str] | list[tuple[str, str]],
    *,
    method: str = "POST",
    target: str = "/inbox",
    body: bytes = BODY,
) -> Request:
    lines = list(headers.items()) if isinstance(headers, dict) else headers
    return Request(method, target, ORIGIN + target, lines, body)


def signed(
    style: str,
    *,
    key: keys.PrivateKey = RSA,
    method: str = "POST",
    target: str = "/inbox",
    body: bytes | None = BODY,
    at: int = NOW,
) -> Request:
    """A request as this library itself sends it."""
    url = ORIGIN + target
    if style == "cavage":
        headers = cavage.sign(method, url, body, key, KEY_ID, date=at)
    else:
        headers = message_signatures.sign(method, url, body, key, KEY_ID, at)
    headers["Content-Type"] = "application/activity+json"
    return request(headers, method=method, target=target, body=body or b"")


def header(request: Request, name: str) -> str:
    (value,) = [value for key, value in request.headers if key.lower() == name.lower()]
    return value


def with_header(request: Request, name: str, value: str | None) -> Request:
    """The request with a header set, or taken out."""
    lines = [line for line in request.headers if line[0].lower() != name.lower()]
    return replace(request, headers=lines if value is None else [*lines, (name, value)])


def edited(request: Request, name: str, old: str, new: str) -> Request:
    value = header(request, name)
    assert old in value
    return with_header(request, name, value.replace(old, new))


def cavage_signed(
    covered: str,
    fields: dict[str, str],
    *,
    algorithm: str | None = "hs2019",
    created: int | None = None,
    expires: int | None = None,
    key: keys.PrivateKey = RSA,
    method: str = "POST",
    target: str = "/inbox",
    signed_target: str | None = None,
    body: bytes = BODY,
) -> Request:
    """A request signed over whatever the test wants, as some other server would."""
    message = cavage.signing_string(
        tuple(covered.split()),
        method=method,
        target=signed_target or target,
        fields=fields,
        created=created,
        expires=expires,
    )
    parts = [f'keyId="{KEY_ID}"']
    parts += [f'algorithm="{algorithm}"'] if algorithm else []
    parts += [f"created={created}"] if created is not None else []
    parts += [f'expires="{expires}"'] if expires is not None else []
    parts += [f'headers="{covered}"', f'signature="{b64encode(key.sign(message)).decode()}"']
    return request(fields | {"Signature": ",".join(parts)}, method=method, target=target, body=body)


def message_signed(
    components: str,
    parameters: str,
    fields: dict[str, str] | None = None,
    *,
    key: keys.PrivateKey = RSA,
    method: str = "POST",
    target: str = "/inbox",
    body: bytes = BODY,
) -> Request:
    """An RFC 9421 request over whatever the test wants."""
    fields = {"host": "hub.example", "content-digest": content_digest_header(BODY)} | (fields or {})
    quoted = "(" + " ".join(f'"{name}"' for name in components.split()) + ")" + parameters
    base = message_signatures.signature_base(
        tuple(components.split()),
        quoted,
        method=method,
        url=ORIGIN + target,
        target=target,
        fields=fields,
    )
    return request(
        fields
        | {
            "Signature-Input": f"s={quoted}",
            "Signature": f"s=:{b64encode(key.sign(base)).decode()}:",
        },
        method=method,
        target=target,
        body=body,
    )


FIELDS = {
    "host": "hub.example",
    "date": cavage.http_date(NOW),
    "digest": digest_header(BODY),
}
PARAMETERS = f';created={NOW};keyid="{KEY_ID}"'


def accepted(request: Request, key: keys.PrivateKey = RSA, *, now: int = NOW) -> bool:
    return verify(inspect(request, now=now), key.public())


def refused(request: Request, *, now: int = NOW) -> str:
    with pytest.raises(SignatureRefused) as caught:
        inspect(request, now=now)
    assert caught.value.reason in typing.get_args(Reason)
    assert caught.value.message == str(caught.value) != ""
    return caught.value.reason


# What is accepted


@STYLES
@BOTH_KEYS
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_signed_request_is_verified(style: str, key: keys.PrivateKey, method: str) -> None:
    body = BODY if method == "POST" else None
    claim = inspect(signed(style, key=key, method=method, body=body), now=NOW)
    assert verify(claim, key.public())
    assert (claim.style, claim.key_id, claim.signed_at) == (style, KEY_ID, NOW)
    expected = {
        ("cavage", "POST"): ("(request-target)", "host", "date", "digest"),
        ("cavage", "GET"): ("(request-target)", "host", "date"),
        ("rfc9421", "POST"): ("@method", "@target-uri", "content-digest"),
        ("rfc9421", "GET"): ("@method", "@target-uri"),
    }
    assert claim.covered == expected[style, method]


@STYLES
def test_a_query_is_signed_too(style: str) -> None:
    sent = signed(style, method="GET", target="/ap/c?page=2", body=None)
    assert accepted(sent)
    assert not accepted(replace(sent, target="/ap/c?page=3", url=ORIGIN + "/ap/c?page=3"))


def test_cavage_is_tried_with_and_then_without_the_query() -> None:
    fields = {name: FIELDS[name] for name in ("host", "date")}
    sent = cavage_signed(
        "(request-target) host date",
        fields,
        method="GET",
        target="/ap/c?page=2",
        signed_target="/ap/c",
        body=b"",
    )
    claim = inspect(sent, now=NOW)
    assert len(claim.messages) == 2
    assert b"/ap/c?page=2" in claim.messages[0]
    assert verify(claim, RSA.public())
    assert len(inspect(signed("cavage"), now=NOW).messages) == 1


@pytest.mark.parametrize(
    ("method", "signed_url", "good"),
    [
        ("GET", ORIGIN + "/ap/g/1#main-key", True),
        ("GET", ORIGIN + "/ap/g/1", True),
        ("GET", ORIGIN + "/ap/g/1#other", False),
        ("GET", ORIGIN + "/ap/g/2#main-key", False),
        ("POST", ORIGIN + "/ap/g/1#main-key", False),
    ],
)
def test_fedify_signs_the_fragment_of_the_key_that_it_fetches(
    method: str, signed_url: str, good: bool
) -> None:
    quoted = f'("@method" "@target-uri" "content-digest"){PARAMETERS}'
    body = BODY if method == "POST" else b""
    fields = {"host": "hub.example", "content-digest": content_digest_header(body)}
    base = message_signatures.signature_base(
        ("@method", "@target-uri", "content-digest"),
        quoted,
        method=method,
        url=signed_url,
        target="/ap/g/1",
        fields=fields,
    )
    fields["Signature-Input"] = f"s={quoted}"
    fields["Signature"] = f"s=:{b64encode(RSA.sign(base)).decode()}:"
    sent = request(fields, method=method, target="/ap/g/1", body=body)
    assert accepted(sent) is good


def test_discourse_signs_times_instead_of_a_date() -> None:
    sent = cavage_signed(
        "(request-target) (created) (expires) host digest",
        {name: FIELDS[name] for name in ("host", "digest")},
        created=NOW - 10,
        expires=NOW + 50,
    )
    assert accepted(sent)
    assert refused(sent, now=NOW + 51) == "expired"
    assert inspect(sent, now=NOW).signed_at == NOW - 10


def test_times_beside_an_older_algorithm_name_are_refused_as_the_draft_demands() -> None:
    fields = {name: FIELDS[name] for name in ("host", "digest")}
    covered = "(request-target) (created) host digest"
    assert accepted(cavage_signed(covered, fields, algorithm=None, created=NOW))
    sent = cavage_signed(covered, fields, algorithm="rsa-sha256", created=NOW)
    assert refused(sent) == "malformed"


@pytest.mark.parametrize("algorithm", [None, "hs2019", "rsa-sha256", "RSA-SHA256"])
def test_the_names_that_peers_give_to_rsa_are_accepted(algorithm: str | None) -> None:
    covered = "(request-target) host date digest"
    assert accepted(cavage_signed(covered, FIELDS, algorithm=algorithm))


@pytest.mark.parametrize(
    "components",
    [
        "@method @target-uri content-digest",
        "@method @target-uri @authority host date content-digest",  # Fedify
        "@method @authority @path content-digest",
        "@method @authority @path @query content-digest",
        "@method @authority @request-target @scheme content-digest content-type",
    ],
)
def test_supersets_of_the_profile_are_accepted(components: str) -> None:
    fields = {"date": cavage.http_date(NOW), "content-type": "application/activity+json"}
    assert accepted(message_signed(components, PARAMETERS, fields))
    tagged = PARAMETERS + ';nonce="b3k2";tag="activitypub"'  # NodeBB
    assert accepted(message_signed(components, tagged, fields))


@pytest.mark.parametrize(
    ("alg", "key"),
    [("", RSA), ("", ED25519), (';alg="rsa-v1_5-sha256"', RSA), (';alg="ed25519"', ED25519)],
)
def test_the_key_decides_where_no_algorithm_is_named(alg: str, key: keys.PrivateKey) -> None:
    sent = message_signed("@method @target-uri content-digest", PARAMETERS + alg, key=key)
    assert accepted(sent, key)


def test_several_lines_of_another_header_are_signed_as_one_list() -> None:
    fields = {"cache-control": "max-age=60, must-revalidate"}
    sent = message_signed("@method @target-uri cache-control content-digest", PARAMETERS, fields)
    apart = with_header(sent, "cache-control", None)
    lines = [
        *apart.headers,
        ("Cache-Control", " max-age=60 "),
        ("cache-control", "must-revalidate"),
    ]
    assert accepted(replace(apart, headers=lines))
    assert not accepted(replace(apart, headers=lines[:-1]))


def test_the_host_may_name_the_default_port() -> None:
    fields = FIELDS | {"host": "Hub.example:443"}
    assert accepted(cavage_signed("(request-target) host date digest", fields))
    assert refused(cavage_signed("(request-target) host date digest", FIELDS | {"host": "x"}))


def test_a_server_on_another_port_is_another_host() -> None:
    headers = cavage.sign("POST", "http://127.0.0.1:8000/inbox", BODY, RSA, KEY_ID, date=NOW)
    lines = list(headers.items())
    sent = Request("POST", "/inbox", "http://127.0.0.1:8000/inbox", lines, BODY)
    assert accepted(sent)
    assert refused(replace(sent, url="http://127.0.0.1:8001/inbox")) == "host"
    assert refused(replace(sent, url="http://127.0.0.1/inbox")) == "host"


# What independent implementations send


def test_httpsig_is_verified() -> None:
    names = ["(request-target)", "host", "date", "digest"]
    signer = HeaderSigner(KEY_ID, RSA.to_pem(), "rsa-sha256", names, sign_header="signature")
    sent = request(dict(signer.sign(dict(FIELDS), method="POST", path="/inbox")))
    assert accepted(sent)
    assert not accepted(sent, keys.generate_rsa())


def test_apsig_is_verified_in_both_styles() -> None:
    private = typing.cast(
        typing.Any, serialization.load_pem_private_key(RSA.to_pem().encode(), None)
    )
    now = int(time.time())
    headers = ApsigSigner({}, private, "POST", f"{ORIGIN}/inbox", KEY_ID, BODY).sign()
    assert accepted(request(headers), now=now)
    signer = RFC9421Signer(private, KEY_ID)
    signer.sign_headers = ["@method", "@authority", "@path", "date"]
    headers = signer.sign("GET", "/inbox", "hub.example", {"host": "hub.example"})
    assert accepted(request(headers, method="GET", body=b""), now=now)


@BOTH_KEYS
def test_http_message_signatures_is_verified(key: keys.PrivateKey) -> None:
    class Resolver(HTTPSignatureKeyResolver):
        def resolve_private_key(self, key_id: str) -> bytes:
            return key.to_pem().encode()

    class Message:
        method = "POST"
        url = f"{ORIGIN}/inbox"
        headers: typing.ClassVar[dict[str, str]] = {"Host": "hub.example"}

    algorithm = algorithms.ED25519 if key is ED25519 else algorithms.RSA_V1_5_SHA256
    HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=Resolver()).sign(
        Message, key_id=KEY_ID, body=BODY
    )
    assert accepted(request(Message.headers), key, now=int(time.time()))


def recorded() -> list[tuple[str, dict[str, str]]]:
    """Header sets of signed requests that other servers really sent, by file."""
    found = []
    for path in sorted(SAMPLES.glob("*/*.json")):
        document = json.loads(path.read_bytes())
        headers = document.get("headers") or document.get("sample")
        if isinstance(headers, dict) and {"Signature", "signature"} & headers.keys():
            found.append((f"{path.parent.name}/{path.stem}", headers))
    return found


RECORDED = recorded()


@pytest.mark.skipif(not RECORDED, reason="the folder of samples is not there")
def test_recorded_requests_of_other_servers_are_read() -> None:
    # Keys and bodies of the recordings are gone: signed again by our key, over the same headers.
    for name, headers in RECORDED:
        fields = {key.lower(): value for key, value in headers.items()}
        body = BODY if "digest" in fields else b""
        if body:
            fields["digest"] = digest_header(body)
        template = fields["signature"]
        method = "POST" if body else "GET"
        covered = tuple(template.partition('headers="')[2].partition('"')[0].split())
        message = cavage.signing_string(covered, method=method, target="/inbox", fields=fields)
        fresh = f'signature="{b64encode(RSA.sign(message)).decode()}"'
        fields["signature"] = re.sub('signature="[^"]*"', fresh, template)
        url = f"https://{fields['host']}/inbox"
        sent = Request(method, "/inbox", url, list(fields.items()), body)
        claim = inspect(sent, now=cavage.parse_http_date(fields["date"]))
        assert verify(claim, RSA.public()), name
        assert claim.key_id in template, name
        assert refused(replace(sent, url="https://hub.example/inbox")) == "host", name


# INV-1: every covered part counts


def retargeted(request: Request, target: str) -> Request:
    return replace(request, target=target, url=ORIGIN + target)


# Each tampering and what happens: a reason of refusal, or None when the key finds out.
Tampering = Callable[[Request], Request]
OTHER = b'{"type":"Delete"}'

CAVAGE_TAMPERINGS: dict[str, tuple[Tampering, str | None]] = {
    "method": (lambda sent: replace(sent, method="PUT"), None),
    "path": (lambda sent: retargeted(sent, "/outbox?a=1"), None),
    "query": (lambda sent: retargeted(sent, "/inbox?a=2"), None),
    "no query": (lambda sent: retargeted(sent, "/inbox"), None),
    "host header": (lambda sent: with_header(sent, "Host", "evil.example"), "host"),
    "case of the host": (lambda sent: with_header(sent, "Host", "HUB.example"), None),
    "no host": (lambda sent: with_header(sent, "Host", None), "host"),
    "our host": (lambda sent: replace(sent, url="https://evil.example" + sent.target), "host"),
    "date": (lambda sent: with_header(sent, "Date", cavage.http_date(NOW + 1)), None),
    "broken date": (lambda sent: with_header(sent, "Date", "now"), "malformed"),
    "no date": (lambda sent: with_header(sent, "Date", None), "uncovered"),
    "digest": (lambda sent: with_header(sent, "Digest", digest_header(OTHER)), "digest"),
    "case of the digest": (lambda sent: edited(sent, "Digest", "SHA", "sha"), None),
    "no digest": (lambda sent: with_header(sent, "Digest", None), "digest"),
    "body": (lambda sent: replace(sent, body=OTHER), "digest"),
    "no body": (lambda sent: replace(sent, body=b""), "digest"),
    "body and digest": (
        lambda sent: with_header(replace(sent, body=OTHER), "Digest", digest_header(OTHER)),
        None,
    ),
    "order": (lambda sent: edited(sent, "Signature", "host date", "date host"), None),
    "uncovered method": (
        lambda sent: edited(sent, "Signature", "(request-target) ", ""),
        "uncovered",
    ),
    "uncovered host": (lambda sent: edited(sent, "Signature", " host", ""), "uncovered"),
    "uncovered date": (lambda sent: edited(sent, "Signature", " date", ""), "uncovered"),
    "uncovered digest": (lambda sent: edited(sent, "Signature", " digest", ""), "uncovered"),
    "more covered": (lambda sent: edited(sent, "Signature", "date", "date content-type"), None),
    "absent covered": (lambda sent: edited(sent, "Signature", "date", "date x-a"), "malformed"),
    "algorithm": (lambda sent: edited(sent, "Signature", "rsa-sha256", "ed25519"), None),
    "hmac": (lambda sent: edited(sent, "Signature", "rsa-sha256", "hmac-sha256"), "algorithm"),
    "sha512": (lambda sent: edited(sent, "Signature", "rsa-sha256", "rsa-sha512"), "algorithm"),
    "no algorithm": (lambda sent: edited(sent, "Signature", "rsa-sha256", ""), "algorithm"),
    "created": (
        lambda sent: edited(sent, "Signature", " date", " (created) date"),
        "malformed",
    ),
    "signature": (lambda sent: edited(sent, "Signature", 'signature="', 'signature="AAAA'), None),
    "signature gone": (lambda sent: with_header(sent, "Signature", None), "missing"),
}

MESSAGE_TAMPERINGS: dict[str, tuple[Tampering, str | None]] = {
    "method": (lambda sent: replace(sent, method="PUT"), None),
    "path": (lambda sent: retargeted(sent, "/outbox?a=1"), None),
    "query": (lambda sent: retargeted(sent, "/inbox?a=2"), None),
    "no query": (lambda sent: retargeted(sent, "/inbox"), None),
    "host header": (lambda sent: with_header(sent, "Host", "evil.example"), "host"),
    "no host": (lambda sent: with_header(sent, "Host", None), "host"),
    "our host": (
        lambda sent: with_header(
            replace(sent, url="https://evil.example" + sent.target), "Host", "evil.example"
        ),
        None,
    ),
    "our scheme": (lambda sent: replace(sent, url="http://hub.example" + sent.target), None),
    "created": (lambda sent: edited(sent, "Signature-Input", str(NOW), str(NOW + 1)), None),
    "no created": (
        lambda sent: edited(sent, "Signature-Input", f";created={NOW}", ""),
        "uncovered",
    ),
    "digest": (
        lambda sent: with_header(sent, "Content-Digest", content_digest_header(OTHER)),
        "digest",
    ),
    "no digest": (lambda sent: with_header(sent, "Content-Digest", None), "digest"),
    "body": (lambda sent: replace(sent, body=OTHER), "digest"),
    "no body": (lambda sent: replace(sent, body=b""), "digest"),
    "body and digest": (
        lambda sent: with_header(
            replace(sent, body=OTHER), "Content-Digest", content_digest_header(OTHER)
        ),
        None,
    ),
    "order": (
        lambda sent: edited(
            sent, "Signature-Input", '"@method" "@target-uri"', '"@target-uri" "@method"'
        ),
        None,
    ),
    "uncovered method": (
        lambda sent: edited(sent, "Signature-Input", '"@method" ', ""),
        "uncovered",
    ),
    "uncovered target": (
        lambda sent: edited(sent, "Signature-Input", ' "@target-uri"', ""),
        "uncovered",
    ),
    "path without host": (
        lambda sent: edited(sent, "Signature-Input", "@target-uri", "@request-target"),
        "uncovered",
    ),
    "host without path": (
        lambda sent: edited(sent, "Signature-Input", "@target-uri", "@authority"),
        "uncovered",
    ),
    "path without query": (
        lambda sent: edited(sent, "Signature-Input", '"@target-uri"', '"@authority" "@path"'),
        "uncovered",
    ),
    "uncovered digest": (
        lambda sent: edited(sent, "Signature-Input", ' "content-digest"', ""),
        "uncovered",
    ),
    "more covered": (
        lambda sent: edited(sent, "Signature-Input", "@method", 'content-type" "@method'),
        None,
    ),
    "absent covered": (
        lambda sent: edited(sent, "Signature-Input", "@method", 'x-a" "@method'),
        "malformed",
    ),
    "component": (
        lambda sent: edited(sent, "Signature-Input", '"@method"', '"@method";req'),
        "component",
    ),
    "key id": (lambda sent: edited(sent, "Signature-Input", "ida", "eve"), None),
    "algorithm": (
        lambda sent: edited(sent, "Signature-Input", "rsa-v1_5-sha256", "ed25519"),
        None,
    ),
    "hmac": (
        lambda sent: edited(sent, "Signature-Input", "rsa-v1_5-sha256", "hmac-sha256"),
        "algorithm",
    ),
    "pss": (
        lambda sent: edited(sent, "Signature-Input", "rsa-v1_5-sha256", "rsa-pss-sha512"),
        "algorithm",
    ),
    "no algorithm": (
        lambda sent: edited(sent, "Signature-Input", ';alg="rsa-v1_5-sha256"', ""),
        None,
    ),
    "expires": (
        lambda sent: edited(sent, "Signature-Input", ";keyid", f";expires={NOW};keyid"),
        None,
    ),
    "tag": (lambda sent: edited(sent, "Signature-Input", ";keyid", ';tag="a";keyid'), None),
    "label": (lambda sent: edited(sent, "Signature-Input", "sig1", "sig2"), "malformed"),
    "signature": (lambda sent: edited(sent, "Signature", "sig1=:", "sig1=:AAAA"), None),
    "signature gone": (lambda sent: with_header(sent, "Signature", None), "malformed"),
    "input gone": (lambda sent: with_header(sent, "Signature-Input", None), "malformed"),
}


def check_tampering(sent: Request, tamper: Tampering, reason: str | None) -> None:
    assert accepted(sent)
    tampered = tamper(sent)
    assert tampered != sent
    if reason is not None:
        assert refused(tampered) == reason
    else:
        assert not accepted(tampered)


@pytest.mark.parametrize("part", CAVAGE_TAMPERINGS)
def test_inv_1_a_cavage_request_changed_in_any_part_is_refused(part: str) -> None:
    check_tampering(signed("cavage", target="/inbox?a=1"), *CAVAGE_TAMPERINGS[part])


@pytest.mark.parametrize("part", MESSAGE_TAMPERINGS)
def test_inv_1_an_rfc_9421_request_changed_in_any_part_is_refused(part: str) -> None:
    check_tampering(signed("rfc9421", target="/inbox?a=1"), *MESSAGE_TAMPERINGS[part])


@STYLES
def test_inv_1_the_key_of_somebody_else_does_not_verify(style: str) -> None:
    claim = inspect(signed(style), now=NOW)
    assert verify(claim, RSA.public())
    assert not verify(claim, keys.generate_rsa().public())
    assert not verify(claim, ED25519.public())


@STYLES
@BOTH_KEYS
def test_inv_1_an_algorithm_is_not_taken_for_another(style: str, key: keys.PrivateKey) -> None:
    # The claim says one algorithm, the key is of the other: not even a right signature helps.
    claim = inspect(signed(style, key=key), now=NOW)
    for algorithm in ("rsa-sha256", "ed25519"):
        named = replace(claim, key_algorithm=algorithm)
        assert verify(named, key.public()) is (algorithm == key.algorithm)
    assert verify(replace(claim, key_algorithm=None), key.public())


@STYLES
def test_inv_1_an_unsigned_request_is_refused(style: str) -> None:
    sent = with_header(with_header(signed(style), "Signature", None), "Signature-Input", None)
    assert refused(sent) == "missing"
    authorization = with_header(sent, "Authorization", "Signature keyId=x")
    assert refused(authorization) == "missing"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "GET", "DELETE"])
@STYLES
def test_inv_1_a_body_without_a_covered_digest_is_refused(style: str, method: str) -> None:
    sent = signed(style, method=method, body=None)
    if method in ("GET", "DELETE"):
        assert accepted(sent)
        sent = replace(sent, body=BODY)
    assert refused(sent) == "uncovered"
    # A digest that is right and not signed helps nothing.
    sent = with_header(sent, "Digest", digest_header(sent.body))
    sent = with_header(sent, "Content-Digest", content_digest_header(sent.body))
    assert refused(sent) == "uncovered"


def test_inv_1_the_digest_of_one_style_does_not_serve_the_other() -> None:
    fields = FIELDS | {"content-digest": content_digest_header(BODY)}
    covered = "(request-target) host date content-digest"
    assert refused(cavage_signed(covered, fields)) == "uncovered"
    sent = message_signed("@method @target-uri digest", PARAMETERS, {"digest": FIELDS["digest"]})
    assert refused(sent) == "uncovered"


def test_inv_1_a_covered_digest_is_checked_on_a_get_too() -> None:
    sent = signed("cavage", method="GET", body=b"")
    assert accepted(sent)
    fields = FIELDS | {"digest": digest_header(b"other")}
    covered = "(request-target) host date digest"
    assert refused(cavage_signed(covered, fields, method="GET", body=b"")) == "digest"


@STYLES
@pytest.mark.parametrize("side", [-1, 1])
def test_inv_1_the_time_window_is_one_hour_both_ways(style: str, side: int) -> None:
    sent = signed(style)
    assert accepted(sent, now=NOW + side * WINDOW_S)
    assert refused(sent, now=NOW + side * (WINDOW_S + 1)) == "time"


@pytest.mark.parametrize("side", [-1, 1])
def test_inv_1_created_has_the_same_window(side: int) -> None:
    fields = {name: FIELDS[name] for name in ("host", "digest")}
    sent = cavage_signed("(request-target) (created) host digest", fields, created=NOW)
    assert accepted(sent, now=NOW + side * WINDOW_S)
    assert refused(sent, now=NOW + side * (WINDOW_S + 1)) == "time"


def test_inv_1_every_covered_time_must_be_in_the_window() -> None:
    old = {"date": cavage.http_date(NOW - WINDOW_S - 1)}
    covered = "(request-target) (created) host date digest"
    assert refused(cavage_signed(covered, FIELDS | old, created=NOW)) == "time"
    assert refused(cavage_signed(covered, FIELDS, created=NOW - WINDOW_S - 1)) == "time"
    components = "@method @target-uri date content-digest"
    assert refused(message_signed(components, PARAMETERS, old)) == "time"


def test_inv_1_a_time_that_is_not_signed_does_not_count() -> None:
    fields = {name: FIELDS[name] for name in ("host", "digest")}
    covered = "(request-target) host digest"
    sent = cavage_signed(covered, fields, created=NOW)
    assert refused(sent) == "uncovered"
    assert refused(with_header(sent, "Date", FIELDS["date"])) == "uncovered"
    assert refused(cavage_signed(covered + " date", FIELDS, expires=NOW - 1)) == "expired"


def test_inv_1_expires_is_respected_to_the_second() -> None:
    parameters = PARAMETERS + f";expires={NOW + 5}"
    sent = message_signed("@method @target-uri content-digest", parameters)
    assert accepted(sent, now=NOW + 5)
    assert refused(sent, now=NOW + 6) == "expired"
    # A far expiry does not widen the window.
    far = message_signed(
        "@method @target-uri content-digest", PARAMETERS + f";expires={NOW + 10**6}"
    )
    assert refused(far, now=NOW + WINDOW_S + 1) == "time"


# INV-4: one signer, one reading


@STYLES
@pytest.mark.parametrize(
    "name",
    [
        "Signature",
        "Signature-Input",
        "Digest",
        "Content-Digest",
        "Date",
        "Host",
        "Content-Type",
        "Content-Length",
    ],
)
def test_inv_4_a_repeated_header_is_refused(style: str, name: str) -> None:
    sent = signed(style)
    value = dict(sent.headers).get(name, "x")
    lines = [*with_header(sent, name, value).headers, (name.upper(), value)]
    assert refused(replace(sent, headers=lines)) == "duplicate"


def test_inv_4_a_second_key_id_is_refused() -> None:
    evil = ',keyId="https://evil.example/key"'
    sent = signed("cavage")
    assert refused(with_header(sent, "Signature", header(sent, "Signature") + evil)) == "malformed"
    sent = signed("rfc9421")
    value = header(sent, "Signature-Input") + ';keyid="https://evil.example/key"'
    assert refused(with_header(sent, "Signature-Input", value)) == "malformed"


def test_inv_4_a_request_is_never_read_in_two_styles() -> None:
    sent = with_header(signed("cavage"), "Signature-Input", "sig1=()")
    assert refused(sent) == "malformed"
    other = signed("rfc9421")
    both = with_header(sent, "Signature-Input", header(other, "Signature-Input"))
    assert refused(both) == "malformed"


def test_inv_4_several_signatures_are_refused() -> None:
    sent = signed("rfc9421")
    value = header(sent, "Signature-Input")
    sent = with_header(sent, "Signature-Input", value + value.replace("sig1", ", sig2"))
    value = header(sent, "Signature")
    sent = with_header(sent, "Signature", value + value.replace("sig1", ", sig2"))
    assert refused(sent) == "malformed"


@pytest.mark.parametrize(
    ("key_id", "good"),
    [
        ("https://peer.example/users/ida#main-key", True),
        ("https://peer.example/users/ida/main-key", True),
        ("https://peer.example:8443/actor?key=1", True),
        ("https://peer.example", True),
        ("http://127.0.0.1:8000/ap/p/1#main-key", True),
        ("acct:ida@peer.example", False),
        ("ida@peer.example", False),
        ("ida", False),
        ("https://", False),
        ("https:///users/ida", False),
        ("https://user@peer.example/users/ida", False),
        ("https://peer.example\\@evil.example/", False),
        ("https://peer.example/a b", False),
        ("https://peer.example/é", False),
        ("HTTPS://peer.example/users/ida", False),
        ("ftp://peer.example/users/ida", False),
        ("javascript:alert(1)", False),
        ("did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2", False),
        ("https://peer.example/" + "a" * (signatures.KEY_ID_CHARS_MAX - 21), True),
        ("https://peer.example/" + "a" * (signatures.KEY_ID_CHARS_MAX - 20), False),
    ],
)
@STYLES
def test_inv_4_a_key_id_is_an_url(style: str, key_id: str, good: bool) -> None:
    name = "Signature" if style == "cavage" else "Signature-Input"
    sent = edited(signed(style), name, KEY_ID, key_id)
    if good:
        assert inspect(sent, now=NOW).key_id == key_id
    else:
        assert refused(sent) in ("key-id", "malformed")


def test_inv_4_the_claim_carries_all_that_the_decision_needs() -> None:
    claim = inspect(signed("cavage"), now=NOW)
    copy = Claim(
        claim.style,
        claim.key_id,
        claim.key_algorithm,
        claim.signature,
        claim.messages,
        claim.signed_at,
        claim.covered,
    )
    assert copy == claim
    assert verify(copy, RSA.public())


# Strange requests


@pytest.mark.parametrize("target", ["", "*", "inbox", "https://hub.example/inbox", "//evil/inbox"])
def test_a_target_that_is_no_path_of_the_url_is_refused(target: str) -> None:
    sent = replace(signed("rfc9421"), target=target)
    assert refused(sent) == "malformed"


def test_a_target_that_is_only_the_end_of_the_path_is_refused() -> None:
    sent = message_signed("@method @target-uri content-digest", PARAMETERS, target="/ap/inbox")
    assert accepted(sent)
    assert refused(replace(sent, target="/inbox")) == "malformed"


@pytest.mark.parametrize("method", ["", "post", "GET /evil", "PO\nST"])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    assert refused(replace(signed("rfc9421"), method=method)) == "malformed"


@pytest.mark.parametrize("url", ["https://[/inbox", "https://hub.example:99999/inbox", "/inbox"])
def test_a_broken_url_is_refused_and_raises_nothing_else(url: str) -> None:
    for style in ("cavage", "rfc9421"):
        assert refused(replace(signed(style), url=url)) in ("host", "malformed")


def test_the_challenge_names_what_we_sign_ourselves() -> None:
    sent = header(signed("rfc9421"), "Signature-Input")
    assert sent.startswith(signatures.ACCEPT_SIGNATURE.partition(";")[0])
    sent = header(signed("rfc9421", method="GET", body=None), "Signature-Input")
    assert sent.startswith(signatures.ACCEPT_SIGNATURE_GET.partition(";")[0])


# Characters that mean something in one of the two grammars, and some that never do.
VALUES = st.text() | st.lists(
    st.sampled_from([*'=",();:. \t1Aé\\\n?-\udcff\ud800', "keyId=", '"@method"', "sig1=", "AAAA"])
).map("".join)
NAMES = st.sampled_from(
    [
        "Signature",
        "Signature-Input",
        "Digest",
        "Content-Digest",
        "Date",
        "Host",
        "X",
    ]
)


@given(
    st.sampled_from(["cavage", "rfc9421"]),
    st.dictionaries(NAMES, VALUES | st.none(), max_size=3),
    st.binary(max_size=3) | st.just(BODY),
)
def test_no_header_makes_the_verifier_raise_anything_but_its_error(
    style: str, changes: dict[str, str | None], body: bytes
) -> None:
    sent = replace(SIGNED[style], body=body)
    for name, value in changes.items():
        sent = with_header(sent, name, value)
    try:
        claim = inspect(sent, now=NOW)
    except SignatureRefused:
        return
    verify(claim, RSA.public())


SIGNED = {style: signed(style, target="/inbox?a=1") for style in ("cavage", "rfc9421")}


@given(
    st.sampled_from(["cavage", "rfc9421"]),
    st.sampled_from(["Signature", "Signature-Input", "Digest", "Content-Digest", "Date", "Host"]),
    st.integers(0, 700),
    st.characters(min_codepoint=33, max_codepoint=126),
)
def test_inv_1_no_changed_character_verifies_for_another_signer(
    style: str, name: str, position: int, character: str
) -> None:
    sent = SIGNED[style]
    value = dict(sent.headers).get(name)
    if value is None or position >= len(value) or value[position] == character:
        return
    damaged = value[:position] + character + value[position + 1 :]
    try:
        claim = inspect(with_header(sent, name, damaged), now=NOW)
    except SignatureRefused:
        return
    if verify(claim, RSA.public()):
        # Only draft-cavage leaves anything unsigned: the key id and the names of parameters, of
        # which the key id is bound by the key that is looked up under it.
        assert style == "cavage"
        assert name == "Signature"
        original = inspect(sent, now=NOW)
        assert claim.messages == original.messages
        assert claim.signature == original.signature
