"""A hub with something on every page, and the list of its pages: for tests in a browser and for
pictures of all pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fedcomm.config import Canary, Federation, Instance, Relays, Server
from fedcomm.hub import (
    actors,
    emoji,
    events,
    follows,
    groups,
    lists,
    media,
    notifications,
    participation,
    reactions,
    receipts,
    relays,
    threads,
)
from fedcomm.hub.composition import Attachment, Content, Draft
from fedcomm.hub.images import ATTACHMENT, AVATAR, HEADER
from fedcomm.hub.sanitizer import clean_remote
from fedcomm.store.database import Transaction
from fedcomm.store.ids import new_id, now_ms
from tests.browser.duties import give_duties
from tests.browser.ledger import give_ledger
from tests.ports import free_port
from tests.web.world import MARKER, World, make_world, picture_bytes

NAME = "Orti di Quartiere"
DAY_MS = 86_400_000


@dataclass(frozen=True)
class View:
    """A page and who looks at it: nobody, or a member's name."""

    title: str
    path: str
    viewer: str = ""
    status: int = 200


@asynccontextmanager
async def make_town(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """The community of `tests.web.world` at http://localhost:PORT, with more life in it."""
    port = free_port()
    instance = Instance(
        origin=f"http://localhost:{port}",
        name=NAME,
        description="Gli orti comuni della città: semi, terra, tempo e vicini.",
        contact_email="orti@example.org",
        language="it",
    )
    async with make_world(
        database_url,
        tmp_path,
        port=port,
        instance=instance,
        server=Server(workers=False),
        relays=Relays(enabled=True),
        canary=Canary(enabled=True),
        federation=Federation(any_port=True),
    ) as world:
        await _enliven(world)
        await _feast(world)
        await _cellar(world)
        await give_duties(world)
        await _brought(world)
        await give_ledger(world)
        yield world


async def _cellar(world: World) -> None:
    """A private group with somebody of another server in it, and relays."""
    async with world.site.db.transaction() as tx:
        rosa = await actors.actor_by_uri(tx, "https://social.example/users/rosa")
        assert rosa is not None
        cellar = await groups.create_group(
            tx,
            "cellar",
            title="La cantina",
            creator_id=world.people["bruno"],
            local_origin=world.site.origin,
            description="Vino, conserve e **segreti**.",
            mode="reserved",
        )
        await groups.join(tx, cellar, rosa.id, follow_uri="https://social.example/follows/1")
        await groups.add_member(tx, cellar, world.people["bruno"], rosa.id)
        await groups.join(tx, cellar, world.people["dario"])
        relay = await actors.ensure_host(tx, "relay.example")
        await relays.add(
            tx, "mastodon", "https://relay.example/inbox", relay, actor_id=None, by=None
        )


RECORDINGS = Path(__file__).parents[1] / "hub" / "recordings"


async def _files(world: World, owner: int) -> int:
    """A topic with an emoji, a video, sound, and a document; one of an emoji is not shown."""
    site = world.site
    folder = site.media_folder
    for code, colour in (("foglia", "#3d7a4b"), ("fiore", "#b0578d")):
        made = await emoji.add(
            site.db, code, picture_bytes(colour, (64, 64)), folder=folder, category="Piante"
        )
    async with site.db.transaction() as tx:
        await emoji.set_disabled(tx, made.id, disabled=True, by=None)
    pdf = RECORDINGS.parents[2] / "README.md"
    ids = []
    for path, alt in (
        (RECORDINGS / "video.mp4", "Prova di colori con un tono"),
        (RECORDINGS / "video.webm", ""),
        (RECORDINGS / "opus.ogg", "Un tono"),
        (pdf, "Che cosa c’è in questo progetto"),
    ):
        with path.open("rb") as file:
            ids.append(
                await media.upload_file(
                    site.db,
                    owner,
                    file,
                    path.name,
                    folder=folder,
                    alt=alt,
                    images=ATTACHMENT,
                    recordings=site.recording_limits,
                    daily_bytes=10_000_000,
                )
            )
    draft = Draft(
        "Guardate e ascoltate :foglia: ma non :fiore:.",
        title="Video, suoni e un verbale :foglia:",
        language="it",
        media=tuple(ids),
    )
    topic = await world.topic("garden", "chiara", draft)
    async with site.db.transaction() as tx:
        fire = reactions.Feeling("🔥")
        await reactions.add(tx, world.remote_id, topic, "like", feeling=fire)
    return topic


async def _enliven(world: World) -> None:
    site = world.site
    anna, bruno, chiara, dario, elsa = (
        world.people[name] for name in ("anna", "bruno", "chiara", "dario", "elsa")
    )
    garden = world.groups["garden"]

    async def picture(owner: int, colour: str, size: tuple[int, int], **kind: object) -> int:
        return await media.upload(
            site.db,
            owner,
            picture_bytes(colour, size),
            folder=site.media_folder,
            alt="Un quadrato di colore",
            daily_bytes=10_000_000,
            **{"purpose": "attachment", "limits": ATTACHMENT, **kind},  # type: ignore[arg-type]
        )

    avatar = await picture(chiara, "#3d7a4b", (300, 300), purpose="avatar", limits=AVATAR)
    header = await picture(bruno, "#7aa35a", (1500, 500), purpose="header", limits=HEADER)
    bean = await picture(chiara, "#87a960", (640, 480))
    pole = await picture(chiara, "#b08d57", (480, 640))
    async with site.db.transaction() as tx:
        await tx.execute("UPDATE actors SET avatar_id = ? WHERE id = ?", avatar, chiara)
        await tx.execute("UPDATE actors SET header_id = ? WHERE id = ?", header, garden)
        await tx.execute("UPDATE members SET locale = 'it' WHERE actor_id = ?", dario)
        await groups.join(tx, garden, elsa)
        await groups.add_member(tx, garden, bruno, dario, "moderator")
        host_id = await actors.ensure_host(tx, "social.example")

    pinned = await world.topic(
        "garden",
        "bruno",
        Draft(
            "Benvenuti! Qui si parla di *semi*, **terra** e pazienza.\n\n- sii gentile\n- metti una"
            " descrizione alle foto\n\n> Chi semina raccoglie.\n\nRegole: https://example.org/regole",
            title="Benvenuti: come funziona questo gruppo",
            language="it",
        ),
    )
    with_pictures = await world.topic(
        "garden",
        "chiara",
        Draft(
            "I fagioli rampicanti hanno superato i pali. #fagioli #orto\n\n```\ndistanza = 20\n```\n\n"
            "Grazie @bruno per i pali!",
            title="I fagioli hanno superato i pali, e adesso che cosa facciamo con tutti questi baccelli?",
            language="it",
            media=(bean, pole),
        ),
    )
    world.topics["files"] = await _files(world, chiara)
    world.topics["cut"] = await world.topic(
        "garden", "dario", Draft("Si vede sangue.", title="Un taglio", summary="Ferita alla mano")
    )
    first = await world.reply(with_pictures, "dario", "Pali più lunghi, l’anno prossimo. @chiara")
    second = await world.reply(first, "chiara", "Due metri e mezzo almeno.")
    await world.reply(second, "bruno", "Io li lego **in alto**.")
    async with site.db.transaction() as tx:
        await threads.set_pinned(tx, bruno, pinned, pinned=True)
        for person in (bruno, dario, anna):
            await reactions.add(tx, person, with_pictures, "like")
        remote = await threads.create_reply(
            tx,
            world.remote_id,
            with_pictures,
            Content(
                title="",
                source="",
                html=clean_remote(
                    '<p>Da noi si fa una <a href="https://social.example/tags/zuppa">#zuppa</a>!</p>',
                    local_origin=site.origin,
                ),
                plain="Da noi si fa una zuppa!",
                language="it",
                attachments=(
                    Attachment(
                        "Image",
                        uri="https://social.example/zuppa.jpg",
                        mime="image/jpeg",
                        alt="Una ciotola di zuppa",
                    ),
                ),
            ),
            provenance=threads.Provenance(
                "https://social.example/notes/2",
                host_id,
                "Note",
                "https://social.example/@rosa/2",
                now_ms() - 3_600_000,
            ),
        )
        content = await site.compose(
            tx, Draft("Due metri e mezzo, **almeno**."), is_topic=False, author_id=chiara
        )
        await threads.edit(tx, chiara, second, content)
        await follows.request(tx, elsa, chiara)
        world.topics["neighbours"] = await lists.create(tx, chiara, "Vicini di casa")
        await lists.create(tx, chiara, "Chi scrive di semi, terra e acqua")
        await lists.put(tx, chiara, world.topics["neighbours"], world.remote_id)
        await lists.put(tx, chiara, world.topics["neighbours"], world.groups["garden"])
        await follows.request(tx, world.remote_id, chiara, follow_uri="https://social.example/f/1")
        await follows.request(tx, chiara, anna)
        host = await actors.actor(tx, chiara)
        assert host is not None
        await notifications.notify(tx, host, "follow", elsa)
        await tx.execute("UPDATE actors SET locked = 1 WHERE id = ?", dario)
        await follows.request(tx, world.remote_id, dario, follow_uri="https://social.example/f/2")
        for subject in (with_pictures, remote):
            await tx.execute(
                "INSERT INTO reach (subject_id, host_id, how, first_at, last_at)"
                " VALUES (?, ?, 1, ?, ?)",
                subject,
                host_id,
                now_ms(),
                now_ms(),
            )
        await _trouble(tx, anna, host_id)
        report = new_id()
        await tx.execute(
            "INSERT INTO reports (id, uri, host_id, reason, state, created_at)"
            " VALUES (?, ?, ?, ?, 'open', ?)",
            report,
            "https://social.example/flags/1",
            host_id,
            "Pubblicità",
            now_ms() - DAY_MS,
        )
        await tx.execute(
            "INSERT INTO report_subjects (report_id, position, actor_id, object_id)"
            " VALUES (?, 0, NULL, ?)",
            report,
            with_pictures,
        )
    quoting = await world.topic(
        "garden",
        "bruno",
        Draft(
            "Chi ne vuole? Passate sabato.",
            title="Baccelli per tutti",
            language="it",
            quote=with_pictures,
        ),
    )
    await world.reply(quoting, "dario", "Io! E cito il taglio.", quote=world.topics["cut"])
    world.topics["quoting"] = quoting
    world.topics["pictures"] = with_pictures
    world.replies["edited"] = second


async def _feast(world: World) -> None:
    """An event of Chiara's, to which Bruno comes and Elsa asks to come."""
    occasion = events.Occasion(
        2_046_772_800_000,
        2_046_772_800_000 + 3 * 3_600_000,
        "Europe/Rome",
        joining="restricted",
        place="Orto di via Po",
        address="Via Po 3, Torino",
        online_url="https://meet.example/orto",
        capacity=20,
    )
    draft = Draft("Portate *semi* e vasi.", "Scambio di semi", language="it", event=occasion)
    event = await world.topic("garden", "chiara", draft)
    world.topics["event"] = event
    async with world.site.db.transaction() as tx:
        await groups.join(tx, world.groups["garden"], world.people["elsa"])
        for name in ("bruno", "elsa"):
            await participation.join(tx, world.people[name], event)
        await participation.answer(
            tx, world.people["chiara"], event, world.people["bruno"], accepted=True
        )


async def _trouble(tx: Transaction, actor_id: int, host_id: int) -> None:
    """Deliveries that wait at one server and were given up at another."""
    gone = await actors.ensure_host(tx, "gone.example")
    activity = new_id()
    await tx.execute(
        "INSERT INTO activities (id, actor_id, type, body, created_at) VALUES (?, ?, 'Note', '{}', ?)",
        activity,
        actor_id,
        now_ms(),
    )
    for host, state, error in (
        (host_id, "waiting", None),
        (gone, "failed", "410 Gone: the inbox is not there any more"),
    ):
        await tx.execute(
            "INSERT INTO deliveries (id, activity_id, host_id, inbox, state, attempts,"
            " created_at, error) VALUES (?, ?, ?, ?, ?, 3, ?, ?)",
            new_id(),
            activity,
            host,
            f"https://{host}.example/inbox",
            state,
            now_ms() - DAY_MS // 3,
            error,
        )
    await tx.execute(
        "INSERT INTO lanes (queue, host_id, next_at, failures, failing_since, error)"
        " VALUES ('delivery', ?, ?, 4, ?, ?)",
        host_id,
        now_ms() + 900_000,
        now_ms() - DAY_MS // 3,
        "500 Internal Server Error",
    )


async def _brought(world: World) -> None:
    """Chiara has brought an archive, of which a part was left out, and a list with somebody who is not there."""
    now = now_ms()
    chiara = world.people["chiara"]
    async with world.site.db.transaction() as tx:
        for number, (kind, state, source, position, made, skipped, over) in enumerate(
            (
                ("archive", "done", "https://old.example/users/chiara", 40, 31, 9, now),
                ("archive", "working", "https://older.example/users/chiara", 12, 12, 0, None),
                ("mutes", "done", "", 40, 39, 1, now),
            ),
            start=1,
        ):
            await tx.execute(
                "INSERT INTO imports (id, member_id, kind, state, source, position, total, made,"
                " skipped, created_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, 40, ?, ?, ?, ?)",
                *(number, chiara, kind, state, source, position, made, skipped, now, over),
            )
        await tx.execute(
            "INSERT INTO import_lines (import_id, position, member_id, address, state)"
            " VALUES (3, 7, ?, 'nobody@other.example', 'failed')",
            chiara,
        )


def _receipt(world: World) -> str:
    return f"/erasures/{receipts.reference(world.site.db.pseudonyms, world.topics['leaver'])}"


def views(world: World) -> list[View]:
    """Every page there is, some as more than one kind of visitor."""
    pictures = world.topics["pictures"]
    path = f"/o/{pictures}"
    reply = f"/o/{world.replies['edited']}"
    board = f"/g/{MARKER}board"
    preview = "/admin/policies/preview"
    return [
        View("landing", "/"),
        View("about", "/about"),
        View("login", "/login"),
        View("groups-stranger", "/groups"),
        View("group-stranger", "/g/garden"),
        View("group-about", "/g/garden/about"),
        View("thread-stranger", path),
        View("person-stranger", "/@chiara"),
        View("tag", "/tags/orto"),
        View("missing", "/nowhere", status=404),
        View("home", "/", "chiara"),
        View("home-empty", "/", "anna"),
        View("groups", "/groups", "anna"),
        View("group", "/g/garden", "chiara"),
        View("group-private", board, "chiara"),
        View("thread", path, "chiara"),
        View("thread-moderator", path, "bruno"),
        View("thread-warning", f"{board}/t/{world.topics[f'{MARKER}board']}", "chiara"),
        View("new-topic", "/g/garden/new", "chiara"),
        View("quote", f"{path}/quote", "dario"),
        View("quoting-topic", f"/g/garden/new?quote={pictures}", "dario"),
        View("quoting", f"/o/{world.topics['quoting']}", "chiara"),
        View("event", f"/o/{world.topics['event']}", "dario"),
        View("event-organiser", f"/o/{world.topics['event']}/participants", "chiara"),
        View("event-edit", f"/o/{world.topics['event']}/edit", "chiara"),
        View("group-life", "/g/garden/life", "bruno"),
        View("appeal", "/appeal"),
        View("reply", f"{path}/reply", "chiara"),
        View("edit", f"{path}/edit", "chiara"),
        View("delete", f"{path}/delete", "chiara"),
        View("history", f"{reply}/history", "chiara"),
        View("remote-post", f"/o/{world.post_id}", "chiara"),
        View("remote-person", "/@rosa@social.example", "chiara"),
        View("person-self", "/@chiara", "chiara"),
        View("my-data", "/settings/data", "chiara"),
        View("my-reach", "/settings/data/reach", "chiara"),
        View("my-reach-one", f"/settings/data/reach/{pictures}", "chiara"),
        View("my-consent", "/settings/data/consent/activitypub", "chiara"),
        View("my-consent-feeds", "/settings/data/consent/feeds", "chiara"),
        View("erase-account", "/settings/data/erase", "chiara"),
        View("receipt", _receipt(world)),
        View("admin-data", "/admin/data", "anna"),
        View("admin-record", "/admin/data/record", "anna"),
        View("admin-erase", "/admin/data/erase?target=@chiara", "anna"),
        View("admin-case", f"/admin/data/cases/{world.topics['leaver']}", "anna"),
        View("admin-reach", "/admin/data/reach?target=@chiara", "anna"),
        View("admin-reach-host", "/admin/data/reach?target=lemmy.example", "anna"),
        View("following", "/following", "chiara"),
        View("lists", "/lists", "chiara"),
        View("list", f"/lists/{world.topics['neighbours']}", "chiara"),
        View("following-requests", "/following", "dario"),
        View("notifications", "/notifications", "chiara"),
        View("search", "/search?q=fagioli", "chiara"),
        View("search-elsewhere", "/search?q=@rosa@other.example", "chiara"),
        View("poll", f"/o/{world.topics['poll']}", "chiara"),
        View("poll-voted", f"/o/{world.topics['poll']}", "dario"),
        View("drafts", "/drafts", "chiara"),
        View("drafts-empty", "/drafts", "dario"),
        View("report-form", f"{path}/report", "dario"),
        View("statement", f"/statements/{world.topics['statement']}", "dario"),
        View("settings", "/settings", "chiara"),
        View("settings-people", "/settings/people", "chiara"),
        View("settings-people-empty", "/settings/people", "elsa"),
        View("settings-take", "/settings/take", "chiara"),
        View("settings-bring", "/settings/bring", "chiara"),
        View("settings-bring-empty", "/settings/bring", "elsa"),
        View("interact", "/interact?uri=https://other.example/@rosa", "chiara"),
        View("manage", "/g/garden/manage", "bruno"),
        View("new-group", "/groups/new", "anna"),
        View("cellar-door", "/g/cellar"),
        View("cellar-about", "/g/cellar/about", "bruno"),
        View("cellar-new", "/g/cellar/new", "bruno"),
        View("cellar-manage", "/g/cellar/manage", "bruno"),
        View("admin-relays", "/admin/relays", "anna"),
        View("admin", "/admin", "anna"),
        View("admin-members", "/admin/members", "anna"),
        View("admin-health", "/admin/health", "anna"),
        View("admin-rules", "/admin/rules", "anna"),
        View("policies", "/admin/policies", "anna"),
        View("policies-changed", "/admin/policies?said=decided_host", "anna"),
        View("policy-preview", f"{preview}?domain=social.example&level=suspend", "anna"),
        View("policy-removal", f"{preview}?domain=pubblicita.example&action=remove", "anna"),
        View("policy-mode", "/admin/policies/mode?mode=allow-list", "anna"),
        View("policy-lists", "/admin/policies/lists", "anna"),
        View("policy-draft", f"/admin/policies/drafts/{world.topics['list']}", "anna"),
        View("policy-history", "/admin/policies/history", "anna"),
        View("sweep", f"/admin/sweeps/{world.topics['sweep']}", "anna"),
        View("reports", "/moderation", "bruno"),
        View("reports-decided", "/moderation?state=decided", "bruno"),
        View("report", f"/moderation/{world.topics['report']}", "bruno"),
        View("report-decided", f"/moderation/{world.topics['decided']}", "bruno"),
        View("appeal-answer", f"/statements/{world.topics['statement']}", "anna"),
        View("held-moderator", "/moderation/held", "bruno"),
        View("admin-sweeps", "/admin/sweeps", "anna"),
        View("sweep-preview", "/admin/sweeps/preview?target=social.example&since=all", "anna"),
        View("held", "/moderation/held", "anna"),
        View("admin-emoji", "/admin/emoji", "anna"),
        View("files", f"/o/{world.topics['files']}", "chiara"),
        View("files-edit", f"/o/{world.topics['files']}/edit", "chiara"),
        View("files-purge", f"/o/{world.topics['files']}/delete", "bruno"),
        View("forbidden", "/admin", "chiara", 403),
    ]
