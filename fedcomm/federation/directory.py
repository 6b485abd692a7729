"""Remote actors and their keys: fetched once, remembered, fetched again by rule (federation.md §2.3, §3.5, §3.7)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict

from activitypub import nodeinfo, webfinger
from activitypub.accessors import Refused
from activitypub.actors import ActorDocument, read_actor, read_keys
from activitypub.client import Client
from activitypub.failures import FetchBudget, FetchError
from activitypub.keys import InvalidKey, PublicKey, load_public_multibase, load_public_pem
from activitypub.origins import host as host_of
from activitypub.origins import same_origin
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.emotes import named_emoji
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.newcomers import Newcomers
from fedcomm.hub import actors, profiles
from fedcomm.hub.policies import PolicyBook
from fedcomm.hub.sanitizer import clean_remote, plain_name
from fedcomm.store.database import Database
from fedcomm.store.ids import now_ms

log = logging.getLogger("fedcomm.federation")

REFRESH_MS = 86_400_000
"""A remote profile is fetched again at most daily, unless its server says that it changed."""

REFETCH_KEY_SECONDS = 300
"""After a failed verification a key is fetched again at most once in five minutes (security.md §4)."""

KEY_FETCHES_PER_HOST = 20
KEY_FETCHES_SECONDS = 300
"""So many fetches of keys that come to nothing one host gets in this time: whoever invents key ids of
somebody else's would otherwise let us flood them (INV-25). More are answered 503, so that honest
activities come again."""

CACHED_KEYS = 10_000

_KINDS: dict[str, actors.Kind] = {
    "Person": "person",
    "Organization": "person",
    "Group": "group",
    "Service": "service",
    "Application": "application",
}


class KnownKey:
    """A key with the actor who owns it."""

    __slots__ = ("actor_id", "actor_kind", "actor_uri", "fetched_at", "host_id", "key", "policy")

    def __init__(
        self,
        key: PublicKey,
        actor_id: int,
        actor_uri: str,
        actor_kind: str,
        host_id: int,
        policy: str,
        fetched_at: int,
    ) -> None:
        self.key = key
        self.actor_id = actor_id
        self.actor_uri = actor_uri
        self.actor_kind = actor_kind
        self.host_id = host_id
        self.policy = policy
        self.fetched_at = fetched_at


class Directory:
    """Finds remote actors and keys, in the database first."""

    def __init__(
        self,
        db: Database,
        client: Client,
        keyring: Keyring,
        book: PolicyBook,
        addresses: Addresses,
        *,
        allow_http: bool,
        new_subdomains: int = 0,
    ) -> None:
        self._newcomers = Newcomers(db, new_subdomains)
        self._db = db
        self._client = client
        self._keyring = keyring
        self._book = book
        self._at = addresses
        self._http = allow_http
        self._keys: OrderedDict[str, KnownKey] = OrderedDict()
        self._refetched: OrderedDict[str, float] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[KnownKey]] = {}
        self._in_vain: OrderedDict[str, tuple[float, float]] = OrderedDict()

    # Keys

    async def key(self, key_id: str, *, budget: FetchBudget | None = None) -> KnownKey:
        """The key published under `key_id`. Raises FetchError, Refused."""
        known = await self.known_key(key_id)
        return known if known is not None else await self._fetch_key(key_id, budget)

    async def known_key(self, key_id: str) -> KnownKey | None:
        """The key as it is remembered here, without any fetch."""
        cached = self._keys.get(key_id)
        if cached is not None:
            self._keys.move_to_end(key_id)
            return cached
        row = await self._db.one(
            "SELECT k.public_key, k.actor_id, k.fetched_at, a.uri, a.kind, a.host_id, h.policy"
            " FROM actor_keys k JOIN actors a ON a.id = k.actor_id JOIN hosts h ON h.id = a.host_id"
            " WHERE k.uri = ?",
            key_id,
        )
        if row is None:
            return None
        known = KnownKey(
            _load(row["public_key"]),
            row["actor_id"],
            row["uri"],
            row["kind"],
            row["host_id"],
            row["policy"],
            row["fetched_at"] or 0,
        )
        self._keys[key_id] = known
        while len(self._keys) > CACHED_KEYS:
            self._keys.popitem(last=False)
        return known

    async def refetch_key(self, key_id: str) -> KnownKey | None:
        """The key fetched again because it did not verify; None if that was done a short while ago."""
        now = time.monotonic()
        last = self._refetched.get(key_id)
        if last is not None and now - last < REFETCH_KEY_SECONDS:
            return None
        self._refetched[key_id] = now
        while len(self._refetched) > CACHED_KEYS:
            self._refetched.popitem(last=False)
        return await self._fetch_key(key_id, None)

    async def _fetch_key(self, key_id: str, budget: FetchBudget | None) -> KnownKey:
        """Key id → document → owner → the owner lists the key (INV-3), all on one origin."""
        url = key_id.split("#", 1)[0]
        if self._at.is_ours(url):
            raise Refused("own-key")
        await self.require_open(url)
        # Many requests at once with one new key ask for it once.
        task = self._fetching.get(key_id)
        if task is None:
            authority = host_of(url, allow_http=self._http) or ""
            family = self._newcomers.begin_fetch(authority)
            try:
                self._spend(authority)
            except FetchError:
                self._newcomers.end_fetch(family)
                raise
            task = asyncio.create_task(self._fetch_counted(key_id, url, authority, budget))
            task.add_done_callback(lambda _: self._newcomers.end_fetch(family))
            self._fetching[key_id] = task
            task.add_done_callback(lambda _: self._fetching.pop(key_id, None))
        return await asyncio.shield(task)

    async def _fetch_counted(
        self, key_id: str, url: str, authority: str, budget: FetchBudget | None
    ) -> KnownKey:
        known = await self._fetch_listed_key(key_id, url, budget)
        self._spend(authority, -1.0)
        return known

    def _spend(self, authority: str, fetches: float = 1.0) -> None:
        """Count a fetch of a key of this host; what came of something is taken back. Raises FetchError."""
        now = time.monotonic()
        used, at = self._in_vain.get(authority, (0.0, now))
        used -= (now - at) * KEY_FETCHES_PER_HOST / KEY_FETCHES_SECONDS
        used = max(0.0, used) + fetches
        if used > KEY_FETCHES_PER_HOST:
            raise FetchError("busy", host=authority)
        self._in_vain[authority] = (max(0.0, used), now)
        self._in_vain.move_to_end(authority)
        while len(self._in_vain) > CACHED_KEYS:
            self._in_vain.popitem(last=False)

    async def _fetch_listed_key(
        self, key_id: str, url: str, budget: FetchBudget | None
    ) -> KnownKey:
        signer = await self._keyring.instance_signer()
        document, final_url = await self._client.get_document(url, signer, budget=budget)
        owner = document.get("owner") or document.get("id")
        if not isinstance(owner, str) or not same_origin(owner, url, allow_http=self._http):
            raise Refused("key-owner")
        if document.get("id") != final_url or owner != document.get("id"):
            document = await self._document(owner, budget)
        actor = await self._store(document)
        self._keys.pop(key_id, None)
        known = await self.known_key(key_id)
        if known is None or known.actor_uri != actor.uri:
            raise Refused("key-not-listed")
        return known

    # Actors

    async def actor(
        self, uri: str, *, budget: FetchBudget | None = None, refresh: bool = False
    ) -> actors.Actor:
        """The actor published under `uri`, ours or remote. Raises FetchError, Refused."""
        local = self._at.local_actor(uri)
        if local is not None or uri == self._at.instance:
            found = await actors.actor(self._db, local or await self._keyring.instance_actor())
            if found is None or not found.is_local or self._at.actor(found) != uri:
                raise Refused("unknown-actor")
            return found
        if self._at.is_ours(uri):
            raise Refused("unknown-actor")
        known = await actors.actor_by_uri(self._db, uri)
        if known is not None and known.deleted_at is None and not refresh:
            return known
        return await self._store(await self._document(uri, budget))

    async def _document(self, uri: str, budget: FetchBudget | None) -> dict[str, object]:
        """An actor's document, from its own origin.

        A server that redirects an actor of its own to somebody else's would otherwise make them say
        what it writes (INV-5, INV-6).
        """
        await self.require_open(uri)
        signer = await self._keyring.instance_signer()
        document = await self._client.fetch_object(uri, signer, budget=budget)
        if not same_origin(document.get("id"), uri, allow_http=self._http):
            raise Refused("foreign-actor")
        return document

    async def require_open(self, url: str) -> None:
        """Raises Refused when the host of `url` is suspended: then nothing is asked of it either. Raises FetchError
        when it is new and its domain has brought many new ones within the hour."""
        authority = host_of(url, allow_http=self._http)
        if authority is None:
            return
        if (await self._book.policy(authority)).level == "suspend":
            raise Refused("suspended-host")
        await self._newcomers.admit(authority)

    async def names_alias(self, uri: str, alias: str, budget: FetchBudget) -> bool:
        """Whether the actor at `uri`, fetched now, lists `alias` in `alsoKnownAs` (INV-19)."""
        document = await self._document(uri, budget)
        listed = read_actor(document, allow_http=self._http).also_known_as
        await self._store(document)
        return alias in listed

    async def refresh(self, uri: str) -> None:
        """Fetch a profile again in the background of something else; failures change nothing."""
        try:
            await self.actor(uri, refresh=True)
        except (FetchError, Refused) as error:
            log.info("profile not refreshed: %s", error)

    async def find(self, text: str) -> actors.Actor | None:
        """The actor that `text` names: `@name@host`, `!name@host` or a URL. Raises FetchError, Refused."""
        resource = webfinger.parse_resource(text, allow_http=self._http)
        if resource is None:
            return None
        if isinstance(resource, str):
            return await self.actor(resource)
        own_host = self._at.origin.split("://", 1)[1]
        if resource.host == own_host:
            return await actors.local_actor(self._db, resource.name)
        known = await actors.remote_actor(self._db, resource.name, resource.host)
        if known is not None and now_ms() - (known.fetched_at or 0) < REFRESH_MS:
            return known
        await self.require_open(f"https://{resource.host}/")
        document = await self.webfinger(resource)
        uri = webfinger.self_link(document, allow_http=self._http)
        return await self.actor(uri, refresh=known is not None) if uri else None

    async def webfinger(self, acct: webfinger.Acct) -> dict[str, object]:
        """The JRD of a handle elsewhere; through host-meta when the well-known place answers 404."""
        for scheme in ("https", "http") if self._http else ("https",):
            base = f"{scheme}://{acct.host}/.well-known"
            try:
                return await self._client.get_json(f"{base}/webfinger?resource={acct.uri}")
            except FetchError as error:
                if error.status == 404:
                    template = webfinger.lrdd_template(
                        await self._client.get_text(f"{base}/host-meta"), allow_http=self._http
                    )
                    if template is None:
                        raise
                    return await self._client.get_json(template.replace("{uri}", acct.uri))
                if error.reason not in ("tls", "connect") or scheme == "http" or not self._http:
                    raise
                self._client.negative.forget(acct.host)
        raise FetchError("connect", host=acct.host)

    async def _store(self, document: dict[str, object]) -> actors.Actor:
        actor = read_actor(document, allow_http=self._http)
        profile = self._profile(actor, document)
        async with self._db.transaction() as tx:
            actor_id = await actors.store_remote(tx, profile)
            said = [
                (plain_name(name, 200), clean_remote(value, local_origin=self._at.origin))
                for name, value in actor.fields
            ]
            await profiles.keep_remote(tx, actor_id, said, actor.also_known_as)
            if actor.implements_rfc9421:
                await tx.execute(
                    "UPDATE hosts SET signature_style = 'rfc9421', signature_learned_at = ?,"
                    " signature_source = 'implements' WHERE name = ? AND signature_style IS NULL",
                    now_ms(),
                    profile.host,
                )
            stored = await actors.actor(tx, actor_id)
        for key_uri, _, _ in profile.keys:
            self._keys.pop(key_uri, None)
        assert stored is not None
        return stored

    def _profile(self, actor: ActorDocument, document: dict[str, object]) -> actors.RemoteProfile:
        authority = host_of(actor.id, allow_http=self._http)
        assert authority is not None
        keys = []
        for key in read_keys(document, actor.id, allow_http=self._http):
            try:
                loaded = _load(key.pem or key.multibase or "")
            except InvalidKey:
                continue
            keys.append((key.id, loaded.algorithm, key.pem or key.multibase or ""))
        return actors.RemoteProfile(
            uri=actor.id,
            host=authority,
            kind=_KINDS[actor.type],
            name=actor.preferred_username,
            display_name=plain_name(actor.name or "", 200),
            summary_html=clean_remote(actor.summary_html or "", local_origin=self._at.origin),
            url=actor.url,
            avatar_url=actor.icon.url if actor.icon else None,
            inbox=actor.inbox,
            shared_inbox=self._elsewhere(actor.shared_inbox),
            outbox=actor.outbox,
            followers_uri=actor.followers,
            featured_uri=actor.featured,
            locked=actor.manually_approves,
            discoverable=actor.discoverable is not False,
            indexable=bool(actor.indexable),
            moved_to_uri=actor.moved_to,
            suspended=actor.suspended,
            published_at=actor.published,
            keys=tuple(keys),
            emoji=named_emoji(actor.tags),
        )

    def _elsewhere(self, inbox: str | None) -> str | None:
        """A shared inbox may be on the actor's parent domain, which may be ours: not that one."""
        return inbox if inbox is not None and not self._at.is_ours(inbox) else None

    # Hosts

    async def probe(self, host_id: int) -> bool:
        """Learn a host's software from its NodeInfo, once a day at most; whether it answered.

        A failure is noted too: then the software stays what it was, or unknown."""
        row = await self._db.one(
            "SELECT name, probed_at FROM hosts WHERE id = ? AND policy <> 'suspend'", host_id
        )
        if row is None or (row["probed_at"] or 0) > now_ms() - REFRESH_MS:
            return False
        answered = False
        software: tuple[str, str] | None = None
        for scheme in ("https", "http") if self._http else ("https",):
            origin = f"{scheme}://{row['name']}"
            try:
                links = await self._client.get_json(
                    f"{origin}/.well-known/nodeinfo", "application/json"
                )
                answered = True
                target = nodeinfo.pick_schema(links, origin, allow_http=self._http)
                if target is not None:
                    document = await self._client.get_json(target, "application/json")
                    software = nodeinfo.read_software(document)
                break
            except FetchError as error:
                if error.reason not in ("tls", "connect"):
                    break
                self._client.negative.forget(row["name"])
        await self._db.append(
            "UPDATE hosts SET software = COALESCE(?, software),"
            " software_version = COALESCE(?, software_version), probed_at = ? WHERE id = ?",
            (*(software or (None, None)), now_ms(), host_id),
        )
        return answered

    def forget_keys(self, actor_id: int) -> None:
        """Drop cached keys of an actor that was deleted or whose host's policy changed."""
        for key_id in [k for k, known in self._keys.items() if known.actor_id == actor_id]:
            del self._keys[key_id]

    def forget_signer(self, uri: str) -> None:
        """Drop cached keys of whoever was called so and is gone: if they come back, they are asked anew."""
        for key_id in [k for k, known in self._keys.items() if known.actor_uri == uri]:
            del self._keys[key_id]


def _load(text: str) -> PublicKey:
    return (
        load_public_pem(text) if text.lstrip().startswith("-----") else load_public_multibase(text)
    )
