"""Who may federate with this hub: a level for each domain, and what holds for all others.

An entry covers its domain and every subdomain; the longest match wins. Levels:

    none      nothing is held against it (in allow-list mode: it is on the list)
    queue     what it sends waits for a decision, and nothing of it is shown
    limit     what it sends is seen by its followers here only; its follows need approval
    suspend   nothing is taken from it, given to it or shown of it; relations are suspended

`reject_media` and `reject_reports` go with any level. For hosts that no entry covers the mode decides:

    open        level none
    cautious    hosts first heard of since the mode was switched on: queue
    allow-list  suspend

What holds for a host that we know stands in its row of `hosts` as well, where SQL can ask for it;
`policy_changes.reassess` keeps the two together.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final, Literal, cast

import idna

from fedcomm.hub import instance
from fedcomm.hub.errors import Invalid
from fedcomm.store.database import Database, DatabaseError, Reader, Row, marks
from fedcomm.store.ids import now_ms

log = logging.getLogger("fedcomm.policy")

Level = Literal["none", "queue", "limit", "suspend"]
LEVELS: Final[tuple[Level, ...]] = ("none", "queue", "limit", "suspend")

Mode = Literal["open", "cautious", "allow-list"]
MODES: Final[tuple[Mode, ...]] = ("open", "cautious", "allow-list")

MODE: Final = "federation.mode"
CAREFUL_SINCE: Final = "federation.careful_since"
"""Since when (Unix ms) the mode is not `open`: in cautious mode hosts heard of later wait."""

VERSION: Final = "policies.version"
"""A number that rises with every change of an entry or of the mode."""

LOOK_SECONDS: Final = 1.0
"""How often a process looks whether the version has changed."""

REMEMBERED_HOSTS: Final = 10_000
"""Hosts without an entry whose level a process remembers, in cautious mode."""

COMMENT_CHARACTERS: Final = 1_000
DOMAIN_CHARACTERS: Final = 253

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for a host."""

    level: Level = "none"
    reject_media: bool = False
    reject_reports: bool = False


NOTHING: Final = Policy()
WAITING: Final = Policy("queue")
SUSPENDED: Final = Policy("suspend")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of `host_policies`. Times: Unix milliseconds. `source`: the list it came from, if any.

    `obfuscate`: letters of the name are left out where the list is published. None in an entry that is to be set: as it
    is. It decides nothing about the host, so two entries are equal without it.
    """

    domain: str
    level: Level
    reject_media: bool = False
    reject_reports: bool = False
    public_comment: str = ""
    private_comment: str = ""
    created_by: int | None = None
    created_at: int = 0
    expires_at: int | None = None
    source: str = ""
    obfuscate: bool | None = field(default=None, compare=False)

    @property
    def policy(self) -> Policy:
        return Policy(self.level, self.reject_media, self.reject_reports)


COLUMNS: Final = (
    "domain, level, reject_media, reject_reports, public_comment, private_comment, created_by,"
    " created_at, expires_at, source, obfuscate"
)


def entry_of(row: Row) -> Entry:
    """The entry in a row that selected `COLUMNS`."""
    return Entry(
        row["domain"],
        row["level"],
        bool(row["reject_media"]),
        bool(row["reject_reports"]),
        row["public_comment"],
        row["private_comment"],
        row["created_by"],
        row["created_at"],
        row["expires_at"],
        row["source"],
        bool(row["obfuscate"]),
    )


def as_json(entry: Entry) -> str:
    """The entry as text, from which `from_json` makes the same again."""
    return json.dumps(asdict(entry), ensure_ascii=False, sort_keys=True)


def from_json(text: str) -> Entry:
    """The entry that `as_json` wrote."""
    return Entry(**json.loads(text))


def normal_domain(text: str) -> str:
    """A domain (or `domain:port`) in lower-case A-labels (INV-10). Raises Invalid.

    At least two labels, so that no slip of the pen suspends a whole top-level domain; no addresses.
    """
    name, colon, port = text.strip().lower().removesuffix(".").partition(":")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except (idna.IDNAError, UnicodeError) as error:
            raise Invalid("domain", "This is not the name of a server.") from error
    labels = name.split(".")
    if (
        len(name) > DOMAIN_CHARACTERS
        or len(labels) < 2
        or not all(_LABEL.fullmatch(label) for label in labels)
        or labels[-1].isdigit()
        or (colon and not _PORT.fullmatch(port))
    ):
        raise Invalid("domain", "This is not the name of a server.")
    return f"{name}{colon}{port}"


def coverings(authority: str) -> Iterator[str]:
    """The domains whose entries cover a host, the longest first: itself with its port, itself, its parents."""
    name, colon, _port = authority.partition(":")
    if colon:
        yield authority
    yield name
    dot = name.find(".")
    while dot >= 0:
        yield name[dot + 1 :]
        dot = name.find(".", dot + 1)


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that decides, as it was at one version. `listed`: (policy, expiry in Unix ms or None)."""

    mode: Mode
    careful_since: int
    listed: Mapping[str, tuple[Policy, int | None]]
    version: int = 0

    def entry_for(self, authority: str, now: int) -> Policy | None:
        """What an entry says of the host, or None when none covers it."""
        listed = self.listed
        if not listed:
            return None
        for name in coverings(authority):
            found = listed.get(name)
            if found is not None and (found[1] is None or found[1] > now):
                return found[0]
        return None

    def of_known(self, authority: str, first_seen_at: int, now: int) -> Policy:
        """What holds for a host that was first heard of at `first_seen_at` (Unix ms)."""
        found = self.entry_for(authority, now)
        if found is not None:
            return found
        if self.mode == "allow-list":
            return SUSPENDED
        if self.mode == "cautious" and first_seen_at >= self.careful_since:
            return WAITING
        return NOTHING


async def rules(db: Reader) -> Rules:
    """The rules as the database has them."""
    version = int(await instance.setting(db, VERSION) or 0)
    rows = await db.all(
        "SELECT domain, level, reject_media, reject_reports, expires_at FROM host_policies"
    )
    mode, since = await stored_mode(db)
    return Rules(
        mode,
        since,
        {
            row["domain"]: (
                Policy(row["level"], bool(row["reject_media"]), bool(row["reject_reports"])),
                row["expires_at"],
            )
            for row in rows
        },
        version,
    )


async def stored_mode(db: Reader) -> tuple[Mode, int]:
    """The mode, and since when (Unix ms) it is not `open`."""
    mode = await instance.setting(db, MODE)
    since = await instance.setting(db, CAREFUL_SINCE)
    return (mode if mode in MODES else "open"), int(since or 0)


async def of_new_host(db: Reader, name: str) -> Policy:
    """What holds for a host that is heard of for the first time now."""
    now = now_ms()
    names = list(coverings(name))
    rows = await db.all(
        "SELECT domain, level, reject_media, reject_reports, expires_at FROM host_policies"
        f" WHERE domain IN ({marks(len(names))})",
        *names,
    )
    mode, _since = await stored_mode(db)
    listed = {
        row["domain"]: (
            Policy(row["level"], bool(row["reject_media"]), bool(row["reject_reports"])),
            row["expires_at"],
        )
        for row in rows
    }
    return Rules(mode, 0, listed).of_known(name, now, now)


async def level_of(db: Reader, host_id: int | None) -> Level:
    """The level that holds for a host; `none` for ourselves."""
    if host_id is None:
        return "none"
    level = await db.value("SELECT policy FROM hosts WHERE id = ?", host_id)
    return cast(Level, level or "none")


async def find(db: Reader, domain: str) -> Entry | None:
    """The entry of exactly this domain."""
    row = await db.one(f"SELECT {COLUMNS} FROM host_policies WHERE domain = ?", domain)
    return entry_of(row) if row else None


async def entries(
    db: Reader, *, after: str = "", containing: str = "", limit: int = 100
) -> list[Entry]:
    """Entries by domain, after `after`; of those that hold `containing`, if given."""
    pattern = "%" + "".join(c for c in containing.lower() if c not in "\\%_") + "%"
    rows = await db.all(
        f"SELECT {COLUMNS} FROM host_policies WHERE domain > ?"
        + (" AND domain LIKE ?" if containing else "")
        + " ORDER BY domain LIMIT ?",
        after,
        *((pattern,) if containing else ()),
        limit,
    )
    return [entry_of(row) for row in rows]


async def all_entries(db: Reader) -> dict[str, Entry]:
    """Every entry, by domain."""
    rows = await db.all(f"SELECT {COLUMNS} FROM host_policies ORDER BY domain")
    return {row["domain"]: entry_of(row) for row in rows}


async def count(db: Reader) -> int:
    """How many entries there are."""
    return int(await db.value("SELECT count(*) FROM host_policies"))


@dataclass(frozen=True, slots=True)
class Undecided:
    """A host at level queue, and how much of it waits. Times: Unix milliseconds."""

    name: str
    software: str | None
    first_seen_at: int
    waiting: int


async def undecided(db: Reader, *, limit: int = 100) -> Sequence[Undecided]:
    """The hosts that wait for a decision, the last heard of first."""
    rows = await db.all(
        "SELECT h.name, h.software, h.first_seen_at, (SELECT count(*) FROM (SELECT 1 AS one"
        " FROM inbox i WHERE i.host_id = h.id AND i.state = 'held' LIMIT 1000) AS held) AS waiting"
        " FROM hosts h WHERE h.policy = 'queue' ORDER BY h.id DESC LIMIT ?",
        limit,
    )
    return [
        Undecided(row["name"], row["software"], row["first_seen_at"], int(row["waiting"]))
        for row in rows
    ]


class PolicyBook:
    """The rules as one process knows them: in memory, at most `LOOK_SECONDS` behind the database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._rules: Rules | None = None
        self._looked = -1e9
        self._looking = asyncio.Lock()
        self._unlisted: OrderedDict[str, Policy] = OrderedDict()

    async def policy(self, authority: str) -> Policy:
        """What holds for a host (`host[:port]`, lower case). Raises DatabaseError before the first look."""
        current = await self.rules()
        found = current.entry_for(authority, now_ms())
        if found is not None:
            return found
        if current.mode == "open":
            return NOTHING
        if current.mode == "allow-list":
            return SUSPENDED
        return await self._of_unlisted(authority)

    async def rules(self) -> Rules:
        """The rules, looked at again when the last look is older than `LOOK_SECONDS`."""
        if self._is_fresh and self._rules is not None:
            return self._rules
        # Of many requests at this moment one looks, and the others wait for what it sees.
        async with self._looking:
            if self._is_fresh and self._rules is not None:
                return self._rules
            try:
                version = int(await instance.setting(self._db, VERSION) or 0)
                if self._rules is None or self._rules.version != version:
                    self._rules = await rules(self._db)
                    self._unlisted.clear()
            except DatabaseError as error:
                if self._rules is None:
                    raise
                log.warning("policies: as they were, the database does not answer: %s", error)
            self._looked = time.monotonic()
            return self._rules

    @property
    def _is_fresh(self) -> bool:
        return time.monotonic() - self._looked < LOOK_SECONDS

    def forget(self) -> None:
        """Look at once when asked next: this process has just changed something."""
        self._looked = -1e9

    async def _of_unlisted(self, authority: str) -> Policy:
        """In cautious mode: by whether we knew the host before, which its row tells."""
        known = self._unlisted.get(authority)
        if known is None:
            row = await self._db.one(
                "SELECT policy, reject_media, reject_reports FROM hosts WHERE name = ?", authority
            )
            known = WAITING
            if row is not None:
                known = Policy(
                    row["policy"], bool(row["reject_media"]), bool(row["reject_reports"])
                )
            self._unlisted[authority] = known
            while len(self._unlisted) > REMEMBERED_HOSTS:
                self._unlisted.popitem(last=False)
        return known
