from __future__ import annotations

import contextlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given
from hypothesis import strategies as st
from multiformats import multibase, multicodec

from activitypub import keys
from activitypub.keys import InvalidKey

RSA = keys.generate_rsa()
ED25519 = keys.generate_ed25519()
BOTH = pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])

# RFC 8032 §7.1 test 1; its Multikey is the example of FEP-521a.
RFC8032_PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
RFC8032_SIGNATURE = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
)
FEP521A_MULTIKEY = "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"


def rsa_public(bits: int, exponent: int = 65537) -> rsa.RSAPublicKey:
    """A public key of so many bits. Nobody knows its private half, and nobody needs to."""
    return rsa.RSAPublicNumbers(exponent, (1 << (bits - 1)) + 1).public_key()


def spki(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed448.Ed448PublicKey) -> str:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


@BOTH
def test_a_key_verifies_what_its_private_half_signed(key: keys.PrivateKey) -> None:
    signature = key.sign(b"data")
    assert key.public().verify(signature, b"data")
    assert not key.public().verify(signature, b"date")
    assert not key.public().verify(signature[:-1], b"data")
    assert not key.public().verify(b"", b"data")


def test_a_key_refuses_what_another_key_signed() -> None:
    assert not keys.generate_ed25519().public().verify(ED25519.sign(b"x"), b"x")
    assert not RSA.public().verify(ED25519.sign(b"x"), b"x")
    assert not ED25519.public().verify(RSA.sign(b"x"), b"x")


@BOTH
def test_keys_survive_their_texts(key: keys.PrivateKey) -> None:
    public = key.public()
    assert keys.load_public_pem(public.to_pem()) == public
    assert keys.load_public_multibase(public.to_multibase()) == public
    assert keys.load_private(key.to_pem()).public() == public
    assert key.to_pem().startswith("-----BEGIN PRIVATE KEY-----")
    assert public.to_pem().startswith("-----BEGIN PUBLIC KEY-----")


def test_rsa_keys_in_pkcs1_form_are_read() -> None:
    public = keys.load_public_pem(RSA.public().to_pem())
    inner = serialization.load_pem_public_key(public.to_pem().encode())
    pem = inner.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1).decode()
    assert pem.startswith("-----BEGIN RSA PUBLIC KEY-----")
    assert keys.load_public_pem(pem) == public


def test_line_ends_of_other_systems_do_not_matter() -> None:
    pem = RSA.public().to_pem()
    assert keys.load_public_pem(pem.replace("\n", "\r\n")) == RSA.public()
    assert keys.load_public_pem(pem.strip()) == RSA.public()


def test_the_key_of_rfc_8032_verifies_its_signature() -> None:
    key = keys.load_public_multibase(keys.encode_multibase(b"\xed\x01" + RFC8032_PUBLIC))
    assert key.to_multibase() == FEP521A_MULTIKEY
    assert key.verify(RFC8032_SIGNATURE, b"")
    assert not key.verify(RFC8032_SIGNATURE, b"\0")


def test_multikeys_are_what_the_multiformats_say() -> None:
    codec, raw = multicodec.unwrap(multibase.decode(ED25519.public().to_multibase()))
    assert (codec.name, len(raw)) == ("ed25519-pub", 32)
    codec, der = multicodec.unwrap(multibase.decode(RSA.public().to_multibase()))
    assert codec.name == "rsa-pub"
    loaded = serialization.load_der_public_key(der)
    assert isinstance(loaded, rsa.RSAPublicKey)
    assert spki(loaded) == RSA.public().to_pem()


@pytest.mark.parametrize(("bits", "accepted"), [(2047, 0), (2048, 1), (4096, 1), (4097, 0)])
def test_rsa_keys_are_accepted_within_the_limits_only(bits: int, accepted: int) -> None:
    key = rsa_public(bits)
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    multikey = keys.encode_multibase(b"\x85\x24" + der)
    if accepted:
        assert keys.load_public_pem(spki(key)) == keys.load_public_multibase(multikey)
        return
    with pytest.raises(InvalidKey):
        keys.load_public_pem(spki(key))
    with pytest.raises(InvalidKey):
        keys.load_public_multibase(multikey)


def test_rsa_keys_with_a_huge_exponent_are_refused() -> None:
    assert keys.load_public_pem(spki(rsa_public(2048, 2**33 - 1)))
    with pytest.raises(InvalidKey):
        keys.load_public_pem(spki(rsa_public(2048, 2**33 + 1)))


def test_a_small_private_rsa_key_is_refused() -> None:
    pem = rsa.generate_private_key(65537, 1024).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    with pytest.raises(InvalidKey):
        keys.load_private(pem.decode())


def test_other_curves_are_refused() -> None:
    for key in (ec.generate_private_key(ec.SECP256R1()), ed448.Ed448PrivateKey.generate()):
        with pytest.raises(InvalidKey):
            keys.load_public_pem(spki(key.public_key()))
        with pytest.raises(InvalidKey):
            keys.load_private(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ).decode()
            )
    with pytest.raises(InvalidKey):  # p256-pub
        keys.load_public_multibase(keys.encode_multibase(b"\x80\x24" + b"\2" + b"x" * 32))


def test_a_private_key_is_no_public_key() -> None:
    with pytest.raises(InvalidKey):
        keys.load_public_pem(RSA.to_pem())
    with pytest.raises(InvalidKey):
        keys.load_private(RSA.public().to_pem())


@pytest.mark.parametrize(
    "text",
    ["", "z", "u7QHXWpgB", "z6Mk0", "zI", "z" + "1" * 1024, FEP521A_MULTIKEY[:-1], "m" + "A" * 44],
)
def test_texts_that_are_no_multikey_are_refused(text: str) -> None:
    with pytest.raises(InvalidKey):
        keys.load_public_multibase(text)


def test_a_pem_that_is_too_long_is_not_parsed() -> None:
    pem = RSA.public().to_pem()
    at_limit = pem + "\n" * (keys.PEM_CHARS_MAX - len(pem))
    assert keys.load_public_pem(at_limit) == RSA.public()
    with pytest.raises(InvalidKey):
        keys.load_public_pem(at_limit + "\n")


@given(st.text(max_size=300) | st.text(max_size=300).map(lambda text: "z" + text))
def test_no_text_makes_the_loaders_raise_anything_but_their_error(text: str) -> None:
    for load in (keys.load_public_pem, keys.load_public_multibase, keys.load_private):
        with pytest.raises(InvalidKey):
            load(text)


@given(st.integers(0, 430), st.integers(33, 126))
def test_a_damaged_pem_is_refused_or_another_key(position: int, code: int) -> None:
    pem = RSA.public().to_pem()
    damaged = pem[:position] + chr(code) + pem[position + 1 :]
    with contextlib.suppress(InvalidKey):
        assert keys.load_public_pem(damaged).algorithm == "rsa-sha256"


@given(st.binary(max_size=200))
def test_multibase_agrees_with_an_independent_codec(data: bytes) -> None:
    text = keys.encode_multibase(data)
    assert text == multibase.encode(data, "base58btc")
    assert keys.decode_multibase(text) == data


@BOTH
def test_the_representation_shows_no_key_material(key: keys.PrivateKey) -> None:
    assert repr(key) == f"PrivateKey(algorithm='{key.algorithm}')"
    assert repr(key.public()) == f"PublicKey(algorithm='{key.algorithm}')"


def test_a_key_of_ours_is_the_same_without_the_check() -> None:
    pem = RSA.to_pem()
    assert keys.load_private(pem, check=False).public() == keys.load_private(pem).public()
