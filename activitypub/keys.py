"""Keys of actors: RSA-2048 for HTTP signatures, Ed25519 besides (FEP-521a, FEP-8b32).

Two value types hide the cryptographic library: :class:`PrivateKey` signs, :class:`PublicKey`
verifies. Both are immutable and safe to use from several threads at once; signing and verifying
release the GIL.

Texts: PEM (PKCS #8 and SubjectPublicKeyInfo, as ``publicKey.publicKeyPem`` holds it) and Multikey
(``publicKeyMultibase``: base58-btc of a multicodec prefix and the key's bytes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

Algorithm = Literal["rsa-sha256", "ed25519"]

RSA_BITS = 2048
"""Size of the RSA keys that are generated, in bits: what every peer verifies."""

RSA_BITS_MIN = 2048
RSA_BITS_MAX = 4096
"""Accepted RSA moduli, in bits. Below: breakable; above: each verification costs us too much."""

RSA_EXPONENT_MAX = 2**33
"""Public exponents beyond this only make verification slow (65537 is what everybody uses)."""

PEM_CHARS_MAX = 8192
"""Longest PEM text that is parsed; an RSA-4096 public key has about 800 characters."""

MULTIBASE_CHARS_MAX = 1024
"""Longest multibase text that is parsed; an RSA-4096 Multikey has about 720 characters."""

_ED25519_PREFIX = b"\xed\x01"  # multicodec ed25519-pub 0xed as a varint
_RSA_PREFIX = b"\x85\x24"  # multicodec rsa-pub 0x1205 as a varint

_PKCS1V15 = padding.PKCS1v15()
_SHA256 = hashes.SHA256()

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUES = {character: value for value, character in enumerate(_BASE58)}


class InvalidKey(ValueError):
    """The text is not a key, or not a key of an accepted kind and size."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies. ``rsa-sha256`` is RSASSA-PKCS1-v1_5 with SHA-256."""

    algorithm: Algorithm
    _key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey = field(repr=False, hash=False)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Tell whether `signature` over `data` was made by this key's private half."""
        try:
            if isinstance(self._key, rsa.RSAPublicKey):
                self._key.verify(signature, data, _PKCS1V15, _SHA256)
            else:
                self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def to_pem(self) -> str:
        """SubjectPublicKeyInfo as PEM, as ``publicKeyPem`` wants it."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode("ascii")

    def to_multibase(self) -> str:
        """Multikey text (``z…``) of FEP-521a: Ed25519 raw, RSA as PKCS #1 DER."""
        if isinstance(self._key, rsa.RSAPublicKey):
            der = self._key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.PKCS1
            )
            return encode_multibase(_RSA_PREFIX + der)
        return encode_multibase(_ED25519_PREFIX + self._key.public_bytes_raw())


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs. Its representation never shows key material."""

    algorithm: Algorithm
    _key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = field(repr=False, compare=False)

    def sign(self, data: bytes) -> bytes:
        """Sign `data`: 256 to 512 bytes for RSA (≈ 1 ms), 64 bytes for Ed25519 (≈ 0.04 ms)."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, _PKCS1V15, _SHA256)
        return self._key.sign(data)

    def public(self) -> PublicKey:
        """The half that may be published."""
        return PublicKey(self.algorithm, self._key.public_key())

    def to_pem(self) -> str:
        """PKCS #8 as PEM, not encrypted: encrypt it before it touches a disk (INV-40)."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode("ascii")


def generate_rsa() -> PrivateKey:
    """Make an RSA key. Takes some 50 to 500 ms of CPU: not on the event loop."""
    return PrivateKey("rsa-sha256", rsa.generate_private_key(65537, RSA_BITS))


def generate_ed25519() -> PrivateKey:
    """Make an Ed25519 key."""
    return PrivateKey("ed25519", ed25519.Ed25519PrivateKey.generate())


def load_private(pem: str, *, check: bool = True) -> PrivateKey:
    """Read an unencrypted private key (PKCS #8, or PKCS #1 for RSA).

    `check`: whether RSA's numbers belong together, which takes far longer than to sign; not needed for a key that was
    made here and kept where nobody else writes.

    Raises :class:`InvalidKey` for anything else than RSA of 2048 to 4096 bits or Ed25519.
    """
    try:
        key = serialization.load_pem_private_key(
            _pem_bytes(pem), password=None, unsafe_skip_rsa_key_validation=not check
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidKey("This is not a private key in PEM form without a password.") from error
    if isinstance(key, rsa.RSAPrivateKey):
        _check_rsa(key.public_key())
        return PrivateKey("rsa-sha256", key)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return PrivateKey("ed25519", key)
    raise InvalidKey("Only RSA and Ed25519 keys sign here.")


def load_public_pem(pem: str) -> PublicKey:
    """Read a public key from PEM: SubjectPublicKeyInfo, or PKCS #1 as some peers send it.

    Raises :class:`InvalidKey` for anything else than RSA of 2048 to 4096 bits or Ed25519.
    """
    try:
        key = serialization.load_pem_public_key(_pem_bytes(pem))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidKey("This is not a public key in PEM form.") from error
    if isinstance(key, rsa.RSAPublicKey):
        return _rsa_public(key)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return PublicKey("ed25519", key)
    raise InvalidKey("Only RSA and Ed25519 keys are accepted.")


def load_public_multibase(text: str) -> PublicKey:
    """Read a Multikey (``publicKeyMultibase``, FEP-521a), base58-btc only.

    Raises :class:`InvalidKey` for anything else than Ed25519 or RSA of 2048 to 4096 bits.
    """
    try:
        data = decode_multibase(text)
    except ValueError as error:
        raise InvalidKey(str(error)) from error
    prefix, body = data[:2], data[2:]
    if prefix == _ED25519_PREFIX:
        if len(body) != 32:
            raise InvalidKey("An Ed25519 key has 32 bytes.")
        return PublicKey("ed25519", ed25519.Ed25519PublicKey.from_public_bytes(body))
    if prefix == _RSA_PREFIX:
        try:
            key = serialization.load_der_public_key(body)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InvalidKey("The RSA key is not valid DER.") from error
        if isinstance(key, rsa.RSAPublicKey):
            return _rsa_public(key)
    raise InvalidKey("Only Ed25519 and RSA Multikeys are accepted.")


def encode_multibase(data: bytes) -> str:
    """Write bytes as multibase base58-btc (``z…``)."""
    number = int.from_bytes(data, "big")
    digits: list[str] = []
    while number:
        number, rest = divmod(number, 58)
        digits.append(_BASE58[rest])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "z" + "1" * zeros + "".join(reversed(digits))


def decode_multibase(text: str) -> bytes:
    """Read multibase base58-btc (``z…``) of at most `MULTIBASE_CHARS_MAX` characters.

    Raises ValueError for other bases, foreign characters and longer texts.
    """
    if not text.startswith("z"):
        raise ValueError("Only base58-btc multibase texts (z…) are accepted.")
    if len(text) > MULTIBASE_CHARS_MAX:
        raise ValueError(f"A multibase text has at most {MULTIBASE_CHARS_MAX} characters.")
    number = 0
    for character in text[1:]:
        value = _BASE58_VALUES.get(character)
        if value is None:
            raise ValueError("The multibase text holds a character outside base58.")
        number = number * 58 + value
    zeros = len(text) - 1 - len(text[1:].lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _pem_bytes(pem: str) -> bytes:
    if len(pem) > PEM_CHARS_MAX:
        raise InvalidKey(f"A key in PEM form has at most {PEM_CHARS_MAX} characters.")
    return pem.encode("ascii")


def _rsa_public(key: rsa.RSAPublicKey) -> PublicKey:
    _check_rsa(key)
    return PublicKey("rsa-sha256", key)


def _check_rsa(key: rsa.RSAPublicKey) -> None:
    if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        raise InvalidKey(f"RSA keys have {RSA_BITS_MIN} to {RSA_BITS_MAX} bits here.")
    if key.public_numbers().e > RSA_EXPONENT_MAX:
        raise InvalidKey("The public exponent of the RSA key is too large.")
