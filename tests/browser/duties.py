"""What the town's moderators and administrators have to do: reports, decisions, servers, what is held
back, and what was cleaned up; and a member's drafts, vote and quarrels."""

from __future__ import annotations

from fedcomm.hub import actors, canary, holding, sweeping
from fedcomm.store.ids import now_ms
from tests.web.test_abuse_pages import hold
from tests.web.world import Browser, Page, World

HOUR_MS = 3_600_000


async def _sent(browser: Browser, path: str, **fields: str) -> Page:
    answer = await browser.post(path, fields)
    assert answer.status == 303, (path, answer.text)
    return answer


async def give_duties(world: World) -> None:
    """Fill the pages of those who look after the town."""
    anna, bruno, chiara, dario, elsa = [
        await world.browser(name) for name in ("anna", "bruno", "chiara", "dario", "elsa")
    ]
    await _sent(
        anna,
        "/admin/rules",
        rules="Sii gentile con i vicini.\nNiente pubblicità.\nDescrivi le immagini.",
    )
    await _servers(world, anna)
    await _decisions(world, bruno, dario, elsa)
    await _wave(world, anna)
    for name, text in (("Merenda", "Sabato porto *torte*."), ("", "Solo un appunto")):
        await _sent(chiara, "/g/garden/new", title=name, text=text, action="draft")
    poll = await _sent(
        chiara,
        "/g/garden/new",
        title="Che cosa seminiamo?",
        text="Scegliete entro venerdì.",
        poll="Fagioli\nZucche\nAglio",
        poll_end="4320",
    )
    world.topics["poll"] = int(poll.location.split("/")[4])
    await _sent(dario, f"/o/{world.topics['poll']}/vote", choice="1")
    await _sent(chiara, f"/people/{world.people['elsa']}/avoid", action="mute")
    await _sent(chiara, "/settings/servers", name="gone.example", action="block")
    await _canary(world)


async def _servers(world: World, anna: Browser) -> None:
    """Entries, a server that waits, a list that waits."""
    policies = "/admin/policies"
    await _sent(
        anna,
        policies,
        domain="pubblicita.example",
        level="suspend",
        public_comment="Solo pubblicità",
        reason="Tre ondate in un mese.",
    )
    await _sent(
        anna, policies, domain="grande.example", level="limit", reject_media="1", reason="Troppo."
    )
    await _sent(anna, policies, domain="grande.example", action="remove", reason="Va meglio.")
    listed = await _sent(
        anna,
        f"{policies}/import",
        list="uno.example\npubblicita.example\nnon valido",
        level="suspend",
    )
    world.topics["list"] = int(listed.location.split("/")[4].partition("?")[0])
    await _sent(anna, f"{policies}/published", audience="public")
    await _sent(anna, f"{policies}/mode", mode="cautious", reason="Dopo la terza ondata.")
    async with world.site.db.transaction() as tx:
        await actors.ensure_host(tx, "nuovo.example")


async def _decisions(world: World, bruno: Browser, dario: Browser, elsa: Browser) -> None:
    """A report that waits, one that is decided, and its statement with an appeal."""
    cut = world.topics["cut"]
    await _sent(elsa, f"/o/{cut}/report", reason="Non voglio vedere ferite.", rule="3")
    db = world.site.db
    report = int(await db.value("SELECT max(id) FROM reports"))
    await _sent(bruno, f"/moderation/{report}", do="note", note="Ne parlo con Dario.")
    await _sent(
        bruno,
        f"/moderation/{report}",
        do="decide",
        action="warn",
        rule="3",
        reason="Metti sempre un avviso prima delle ferite.",
    )
    statement = int(await db.value("SELECT max(id) FROM statements"))
    world.topics |= {"decided": report, "statement": statement}
    await _sent(dario, f"/statements/{statement}/appeal", appeal="L’avviso c’era già.")
    quoting = world.topics["quoting"]
    await _sent(elsa, f"/o/{quoting}/report", reason="Vende i baccelli.", rule="2")
    world.topics["report"] = int(await db.value("SELECT max(id) FROM reports"))


async def _wave(world: World, anna: Browser) -> None:
    """Something held back, and a server whose things were cleaned up."""
    for text in ("<p>Monete facili! https://monete.example</p>", "<p>Monete facili, davvero!</p>"):
        await hold(world, text)
    db = world.site.db
    assert await holding.count(db, world.people["anna"]) == 2
    made = await _sent(
        anna, "/admin/sweeps", target="gone.example", since="all", reason="Un’ondata di pubblicità."
    )
    sweep = int(made.location.partition("?")[0].split("/")[3])
    await sweeping.advance(db, sweep, folder=world.site.media_folder)
    world.topics["sweep"] = sweep


async def _canary(world: World) -> None:
    """A post of the canary's that came round, and two that did not."""
    async with world.site.db.transaction() as tx:
        first = await canary.begin(tx)
        await canary.arrive(tx, first, "asked")
        await canary.arrive(tx, first, "answered")
        await tx.execute(
            "UPDATE canary_cycles SET started_at = ?, arrived_at = ?, duration_ms = 420 WHERE id = ?",
            *(now_ms() - HOUR_MS, now_ms() - HOUR_MS, first),
        )
        for _time in range(2):
            missed = await canary.begin(tx)
            await canary.miss(tx, missed, "the Follow was not delivered: answered 502")
