"""The ActivityPub spoke as the rest of fedcomm sees it: built from the configuration, started and stopped."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

from aiohttp import web

from activitypub import accessors, webfinger
from activitypub.accessors import Refused
from activitypub.client import Client
from activitypub.failures import FetchBudget, FetchError
from activitypub.ijson import JSONObject
from activitypub.network import KEPT_HOSTS, NetworkPolicy
from activitypub.origins import host as host_of
from activitypub.origins import parse_url
from activitypub.vocabulary import ITEM_LIMIT
from fedcomm import descriptors, supervision
from fedcomm.config import Config
from fedcomm.federation import (
    backlog,
    belonging,
    certificates,
    farewells,
    health,
    housekeeping,
    lanes,
    subscriptions,
)
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.assurances import Assurances
from fedcomm.federation.backfill import Backfill
from fedcomm.federation.canary import Canary, paths_of
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.couriers import Couriers
from fedcomm.federation.decisions import Decisions
from fedcomm.federation.directory import Directory
from fedcomm.federation.discovery import Discovery
from fedcomm.federation.dispatch import CONSUMER
from fedcomm.federation.handlers import Handlers
from fedcomm.federation.health import HostHealth
from fedcomm.federation.hearsay import Hearsay
from fedcomm.federation.intake import Intake
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.library import Library
from fedcomm.federation.outbox import Outbox
from fedcomm.federation.pictures import Pictures
from fedcomm.federation.pressure import Pressure
from fedcomm.federation.reception import Reception
from fedcomm.federation.relaying import Relaying, RelayIntake
from fedcomm.federation.rendering import Renderer
from fedcomm.federation.serving import Serving
from fedcomm.federation.vault import Vault
from fedcomm.federation.visitors import Visitors
from fedcomm.federation.vouching import Vouching
from fedcomm.federation.watch import Watch, words_of
from fedcomm.hub import actors, erasure, journal, policies, policy_drafts, relays, threads
from fedcomm.hub.errors import HubError, Invalid, NotAllowed
from fedcomm.hub.policies import PolicyBook
from fedcomm.hub.space import Space
from fedcomm.late import Late
from fedcomm.site import consent_of
from fedcomm.store.database import Database
from fedcomm.version import VERSION

if TYPE_CHECKING:
    from fedcomm.federation import rehearsal
    from fedcomm.hub.blocklists import Difference
    from fedcomm.hub.previews import Preview, Proposal
    from fedcomm.hub.reservations import Reservation
else:
    rehearsal = Late("fedcomm.federation.rehearsal")

log = logging.getLogger("fedcomm.federation")

SUBSCRIBE_CHARACTERS = 2048


class FederationSpoke:
    """Everything of ActivityPub that one process runs."""

    def __init__(self, config: Config, db: Database, vault: Vault) -> None:
        allow_http = not config.is_secure or config.development.allow_http
        self._config = config
        self._db = db
        self._http = allow_http
        self._at = Addresses(config.instance.origin)
        self._signing = ThreadPoolExecutor(
            max_workers=min(4, os.cpu_count() or 1), thread_name_prefix="sign"
        )
        self._client = Client(
            network_policy(config),
            user_agent(config),
            sign_in_thread=self._signing,
            limit=max(256, config.delivery.concurrency * 2),
            kept_hosts=min(KEPT_HOSTS, descriptors.limit() // 4),
        )
        self._keyring = Keyring(db, vault, self._at)
        self._book = PolicyBook(db)
        self._directory = Directory(
            *(db, self._client, self._keyring, self._book, self._at),
            allow_http=allow_http,
            new_subdomains=config.abuse.new_subdomains_per_hour,
        )
        watch = Watch(db, config.abuse, self._at)
        self._library = Library(
            *(db, self._client, self._directory, self._keyring, self._book, self._at, watch),
            allow_http=allow_http,
        )
        vouching = Vouching(
            self._directory, remember_days=config.inbox.remember_days, allow_http=allow_http
        )
        hearsay = Hearsay(
            db, self._directory, self._library, self._book, self._at, allow_http=allow_http
        )
        handlers = Handlers(
            *(db, self._directory, self._library, self._book, hearsay, vouching, self._at),
            allow_http=allow_http,
            watch=watch,
            relays=RelayIntake(
                *(db, self._library, self._book, self._at),
                per_hour=config.relays.per_hour if config.relays.enabled else 0,
                allow_http=allow_http,
            ),
        )
        renderer = Renderer(
            self._at,
            hub_name=config.instance.name,
            media_prefix=f"{config.instance.origin}/media/",
        )
        catalogue = Catalogue(renderer, self._keyring, self._at, consent_of(config))
        self._visitors = Visitors(
            db,
            self._directory,
            self._book,
            self._at.origin,
            allow_http=allow_http,
            window_seconds=config.federation.signature_window_seconds,
        )
        reception = Reception(
            *(config, db, self._visitors, self._directory, vouching, self._at),
            allow_http=allow_http,
        )
        assurances = Assurances(db, self._client, self._keyring, allow_http=allow_http)
        self._serving = Serving(
            *(config, db, self._keyring, catalogue, self._visitors, reception, self._at),
            assurances,
        )
        self._discovery = Discovery(
            *(config, db, self._keyring, self._at, self._visitors), catalogue.consent
        )
        self._intake = Intake(
            config, db, self._directory, handlers, self._book, allow_http=allow_http
        )
        self._decisions = Decisions(db, self._book, self._client, config.host)
        self._decisions.on_release = self._intake.wake
        self._outbox = Outbox(db, renderer, catalogue, self._keyring, self._at)
        self.canary = Canary(
            config.canary, db, self._client, self._keyring, self._visitors, self._at
        )
        self._outbox.also(lambda out: self.canary.steps(out, renderer))
        if config.relays.enabled:
            self._outbox.also(lambda out: Relaying(out, renderer, self._at).steps)
        reception.canary = self._intake.canary = self.canary
        # Made for each preview: it holds nothing, and few hubs have one at any moment.
        self._rehearse: Callable[[], rehearsal.Rehearsal] = lambda: rehearsal.Rehearsal(
            db, renderer, catalogue, self._keyring, self._at
        )
        self._couriers = Couriers(
            config, db, self._client, self._keyring, self._directory, signing=self._signing
        )
        self._backfill = Backfill(
            db,
            self._client,
            self._library,
            self._directory,
            self._keyring,
            self._at,
            allow_http=allow_http,
        )
        self._pictures = Pictures(
            db, self._client, self._book, config.media.folder, allow_http=allow_http
        )
        # What only fills caches stops before the disk is full.
        space = Space(config.media.folder, config.media.keep_free_bytes)
        self._pictures.space = self._backfill.space = space
        self._pictures.budget = config.media.remote_bytes
        self._pressure = reception.pressure = self._intake.pressure = Pressure()
        self._intake.just_read = reception.just_read
        reception.wake = self.canary.on_stored = self._intake.wake
        self.canary.wake = self._outbox.wake
        self._intake.on_change = self._changed
        self._backfill.on_change = self._outbox.wake
        self._outbox.on_deliveries = self._couriers.wake
        self._tasks: list[asyncio.Task[None]] = []

    # Life

    async def start(self, *, workers: bool = True) -> None:
        """Open the client, and start the workers of this process."""
        await self._client.start()
        self._tasks.append(supervision.start("pressure", self._pressure.run))
        if not workers:
            return
        freed = await lanes.take_over(self._db)
        if freed:
            log.info("took over %d lanes of a process that is gone", freed)
        await lanes.find_lost(self._db)
        for name, run in (
            ("decisions", self._decisions.run),
            ("intake", self._intake.run),
            ("outbox", self._outbox.run),
            ("canary", self.canary.run),
            ("couriers", self._couriers.run),
            ("backfill", self._backfill.run),
            ("pictures", self._pictures.run),
            ("belonging", self._check_belonging),
            ("housekeeping", self._keep_house),
        ):
            self._tasks.append(supervision.start(name, run))

    async def stop(self) -> None:
        """Stop the workers; what they hold goes back to the queues."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._client.close()
        self._signing.shutdown(wait=False, cancel_futures=True)

    def add_routes(self, app: web.Application) -> None:
        """Everything under /ap/, /.well-known/ and /nodeinfo/."""
        self._serving.add_routes(app)
        app.router.add_get("/ap/canary/{name}", self.canary.serve)
        self._discovery.add_routes(app)

    async def _check_belonging(self) -> None:
        await belonging.run(self._db, self._client, self._at, allow_http=self._http)

    async def _keep_house(self) -> None:
        await housekeeping.run(self._config, self._db, self._directory)

    def _changed(self) -> None:
        """Something was received: it may have to be told, and its thread completed."""
        self._outbox.wake()
        self._backfill.wake()
        self._pictures.wake()

    def wake(self) -> None:
        """The journal grew."""
        self._outbox.wake()

    # For pages and the command line

    def actor_uri(self, actor: actors.Actor) -> str:
        """The ActivityPub id of an actor."""
        return self._at.actor(actor)

    def object_uri(self, thing: threads.Thing) -> str:
        """The ActivityPub id of an object."""
        return self._at.object(thing)

    async def find_actor(self, text: str) -> actors.Actor | None:
        """Who `@name@host`, `!name@host` or a URL names, fetched if need be; None if nobody answers to it."""
        await self._client.start()
        try:
            return await self._directory.find(text)
        except (FetchError, Refused) as error:
            log.info("actor not found: %s", error)
            return None

    async def is_alias(self, uri: str, own: actors.Actor) -> bool:
        """Whether the account at `uri`, fetched now, names our member `own` in `alsoKnownAs` (INV-19)."""
        await self._client.start()
        budget = FetchBudget(self._config.federation.fetch_budget)
        try:
            return await self._directory.names_alias(uri, self._at.actor(own), budget)
        except (FetchError, Refused) as error:
            log.info("alias not verified: %s", error)
            return False

    async def find_object(self, url: str) -> int | None:
        """The object behind a URL, fetched if need be; its id here, or None."""
        known = await self._library.find(self._db, url)
        if known is not None:
            return known.id if known.deleted_at is None else None
        budget = FetchBudget(self._config.federation.fetch_budget)
        await self._client.start()
        try:
            document = await self._library.fetch(url, budget=budget)
            arrival = await self._library.prepare(document, budget=budget, wanted=True)
        except (FetchError, Refused) as error:
            log.info("object not found: %s", error)
            return None
        if arrival.visibility not in ("public", "unlisted"):
            return None
        try:
            async with self._db.transaction() as tx:
                stored = await self._library.store(tx, arrival)
                kept = await threads.thing(tx, stored) if stored is not None else None
                if kept is not None:
                    # What was said around it is read in the background, within the usual budget (§4.11).
                    await backlog.want_thread(tx, kept, document, self._at, allow_http=self._http)
        except HubError as refusal:
            log.info("object not kept: %s", type(refusal).__name__)
            return None
        self._backfill.wake()
        return stored

    async def subscribe_template(self, handle: str) -> str | None:
        """Where somebody's own server lets them follow from: the `subscribe` template of their JRD (§1.1)."""
        parsed = webfinger.parse_handle(handle)
        if parsed is None:
            return None
        try:
            document = await self._directory.webfinger(webfinger.Acct(*parsed))
        except FetchError:
            return None
        for link in accessors.documents(document, "links", ITEM_LIMIT):
            if accessors.text(link, "rel", limit=200) != webfinger.REL_SUBSCRIBE:
                continue
            template = accessors.text(link, "template", limit=SUBSCRIBE_CHARACTERS)
            schemes = ("https://", "http://") if self._http else ("https://",)
            if template and template.startswith(schemes) and template.count("{uri}") == 1:
                return template
        return None

    async def preview(self, proposal: Proposal, reservation: Reservation) -> Preview:
        """What posting this would send, to whom; changes nothing (`fedcomm.hub.previews.Previewer`)."""
        return await self._rehearse().preview(proposal, reservation)

    async def respond(
        self, request: web.Request, kind: Literal["actor", "object"], number: int
    ) -> web.StreamResponse:
        """The ActivityPub document of what a page shows."""
        return await self._serving.respond(request, kind, number)

    async def fetch_list(self, subscription_id: int) -> Difference | None:
        """Fetch a subscribed list of policies now; what it would change. Raises NotFound."""
        await self._client.start()
        subscription = await policy_drafts.subscription(self._db, subscription_id)
        return await subscriptions.fetch(self._db, self._client, subscription, self._config.host)

    async def add_relay(self, address: str, style: relays.Style, *, by: int | None) -> int:
        """Ask a relay to take this hub in: `address` is the id of its actor (LitePub) or its inbox (Mastodon).

        Raises Invalid, NotAllowed.
        """
        if not self._config.relays.enabled:
            raise NotAllowed("Relays are switched off in the configuration (relays.enabled).")
        await self._client.start()
        await self._keyring.pair(await self._keyring.instance_actor())
        url = parse_url(address.strip(), allow_http=self._http)
        authority = host_of(url, allow_http=self._http) if url is not None else None
        if url is None or authority is None or self._at.is_ours(url):
            raise Invalid("address", "Write the whole address, beginning with https://.")
        actor: actors.Actor | None = None
        if style == "litepub":
            actor = await self.find_actor(url)
            if actor is None or actor.is_local or actor.uri is None:
                raise Invalid("address", "No relay answers there. Is it the address of its inbox?")
            url = actor.uri
        async with self._db.transaction() as tx:
            host_id = await actors.ensure_host(tx, authority)
            if await policies.level_of(tx, host_id) != "none":
                raise Invalid("address", "That server is limited here.")
            added = await relays.add(
                tx, style, url, host_id, actor_id=actor.id if actor is not None else None, by=by
            )
        self.wake()
        return added

    def policies_changed(self) -> None:
        """An entry or the mode was changed by this process: it holds at once, not within a second."""
        self._book.forget()

    async def has_read(self, seq: int) -> bool:
        """Whether the outbox has read the journal up to entry `seq`."""
        return await journal.cursor(self._db, CONSUMER) >= seq

    async def farewell_is_over(self, case: erasure.Case) -> bool:
        """Whether everybody whom an erasure concerns was told and has answered, or cannot be reached."""
        horizon = int(self._config.delivery.delete_horizon_days * farewells.DAY_MS)
        return await farewells.is_over(self._db, case, horizon_ms=horizon)

    async def certify(self, case_id: int) -> JSONObject:
        """The signed certificate of a finished erasure."""
        return await certificates.certify(self._db, self._keyring, self._at, case_id)

    async def instance_document(self) -> JSONObject:
        """Our instance actor as others see it: who signs certificates."""
        return await self._serving.instance_document()

    def forget_keys(self, actor_id: int) -> None:
        """The keys of this actor are destroyed: not in memory either."""
        self._keyring.forget(actor_id)

    async def health(self) -> list[HostHealth]:
        """The hosts with something waiting or given up."""
        return await health.host_health(self._db)

    async def totals(self) -> dict[str, int]:
        """How much waits and how much was given up."""
        return await health.totals(self._db)

    async def ages(self) -> dict[str, int]:
        """For how long (ms) the oldest of each queue has waited."""
        return await health.ages(self._db)

    def held_text(self, body: str) -> str | None:
        """The words of something that waits for a moderator; None if they are for somebody alone."""
        return words_of(body, self._at.origin)

    async def let_in(self) -> None:
        """A moderator has let something in: it is processed now."""
        await self._decisions.release()

    async def flush(self, host: str | None = None) -> int:
        """Make everything that waits due now."""
        changed = await health.flush(self._db, host)
        self._couriers.wake()
        self._intake.wake()
        return changed

    async def retry(self, host: str | None = None) -> int:
        """Put what was given up back into the queue."""
        changed = await health.retry(self._db, host)
        self._couriers.wake()
        return changed


def user_agent(config: Config) -> str:
    """How our requests introduce themselves; GoToSocial answers 418 to those who do not."""
    contact = config.federation.user_agent_contact
    about = f"+{config.instance.origin}/" + (f"; {contact}" if contact else "")
    return f"fedcomm/{VERSION} ({about})"


def network_policy(config: Config) -> NetworkPolicy:
    """What outgoing requests may reach (INV-22 to INV-24)."""
    settings = config.federation
    resolve: Iterable[tuple[str, str]] = config.development.resolve.items()
    return NetworkPolicy(
        allow_private=tuple(settings.private_addresses),
        allow_http=not config.is_secure or config.development.allow_http,
        allow_any_port=settings.any_port,
        own_origin=config.instance.origin,
        own_paths=paths_of(config.canary),
        development=config.is_development,
        ca_file=str(settings.ca_file) if settings.ca_file is not None else None,
        resolve=dict(resolve),
        connect_seconds=settings.connect_seconds,
        total_seconds=settings.total_seconds,
        max_bytes=settings.fetch_bytes,
        max_redirects=settings.redirects,
    )
