"""How each peer signs a POST, written from what they send and not with the library under test (federation.md §3.1)."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import sha256
from typing import Literal
from urllib.parse import urlsplit

from activitypub.keys import PrivateKey

ACTIVITY = "application/activity+json"
LD_JSON = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'


@dataclass(frozen=True, slots=True)
class Signing:
    """The habits of a peer.

    `covered` are header names, in the order of the signing string; `parameters` the order in which they are
    written. With `created` there are `(created)` and `(expires)`, as quoted numbers if `quoted`. `algorithm`
    None: not named. For RFC 9421 `covered` are components, `label` and `tag` as the peer writes them.
    """

    style: Literal["cavage", "rfc9421"] = "cavage"
    covered: Sequence[str] = ("(request-target)", "host", "date", "digest")
    algorithm: str | None = "rsa-sha256"
    parameters: Sequence[str] = ("keyId", "algorithm", "headers", "signature")
    created: bool = False
    quoted: bool = False
    content_type: str = ACTIVITY
    label: str = "sig1"
    tag: str | None = None
    header: str = "Signature"

    def headers(self, url: str, body: bytes, key: PrivateKey, key_id: str) -> dict[str, str]:
        """The headers of a POST of `body` to `url`, signed now."""
        parts = urlsplit(url)
        now = int(time.time())
        digest = b64encode(sha256(body).digest()).decode()
        sent = {
            "Host": parts.netloc,
            "Date": formatdate(now, usegmt=True),
            "Content-Type": self.content_type,
            "Accept": ACTIVITY,
            "User-Agent": "dialect/1.0 (+http://peer.test/)",
            "Content-Length": str(len(body)),
        }
        if self.style == "rfc9421":
            sent["Content-Digest"] = f"sha-256=:{digest}:"
            return sent | self._message(url, parts.netloc, sent, now, key, key_id)
        sent["Digest"] = f"SHA-256={digest}"
        return sent | {self.header: self._cavage(parts.path, sent, now, key, key_id)}

    def _cavage(
        self, path: str, sent: dict[str, str], now: int, key: PrivateKey, key_id: str
    ) -> str:
        lower = {name.lower(): value for name, value in sent.items()}
        special = {
            "(request-target)": f"post {path}",
            "(created)": str(now),
            "(expires)": str(now + 300),
        }
        text = "\n".join(
            f"{name}: {special.get(name) or lower[name]}" for name in self.covered
        ).encode()
        values = {
            "keyId": f'"{key_id}"',
            "headers": f'"{" ".join(self.covered)}"',
            "signature": f'"{b64encode(key.sign(text)).decode()}"',
        }
        if self.algorithm is not None:
            values["algorithm"] = f'"{self.algorithm}"'
        names = [name for name in self.parameters if name in values]
        if self.created:
            mark = '"' if self.quoted else ""
            values |= {"created": f"{mark}{now}{mark}", "expires": f"{mark}{now + 300}{mark}"}
            names += ["created", "expires"]
        return ",".join(f"{name}={values[name]}" for name in names)

    def _message(
        self, url: str, authority: str, sent: dict[str, str], now: int, key: PrivateKey, key_id: str
    ) -> dict[str, str]:
        lower = {name.lower(): value for name, value in sent.items()}
        derived = {"@method": "POST", "@target-uri": url, "@authority": authority}
        names = " ".join(f'"{name}"' for name in self.covered)
        parameters = f'({names});created={now};keyid="{key_id}"'
        if self.algorithm is not None:
            parameters += f';alg="{self.algorithm}"'
        if self.tag is not None:
            parameters += f';tag="{self.tag}"'
        lines = [f'"{name}": {derived.get(name) or lower[name]}' for name in self.covered]
        lines.append(f'"@signature-params": {parameters}')
        signature = b64encode(key.sign("\n".join(lines).encode())).decode()
        return {
            "Signature-Input": f"{self.label}={parameters}",
            "Signature": f"{self.label}=:{signature}:",
        }
