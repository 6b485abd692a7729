"""What a browser posted: text fields cleaned of what no database keeps, files within bounds."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import IO, Final

from aiohttp import web
from aiohttp.web_request import FileField
from multidict import MultiDictProxy

from fedcomm.http import site_of
from fedcomm.store.ids import parse_id

MULTIPART_OVERHEAD: Final = 256 * 1024
"""Bytes that the text fields and the frame of an upload may take beside its files."""

FILES_PER_FORM: Final = 2
"""Files that one form sends; more are added by sending it again."""

_SURROGATES: Final = dict.fromkeys(range(0xD800, 0xE000))


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file as it came, on disk until the request is over; large ones are never held in memory."""

    name: str
    file: IO[bytes]

    @property
    def data(self) -> bytes:
        """The whole file; for what is small."""
        self.file.seek(0)
        return self.file.read()


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form. Missing ones are empty."""

    values: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, UploadedFile] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The field as it was typed."""
        return self.values.get(name, [""])[0]

    def line(self, name: str) -> str:
        """The field in one line, without spaces around it."""
        return " ".join(self.text(name).split())

    def flag(self, name: str) -> bool:
        """Whether a box is ticked."""
        return bool(self.text(name))

    def ids(self, name: str) -> list[int]:
        """The ids in the fields of this name; what is no id is left out."""
        found = (parse_id(value) for value in self.values.get(name, []))
        return [value for value in found if value is not None]


def plain(text: str) -> str:
    """`text` without NUL and lone surrogates, which PostgreSQL and UTF-8 refuse (INV-11)."""
    return text.replace("\0", "").translate(_SURROGATES)


async def read_form(request: web.Request, *, files: int = 0, largest: int = 0) -> Form:
    """The form of a POST. `files`: how many files it may hold; without any, the body is small.
    `largest`: bytes of one of them, if it may be larger than a picture.

    Raises 413 for one that is too large and 400 for one that cannot be read.
    """
    config = site_of(request).config
    most = config.server.max_body_bytes
    if files:
        one = max(largest, config.media.max_image_bytes)
        most = min(config.server.max_upload_bytes, one * files) + MULTIPART_OVERHEAD
    request = request.clone(client_max_size=most)
    try:
        posted = await request.post()
    except (ValueError, LookupError, AssertionError) as error:
        # A wrong charset, broken percent-encoding or a broken multipart frame.
        raise web.HTTPBadRequest() from error
    return await _form(posted, files)


async def _form(
    posted: MultiDictProxy[str | bytes | bytearray | FileField], most_files: int
) -> Form:
    form = Form()
    for name, value in posted.items():
        if isinstance(value, FileField):
            if len(form.files) >= most_files or not value.file.seek(0, os.SEEK_END):
                value.file.close()
                continue
            form.files[name] = UploadedFile(plain(value.filename)[:200], value.file)
        elif isinstance(value, str):
            form.values.setdefault(name, []).append(plain(value))
    return form


def posted_id(form: Form, name: str) -> int:
    """An id in a field; 400 for anything else."""
    found = parse_id(form.line(name))
    if found is None:
        raise web.HTTPBadRequest()
    return found


def whole_number(text: str, most: int) -> int | None:
    """The number from 0 to `most` that `text` is, in plain digits; None for anything else."""
    if not text.isascii() or not text.isdigit() or len(text) > len(str(most)):
        return None
    number = int(text)
    return number if number <= most else None


def query_text(request: web.Request, name: str, limit: int = 500) -> str:
    """A parameter of the address, cleaned like a field."""
    return plain(request.query.get(name, ""))[:limit].strip()


def query_id(request: web.Request, name: str) -> int | None:
    """The id in a parameter of the address, or None."""
    return parse_id(request.query.get(name, ""))


def path_id(request: web.Request) -> int:
    """The id in the address; anything else is not found."""
    found = parse_id(request.match_info["id"])
    if found is None:
        raise web.HTTPNotFound()
    return found
