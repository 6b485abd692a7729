"""The dry run: a post goes the whole way, from the hub's operation to the last inbox, and is taken back.

Everything is done by the functions that do it in earnest (`threads`, the steps of the outbox, `rendering`, `peers`),
in a transaction that is never committed, with a `Dispatch` that notes instead of queueing. So what is shown is what
is sent, to the byte: ids, times and numbers of activities are reserved, and the outbox takes the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from activitypub.contexts import with_context
from activitypub.ijson import dumps
from fedcomm.federation import likenesses, peers
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.dispatch import SENT_VISIBILITIES, Booking, Dispatch, KeyMissing
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.outbox import steps_of
from fedcomm.federation.recipients import Inbox
from fedcomm.federation.rendering import Renderer
from fedcomm.hub import actors, journal, quotes, threads
from fedcomm.hub.consents import Consent
from fedcomm.hub.markup import find_mentions
from fedcomm.hub.previews import (
    HOSTS_NAMED,
    HostReach,
    Letter,
    Likeness,
    Preview,
    Proposal,
    Remark,
    RemarkCode,
    SoftwareReach,
)
from fedcomm.hub.reservations import Reservation
from fedcomm.store.database import Database, Reader, Transaction, marks
from fedcomm.store.ids import new_id, now_ms

PLACEHOLDER: Final = "preview.invalid"
"""The domain (RFC 6761) of the servers that stand in for each kind of server; none outlives the dry run."""

NAMES_IN_REMARK: Final = 10
"""Servers, or people, that one remark names."""

MENTIONS_READ: Final = 50

KEYS_MADE: Final = 4
"""Actors of ours whose keys one dry run may have to make: author and group, and some room."""


class _Curtain(Exception):
    """The rehearsal is over: nothing of it stays."""


@dataclass(frozen=True, slots=True)
class _Noted:
    """An activity as it would be kept and queued."""

    kind: str
    body: bytes
    inboxes: tuple[Inbox, ...]


class Notebook(Dispatch):
    """A `Dispatch` that notes what it would send."""

    def __init__(
        self, renderer: Renderer, keyring: Keyring, addresses: Addresses, consent: Consent
    ) -> None:
        super().__init__(renderer, keyring, addresses, consent)
        self.noted: list[_Noted] = []

    async def _queue(
        self,
        tx: Transaction,
        number: int,
        actor_id: int,
        kind: str,
        body: str,
        inboxes: Sequence[Inbox],
        thing: threads.Thing | None,
        *,
        subject_id: int | None = None,
        recall: bool = False,
    ) -> None:
        self.noted.append(_Noted(kind, body.encode(), tuple(dict.fromkeys(inboxes))))


class Rehearsal:
    """Previews what this hub would send: the ActivityPub spoke's `Previewer`."""

    def __init__(
        self,
        db: Database,
        renderer: Renderer,
        catalogue: Catalogue,
        keyring: Keyring,
        addresses: Addresses,
    ) -> None:
        self._db = db
        self._renderer = renderer
        self._catalogue = catalogue
        self._keyring = keyring
        self._at = addresses

    async def preview(self, proposal: Proposal, reservation: Reservation) -> Preview:
        """The dry run. Raises NotFound, NotAllowed, Invalid, as posting would."""
        for _ in range(KEYS_MADE):
            try:
                return await self._preview(proposal, reservation)
            except KeyMissing as missing:
                # Making one writes, so not within the transaction; then all is played again.
                await self._keyring.pair(missing.actor_id)
        return await self._preview(proposal, reservation)

    async def _preview(self, proposal: Proposal, reservation: Reservation) -> Preview:
        found: Preview | None = None
        # Counting many people takes a while: not within the transaction, for which everybody else waits.
        facts = await _facts(self._db, proposal)
        try:
            async with self._db.transaction() as tx:
                found = await self._play(tx, proposal, reservation, facts)
                raise _Curtain
        except _Curtain:
            assert found is not None
        return found

    async def _play(
        self, tx: Transaction, proposal: Proposal, reservation: Reservation, facts: Facts
    ) -> Preview:
        thing, remarks = await self._post(tx, proposal, reservation)
        extras = await _stand_ins(tx, thing)
        out = Notebook(self._renderer, self._keyring, self._at, self._catalogue.consent)
        steps = steps_of(out, self._renderer, self._catalogue, self._keyring, self._at)
        event: journal.Event = "topic_created" if thing.kind == "topic" else "reply_created"
        entry = journal.Entry(0, event, thing.author_id, thing.id, thing.group_id, None, now_ms())
        booking = Booking(reservation)
        with out.booked(booking):
            await steps[event](tx, entry)
        leaves = thing.visibility in SENT_VISIBILITIES and bool(out.noted)
        document = await self._catalogue.object(tx, thing.id) if leaves else None
        fetched = dumps(with_context(document)) if document is not None else None
        letters = _letters(out.noted, extras)
        real = [
            replace(note, inboxes=tuple(i for i in note.inboxes if i.host_id not in extras))
            for note in out.noted
        ]
        hosts = _hosts_reached(real, facts.hosts)
        remarks += await self._warnings(tx, proposal, thing, leaves=leaves)
        remarks += _host_remarks(facts.hosts) if leaves else []
        if any(letter.kind == "Create" and letter.servers for letter in letters):
            remarks.append(Remark("followers_of_author"))
        if leaves and not hosts:
            remarks.append(Remark("nobody"))
        numbers = {**reservation.numbers, **booking.given}
        return Preview(
            replace(reservation, numbers=numbers),
            _fingerprint(letters, fetched),
            letters,
            fetched,
            self._likenesses(letters, fetched) if leaves else (),
            servers=len(hosts),
            people=sum(host.people for host in hosts),
            local_people=facts.local_people,
            by_software=_by_software(hosts),
            hosts=tuple(hosts[:HOSTS_NAMED]),
            remarks=tuple(remarks),
        )

    async def _post(
        self, tx: Transaction, proposal: Proposal, reservation: Reservation
    ) -> tuple[threads.Thing, list[Remark]]:
        """Post it, in this transaction."""
        author_id, content = proposal.author_id, proposal.content
        if proposal.parent_id is not None:
            object_id = await threads.create_reply(
                tx, author_id, proposal.parent_id, content, reserved=reservation
            )
        else:
            object_id = await threads.create_topic(
                tx, author_id, proposal.group_id or 0, content, reserved=reservation
            )
        remarks: list[Remark] = []
        quoted = await quotes.of_object(tx, object_id)
        if quoted is not None and quoted.state == "pending":
            remarks.append(Remark("quote_without_consent"))
        thing = await threads.thing(tx, object_id)
        assert thing is not None
        if thing.withheld is not None:
            # What is shown is what is sent once a moderator lets it in.
            remarks.append(Remark("waits"))
            await tx.execute(
                "UPDATE objects SET withheld = NULL, withheld_at = NULL WHERE id = ?", object_id
            )
            thing = replace(thing, withheld=None)
        return thing, remarks

    def _likenesses(self, letters: Sequence[Letter], fetched: bytes | None) -> tuple[Likeness, ...]:
        drawn: list[Likeness] = []
        for look in peers.LOOKS:
            own = [letter for letter in letters if look.name in letter.peers]
            found = [
                (letter, document)
                for letter in own
                if (document := likenesses.object_in(letter.body, fetched)) is not None
            ]
            if not found:
                drawn.append(likenesses.unsent(look))
                continue
            kinds = [letter.kind for letter in own]
            announced = any(kind.startswith("Announce/") for kind in kinds)
            remarks: list[Remark] = []
            if not announced:
                remarks.append(Remark("thread_only", peer=look.name))
            # What the group announces is what most of its followers see.
            _, document = next(
                (pair for pair in found if pair[0].kind.startswith("Announce/")), found[0]
            )
            drawn.append(likenesses.draw(look, document, kinds, remarks, self._at.origin))
        return tuple(drawn)

    async def _warnings(
        self, tx: Reader, proposal: Proposal, thing: threads.Thing, *, leaves: bool
    ) -> list[Remark]:
        """What the author may want to mend, or to know."""
        remarks: list[Remark] = []
        if not leaves:
            remarks.append(Remark("stays_here"))
        bare = sum(1 for file in proposal.content.attachments if not file.alt)
        if bare:
            remarks.append(Remark("no_alt", {"count": str(bare)}))
        own_host = self._at.origin.split("://", 1)[1]
        unknown: list[str] = []
        away: list[str] = []
        for mention in find_mentions(proposal.source, limit=MENTIONS_READ):
            if mention.host is None or mention.host == own_host:
                person = await actors.local_actor(tx, mention.name)
            else:
                person = await actors.remote_actor(tx, mention.name, mention.host)
            handle = f"@{mention.name}" + (f"@{mention.host}" if mention.host else "")
            if person is None:
                unknown.append(handle)
            elif not person.is_local and not leaves:
                away.append(handle)
        codes: tuple[tuple[RemarkCode, list[str]], ...] = (
            ("mention_unknown", unknown),
            ("mention_stays", away),
        )
        for code, handles in codes:
            remarks += [Remark(code, {"name": name}) for name in handles[:NAMES_IN_REMARK]]
        return remarks


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What is known of one server whose people could get it. Counts of people: in the group only, following the
    author only, and who is in both or is mentioned."""

    id: int
    name: str
    software: str | None
    policy: str
    dead: bool
    failing: bool
    members: int
    followers: int
    both: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Whom something may concern: servers by id, and how many members of this hub are in the group."""

    hosts: dict[int, HostFacts]
    local_people: int


async def _facts(db: Reader, proposal: Proposal) -> Facts:
    """Every server with somebody who is in the group, follows the author, is mentioned or is answered."""
    group_id, addressed = proposal.group_id or 0, set(proposal.content.mentions)
    if proposal.parent_id is not None:
        parent = await threads.thing(db, proposal.parent_id)
        if parent is not None:
            group_id = parent.group_id or 0
            addressed.add(parent.author_id)
    return Facts(
        await _host_facts(db, group_id, proposal.author_id, sorted(addressed)),
        await _local_people(db, group_id, proposal.author_id),
    )


async def _host_facts(
    db: Reader, group_id: int, author_id: int, addressed: Sequence[int]
) -> dict[int, HostFacts]:
    rows = await db.all(
        "SELECT h.id, h.name, h.software, h.policy, h.dead_at, l.failures, p.members, p.followers,"
        " p.both_of FROM (SELECT a.host_id,"
        "  sum(CASE WHEN q.m = 1 AND q.f = 0 AND q.x = 0 THEN 1 ELSE 0 END) AS members,"
        "  sum(CASE WHEN q.m = 0 AND q.f = 1 AND q.x = 0 THEN 1 ELSE 0 END) AS followers,"
        "  sum(CASE WHEN q.x = 1 OR (q.m = 1 AND q.f = 1) THEN 1 ELSE 0 END) AS both_of"
        "  FROM (SELECT u.id, max(u.m) AS m, max(u.f) AS f, max(u.x) AS x FROM ("
        "   SELECT actor_id AS id, 1 AS m, 0 AS f, 0 AS x FROM memberships"
        "    WHERE group_id = ? AND state = 'active'"
        "   UNION ALL SELECT follower_id, 0, 1, 0 FROM follows"
        "    WHERE followed_id = ? AND state = 'active'"
        f"   UNION ALL SELECT id, 0, 0, 1 FROM actors WHERE id IN ({marks(len(addressed))})"
        "  ) u GROUP BY u.id) q JOIN actors a ON a.id = q.id"
        "  WHERE a.host_id IS NOT NULL AND a.deleted_at IS NULL GROUP BY a.host_id) p"
        " JOIN hosts h ON h.id = p.host_id"
        " LEFT JOIN lanes l ON l.host_id = h.id AND l.queue = 'delivery'",
        group_id,
        author_id,
        *(addressed or (0,)),
    )
    return {
        row["id"]: HostFacts(
            row["id"],
            row["name"],
            row["software"],
            row["policy"],
            row["dead_at"] is not None,
            bool(row["failures"]),
            int(row["members"]),
            int(row["followers"]),
            int(row["both_of"]),
        )
        for row in rows
    }


async def _stand_ins(tx: Transaction, thing: threads.Thing) -> dict[int, peers.Look]:
    """One server of each kind that is drawn, with somebody who is in the group and follows the author: so that the
    preview says what they see even if none of them is there yet. By host id."""
    now = now_ms()
    made: dict[int, peers.Look] = {}
    for look in peers.LOOKS:
        host_id, actor_id = new_id(), new_id()
        name = f"{look.software}.{PLACEHOLDER}"
        await tx.execute(
            "INSERT INTO hosts (id, name, first_seen_at, software) VALUES (?, ?, ?, ?)",
            *(host_id, name, now, look.software),
        )
        await tx.execute(
            "INSERT INTO actors (id, kind, host_id, uri, name, inbox, created_at, updated_at)"
            " VALUES (?, 'person', ?, ?, 'reader', ?, ?, ?)",
            *(actor_id, host_id, f"https://{name}/reader", f"https://{name}/inbox", now, now),
        )
        if thing.group_id is not None:
            await tx.execute(
                "INSERT INTO memberships (group_id, actor_id, role, state, created_at)"
                " VALUES (?, ?, 'member', 'active', ?)",
                *(thing.group_id, actor_id, now),
            )
        await tx.execute(
            "INSERT INTO follows (follower_id, followed_id, state, created_at)"
            " VALUES (?, ?, 'active', ?)",
            *(actor_id, thing.author_id, now),
        )
        made[host_id] = look
    return made


def _letters(noted: Sequence[_Noted], extras: dict[int, peers.Look]) -> tuple[Letter, ...]:
    """What would be sent or be there to be fetched, in order."""
    return tuple(
        Letter(
            note.kind,
            note.body,
            len({inbox.host_id for inbox in note.inboxes if inbox.host_id not in extras}),
            tuple(extras[inbox.host_id].name for inbox in note.inboxes if inbox.host_id in extras),
        )
        for note in noted
    )


def _hosts_reached(real: Sequence[_Noted], facts: dict[int, HostFacts]) -> list[HostReach]:
    """The servers that get something, with the people for whom it is; those with the most people first."""
    announced = {i.host_id for n in real if n.kind.startswith("Announce/") for i in n.inboxes}
    direct = {i.host_id for n in real if not n.kind.startswith("Announce/") for i in n.inboxes}
    found: list[HostReach] = []
    for host_id in announced | direct:
        known = facts.get(host_id)
        if known is None:
            continue
        people = known.both
        people += known.members if host_id in announced else 0
        people += known.followers if host_id in direct else 0
        found.append(HostReach(known.name, known.software, people))
    return sorted(found, key=lambda host: (-host.people, host.host))


def _by_software(hosts: Sequence[HostReach]) -> tuple[SoftwareReach, ...]:
    sums: dict[str, tuple[int, int]] = {}
    for host in hosts:
        servers, people = sums.get(host.software or "", (0, 0))
        sums[host.software or ""] = (servers + 1, people + host.people)
    found = [SoftwareReach(name, *counts) for name, counts in sums.items()]
    return tuple(sorted(found, key=lambda kind: (-kind.people, kind.software)))


def _host_remarks(facts: dict[int, HostFacts]) -> list[Remark]:
    """Servers with people of this group or author that are limited, suspended, silent or ill."""
    ordered = sorted(facts.values(), key=lambda fact: fact.name)
    suspended = [fact for fact in ordered if fact.policy == "suspend"]
    open_ones = [fact for fact in ordered if fact.policy != "suspend"]
    kinds: tuple[tuple[RemarkCode, list[HostFacts]], ...] = (
        ("hosts_suspended", suspended),
        ("hosts_limited", [fact for fact in open_ones if fact.policy == "limit"]),
        ("hosts_dead", [fact for fact in open_ones if fact.dead]),
        ("hosts_failing", [fact for fact in open_ones if fact.failing and not fact.dead]),
    )
    remarks: list[Remark] = []
    for code, concerned in kinds:
        if concerned:
            names = ", ".join(fact.name for fact in concerned[:NAMES_IN_REMARK])
            rest = " …" if len(concerned) > NAMES_IN_REMARK else ""
            remarks.append(Remark(code, {"names": names + rest}))
    return remarks


async def _local_people(db: Reader, group_id: int, author_id: int) -> int:
    """Members of this hub in the group, the author left out."""
    return int(
        await db.value(
            "SELECT count(*) FROM memberships s JOIN members m ON m.actor_id = s.actor_id"
            " WHERE s.group_id = ? AND s.state = 'active' AND s.actor_id <> ?",
            group_id,
            author_id,
        )
    )


def _fingerprint(letters: Sequence[Letter], document: bytes | None) -> str:
    digest = sha256(document or b"")
    for letter in letters:
        digest.update(f"\n{letter.kind} {len(letter.body)}\n".encode() + letter.body)
    return digest.hexdigest()
