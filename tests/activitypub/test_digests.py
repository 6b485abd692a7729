from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activitypub.digests import (
    DIGEST_CHARS_MAX,
    check_content_digest,
    check_digest,
    content_digest_header,
    digest_header,
)

# The worked example of the federation reference, §3.2.
BODY = (
    b'{"@context":"https://www.w3.org/ns/activitystreams","id":"https://hub.example/ap/c/9q2",'
    b'"type":"Follow","actor":"https://hub.example/ap/p/m81xzt",'
    b'"object":"https://peer.example/users/ida"}'
)
SHA256 = "0tiQyLdjUrnT5LBGCDWdQxSwPYAG2PYCsHFsqssIw9E="
SHA512 = b64encode(hashlib.sha512(BODY).digest()).decode()
WRONG = b64encode(bytes(32)).decode()


def test_the_worked_example_has_its_digests() -> None:
    assert len(BODY) == 188
    assert digest_header(BODY) == f"SHA-256={SHA256}"
    assert content_digest_header(BODY) == f"sha-256=:{SHA256}:"


def test_the_empty_body_has_the_digest_that_lemmy_sends() -> None:
    assert digest_header(b"") == "SHA-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_the_examples_of_rfc_9530_fit() -> None:
    body = b'{"hello": "world"}\n'
    assert content_digest_header(body) == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"


@pytest.mark.parametrize(
    "header",
    [
        f"SHA-256={SHA256}",
        f"sha-256={SHA256}",
        f"  Sha-256={SHA256}  ",
        f"SHA-512={SHA512}",
        f"SHA-256={SHA256},SHA-512={SHA512}",
        f"SHA-256={SHA256}, unixsum=30637",
        f"MD5=AAAA, SHA-512={SHA512}",
    ],
)
def test_right_digests_are_accepted(header: str) -> None:
    assert check_digest(header, BODY)
    assert not check_digest(header, BODY + b" ")


@pytest.mark.parametrize(
    "header",
    [
        "",
        SHA256,
        f"SHA-256={WRONG}",
        f"SHA-256={SHA512}",
        f"SHA-256={SHA256}=",
        f"SHA-256={SHA256[:-1]}",
        f"SHA-256= {SHA256}",
        f"SHA-256={SHA256},SHA-512={WRONG}",
        f"SHA-512={WRONG},SHA-256={SHA256}",
        f"SHA-256={SHA256},SHA-256={WRONG}",
        f"SHA-256={SHA256},",
        "MD5=AAAA",
        "unixsum=30637",
        f"sha-256=:{SHA256}:",
    ],
)
def test_wrong_unknown_and_broken_digests_are_refused(header: str) -> None:
    assert not check_digest(header, BODY)


@pytest.mark.parametrize(
    "header",
    [
        f"sha-256=:{SHA256}:",
        f"sha-512=:{SHA512}:",
        f"sha-256=:{SHA256}:, sha-512=:{SHA512}:",
        f"sha-256=:{SHA256}:,md5=:AAAA:",
    ],
)
def test_right_content_digests_are_accepted(header: str) -> None:
    assert check_content_digest(header, BODY)
    assert not check_content_digest(header, b"")


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"sha-256={SHA256}",
        f"SHA-256=:{SHA256}:",
        f"sha-256=:{WRONG}:",
        f"sha-256=:{SHA256}:, sha-512=:{WRONG}:",
        f"sha-512=:{WRONG}:, sha-256=:{SHA256}:",
        f"sha-256=:{SHA256}:,",
        f"sha-256=:{SHA256}",
        f"sha-256=:{SHA256}:;x=1",
        "md5=:AAAA:",
    ],
)
def test_wrong_unknown_and_broken_content_digests_are_refused(header: str) -> None:
    assert not check_content_digest(header, BODY)


def test_a_header_that_is_too_long_is_not_read() -> None:
    padded = f"SHA-256={SHA256}".ljust(DIGEST_CHARS_MAX)
    assert check_digest(padded, BODY)
    assert not check_digest(padded + " ", BODY)
    padded = f"sha-256=:{SHA256}:".ljust(DIGEST_CHARS_MAX)
    assert check_content_digest(padded, BODY)
    assert not check_content_digest(padded + " ", BODY)


@given(st.text(st.characters(exclude_categories=())), st.binary(max_size=64))
def test_no_text_makes_the_checks_raise(header: str, body: bytes) -> None:
    assert check_digest(header, body) is False
    assert check_content_digest(header, body) is False


@given(st.binary(max_size=200))
def test_what_is_written_is_accepted(body: bytes) -> None:
    assert check_digest(digest_header(body), body)
    assert check_content_digest(content_digest_header(body), body)
