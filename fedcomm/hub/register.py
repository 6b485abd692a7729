"""The register of data: for each table what it holds, about whom, how long, and what erasure does to it.

One list, many readers: erasure walks its steps, an access request collects by its columns, the record of processing
and the data dictionary are printed from it. A test compares it with the schema, so that no table and no column can
be added without saying what becomes of a person in it (product.md D2, D4; security.md §13).

Journal, ledger and statistics hold ids only. An id of ours is an opaque number: what is left under it after an
erasure is a tombstone without personal data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Retention = Literal[
    "community",
    "account",
    "session",
    "queue",
    "cache",
    "log",
    "law",
    "operation",
]

RETENTION: Final[dict[Retention, str]] = {
    "community": "until its author or the hub erases it",
    "account": "as long as the account exists",
    "session": "until it ends: sign-out, the end of its time, or suspension",
    "queue": "until it is delivered or processed, and a memory of it for as long as the configuration says",
    "cache": "a copy of what another server published, until it changes, is deleted, or is not needed any more",
    "log": "ids and events, without words; as long as the configuration says",
    "law": "decisions and their reasons, kept as evidence, without the person's data after an erasure",
    "operation": "what the administrators configured",
}


@dataclass(frozen=True, slots=True)
class Delete:
    """Rows whose `column` names the person go."""

    column: str


@dataclass(frozen=True, slots=True)
class Blank:
    """In rows whose `column` names the person the `words` are emptied; the row stays for its ids and times."""

    column: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Special:
    """`fedcomm.hub.erasure` does it step by step, because more depends on it; `how` says what."""

    how: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Nothing of the person is in it but ids; or `why` it stays all the same."""

    why: str


Step = Delete | Blank | Special | Kept


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `people`: columns with ids of actors. `words`: columns with what people typed, or were called.
    `export`: whether it goes into an export of the site; else the reason why not."""

    holds: str
    retention: Retention
    steps: tuple[Step, ...]
    people: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    export: Literal[True] | str = True


WITH_OBJECT: Final = Special("goes with the object that it belongs to")
IDS: Final = Kept("opaque numbers, events and times only")

REGISTER: Final[dict[str, Table]] = {
    "settings": Table(
        "settings of this hub by name",
        "operation",
        (Kept("the organization's own"),),
        words=("value",),
    ),
    "hosts": Table(
        "other servers: name, software, how they sign, their level",
        "operation",
        (Kept("servers, not people"),),
        words=("name",),
    ),
    "host_policies": Table(
        "decisions about other servers, with comments",
        "law",
        (Kept("the organization's own decisions; who took them stays as a number"),),
        people=("created_by",),
        words=("domain", "public_comment", "private_comment", "source"),
    ),
    "policy_changes": Table(
        "what was decided about servers and what stood before, so that it can be undone",
        "law",
        (Kept("the organization's own decisions; who took them stays as a number"),),
        people=("actor_id",),
        words=("reason", "summary"),
    ),
    "policy_change_entries": Table(
        "the single entries of such a change",
        "law",
        (Kept("servers, not people"),),
        words=("domain", "before", "after"),
    ),
    "policy_subscriptions": Table(
        "lists of other organizations that are read regularly",
        "operation",
        (Kept("addresses of lists; who added them stays as a number"),),
        people=("created_by",),
        words=("url", "error"),
    ),
    "policy_drafts": Table(
        "lists that wait for an administrator's decision",
        "operation",
        (Kept("servers, not people; who brought them stays as a number"),),
        people=("created_by",),
        words=("source", "body"),
    ),
    "actors": Table(
        "members, groups and people elsewhere: names, descriptions, addresses",
        "account",
        (Special("every word goes, and for somebody elsewhere the address too; the number stays"),),
        people=("id",),
        words=(
            "uri", "name", "display_name", "summary_source", "summary_html", "url", "avatar_url", "inbox",
            "shared_inbox", "outbox", "followers_uri", "featured_uri", "moved_to_uri",
        ),
    ),
    "handles": Table(
        "the names of members and groups; none is given twice",
        "account",
        (Special("the name is replaced by its pseudonym, so that nobody else gets it"),),
        people=("actor_id",),
        words=("name",),
    ),
    "actor_keys": Table(
        "the keys of actors, our private ones encrypted",
        "account",
        (Special("kept sealed until every server was told, then destroyed"),),
        people=("actor_id",),
    ),
    "members": Table(
        "accounts: e-mail address, password hash, role, language",
        "account",
        (Special("goes after everything that refers to it"),),
        people=("actor_id",),
        words=("email", "password_hash"),
    ),
    "profile_fields": Table(
        "what people say of themselves in a table",
        "account",
        (Delete("actor_id"),),
        people=("actor_id",),
        words=("name", "source", "html"),
    ),
    "aliases": Table(
        "other accounts of a person",
        "account",
        (Delete("actor_id"),),
        people=("actor_id",),
        words=("uri",),
    ),
    "avoided_actors": Table(
        "whom a member blocks or mutes",
        "account",
        (Delete("member_id"), Delete("actor_id")),
        people=("member_id", "actor_id"),
    ),
    "avoided_hosts": Table(
        "servers of which a member wants to see nothing",
        "account",
        (Delete("member_id"),),
        people=("member_id",),
    ),
    "lists": Table(
        "a member's lists of those whom they follow",
        "account",
        (Delete("member_id"),),
        people=("member_id",),
        words=("title",),
    ),
    "list_entries": Table(
        "who is on such a list",
        "account",
        (Delete("member_id"), Delete("actor_id")),
        people=("member_id", "actor_id"),
    ),
    "groups": Table(
        "groups and their rules",
        "community",
        (Kept("a group stays; who founded or closed it stays as a number"),),
        people=("actor_id", "created_by", "closed_by"),
        words=("closing_reason",),
    ),
    "memberships": Table(
        "who belongs to which group, as what, and bans",
        "account",
        (Special("rows of the person go; whoever they banned stays banned"), Delete("actor_id")),
        people=("group_id", "actor_id", "banned_by"),
        words=("follow_uri", "ban_reason"),
    ),
    "follows": Table(
        "who follows whom",
        "account",
        (Delete("follower_id"), Delete("followed_id")),
        people=("follower_id", "followed_id"),
        words=("follow_uri",),
    ),
    "objects": Table(
        "topics, replies and posts",
        "community",
        (Special("each object of the person is erased; mentions in others' words are neutralised"),),
        people=("author_id", "group_id", "removed_by"),
        words=(
            "uri", "parent_uri", "context_uri", "title", "source", "html", "summary", "url", "details",
        ),
    ),
    "revisions": Table(
        "earlier versions of objects",
        "community",
        (WITH_OBJECT,),
        people=("editor_id",),
        words=("title", "source", "html", "summary"),
    ),
    "mentions": Table(
        "who is mentioned where",
        "community",
        (Delete("actor_id"),),
        people=("actor_id",),
    ),
    "hashtags": Table("hashtags of objects", "community", (WITH_OBJECT,), words=("tag",)),
    "media": Table(
        "uploaded files with their descriptions",
        "community",
        (Special("rows are emptied, files overwritten and unlinked, unless a group still shows them"),),
        people=("owner_id",),
        words=("alt", "name", "file", "thumbnail", "fingerprint"),
    ),
    "attachments": Table(
        "what is attached to objects",
        "community",
        (WITH_OBJECT,),
        words=("uri", "alt", "name"),
    ),
    "reactions": Table(
        "likes, dislikes and shares",
        "community",
        (Special("rows go and the counts go down"), Delete("actor_id")),
        people=("actor_id",),
        words=("uri", "emoji"),
    ),
    "polls": Table("polls", "community", (WITH_OBJECT,)),
    "poll_options": Table("what a poll lets one choose", "community", (WITH_OBJECT,), words=("name",)),
    "poll_votes": Table(
        "who voted for what",
        "community",
        (Special("rows go; counts go down where fewer than five voted"), Delete("actor_id")),
        people=("actor_id",),
    ),
    "notifications": Table(
        "what members were told",
        "account",
        (Delete("member_id"), Delete("actor_id")),
        people=("member_id", "actor_id", "group_id"),
    ),
    "sessions": Table(
        "who is signed in",
        "session",
        (Delete("member_id"),),
        people=("member_id",),
        export="nobody is signed in on another machine",
    ),
    "tokens": Table(
        "access of programs in a member's name",
        "session",
        (Delete("member_id"),),
        people=("member_id",),
        words=("name",),
        export="only hashes are kept: programs ask anew",
    ),
    "reports": Table(
        "reports to the moderators",
        "law",
        (Blank("reporter_id", ("uri", "reason")), Special("so are those about the person")),
        people=("reporter_id", "group_id", "assignee_id", "decided_by"),
        words=("uri", "reason", "decision_reason"),
    ),
    "report_subjects": Table(
        "who and what a report is about", "law", (IDS,), people=("actor_id",)
    ),
    "report_notes": Table(
        "moderators' notes on reports",
        "law",
        (Delete("author_id"), Special("so are those on reports about the person")),
        people=("author_id",),
        words=("text",),
    ),
    "rules": Table(
        "the rules of the hub, each version",
        "law",
        (Kept("the organization's own; who wrote them stays as a number"),),
        people=("created_by",),
        words=("text",),
    ),
    "statements": Table(
        "decisions about people and posts with their reasons, and appeals",
        "law",
        (Blank("person_id", ("reason", "ended_reason", "appeal", "appeal_reason")),),
        people=("person_id", "group_id", "decided_by", "appeal_decided_by"),
        words=("reason", "ended_reason", "appeal", "appeal_reason"),
    ),
    "audit": Table(
        "who did what in administration and moderation",
        "log",
        (Blank("subject_id", ("detail",)),),
        people=("actor_id", "subject_id"),
        words=("detail",),
    ),
    "journal": Table(
        "what happened to which ids",
        "log",
        (IDS,),
        people=("actor_id", "group_id", "target_id"),
        export="an import begins its own",
    ),
    "cursors": Table(
        "how far each consumer has read the journal", "operation", (IDS,), export="belongs to the journal"
    ),
    "outbox_failures": Table(
        "journal entries that could not be sent", "operation", (IDS,), export="belongs to the journal"
    ),
    "tombstones": Table(
        "hashes of what was deleted before it came",
        "queue",
        (IDS,),
        export="holds for hours only",
    ),
    "activities": Table(
        "activities that were sent, rendered",
        "queue",
        (
            Special("bodies go at once, rows when every server was told"),
            Blank("subject_id", ("body",)),
        ),
        people=("actor_id", "subject_id"),
        words=("body",),
    ),
    "received_activities": Table(
        "activities as they came, for passing them on",
        "queue",
        (Delete("actor_id"), Special("those about the person's objects too")),
        people=("actor_id",),
        words=("uri", "body"),
        export="comes again or is over",
    ),
    "deliveries": Table(
        "what waits to be delivered",
        "queue",
        (Special("what was not sent is not sent any more, except what asks for copies back"),),
        words=("inbox", "error"),
        export="the moved hub sends what it says itself",
    ),
    "inbox": Table(
        "activities that came",
        "queue",
        (Blank("recipient_id", ("body",)), Special("those of the person go")),
        people=("recipient_id",),
        words=("uri", "signer_uri", "verdict", "body", "digest"),
        export="is processed before a move",
    ),
    "backfill": Table(
        "threads elsewhere that are being completed",
        "queue",
        (Special("goes with the thread"),),
        words=("uri", "page"),
        export="begins anew when needed",
    ),
    "backfill_days": Table("how much of it a day brought", "queue", (IDS,), export="is for today only"),
    "lanes": Table(
        "which server is due in which queue",
        "queue",
        (Kept("servers, not people"),),
        words=("error", "lease_owner"),
        export="belongs to the queues",
    ),
    "reach": Table(
        "the ledger: which server got which object or actor, and what it answered when asked back",
        "law",
        (Special("counted into the certificate, then gone"),),
        people=("subject_id",),
    ),
    "search_index": Table(
        "the words of objects, for search",
        "cache",
        (WITH_OBJECT,),
        words=("title", "body", "document"),
        export="is made anew",
    ),
    "erasures": Table(
        "cases of erasure: what, when, how far, with the certificate",
        "law",
        (Kept("the organization's reason, and a certificate without a name"),),
        people=("subject_id", "requested_by"),
        words=("reason", "certificate"),
    ),
    "erasure_recipients": Table(
        "whom a case of erasure told, and what they answered", "law", (IDS,)
    ),
    "erased": Table(
        "pseudonyms of what was erased, so that it does not come back",
        "law",
        (Kept("keyed hashes, which tell nothing without the key file"),),
    ),
    "holds": Table(
        "legal holds: what must not be erased now, and why",
        "law",
        (Kept("ends before an erasure can begin"),),
        people=("subject_id", "created_by"),
        words=("reason",),
    ),
    "drafts": Table(
        "what members began to write",
        "account",
        (Special("their files first"), Delete("member_id")),
        people=("member_id", "group_id"),
        words=("body", "numbers", "fingerprint"),
    ),
    "draft_media": Table("files of drafts", "account", (Special("goes with the draft"),)),
    "reservations": Table(
        "numbers that a preview has reserved", "queue", (IDS,), words=("numbers",), export="lasts a day"
    ),
    "canary_cycles": Table(
        "whether the hub's own post came round", "log", (IDS,), words=("error",), export="tells of this machine"
    ),
    "emoji": Table(
        "custom emoji of the hub and, as copies, of other servers",
        "operation",
        (Kept("the organization's own, and servers' own"),),
        words=("shortcode", "category", "url", "file", "still"),
    ),
    "blocked_media": Table(
        "hashes of files that must not come back",
        "law",
        (Kept("hashes and the organization's reasons; who decided stays as a number"),),
        people=("created_by",),
        words=("reason", "fingerprint"),
    ),
    "quotes": Table(
        "who quotes what, and whether they may",
        "community",
        (Delete("actor_id"), Special("those of the person's posts go with them")),
        people=("actor_id",),
        words=("object_uri", "quoted_uri", "request_uri", "stamp_uri"),
    ),
    "held": Table(
        "what waits for a moderator because it looks like a wave of abuse",
        "queue",
        (Delete("actor_id"),),
        people=("actor_id", "group_id", "released_by"),
        words=("object_uri", "reasons"),
        export="is decided before a move",
    ),
    "group_hosts": Table(
        "which servers may join a group or write there",
        "operation",
        (Kept("servers, not people; who decided stays as a number"),),
        people=("group_id", "created_by"),
        words=("domain", "access"),
    ),
    "group_askers": Table(
        "from which servers one may ask to join a private group",
        "operation",
        (Kept("servers, not people"),),
        people=("group_id",),
        words=("domain",),
    ),
    "sweeps": Table(
        "removals of all that an actor or a server sent within a time",
        "law",
        (Blank("subject_id", ("reason", "undo_reason")),),
        people=("subject_id", "group_id", "decided_by", "undone_by"),
        words=("cause", "reason", "undo_reason", "certificate", "step"),
    ),
    "sweep_items": Table(
        "what a removal changed, so that it can be undone",
        "law",
        (Delete("subject_id"), Delete("other_id")),
        people=("subject_id", "other_id"),
        words=("place", "before"),
    ),
    "events": Table(
        "when and where an event takes place",
        "community",
        (WITH_OBJECT,),
        words=("join_url", "place", "address", "online_url"),
    ),
    "participations": Table(
        "who comes to an event",
        "community",
        (Special("rows go and the counts go down"), Delete("actor_id")),
        people=("actor_id",),
        words=("uri",),
    ),
    "relays": Table(
        "relays that the hub takes part in",
        "operation",
        (Kept("servers; who added them stays as a number"),),
        people=("actor_id", "created_by"),
        words=("style", "address", "follow_uri"),
    ),
    "relayed_objects": Table("posts that came through a relay", "cache", (WITH_OBJECT,)),
    "consents": Table(
        "through which channels a member's words may leave, each decision",
        "account",
        (Delete("member_id"),),
        people=("member_id",),
    ),
    "access_requests": Table(
        "who asked for a copy of what is held about whom, and the file until it is over",
        "law",
        (Special("the file is overwritten at once; that it was asked for stays, as numbers"),),
        people=("subject_id", "requested_by"),
        words=("file",),
        export="the files stay where they are, for a week at most",
    ),
    "import_lines": Table(
        "lines of lists that members bring and that are still to be done",
        "queue",
        (Delete("member_id"),),
        people=("member_id",),
        words=("address", "detail"),
        export="is over before a move, or brought again",
    ),
    "imported_objects": Table(
        "which posts members brought from elsewhere, and what they were called there",
        "account",
        (Special("goes with the import, before it"), Delete("member_id")),
        people=("member_id",),
        words=("uri", "parent_uri"),
    ),
    "imports": Table(
        "what members bring from elsewhere: lists and archives, how far they are",
        "account",
        (Special("the archive is overwritten"), Delete("member_id")),
        people=("member_id",),
        words=("file", "source", "error"),
    ),
    "submissions": Table(
        "which forms were sent within the last day, so that a form that is sent twice counts once",
        "session",
        (Kept("a digest and the number of the post; goes after a day"),),
        words=("digest",),
        export="is over after a day",
    ),
}  # fmt: skip
