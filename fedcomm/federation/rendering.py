"""From the hub to the wire: documents of our actors, objects and activities (federation.md §2, §4, §5, §6).

Everything is plain data out of values that were loaded before; nothing here reads or writes.
`to`, `cc`, `tag` and `attachment` are always arrays, `attributedTo`, `inReplyTo`, `actor` and
`object` always single (§0.2, rule 8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any

from activitypub.contexts import with_context
from activitypub.ijson import JSONObject
from activitypub.vocabulary import AS_PUBLIC
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.calendar import as_event, without_event
from fedcomm.federation.keyring import KeyPair
from fedcomm.hub.actors import Actor
from fedcomm.hub.ballots import Poll
from fedcomm.hub.emoji import Emoji
from fedcomm.hub.groups import Group
from fedcomm.hub.media import StoredFile
from fedcomm.hub.profiles import Field
from fedcomm.hub.sanitizer import excerpt, text_of
from fedcomm.hub.threads import Thing
from fedcomm.hub.timelines import Post

OBJECT_LINK_TYPE = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
"""The media type that makes a Link one to an object (FEP-e232)."""

RFC_9421 = {
    "href": "https://datatracker.ietf.org/doc/html/rfc9421",
    "name": "RFC-9421: HTTP Message Signatures",
}
LANGUAGE_NAMES = {
    "en": "English",
    "it": "Italiano",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
}


def iso(milliseconds: int) -> str:
    """Unix milliseconds as `2026-11-21T10:15:00Z`; with milliseconds where they are not zero, so that
    a reply is never dated before its parent (§12)."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    text = moment.isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds")
    return text.replace("+00:00", "Z")


def duration(milliseconds: int) -> str:
    """A length of time as `xsd:duration`: `PT1M2.5S`."""
    minutes, rest = divmod(milliseconds, 60_000)
    seconds = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
    return f"PT{minutes}M{seconds}S" if minutes else f"PT{seconds}S"


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom something is addressed to."""

    to: tuple[str, ...]
    cc: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quoted:
    """What a post of ours quotes: its id (None: it was deleted), its page, and the stamp once there is one."""

    uri: str | None
    url: str = ""
    stamp: str | None = None


class Renderer:
    """Renders for one hub."""

    def __init__(self, addresses: Addresses, *, hub_name: str, media_prefix: str) -> None:
        self._at = addresses
        self._hub_name = hub_name
        self._media_prefix = media_prefix
        self._host = addresses.origin.split("://", 1)[1]

    # Actors

    def person(
        self,
        member: Actor,
        keys: KeyPair,
        images: Mapping[int, StoredFile],
        *,
        aliases: Sequence[str] = (),
        fields: Sequence[Field] = (),
        emoji: Sequence[Emoji] = (),
    ) -> JSONObject:
        """A member (§2.2, §2.3)."""
        document = self._actor(member, "Person", keys, images, emoji)
        document["manuallyApprovesFollowers"] = member.locked
        if aliases:
            document["alsoKnownAs"] = list(aliases)
        if fields:
            document["attachment"] = [
                {"type": "PropertyValue", "name": field.name, "value": field.html}
                for field in fields
            ]
        if member.moved_to_uri is not None:
            document["movedTo"] = member.moved_to_uri
        return with_context(document)

    def group(
        self,
        actor: Actor,
        group: Group,
        keys: KeyPair,
        images: Mapping[int, StoredFile],
        *,
        emoji: Sequence[Emoji] = (),
        aliases: Sequence[str] = (),
    ) -> JSONObject:
        """A group (§2.2). `manuallyApprovesFollowers` on a Group means *private* to Lemmy, so a public
        group whose members are approved sends false (§4.10)."""
        document = self._actor(actor, "Group", keys, images, emoji)
        moderators = f"{keys.actor_uri}/moderators"
        document |= {
            "attributedTo": moderators,
            "moderators": moderators,
            "postingRestrictedToMods": group.posting_restricted,
            "manuallyApprovesFollowers": group.is_members_only,
            "language": [_language(group.language)],
        }
        if aliases:
            document["alsoKnownAs"] = list(aliases)
        if group.moved_to is not None:
            document["movedTo"] = group.moved_to
        return with_context(document)

    def actor_stub(self, document: JSONObject) -> JSONObject:
        """What an unsigned fetch gets of a person in authorized-fetch mode (§0.2, rule 5)."""
        kept = {
            "id", "type", "preferredUsername", "inbox", "outbox", "followers", "following", "url",
            "endpoints", "publicKey", "assertionMethod", "manuallyApprovesFollowers", "webfinger",
        }  # fmt: skip
        return with_context({key: value for key, value in document.items() if key in kept})

    def instance(self, keys: KeyPair) -> JSONObject:
        """The instance actor (§1.3)."""
        uri = keys.actor_uri
        return with_context(
            {
                "id": uri,
                "type": "Application",
                "preferredUsername": self._host,
                "name": self._hub_name,
                "url": f"{self._at.origin}/about",
                "inbox": f"{uri}/inbox",
                "outbox": f"{uri}/outbox",
                "endpoints": {"sharedInbox": self._at.shared_inbox},
                "manuallyApprovesFollowers": True,
                "discoverable": False,
                "webfinger": f"{self._host}@{self._host}",
                "implements": [RFC_9421],
                **self._keys(keys),
            }
        )

    def emoji(self, emoji: Emoji) -> JSONObject:
        """An emoji of ours: the tag on what uses it, and what its id answers with (§5.2)."""
        return {
            "id": self._at.of("e", emoji.id),
            "type": "Emoji",
            "name": f":{emoji.shortcode}:",
            "updated": iso(emoji.updated_at),
            "icon": {
                "type": "Image",
                "mediaType": emoji.mime,
                "url": f"{self._media_prefix}{emoji.file}",
            },
        }

    def _actor(
        self,
        actor: Actor,
        kind: str,
        keys: KeyPair,
        images: Mapping[int, StoredFile],
        emoji: Sequence[Emoji],
    ) -> JSONObject:
        uri = keys.actor_uri
        document: JSONObject = {
            "id": uri,
            "type": kind,
            "preferredUsername": actor.name,
            "name": actor.title,
            "summary": actor.summary_html,
            "source": {"content": actor.summary_source, "mediaType": "text/markdown"},
            "url": self._at.page(actor),
            "webfinger": f"{actor.name}@{self._host}",
            "inbox": f"{uri}/inbox",
            "outbox": f"{uri}/outbox",
            "followers": f"{uri}/followers",
            "following": f"{uri}/following",
            "featured": f"{uri}/featured",
            "endpoints": {"sharedInbox": self._at.shared_inbox},
            "discoverable": actor.discoverable,
            "indexable": actor.indexable,
            "published": iso(actor.created_at),
            "updated": iso(actor.updated_at),
            "generator": {
                "id": self._at.instance,
                "type": "Application",
                "implements": [RFC_9421],
            },
            **self._keys(keys),
        }
        if emoji:
            document["tag"] = [self.emoji(one) for one in emoji]
        for key, media_id in (("icon", actor.avatar_id), ("image", actor.header_id)):
            image = images.get(media_id) if media_id is not None else None
            if image is not None:
                document[key] = {
                    "type": "Image",
                    "mediaType": image.mime,
                    "url": self._media_prefix + image.file,
                    "name": image.alt,
                }
        return document

    def _keys(self, keys: KeyPair) -> JSONObject:
        return {
            "publicKey": {
                "id": keys.key_id,
                "owner": keys.actor_uri,
                "publicKeyPem": keys.rsa.public().to_pem(),
            },
            "assertionMethod": [
                {
                    "id": keys.multikey_id,
                    "type": "Multikey",
                    "controller": keys.actor_uri,
                    "publicKeyMultibase": keys.ed25519.public().to_multibase(),
                }
            ],
        }

    # Objects

    def audience(
        self,
        post: Post,
        author_uri: str,
        group_uri: str | None,
        others: Sequence[str],
        *,
        circle: str | None = None,
    ) -> Audience:
        """Whom a local object is addressed to. `others`: ids of the parent's author and of who is mentioned;
        `circle`: the followers of a private group elsewhere.

        A topic names its group first, since Lemmy takes the first community that it finds (§4.4).
        """
        followers = f"{author_uri}/followers"
        rest = [uri for uri in others if uri not in (author_uri, group_uri)]
        visibility = post.thing.visibility
        group = [group_uri] if group_uri else []
        if visibility == "public":
            if post.thing.kind == "topic":
                return Audience((*group, AS_PUBLIC), _unique(followers, *rest))
            return Audience((AS_PUBLIC,), _unique(*group, *rest, followers))
        if visibility == "unlisted":
            return Audience(_unique(followers, *rest), _unique(*group, AS_PUBLIC))
        if visibility == "followers":
            return Audience((followers,), _unique(*rest))
        if visibility == "members" and group_uri is not None:
            # As Lemmy addresses what is said in a private community (§4.10): never the Public.
            members = circle or f"{group_uri}/followers"
            return Audience((group_uri, members), _unique(*rest))
        return Audience(_unique(*rest), ())

    def object(
        self,
        post: Post,
        *,
        audience: Audience,
        author_uri: str,
        group_uri: str | None,
        parent_uri: str | None,
        mentions: Sequence[Actor],
        hashtags: Sequence[str],
        emoji: Sequence[Emoji] = (),
        quoted: Quoted | None = None,
    ) -> JSONObject:
        """A topic as titled `Page` (§4.4), a reply as `Note` (§4.5)."""
        thing = post.thing
        uri = self._at.object(thing)
        is_topic = thing.kind == "topic"
        document: JSONObject = {
            "id": uri,
            "type": thing.type,
            "attributedTo": author_uri,
            "to": list(audience.to),
            "cc": list(audience.cc),
            "content": thing.html,
            "mediaType": "text/html",
            "source": {"content": thing.source, "mediaType": "text/markdown"},
            "sensitive": thing.sensitive,
            "url": self._at.thing_page(thing, post.group_name),
            "published": iso(thing.published_at),
            "attachment": self._attachments(post),
            "tag": [
                *self._tags(post, mentions, hashtags),
                *(self.emoji(one) for one in emoji),
            ],
            "replies": f"{uri}/replies",
            "likes": f"{uri}/likes",
            "shares": f"{uri}/shares",
            "interactionPolicy": _interaction_policy(thing, author_uri),
        }
        if thing.edited_at is not None:
            document["updated"] = iso(thing.edited_at)
        if group_uri is not None:
            document["audience"] = group_uri
        context = self._at.context(thing)
        if context is not None:
            document["context"] = context
        if thing.language:
            document["contentMap"] = {thing.language: thing.html}
            document["language"] = _language(thing.language)
        if parent_uri is not None:
            document["inReplyTo"] = parent_uri
        if is_topic:
            text = text_of(thing.html)
            document["name"] = thing.title
            # Mastodon shows name, summary and a link of a Page and nothing else (§4.4).
            shown = thing.summary if thing.sensitive and thing.summary else excerpt(text)
            document["summary"] = f"<p>{escape(shown)}</p>" if shown else ""
            document["preview"] = {
                "type": "Note",
                "attributedTo": author_uri,
                "content": f"<p><strong>{escape(thing.title)}</strong></p><p>{escape(shown)}</p>",
                "published": iso(thing.published_at),
            }
        elif thing.summary:
            document["summary"] = thing.summary
        if quoted is not None:
            document |= _quotation(document, quoted)
        if thing.visibility == "members":
            document = without_files(document)
        if post.event is not None:
            warns = thing.summary if thing.sensitive else ""
            return as_event(document, post.event, warning=warns)
        return document if post.poll is None else _question(document, post.poll, thing)

    def told(
        self, post: Post, group_uri: str, *, author: Actor, parent_id: int | None
    ) -> JSONObject:
        """An object of a private group as a `Note` of the group itself, for its members on microblogs (§4.10).

        Mastodon boosts nothing that is not public, and shows its people only what those wrote whom they follow:
        that is the group. Who wrote it stands in the words.
        """
        thing = post.thing
        handle = f"@{author.name}@{author.host or self._host}"
        title = f" <strong>{escape(thing.title)}</strong>" if thing.title else ""
        page = author.url if author.url is not None else self._at.page(author)
        link = f'<a href="{escape(page)}">{escape(handle)}</a>' if page else escape(handle)
        document: JSONObject = {
            "id": self._at.told(thing.id),
            "type": "Note",
            "attributedTo": group_uri,
            "to": [f"{group_uri}/followers"],
            "cc": [],
            "content": f"<p>{link}:{title}</p>{thing.html}",
            "mediaType": "text/html",
            "sensitive": thing.sensitive,
            "url": self._at.thing_page(thing, post.group_name),
            "published": iso(thing.published_at),
            "attachment": self._attachments(post),
            "tag": [],
        }
        if thing.edited_at is not None:
            document["updated"] = iso(thing.edited_at)
        if thing.summary:
            document["summary"] = thing.summary
        if parent_id is not None:
            document["inReplyTo"] = self._at.told(parent_id)
        return without_files(document)

    def vote(
        self, vote_id: int, name: str, voter_uri: str, question_uri: str, author_uri: str
    ) -> JSONObject:
        """One choice of a member in a poll of another server, for its author only (§5.3)."""
        return {
            "id": self._at.of("v", vote_id),
            "type": "Note",
            "name": name,
            "attributedTo": voter_uri,
            "inReplyTo": question_uri,
            "to": [author_uri],
        }

    def _attachments(self, post: Post) -> list[JSONObject]:
        found: list[JSONObject] = []
        for file in post.attachments:
            names = post.media_files.get(file.media_id) if file.media_id is not None else None
            if names is None:
                continue
            image: dict[str, Any] = {
                # Lemmy reads no post with an attachment of another type (§0.2, rule 8).
                "type": "Image" if file.type == "Image" else "Document",
                "mediaType": file.mime,
                "url": self._media_prefix + names[0],
                # What a picture is called says nothing of it; of a document it is the best there is.
                "name": file.alt or (file.name if file.type == "Document" else ""),
            }
            if file.width and file.height:
                image |= {"width": file.width, "height": file.height}
            if file.duration_ms is not None:
                image["duration"] = duration(file.duration_ms)
            if file.blurhash:
                image["blurhash"] = file.blurhash
            if file.focal and file.focal != (0.0, 0.0):
                image["focalPoint"] = list(file.focal)
            found.append(image)
        return found

    def _tags(
        self, post: Post, mentions: Sequence[Actor], hashtags: Sequence[str]
    ) -> list[JSONObject]:
        tags: list[JSONObject] = [
            {
                "type": "Mention",
                "name": f"@{person.name}@{person.host or self._host}",
                "href": self._at.actor(person),
            }
            for person in mentions
        ]
        if post.thing.group_id is not None and post.group_name:
            href = self._at.group(post.thing.group_id)
            if all(tag["href"] != href for tag in tags):
                # So that answers from third servers reach the group as well (§4.4).
                tags.append(
                    {"type": "Mention", "name": f"@{post.group_name}@{self._host}", "href": href}
                )
        tags += [
            {"type": "Hashtag", "name": f"#{tag}", "href": f"{self._at.origin}/tags/{tag}"}
            for tag in hashtags
        ]
        return tags

    def authorization(
        self, quote_id: int, author_uri: str, quoting_uri: str, quoted_uri: str
    ) -> JSONObject:
        """Our consent to a quote, which others fetch (§5.5)."""
        return {
            "id": self._at.of("z", quote_id),
            "type": "QuoteAuthorization",
            "attributedTo": author_uri,
            "interactingObject": quoting_uri,
            "interactionTarget": quoted_uri,
        }

    # Activities

    def activity(
        self,
        activity_id: int,
        kind: str,
        actor_uri: str,
        content: JSONObject | str,
        *,
        to: Sequence[str] | None = None,
        cc: Sequence[str] | None = None,
        published: int | None = None,
        **more: Any,
    ) -> JSONObject:
        """Any activity of ours, without its context (`with_context` adds it to the outermost)."""
        document: JSONObject = {
            "id": self._at.activity(activity_id),
            "type": kind,
            "actor": actor_uri,
        }
        if to is not None:
            document["to"] = list(to)
        if cc is not None:
            document["cc"] = list(cc)
        if published is not None:
            document["published"] = iso(published)
        document["object"] = content
        return document | {key: value for key, value in more.items() if value is not None}

    def announce(
        self,
        activity_id: int,
        group_uri: str,
        content: JSONObject | str,
        *,
        author_uri: str | None,
        published: int,
        is_open: bool = True,
    ) -> JSONObject:
        """A group's `Announce`: Public in `to`, so that Mastodon files it as public (§4.3); of a private group to
        its followers alone (`is_open` false)."""
        return self.activity(
            activity_id,
            "Announce",
            group_uri,
            content,
            to=heard_in(group_uri, is_open=is_open),
            cc=_unique(f"{group_uri}/followers", author_uri) if is_open else [],
            published=published,
        )


def heard_in(group_uri: str, *, is_open: bool = True) -> list[str]:
    """`to` of what happens in a group: everybody, or of a private one the group and its followers (§4.10)."""
    return [AS_PUBLIC] if is_open else [group_uri, f"{group_uri}/followers"]


def without_files(document: JSONObject) -> JSONObject:
    """The document with what its pictures show, in words, instead of their addresses: files of a private group
    are for those who are logged in here, and other servers fetch files without saying who they are."""
    shown = [str(file.get("name") or "") for file in document.get("attachment", [])]
    if not shown:
        return document
    lines = "".join(f"<p>\N{FRAME WITH PICTURE} {escape(name)}</p>" for name in shown)
    words: JSONObject = document | {"attachment": [], "content": f"{document['content']}{lines}"}
    if "contentMap" in document:
        words["contentMap"] = dict.fromkeys(document["contentMap"], words["content"])
    if "source" in document:
        text = "".join(f"\n\n\N{FRAME WITH PICTURE} {name}" for name in shown)
        words["source"] = document["source"] | {"content": f"{document['source']['content']}{text}"}
    return words


def _interaction_policy(thing: Thing, author_uri: str) -> JSONObject:
    """Who may quote (FEP-044f), and that a closed thread takes no answers. What is not enforced is not stated (§5.6).

    Without `canQuote` Mastodon lets nobody quote, so it is always there.
    """
    quoting = {
        "everyone": AS_PUBLIC,
        "followers": f"{author_uri}/followers",
        "nobody": author_uri,
    }[thing.quote_policy or "everyone"]
    if thing.visibility not in ("public", "unlisted"):
        quoting = author_uri
    policy: JSONObject = {"canQuote": {"automaticApproval": [quoting]}}
    if thing.locked_at is not None:
        policy["canReply"] = {"automaticApproval": [author_uri]}
    return policy


def _quotation(document: JSONObject, quoted: Quoted) -> JSONObject:
    """What a quoting document has besides (§5.5): FEP-044f, the older names, a FEP-e232 link, and a visible link for
    those who know none of them."""
    if quoted.uri is None:
        return {"quote": {"type": "Tombstone"}}
    url = quoted.url or quoted.uri
    shown = f'<p class="quote-inline">RE: <a href="{escape(url)}">{escape(url)}</a></p>'
    more: JSONObject = {
        "content": f"{document['content']}{shown}",
        "source": document["source"]
        | {"content": f"{document['source']['content']}\n\nRE: <{url}>".lstrip()},
        "quote": quoted.uri,
        "quoteUrl": quoted.uri,
        "quoteUri": quoted.uri,
        "_misskey_quote": quoted.uri,
        "tag": [
            *document["tag"],
            {
                "type": "Link",
                "mediaType": OBJECT_LINK_TYPE,
                "href": quoted.uri,
                "rel": "https://misskey-hub.net/ns#_misskey_quote",
                "name": f"RE: {url}",
            },
        ],
    }
    if "contentMap" in document:
        more["contentMap"] = dict.fromkeys(document["contentMap"], more["content"])
    if quoted.stamp is not None:
        more["quoteAuthorization"] = quoted.stamp
    return more


def as_page(document: JSONObject) -> JSONObject:
    """A `Question` or `Event` for those who know none: a `Page` under the same id, the options as a list, time and
    place above the words."""
    if document.get("type") == "Event":
        return without_event(document)
    options = document.get("oneOf") or document.get("anyOf")
    if document.get("type") != "Question" or not options:
        return document
    poll_keys = ("oneOf", "anyOf", "endTime", "closed", "votersCount")
    page = {key: value for key, value in document.items() if key not in poll_keys}
    items = "".join(f"<li>{escape(str(option['name']))}</li>" for option in options)
    link = escape(str(document["url"]))
    page["type"] = "Page"
    page["content"] = f'{document["content"]}<ul>{items}</ul><p><a href="{link}">{link}</a></p>'
    if "contentMap" in page:
        page["contentMap"] = dict.fromkeys(page["contentMap"], page["content"])
    # Its reader makes the post from Markdown where there is any.
    page.pop("source", None)
    return page


def _question(document: JSONObject, poll: Poll, thing: Thing) -> JSONObject:
    """The document with the poll in it (§5.3). Microblogs show no `name`: `content` repeats it.

    As on a Note, the summary is a warning and nothing else."""
    content = str(document["content"])
    if thing.title:
        content = f"<p><strong>{escape(thing.title)}</strong></p>{content}"
    kept = {key: value for key, value in document.items() if key not in ("summary", "preview")}
    question: JSONObject = kept | {
        "type": "Question",
        "content": content,
        "anyOf" if poll.multiple else "oneOf": [
            {
                "type": "Note",
                "name": option.name,
                "replies": {"type": "Collection", "totalItems": option.votes},
            }
            for option in poll.options
        ],
        "votersCount": poll.voters,
    }
    if "contentMap" in document:
        question["contentMap"] = dict.fromkeys(document["contentMap"], content)
    if thing.summary:
        question["summary"] = thing.summary
    if poll.ends_at is not None:
        question["endTime"] = iso(poll.ends_at)
    if poll.closed_at is not None:
        question["closed"] = iso(poll.closed_at)
    return question


def tombstone(uri: str) -> JSONObject:
    """What a Delete names (§5.7)."""
    return {"id": uri, "type": "Tombstone"}


def _language(tag: str) -> JSONObject:
    return {"identifier": tag, "name": LANGUAGE_NAMES.get(tag.split("-")[0], tag)}


def _unique(*uris: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(uri for uri in uris if uri))
