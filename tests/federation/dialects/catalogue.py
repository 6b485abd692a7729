"""All dialects, in the order of the matrix."""

from __future__ import annotations

from typing import Final

from tests.federation.dialects.dialect import Dialect
from tests.federation.dialects.discourse import Discourse
from tests.federation.dialects.fedify import Ghost, Hollo
from tests.federation.dialects.friendica import Friendica
from tests.federation.dialects.gotosocial import GoToSocial
from tests.federation.dialects.lemmy import Lemmy, Lemmy10
from tests.federation.dialects.mastodon import Mastodon
from tests.federation.dialects.mbin import Mbin
from tests.federation.dialects.misskey import Misskey
from tests.federation.dialects.mobilizon import Mobilizon
from tests.federation.dialects.nodebb import NodeBB
from tests.federation.dialects.peertube import PeerTube
from tests.federation.dialects.piefed import PieFed
from tests.federation.dialects.pixelfed import Pixelfed
from tests.federation.dialects.pleroma import Pleroma
from tests.federation.dialects.snac import Snac
from tests.federation.dialects.wordpress import WordPress

DIALECTS: Final[tuple[type[Dialect], ...]] = (
    *(Mastodon, Lemmy, Lemmy10, PieFed, NodeBB, Mbin, Discourse, GoToSocial, WordPress),
    *(Hollo, Ghost, Misskey, Pleroma, Pixelfed, Friendica, Mobilizon, PeerTube, Snac),
)
