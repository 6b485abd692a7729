"""Private keys at rest: AES-256-GCM under a key that lives in a file beside the database, never in it (INV-40)."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12


class VaultError(Exception):
    """The key file is missing, damaged, or not the one that the secrets were sealed with."""


def create_key_file(path: Path) -> None:
    """Write a new key file, readable by its owner only. Raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")
        file.flush()
        os.fsync(file.fileno())


class Vault:
    """Seals and opens secrets; `context` binds a secret to its place, so that rows cannot be swapped."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def load(cls, path: Path) -> Vault:
        """The vault whose key is in the file `path`. Raises VaultError."""
        try:
            key = base64.b64decode(path.read_text().strip(), validate=True)
        except FileNotFoundError as error:
            raise VaultError(f"the key file {path} is missing") from error
        except (OSError, binascii.Error, ValueError) as error:
            raise VaultError(f"the key file {path} cannot be read: {error}") from error
        if len(key) != KEY_BYTES:
            raise VaultError(f"the key file {path} does not hold {KEY_BYTES} bytes in base64")
        return cls(key)

    def seal(self, secret: str, context: str) -> str:
        """`secret` encrypted, as base64."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.encode(), context.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, context: str) -> str:
        """What was sealed for this place. Raises VaultError."""
        raw = base64.b64decode(sealed)
        try:
            opened = self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode())
        except InvalidTag as error:
            raise VaultError(
                "the key file is not the one that the keys were sealed with"
            ) from error
        return opened.decode()
