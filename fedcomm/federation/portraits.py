"""The documents of our actors: members, groups and the instance, and of custom emoji (federation.md §1.3, §2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from activitypub.contexts import with_context
from activitypub.ijson import JSONObject
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.keyring import KeyPair
from fedcomm.federation.moments import iso
from fedcomm.hub.actors import Actor
from fedcomm.hub.emoji import Emoji
from fedcomm.hub.groups import Group
from fedcomm.hub.media import StoredFile
from fedcomm.hub.profiles import Field

RFC_9421: Final = {
    "href": "https://datatracker.ietf.org/doc/html/rfc9421",
    "name": "RFC-9421: HTTP Message Signatures",
}

LANGUAGE_NAMES: Final = {
    "en": "English",
    "it": "Italiano",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
}


def language(tag: str) -> JSONObject:
    """A language as Lemmy writes it: its tag with its own name."""
    return {"identifier": tag, "name": LANGUAGE_NAMES.get(tag.split("-")[0], tag)}


class Portraits:
    """Renders actors for one hub."""

    def __init__(self, addresses: Addresses, *, hub_name: str, media_prefix: str) -> None:
        self._at = addresses
        self._hub_name = hub_name
        self._media_prefix = media_prefix
        self._host = addresses.origin.split("://", 1)[1]

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
            "language": [language(group.language)],
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
                **published_keys(keys),
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
            **published_keys(keys),
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


def published_keys(keys: KeyPair) -> JSONObject:
    """The properties by which an actor's document shows its keys (federation.md §0.2, rule 4)."""
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
