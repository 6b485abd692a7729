"""Every page and its address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from fedcomm.http import SITE
from fedcomm.web import metrics, probes
from fedcomm.web.copies import COPIES, Copies
from fedcomm.web.fragments import FRAGMENTS, Fragments
from fedcomm.web.late import LatePages
from fedcomm.web.middleware import THROTTLE
from fedcomm.web.rendering import RENDERER, SOURCE, Renderer
from fedcomm.web.throttle import Throttle

if TYPE_CHECKING:
    from fedcomm.web import (
        about,
        accounts,
        administration,
        appeals,
        blocks,
        data_controller,
        drafts,
        emoji,
        event_pages,
        feeds,
        files,
        group_life,
        group_management,
        groups,
        held,
        home,
        interaction,
        leaving,
        lists,
        moderation,
        my_data,
        neighbours,
        notifications,
        people,
        policies,
        portability,
        posts,
        quoting,
        relays,
        reporting,
        searching,
        settings,
        sweeps,
        threads,
    )
else:
    # Nothing of a page is imported before it is asked for.
    about = LatePages("about")
    accounts = LatePages("accounts")
    administration = LatePages("administration")
    appeals = LatePages("appeals")
    blocks = LatePages("blocks")
    data_controller = LatePages("data_controller")
    drafts = LatePages("drafts")
    emoji = LatePages("emoji")
    event_pages = LatePages("event_pages")
    feeds = LatePages("feeds")
    files = LatePages("files")
    group_life = LatePages("group_life")
    group_management = LatePages("group_management")
    groups = LatePages("groups")
    held = LatePages("held")
    home = LatePages("home")
    interaction = LatePages("interaction")
    leaving = LatePages("leaving")
    lists = LatePages("lists")
    moderation = LatePages("moderation")
    my_data = LatePages("my_data")
    neighbours = LatePages("neighbours")
    notifications = LatePages("notifications")
    people = LatePages("people")
    policies = LatePages("policies")
    portability = LatePages("portability")
    posts = LatePages("posts")
    quoting = LatePages("quoting")
    relays = LatePages("relays")
    reporting = LatePages("reporting")
    searching = LatePages("searching")
    settings = LatePages("settings")
    sweeps = LatePages("sweeps")
    threads = LatePages("threads")

NAME = r"[A-Za-z0-9_.-]{1,64}"
ID = r"[0-9]{1,19}"
HOST = r"[^/@]{1,255}"
RECEIPT = r"[0-9]{1,19}-[0-9a-f]{1,64}"


def add_routes(app: web.Application) -> None:
    """Add the pages to `app`; `app[SITE]` must be there when the server starts."""
    app.on_startup.append(_prepare)
    app.add_routes(
        [
            web.get("/", home.home),
            web.get("/about", about.about),
            web.get("/robots.txt", about.robots),
            web.get("/manifest.webmanifest", about.manifest),
            web.get("/source.tar.gz", about.source),
            web.get("/health", probes.health),
            web.get("/ready", probes.ready),
            web.get("/metrics", metrics.metrics),
            web.get("/static/{file:.+}", files.static_file),
            web.get("/media/{file}", files.media_file),
            web.get("/feed.atom", feeds.site_feed),
            web.get("/api/v1/instance/domain_blocks", blocks.domain_blocks),
            web.get("/login", accounts.login_form),
            web.post("/login", accounts.login),
            web.post("/logout", accounts.logout),
            web.get("/appeal", appeals.appeal_page),
            web.post("/appeal", appeals.appeal),
            web.post("/language", accounts.language),
            web.get("/groups", groups.groups_page),
            web.get("/groups/new", groups.new_group_form),
            web.post("/groups/new", groups.new_group),
            web.get(f"/g/{{name:{NAME}}}", groups.group_page),
            web.get(f"/g/{{name:{NAME}}}/about", groups.group_about),
            web.get(f"/g/{{name:{NAME}}}/feed.atom", feeds.group_feed),
            web.post(f"/g/{{name:{NAME}}}/membership", groups.membership),
            web.get(f"/g/{{name:{NAME}}}/manage", group_management.manage_form),
            web.post(f"/g/{{name:{NAME}}}/manage", group_management.manage),
            web.post(f"/g/{{name:{NAME}}}/members", group_management.members),
            web.get(f"/g/{{name:{NAME}}}/life", group_life.life_form),
            web.post(f"/g/{{name:{NAME}}}/life/move", group_life.move),
            web.post(f"/g/{{name:{NAME}}}/life/close", group_life.close),
            web.post(f"/g/{{name:{NAME}}}/waiting", group_management.waiting),
            web.post(f"/g/{{name:{NAME}}}/askers", group_management.askers),
            web.post(f"/g/{{name:{NAME}}}/hosts", group_management.hosts),
            web.get(f"/g/{{name:{NAME}}}/take/{{file:[a-z-]+[.]zip}}", portability.take_group),
            web.get(f"/g/{{name:{NAME}}}/new", threads.new_topic_form),
            web.post(f"/g/{{name:{NAME}}}/new", threads.new_topic),
            web.get(f"/g/{{name:{NAME}}}/t/{{id:{ID}}}", threads.thread),
            web.get(f"/g/{{name:{NAME}}}/t/{{id:{ID}}}/{{slug:[^/]*}}", threads.thread),
            web.get(f"/o/{{id:{ID}}}", posts.permalink),
            web.get(f"/o/{{id:{ID}}}/reply", threads.reply_form),
            web.post(f"/o/{{id:{ID}}}/reply", threads.reply),
            web.get(f"/o/{{id:{ID}}}/edit", posts.edit_form),
            web.post(f"/o/{{id:{ID}}}/edit", posts.edit),
            web.get(f"/o/{{id:{ID}}}/delete", posts.delete_form),
            web.post(f"/o/{{id:{ID}}}/delete", posts.delete),
            web.get(f"/o/{{id:{ID}}}/history", posts.history),
            web.post(f"/o/{{id:{ID}}}/like", posts.like),
            web.get(f"/o/{{id:{ID}}}/quote", quoting.quote_form),
            web.post(f"/o/{{id:{ID}}}/unquote", quoting.unquote),
            web.post(f"/o/{{id:{ID}}}/vote", posts.vote),
            web.post(f"/o/{{id:{ID}}}/attend", event_pages.attend),
            web.get(f"/o/{{id:{ID}}}/participants", event_pages.participants_page),
            web.post(f"/o/{{id:{ID}}}/participants", event_pages.answer_participant),
            web.get(f"/o/{{id:{ID}}}/event.ics", event_pages.calendar_file),
            web.post(f"/o/{{id:{ID}}}/pin", posts.pin),
            web.post(f"/o/{{id:{ID}}}/lock", posts.lock),
            web.post(f"/o/{{id:{ID}}}/restore", moderation.restore),
            web.get(f"/o/{{id:{ID}}}/report", reporting.report_post_form),
            web.post(f"/o/{{id:{ID}}}/report", reporting.report_post),
            web.get(f"/report/{{id:{ID}}}", reporting.report_person_form),
            web.post(f"/report/{{id:{ID}}}", reporting.report_person),
            web.get("/moderation", moderation.queue_page),
            web.get("/moderation/held", held.held_page),
            web.post(f"/moderation/held/{{id:{ID}}}", held.decide),
            web.get(f"/moderation/{{id:{ID}}}", moderation.report_page),
            web.post(f"/moderation/{{id:{ID}}}", moderation.handle_report),
            web.get(f"/statements/{{id:{ID}}}", moderation.statement_page),
            web.post(f"/statements/{{id:{ID}}}/appeal", moderation.appeal),
            web.post(f"/statements/{{id:{ID}}}/answer", moderation.answer),
            web.get(f"/@{{name:{NAME}}}", people.member_page),
            web.get(f"/@{{name:{NAME}}}@{{host:{HOST}}}", people.remote_page),
            web.get("/following", people.following_page),
            web.post("/following", people.follow_handle),
            web.post(f"/following/{{id:{ID}}}", people.follow),
            web.get("/lists", lists.lists_page),
            web.post("/lists", lists.create),
            web.get(f"/lists/{{id:{ID}}}", lists.list_page),
            web.post(f"/lists/{{id:{ID}}}", lists.change),
            web.post(f"/people/{{id:{ID}}}/lists", lists.put),
            web.post(f"/followers/{{id:{ID}}}", people.answer_follower),
            web.get("/drafts", drafts.drafts_page),
            web.get(f"/drafts/{{id:{ID}}}", drafts.draft_form),
            web.post(f"/drafts/{{id:{ID}}}/delete", drafts.delete_draft),
            web.get("/notifications", notifications.notifications_page),
            web.post("/notifications", notifications.mark_read),
            web.get("/search", searching.search_page),
            web.post("/search/fetch", searching.fetch),
            web.get("/tags/{tag}", searching.tag_page),
            web.get("/interact", interaction.interact_form),
            web.post("/interact", interaction.interact),
            web.post(
                f"/follow-from/{{kind:group|person}}/{{name:{NAME}}}", interaction.follow_from
            ),
            web.get("/settings", settings.settings_page),
            web.post("/settings/profile", settings.save_profile),
            web.post("/settings/password", settings.change_password),
            web.get("/settings/people", neighbours.neighbours_page),
            web.get("/settings/take", portability.take_page),
            web.get("/settings/take/{file:[a-z_-]+[.](?:zip|csv)}", portability.take),
            web.get("/settings/bring", portability.bring_page),
            web.post("/settings/bring/archive", portability.bring_archive),
            web.post("/settings/bring/list", portability.bring_list),
            web.post(f"/settings/bring/{{id:{ID}}}/undo", portability.undo),
            web.post("/settings/servers", neighbours.avoid_server),
            web.post("/settings/aliases", neighbours.name_alias),
            web.post("/settings/move", neighbours.move),
            web.post(f"/people/{{id:{ID}}}/avoid", neighbours.avoid),
            web.post("/settings/sessions", settings.end_session),
            web.get("/settings/data", my_data.overview),
            web.get("/settings/data/reach", my_data.reach_page),
            web.get("/settings/data/reach.csv", my_data.export_reach),
            web.get("/settings/data/reach.json", my_data.export_reach),
            web.get(f"/settings/data/reach/{{id:{ID}}}", my_data.reach_of_one),
            web.get("/settings/data/consent/{spoke}", my_data.consent_form),
            web.post("/settings/data/consent/{spoke}", my_data.decide_consent),
            web.post("/settings/data/copy", my_data.ask_for_copy),
            web.get(f"/settings/data/copy/{{id:{ID}}}", my_data.fetch_copy),
            web.get("/settings/data/erase", leaving.erase_form),
            web.post("/settings/data/erase", leaving.erase),
            web.get(f"/erasures/{{reference:{RECEIPT}}}", leaving.receipt),
            web.get(f"/erasures/{{reference:{RECEIPT}}}.json", leaving.receipt),
            web.get(f"/erasures/{{reference:{RECEIPT}}}/certificate.json", leaving.certificate),
            web.get("/admin", administration.overview),
            web.get("/admin/health", administration.health),
            web.get("/admin/members", administration.members_page),
            web.post("/admin/members", administration.create_member),
            web.post(f"/admin/members/{{name:{NAME}}}/suspend", administration.suspend_member),
            web.get("/admin/relays", relays.relays_page),
            web.post("/admin/relays", relays.add),
            web.post(f"/admin/relays/{{id:{ID}}}/remove", relays.remove),
            web.get("/admin/rules", administration.rules_page),
            web.post("/admin/rules", administration.save_rules),
            web.get("/admin/data", data_controller.overview),
            web.get("/admin/data/record", data_controller.record_page),
            web.get("/admin/data/record.json", data_controller.record_file),
            web.get("/admin/data/record.csv", data_controller.record_file),
            web.get("/admin/data/erase", data_controller.erase_preview),
            web.post("/admin/data/erase", data_controller.erase),
            web.get(f"/admin/data/cases/{{id:{ID}}}", data_controller.case_page),
            web.post("/admin/data/holds", data_controller.place_hold),
            web.post(f"/admin/data/holds/{{id:{ID}}}/release", data_controller.release_hold),
            web.post("/admin/data/access", data_controller.ask_for_copy),
            web.get(f"/admin/data/access/{{id:{ID}}}", data_controller.fetch_copy),
            web.get("/admin/data/reach", data_controller.reach_page),
            web.get("/admin/emoji", emoji.emoji_page),
            web.post("/admin/emoji", emoji.add),
            web.post(f"/admin/emoji/{{id:{ID}}}", emoji.change),
            web.get("/admin/sweeps", sweeps.sweeps_page),
            web.post("/admin/sweeps", sweeps.begin),
            web.get("/admin/sweeps/preview", sweeps.preview),
            web.get(f"/admin/sweeps/{{id:{ID}}}", sweeps.sweep),
            web.post(f"/admin/sweeps/{{id:{ID}}}/undo", sweeps.undo),
            web.post("/admin/policies/published", policies.publish),
            web.get("/admin/policies", policies.policies_page),
            web.post("/admin/policies", policies.change),
            web.get("/admin/policies/preview", policies.preview),
            web.get("/admin/policies/mode", policies.mode_preview),
            web.post("/admin/policies/mode", policies.change_mode),
            web.get("/admin/policies/lists", policies.lists_page),
            web.get("/admin/policies/history", policies.history),
            web.post(f"/admin/policies/history/{{id:{ID}}}/undo", policies.undo),
            web.post("/admin/policies/import", policies.import_list),
            web.get(f"/admin/policies/drafts/{{id:{ID}}}", policies.draft),
            web.post(f"/admin/policies/drafts/{{id:{ID}}}", policies.decide_draft),
            web.post("/admin/policies/subscriptions", policies.subscribe),
            web.get("/admin/policies/export.csv", policies.export),
            web.get("/admin/policies/export.txt", policies.export),
        ]
    )


async def _prepare(app: web.Application) -> None:
    config = app[SITE].config
    app[RENDERER] = Renderer(config)
    app[THROTTLE] = Throttle(config.rates)
    app[COPIES] = Copies()
    app[FRAGMENTS] = Fragments()
    app[SOURCE] = []
