"""From rows to what a page shows: people with pictures and initials, posts with links and rights.

Here, and nowhere else, something gets the type that templates do not escape (INV-27): stored HTML, since only the
sanitiser's output is ever stored in these columns, and texts of the hub itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlsplit

from markupsafe import Markup

from fedcomm.hub import actors, media
from fedcomm.hub.composition import Attachment
from fedcomm.hub.events import Event
from fedcomm.hub.events import clock as clock_in
from fedcomm.hub.groups import Group
from fedcomm.hub.previews import REMARKS, Remark
from fedcomm.hub.profiles import Field
from fedcomm.hub.sanitizer import SafeHtml, excerpt, text_of
from fedcomm.hub.threads import Revision, Thing
from fedcomm.hub.timelines import Post
from fedcomm.i18n import N_, current_locale, gettext, is_translated, ngettext, on_clock
from fedcomm.store.database import Reader
from fedcomm.web import emotes, paths

HUES: Final = 8
"""Colours of initial circles; the style sheet has one class for each."""

DESCRIPTION_LENGTH: Final = 200
"""Characters of a page's description for search engines and link previews."""

EXCERPT_LENGTH: Final = 180
"""Characters of the first words in a list."""

FOCUS_EDGE: Final = 0.33
"""A focal point further from the middle than this counts as being at a side."""

TYPE_NAMES: Final = {
    "Article": N_("Article"),
    "Question": N_("Poll"),
    "Event": N_("Event"),
    "Video": N_("Video"),
    "Audio": N_("Audio"),
    "Image": N_("Picture"),
    "Document": N_("Document"),
    "Place": N_("Place"),
}
"""What an object of another server is called when it is more than a note."""


WORDS_ONLY: Final = frozenset({"Note", "Page", "ChatMessage", "Link", "Profile", "Relationship"})
"""Types of which there is nothing to say beside their words."""


def type_name_of(thing: Thing) -> str:
    """What it is called beside its words, not translated yet; empty for what is nothing but words."""
    if thing.type in WORDS_ONLY:
        return ""
    return TYPE_NAMES.get(thing.type, N_("Of a kind that this site does not know"))


_texts_of_ours: Final[dict[tuple[str, str], Markup]] = {}
"""(language, text) → how it is said, for texts without values: seven of them for each post."""


def translated(message: str, /, **values: object) -> Markup:
    """A text of the hub in the language of the request; the values are escaped."""
    if values:
        return Markup(gettext(message)) % values  # noqa: S704  # our own catalogues
    key = (current_locale(), message)
    text = _texts_of_ours.get(key)
    if text is None:
        text = Markup(gettext(message)) % {}  # noqa: S704  # our own catalogues
        # Words of people, which somebody may pass by mistake or for want of better ones, are kept nowhere.
        if is_translated(message):
            _texts_of_ours[key] = text
    return text


def counted(singular: str, plural: str, num: int, /, **values: object) -> Markup:
    """A text of the hub that counts, in the language of the request; `num` is among the values."""
    counted_text = Markup(ngettext(singular, plural, num))  # noqa: S704  # our own catalogues
    return counted_text % {"num": num, **values}


def html_of(words: Thing | Revision | actors.Actor | Group) -> SafeHtml:
    """The clean HTML of something that was written or of somebody's description."""
    if isinstance(words, Thing | Revision):
        return SafeHtml(words.html)
    return SafeHtml(words.summary_html)


def field_html(field: Field) -> SafeHtml:
    """The value of a profile's field: escaped text or one link of ours, or the sanitiser's output
    (`fedcomm.hub.profiles`)."""
    return SafeHtml(field.html)


def summary_of(words: Thing | actors.Actor | Group, length: int = DESCRIPTION_LENGTH) -> str:
    """The first words, as plain text; a content warning stands for what it hides."""
    if isinstance(words, Thing):
        if words.sensitive and words.summary:
            return words.summary
        return excerpt(text_of(words.html), length)
    return excerpt(text_of(words.summary_html), length)


def remark_text(remark: Remark) -> str:
    """What a remark of a preview says, in the visitor's language."""
    return gettext(REMARKS[remark.code]) % remark.values


@dataclass(frozen=True, slots=True)
class Face:
    """Somebody as pages show them. `host` only for people of other servers; `picture` only ours."""

    id: int
    title: str
    handle: str
    host: str | None
    path: str
    initial: str
    hue: int
    picture: str | None
    is_group: bool
    name: emotes.Shown
    """The title with its emoji."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a post, by the addresses of its files here."""

    id: int
    file: str
    thumbnail: str
    alt: str
    width: int
    height: int
    focus: str
    """Which side is the important one: top, bottom, left, right, or empty for the middle."""


@dataclass(frozen=True, slots=True)
class Player:
    """Sound or video of ours. `length` as on a clock; `width` and `height` are 0 where unknown."""

    file: str
    kind: Literal["audio", "video"]
    mime: str
    alt: str
    width: int
    height: int
    length: str


@dataclass(frozen=True, slots=True)
class Download:
    """A document of ours, which is only ever saved."""

    file: str
    name: str
    alt: str
    suffix: str


@dataclass(frozen=True, slots=True)
class Link:
    """A file on another server: we do not load it, we link to it. `length` as on a clock, if known."""

    url: str
    host: str
    alt: str
    kind: str
    length: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A post as pages show it."""

    post: Post
    author: Face
    path: str
    pictures: tuple[Picture, ...]
    players: tuple[Player, ...]
    downloads: tuple[Download, ...]
    links: tuple[Link, ...]
    type_name: str
    original: str | None
    """The post's address on its own server."""
    title: emotes.Shown
    html: SafeHtml
    warning: emotes.Shown
    options: tuple[emotes.Shown, ...]
    """Title, text, content warning and options of the poll, with their emoji."""
    felt: tuple[emotes.Felt, ...]
    known: emotes.Pictures
    quoted: Entry | None = None
    """What it quotes, if the visitor may see it."""

    @property
    def excerpt(self) -> emotes.Shown:
        """The first words, as a line of a list shows them."""
        return emotes.named(summary_of(self.thing, EXCERPT_LENGTH), self.thing.host_id, self.known)

    @property
    def thing(self) -> Thing:
        return self.post.thing

    @property
    def liked(self) -> bool:
        return "like" in self.post.reacted

    @property
    def kept(self) -> None:
        """A line of a list may be kept as it was rendered (`fedcomm.web.rows`); an entry is rendered."""
        return None

    def keep(self, rendered: Markup) -> Markup:
        return rendered


def event_times(event: Event) -> str:
    """When an event is, on the clocks where it is: one day once, and the zone by its name."""
    occasion = event.occasion
    start = clock_in(occasion.starts_at, occasion.zone)
    text = on_clock(start)
    if occasion.ends_at is not None:
        end = clock_in(occasion.ends_at, occasion.zone)
        text += f" – {on_clock(end, date=end.date() != start.date())}"
    return f"{text} ({(occasion.zone or 'UTC').replace('_', ' ')})"


def initial(title: str) -> str:
    """The first letter or digit of a name."""
    return next((letter for letter in title if letter.isalnum()), "?").upper()


async def files_of(db: Reader, ids: Iterable[int | None]) -> dict[int, media.StoredFile]:
    """The stored images with these ids."""
    return await media.images(db, [found for found in ids if found is not None])


def face(
    actor: actors.Actor,
    files: dict[int, media.StoredFile],
    known: emotes.Pictures = MappingProxyType({}),
) -> Face:
    """How `actor` is shown; `known`: the emoji of the page."""
    picture = files.get(actor.avatar_id) if actor.avatar_id is not None else None
    return Face(
        actor.id,
        actor.title,
        actor.handle,
        actor.host,
        paths.actor_path(actor),
        initial(actor.title),
        actor.id % HUES,
        f"/media/{picture.thumbnail}" if picture else None,
        actor.kind == "group",
        emotes.named(actor.title, actor.host_id, known),
    )


async def faces(db: Reader, people: Sequence[actors.Actor]) -> list[Face]:
    """How `people` are shown, in their order."""
    files = await files_of(db, (person.avatar_id for person in people))
    known = await emotes.pictures(db, _by_host((one.host_id, one.title) for one in people))
    return [face(person, files, known) for person in people]


def _by_host(texts: Iterable[tuple[int | None, str]]) -> dict[int | None, list[str]]:
    found: dict[int | None, list[str]] = {}
    for host_id, text in texts:
        if ":" in text:
            found.setdefault(host_id, []).append(text)
    return found


def _texts(post: Post) -> Iterator[tuple[int | None, str]]:
    """What of a post may hold emoji, each with the host that says what they are."""
    thing = post.thing
    yield post.author.host_id, post.author.title
    options = [option.name for option in post.poll.options] if post.poll is not None else []
    for text in (thing.title, thing.html, thing.summary, *options):
        yield thing.host_id, text


@dataclass(frozen=True, slots=True)
class GroupCard:
    """A group as pages show it."""

    group: Group
    path: str
    initial: str
    hue: int
    picture: str | None
    picture_alt: str
    header: str | None
    members: int
    name: emotes.Shown
    about: SafeHtml
    """Title and description with their emoji."""


async def group_cards(
    db: Reader, found: Sequence[Group], counts: dict[int, int] | None = None
) -> list[GroupCard]:
    """How groups are shown, in their order."""
    ids = [image for group in found for image in (group.avatar_id, group.header_id)]
    files = await files_of(db, ids)
    texts = [text for group in found for text in (group.title, group.summary_html)]
    known = await emotes.pictures(db, {None: texts})
    return [_group_card(group, files, known, (counts or {}).get(group.id, 0)) for group in found]


def _group_card(
    group: Group, files: dict[int, media.StoredFile], known: emotes.Pictures, members: int
) -> GroupCard:
    picture = files.get(group.avatar_id) if group.avatar_id is not None else None
    header = files.get(group.header_id) if group.header_id is not None else None
    return GroupCard(
        group,
        paths.group_path(group.name),
        initial(group.title),
        group.id % HUES,
        f"/media/{picture.file}" if picture else None,
        picture.alt if picture else "",
        f"/media/{header.file}" if header else None,
        members,
        emotes.named(group.title, None, known),
        emotes.said(html_of(group), None, known),
    )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was looked up for the posts of a page: pictures of people, emoji in texts, emoji that likes carry."""

    files: dict[int, media.StoredFile]
    known: emotes.Pictures
    felt: dict[int, tuple[emotes.Felt, ...]]

    def entry(self, post: Post) -> Entry:
        """How one of the posts is shown."""
        return _entry(post, self.files, self.known, self.felt.get(post.thing.id, ()))

    def of(self, post: Post) -> tuple[object, ...]:
        """What of it concerns one of the posts: as long as this and the post are the same, so is its entry."""
        avatar, texts = post.author.avatar_id, _texts(post)
        return (
            self.files.get(avatar) if avatar is not None else None,
            self.known if self.known and any(":" in text for _host, text in texts) else None,
            self.felt.get(post.thing.id),
        )


async def surroundings(db: Reader, posts: Sequence[Post]) -> Surroundings:
    """Look up what `posts` need to be shown."""
    shown = [*posts, *(post.quoted for post in posts if post.quoted is not None)]
    return Surroundings(
        await files_of(db, (post.author.avatar_id for post in shown)),
        await emotes.pictures(db, _by_host(pair for post in shown for pair in _texts(post))),
        await emotes.felt(db, {post.thing.id: post.feelings for post in posts if post.feelings}),
    )


async def entries(db: Reader, posts: Sequence[Post]) -> list[Entry]:
    """How `posts` are shown, in their order."""
    around = await surroundings(db, posts)
    return [around.entry(post) for post in posts]


def _entry(
    post: Post,
    files: dict[int, media.StoredFile],
    known: emotes.Pictures,
    felt: tuple[emotes.Felt, ...],
) -> Entry:
    thing = post.thing
    pictures: list[Picture] = []
    players: list[Player] = []
    downloads: list[Download] = []
    links: list[Link] = []
    for attachment in post.attachments:
        names = post.media_files.get(attachment.media_id or 0)
        if names is not None and attachment.type == "Document":
            suffix = names[0].rpartition(".")[2].upper()
            name = attachment.name or suffix
            downloads.append(Download(f"/media/{names[0]}", name, attachment.alt, suffix))
        elif names is not None and attachment.type in ("Audio", "Video"):
            players.append(
                Player(
                    f"/media/{names[0]}",
                    "video" if attachment.type == "Video" else "audio",
                    attachment.mime or "",
                    attachment.alt,
                    attachment.width or 0,
                    attachment.height or 0,
                    length_of(attachment.duration_ms),
                )
            )
        elif names is not None:
            pictures.append(
                Picture(
                    attachment.media_id or 0,
                    f"/media/{names[0]}",
                    f"/media/{names[1]}",
                    attachment.alt,
                    attachment.width or 0,
                    attachment.height or 0,
                    _focus(attachment.focal),
                )
            )
        elif (url := web_address(attachment.uri)) is not None:
            links.append(
                Link(
                    url,
                    urlsplit(url).netloc,
                    attachment.alt,
                    _kind_of(attachment),
                    length_of(attachment.duration_ms),
                )
            )
    return Entry(
        post,
        face(post.author, files, known),
        entry_path(post),
        tuple(pictures),
        tuple(players),
        tuple(downloads),
        tuple(links),
        "" if thing.is_local else type_name_of(thing),
        None if thing.is_local else web_address(thing.url) or web_address(thing.uri),
        emotes.named(thing.title, thing.host_id, known),
        emotes.said(html_of(thing), thing.host_id, known),
        emotes.named(thing.summary, thing.host_id, known),
        tuple(
            emotes.named(option.name, thing.host_id, known)
            for option in (post.poll.options if post.poll is not None else ())
        ),
        felt,
        known,
        _entry(post.quoted, files, known, ()) if post.quoted is not None else None,
    )


def _kind_of(attachment: Attachment) -> str:
    """image, video, audio or something else: what its server says in one way or the other."""
    kind = (attachment.mime or "").split("/")[0]
    return kind if kind in ("image", "video", "audio") else attachment.type.lower()


def length_of(milliseconds: int | None) -> str:
    """A length of time as players show it, `1:02` or `1:00:07`; empty when it is not known."""
    if milliseconds is None:
        return ""
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _focus(focal: tuple[float, float] | None) -> str:
    """The side of the focal point (x, y) in -1 … 1, y upwards; empty when it is near the middle."""
    x, y = focal or (0.0, 0.0)
    if max(abs(x), abs(y)) < FOCUS_EDGE:
        return ""
    if abs(y) >= abs(x):
        return "top" if y > 0 else "bottom"
    return "right" if x > 0 else "left"


def entry_path(post: Post) -> str:
    """Where a post is read: a topic at its thread, everything else through its permanent address."""
    if post.thing.kind == "topic" and post.group_name:
        return paths.thread_path(post.group_name, post.thing.id, post.thing.title)
    return paths.object_path(post.thing.id)


def web_address(url: str | None) -> str | None:
    """`url` if a browser may be sent there: http or https, with a host."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("https", "http") and parts.netloc else None
