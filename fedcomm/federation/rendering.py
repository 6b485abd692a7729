"""From the hub to the wire: documents of our objects and activities (federation.md §4, §5, §6); `portraits` has
those of actors, `forms` what becomes of an object with a poll or a quote, or for who cannot read it as it is.

Everything is plain data out of values that were loaded before; nothing here reads or writes.
`to`, `cc`, `tag` and `attachment` are always arrays, `attributedTo`, `inReplyTo`, `actor` and
`object` always single (§0.2, rule 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from activitypub.ijson import JSONObject
from activitypub.vocabulary import AS_PUBLIC
from fedcomm.federation.calendar import as_event
from fedcomm.federation.forms import Quoted, as_question, quotation, without_files
from fedcomm.federation.moments import duration, iso
from fedcomm.federation.portraits import Portraits, language
from fedcomm.hub.actors import Actor
from fedcomm.hub.emoji import Emoji
from fedcomm.hub.sanitizer import excerpt, text_of
from fedcomm.hub.threads import Thing
from fedcomm.hub.timelines import Post


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom something is addressed to."""

    to: tuple[str, ...]
    cc: tuple[str, ...]


class Renderer(Portraits):
    """Renders for one hub: its actors, and what they write and do."""

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
            document["language"] = language(thing.language)
        if parent_uri is not None:
            document["inReplyTo"] = parent_uri
        if is_topic or thing.title:
            # A title without a group: what a member has brought along from another hub.
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
            document |= quotation(document, quoted)
        if thing.visibility == "members":
            document = without_files(document)
        if post.event is not None:
            warns = thing.summary if thing.sensitive else ""
            return as_event(document, post.event, warning=warns)
        return document if post.poll is None else as_question(document, post.poll, thing)

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
        content: JSONObject | str | list[str],
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


def tombstone(uri: str) -> JSONObject:
    """What a Delete names (§5.7)."""
    return {"id": uri, "type": "Tombstone"}


def _unique(*uris: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(uri for uri in uris if uri))
