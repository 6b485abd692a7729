"""Every page and its address."""

from __future__ import annotations

from aiohttp import web

from fedcomm.http import SITE
from fedcomm.web import (
    about,
    accounts,
    administration,
    appeals,
    drafts,
    emoji,
    event_pages,
    feeds,
    files,
    group_life,
    group_management,
    groups,
    home,
    interaction,
    metrics,
    moderation,
    neighbours,
    notifications,
    people,
    policies,
    posts,
    quoting,
    reporting,
    searching,
    settings,
    threads,
)
from fedcomm.web.middleware import THROTTLE
from fedcomm.web.rendering import RENDERER, Renderer
from fedcomm.web.throttle import Throttle

NAME = r"[A-Za-z0-9_.-]{1,64}"
ID = r"[0-9]{1,19}"
HOST = r"[^/@]{1,255}"


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
            web.get("/health", about.health),
            web.get("/ready", about.health),
            web.get("/metrics", metrics.metrics),
            web.get("/static/{file:.+}", files.static_file),
            web.get("/media/{file}", files.media_file),
            web.get("/feed.atom", feeds.site_feed),
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
            web.post("/settings/servers", neighbours.avoid_server),
            web.post("/settings/aliases", neighbours.name_alias),
            web.post("/settings/move", neighbours.move),
            web.post(f"/people/{{id:{ID}}}/avoid", neighbours.avoid),
            web.post("/settings/sessions", settings.end_session),
            web.get("/admin", administration.overview),
            web.get("/admin/members", administration.members_page),
            web.post("/admin/members", administration.create_member),
            web.post(f"/admin/members/{{name:{NAME}}}/suspend", administration.suspend_member),
            web.get("/admin/reports", administration.reports_page),
            web.get("/admin/rules", administration.rules_page),
            web.post("/admin/rules", administration.save_rules),
            web.get("/admin/emoji", emoji.emoji_page),
            web.post("/admin/emoji", emoji.add),
            web.post(f"/admin/emoji/{{id:{ID}}}", emoji.change),
            web.get("/admin/policies", policies.policies_page),
            web.post("/admin/policies", policies.change),
            web.get("/admin/policies/preview", policies.preview),
            web.get("/admin/policies/mode", policies.mode_preview),
            web.post("/admin/policies/mode", policies.change_mode),
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
    app[about.SOURCE] = []
