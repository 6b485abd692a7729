"""Pixelfed (federation.md §3.2, §6.1; read in 2024 and unverified since)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, SECURITY, Dialect, Person
from tests.federation.dialects.signing import LD_JSON, Signing


class Pixelfed(Dialect):
    slug = "pixelfed"
    title = "Pixelfed"
    software = "pixelfed"
    version = "0.12.5"
    context: ClassVar[Any] = [
        AS,
        SECURITY,
        {"toot": "http://joinmastodon.org/ns#", "Hashtag": "as:Hashtag"},
    ]
    signing = Signing(
        covered=("(request-target)", "date", "host", "accept", "digest", "content-type"),
        parameters=("keyId", "headers", "algorithm", "signature"),
        content_type=LD_JSON,
    )
    absent: ClassVar[Mapping[str, str]] = (
        reasons.MODERATES_NOT
        | reasons.BOOSTS_AS_GROUP_NOT
        | {
            "dislike": reasons.NO_DOWNVOTES,
            "quote": reasons.NO_QUOTES,
            "block": reasons.NO_BLOCKS_SENT,
            "vote": reasons.NO_VOTES_SENT,
            "report": reasons.NO_REPORTS_SENT,
        }
    )

    def now(self, later: int = 0) -> str:
        return super().now(later).replace("Z", "+00:00")

    def shared_inbox(self) -> str:
        return f"{self.origin}/f/inbox"

    def post_id(self, author: str) -> str:
        return f"{self.origin}/p/{author.rpartition('/')[2]}/5{self.number()}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return f"{actor}#{kind.lower()}/{self.number()}"

    def post(self, person: Person, words: str, **more: Any) -> JSON:
        """A picture, with its size as numbers that are none, and `null` for what is not there."""
        picture = {
            "type": "Document",
            "mediaType": "image/jpeg",
            "url": f"{self.origin}/storage/m/{self.number()}.jpg",
            "name": "A red door",
            "blurhash": None,
            "width": 800.0,
            "height": "600",
        }
        return (
            super().post(person, words)
            | {
                "summary": None,
                "attachment": [picture],
                "commentsEnabled": True,
                "capabilities": {"announce": PUBLIC, "like": PUBLIC, "reply": PUBLIC},
                "location": None,
            }
            | more
        )

    def create(self, post: JSON, **more: Any) -> JSON:
        return super().create(post, id=f"{post['id']}/activity", **more)

    def undo(self, activity: JSON, **more: Any) -> JSON:
        return super().undo(activity, id=f"{activity['id']}/undo", **more)

    def leave(self, person: Person) -> JSON:
        return self.activity(
            "Delete", person.id, {"type": "Person", "id": person.id}, to=[PUBLIC],
            id=f"{person.id}#delete",
        )  # fmt: skip
