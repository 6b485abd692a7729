"""The canary: the hub follows a hidden group of its own over the wire, and notices when a post does not come round.

    scheduler -> journal -> outbox -> courier -> POST to our own public inbox -> verified -> inbox row -> intake
      Follow, by the follower ------------------------------------------------------------------------------^
      Announce, by the group, when the Follow has arrived; the intake fetches group, and post, from outside

Both actors are of a kind of their own with keys of their own: no handle, no profile, no membership, so that no page,
count, search or collection knows them, and their documents exist for each other's signatures only. Requests to our own
origin are refused everywhere (INV-23); for the canary the network policy names the exact paths that it needs.

A cycle that takes too long by the monotonic clock is missed; a jump of the wall clock is not an outage.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web

from activitypub.accessors import Refused
from activitypub.client import Client
from activitypub.contexts import with_context
from activitypub.documents import ActivityDocument
from activitypub.ijson import JSONObject, dumps
from activitypub.origins import host as host_of
from activitypub.signatures import Claim, SignatureRefused, verify
from activitypub.vocabulary import CONTENT_TYPE
from fedcomm.federation import lanes
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.changes import Change, nothing
from fedcomm.federation.dispatch import Dispatch, Step
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.moments import iso
from fedcomm.federation.recipients import Inbox
from fedcomm.federation.rendering import Renderer
from fedcomm.federation.visitors import Visitors
from fedcomm.hub import actors, canary, instance, journal
from fedcomm.settings import Canary as Settings
from fedcomm.store.database import Database, DatabaseUnavailable, Transaction, Value
from fedcomm.store.ids import new_id, now_ms, parse_id

log = logging.getLogger("fedcomm.canary")

Role = Literal["group", "follower"]
ROLES: Final[tuple[Role, ...]] = ("group", "follower")

HOST: Final = "canary_host"
"""The setting that names the row of `hosts` under which our own address stands: for lanes and queues."""

LOOK_S: Final = 0.5
"""How often a cycle that is under way is looked at."""

STALLED_S: Final = 30.0
"""A look that comes so much later than it should: the machine slept, and the cycle says nothing."""

SOFTWARE: Final = "fedcomm"


def paths_of(settings: Settings) -> tuple[str, ...]:
    """The paths of our own origin that requests may reach: none unless the canary sings."""
    return ("/ap/inbox", "/ap/canary/") if settings.enabled else ()


@dataclass(frozen=True, slots=True)
class Pair:
    """The canary's actors and the host that stands for our own address."""

    group: int
    follower: int
    host: int

    def of(self, role: Role) -> int:
        return self.group if role == "group" else self.follower


class Canary:
    """Sings, listens, and says when nothing was heard."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        client: Client,
        keyring: Keyring,
        visitors: Visitors,
        addresses: Addresses,
    ) -> None:
        self._settings = settings
        self._db = db
        self._client = client
        self._keyring = keyring
        self._visitors = visitors
        self._at = addresses
        self._pair: Pair | None = None
        self._heard = asyncio.Event()
        self.wake: Callable[[], None] = lanes.idle
        self.on_stored: Callable[[], None] = lanes.idle
        self.on_change: Callable[[canary.Status], Awaitable[None]] = _quietly

    # The cycle

    async def run(self) -> None:
        """Sing until cancelled; does nothing when it is switched off."""
        if not self._settings.enabled:
            return
        while True:
            try:
                await self.cycle()
            except DatabaseUnavailable as error:
                log.error("canary: the database is away: %s", error)
            except Exception:
                log.exception("canary")
            await asyncio.sleep(self._settings.interval_minutes * 60)

    async def cycle(self) -> canary.State | None:
        """One whole cycle; how it ended, None when another process is at it or it is too early."""
        pair = await self._actors()
        for role in ROLES:
            await self._keyring.pair(pair.of(role))
        started = time.monotonic()
        number = await self._begin(pair)
        if number is None:
            return None
        self.wake()
        state = await self._wait(number, started)
        await self._tidy(pair)
        if state in ("arrived", "missed"):
            await self._tell()
        return state

    async def _begin(self, pair: Pair) -> int | None:
        interval = int(self._settings.interval_minutes * 60_000)
        deadline = int(self._settings.deadline_seconds * 1000)
        async with self._db.transaction() as tx:
            if not await canary.may_begin(tx, interval_ms=interval, deadline_ms=deadline):
                return None
            number = await canary.begin(tx)
            # Whatever lists say of our own name, and however long our own address did not answer.
            await tx.execute(
                "UPDATE hosts SET policy = 'none', dead_at = NULL, software = ? WHERE id = ?",
                *(SOFTWARE, pair.host),
            )
            await tx.execute("DELETE FROM deliveries WHERE host_id = ?", pair.host)
            await tx.execute(
                "UPDATE lanes SET failures = 0, failing_since = NULL WHERE host_id = ?", pair.host
            )
            await journal.record(
                tx,
                "canary_asked",
                actor_id=pair.follower,
                object_id=number,
                target_id=pair.group,
            )
        return number

    async def _wait(self, number: int, started: float) -> canary.State:
        while True:
            known = await canary.cycle(self._db, number)
            if known is None or known.state == "abandoned":
                return "abandoned"
            if known.state == "arrived":
                return "arrived"
            looked = time.monotonic()
            if looked - started > self._settings.deadline_seconds:
                return await self._miss(number, known)
            self._heard.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), LOOK_S)
            if time.monotonic() - looked > STALLED_S:
                async with self._db.transaction() as tx:
                    await canary.abandon(tx, number)

    async def _miss(self, number: int, known: canary.Cycle) -> canary.State:
        where = "the Follow" if known.state == "asked" else "the Announce"
        row = await self._db.one(
            "SELECT d.error, d.state FROM deliveries d WHERE d.host_id = ? ORDER BY d.id DESC LIMIT 1",
            (await self._actors()).host,
        )
        reason = f"{where} was sent but not processed"
        if row is not None:
            reason = f"{where} was not delivered: {row['error'] or 'it waits'}"
        else:
            verdict = await self._db.value(
                "SELECT verdict FROM inbox WHERE host_id = ? AND verdict IS NOT NULL"
                " AND verdict NOT LIKE 'canary%' ORDER BY id DESC LIMIT 1",
                (await self._actors()).host,
            )
            if verdict is not None:
                reason = f"{where} was not taken: {verdict}"
        async with self._db.transaction() as tx:
            missed = await canary.miss(tx, number, reason)
        log.warning("canary: a cycle was missed: %s", reason)
        return "missed" if missed else "arrived"

    async def _tell(self) -> None:
        status = await canary.status(self._db)
        async with self._db.transaction() as tx:
            due = await canary.note_alarm(tx, status)
        if due:
            await self.on_change(status)

    async def _tidy(self, pair: Pair) -> None:
        """What went round leaves nothing that grows."""
        async with self._db.queue_transaction() as tx:
            await canary.tidy(tx, (pair.group, pair.follower), pair.host)

    async def _actors(self) -> Pair:
        """The two actors and the host, made on the first cycle."""
        if self._pair is None:
            async with self._db.transaction() as tx:
                found: dict[str, int] = {}
                for role in ROLES:
                    known = await instance.setting(tx, canary.ACTOR_OF[role])
                    if known is None:
                        known = str(await actors.insert_local(tx, "canary", role, "", locked=True))
                        await instance.set_setting(tx, canary.ACTOR_OF[role], known)
                    found[role] = int(known)
                host = await actors.ensure_host(tx, self._at.origin.split("://", 1)[1])
                await instance.set_setting(tx, HOST, str(host))
            self._pair = Pair(found["group"], found["follower"], host)
        return self._pair

    # What goes out: steps of the outbox

    def steps(self, out: Dispatch, renderer: Renderer) -> dict[str, Step]:
        """What the outbox does for the canary's entries."""

        async def asked(tx: Transaction, entry: journal.Entry) -> None:
            group = self._at.canary("group")
            follow = renderer.activity(
                entry.object_id or 0, "Follow", self._at.canary("follower"), group, to=[group]
            )
            await send(tx, entry.actor_id or 0, "Follow", follow, entry)

        async def answered(tx: Transaction, entry: journal.Entry) -> None:
            announce = renderer.activity(
                new_id(),
                "Announce",
                self._at.canary("group"),
                self._at.canary(str(entry.object_id or 0)),
                to=[self._at.canary("follower")],
            )
            await send(tx, entry.actor_id or 0, "Announce/canary", announce, entry)

        async def send(
            tx: Transaction, actor_id: int, kind: str, activity: JSONObject, entry: journal.Entry
        ) -> None:
            host = await instance.setting(tx, HOST)
            if host is None or not self._settings.enabled:
                return
            inbox = Inbox(self._at.shared_inbox, int(host), SOFTWARE)
            await out.send(tx, actor_id, kind, activity, [inbox], subject_id=entry.target_id)

        return {"canary_asked": asked, "canary_answered": answered}

    # What comes in

    def concerns(self, uri: str) -> bool:
        """Whether this is the id of one of the canary's actors."""
        return uri in {self._at.canary(role) for role in ROLES}

    async def signed_by(self, claim: Claim) -> Role | None:
        """Which of the two made the signature; None for everybody else."""
        if not self._settings.enabled:
            return None
        for role in ROLES:
            if claim.key_id != f"{self._at.canary(role)}#main-key":
                continue
            known = await instance.setting(self._db, canary.ACTOR_OF[role])
            keys = await self._keyring.known(int(known)) if known is not None else None
            if keys is not None and verify(claim, keys.rsa.public()):
                return role
        return None

    async def take(self, activity: ActivityDocument, claim: Claim, body: bytes) -> bool:
        """Put an activity of the canary into the inbox, as anybody's; False if it is none."""
        role = await self.signed_by(claim)
        if role is None or activity.actor != self._at.canary(role) or activity.id is None:
            return False
        pair, now = await self._actors(), now_ms()
        row: tuple[Value, ...] = (new_id(), activity.id, pair.host, activity.actor, None)
        await self._db.append_together(
            (
                "INSERT INTO inbox (id, uri, host_id, signer_uri, recipient_id, state, body,"
                " received_at) VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?) ON CONFLICT (uri) DO NOTHING",
                (*row, body.decode(), now),
            ),
            (lanes.WAKE, ("inbox", pair.host, now)),
        )
        self.on_stored()
        return True

    async def prepare(self, activity: ActivityDocument) -> Change:
        """What has come round does. Asks our own address for actor and post, as another server would.

        Raises Refused, FetchError.
        """
        if not self._settings.enabled:
            return nothing("canary: switched off")
        pair = await self._actors()
        match activity.type:
            case "Follow":
                number = self._at.local(activity.id, "c")
                await self._look(activity.actor, by="group")
                return self._came("asked", number, pair)
            case "Announce":
                number = self._number(activity.object_id)
                await self._look(activity.actor, by="follower")
                await self._fetch(activity.object_id or "", by="follower")
                return self._came("answered", number, pair)
        raise Refused("canary")

    def _came(self, stage: canary.State, number: int | None, pair: Pair) -> Change:
        async def change(tx: Transaction) -> str:
            if number is None or not await canary.arrive(tx, number, stage):
                return "canary: too late"
            if stage == "asked":
                await journal.record(
                    tx,
                    "canary_answered",
                    actor_id=pair.group,
                    object_id=number,
                    target_id=pair.follower,
                )
            self._heard.set()
            return f"canary: {stage}"

        return change

    async def _look(self, uri: str, *, by: Role) -> None:
        """The actor as our public address shows it must be the actor that signed. Raises Refused."""
        document = await self._fetch(uri, by=by)
        role: Role = "follower" if by == "group" else "group"
        keys = await self._keyring.pair((await self._actors()).of(role))
        shown = document.get("publicKey")
        if not isinstance(shown, dict) or shown.get("publicKeyPem") != keys.rsa.public().to_pem():
            raise Refused("canary-key")

    async def _fetch(self, uri: str, *, by: Role) -> JSONObject:
        signer = (await self._keyring.pair((await self._actors()).of(by))).signer
        # A cycle must see what is there now, not what failed in an earlier one.
        self._client.negative.forget(host_of(uri, allow_http=True) or "")
        document, _url = await self._client.get_document(uri, signer)
        return document

    def _number(self, uri: str | None) -> int | None:
        prefix = self._at.canary("")
        return parse_id(uri.removeprefix(prefix)) if uri and uri.startswith(prefix) else None

    # What is served

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The documents of the canary, for the canary; for everybody else there is nothing."""
        document = await self._document(request)
        if document is None:
            return web.json_response({"error": "There is nothing here."}, status=404)
        return web.Response(
            body=dumps(with_context(document)),
            headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "private, no-store"},
        )

    async def _document(self, request: web.Request) -> JSONObject | None:
        try:
            role = await self.signed_by(self._visitors.claim(request, b""))
        except SignatureRefused:
            return None
        if role is None:
            return None
        name = request.match_info["name"]
        for wanted in ROLES:
            if name == wanted:
                return await self._actor_document(wanted)
        number = parse_id(name)
        known = await canary.cycle(self._db, number) if number is not None else None
        if known is None or known.state != "answered" or role != "follower":
            return None
        return {
            "id": self._at.canary(str(known.id)),
            "type": "Note",
            "attributedTo": self._at.canary("group"),
            "to": [self._at.canary("follower")],
            "cc": [],
            "content": "<p>Tweet.</p>",
            "published": iso(known.started_at),
        }

    async def _actor_document(self, role: Role) -> JSONObject:
        keys = await self._keyring.pair((await self._actors()).of(role))
        uri = self._at.canary(role)
        return {
            "id": uri,
            "type": "Group" if role == "group" else "Service",
            "inbox": f"{uri}/inbox",
            "outbox": f"{uri}/outbox",
            "endpoints": {"sharedInbox": self._at.shared_inbox},
            "manuallyApprovesFollowers": True,
            "discoverable": False,
            "indexable": False,
            "publicKey": {
                "id": keys.key_id,
                "owner": uri,
                "publicKeyPem": keys.rsa.public().to_pem(),
            },
        }


async def _quietly(status: canary.Status) -> None:
    """Tell nobody."""
