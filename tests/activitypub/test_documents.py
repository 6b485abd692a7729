from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activitypub import accessors, vocabulary
from activitypub.attachments import AttachmentDocument, OptionDocument
from activitypub.documents import (
    ActivityDocument,
    ObjectDocument,
    Refused,
    audience_class,
    read_activity,
    read_actor,
    read_collection,
    read_object,
)
from activitypub.ijson import JSONObject
from activitypub.origins import parse_url
from activitypub.vocabulary import AS_PUBLIC
from tests.activitypub import samples

PEER = "https://peer.example"
IDA = f"{PEER}/users/ida"
FOLLOWERS = f"{IDA}/followers"
GROUP = "https://hub.example/ap/g/7f3kq2"


def note(**properties: Any) -> JSONObject:
    return {"id": f"{PEER}/notes/1", "type": "Note", "attributedTo": IDA} | properties


def like(**properties: Any) -> JSONObject:
    return {
        "id": f"{PEER}/likes/1",
        "type": "Like",
        "actor": IDA,
        "object": f"{GROUP}/1",
    } | properties


def refusal(read: Any, document: JSONObject) -> str:
    with pytest.raises(Refused) as caught:
        read(document)
    return str(caught.value.reason)


# -- any document ---------------------------------------------------------------------------------

KEYS = [
    *("id", "type", "actor", "object", "target", "to", "cc", "audience", "attributedTo", "content"),
    *("contentMap", "summary", "name", "nameMap", "source", "mediaType", "inReplyTo", "context"),
    *("conversation", "published", "updated", "url", "sensitive", "attachment", "tag", "oneOf"),
    *("anyOf", "replies", "likes", "shares", "totalItems", "endTime", "startTime", "closed"),
    *("votersCount", "location", "generator", "quote", "deleted", "href", "rel", "icon", "image"),
    *("width", "height", "blurhash", "focalPoint", "inbox", "outbox", "endpoints", "sharedInbox"),
    *("followers", "following", "featured", "moderators", "publicKey", "publicKeyPem", "owner"),
    *("assertionMethod", "controller", "publicKeyMultibase", "alsoKnownAs", "movedTo", "suspended"),
    *("manuallyApprovesFollowers", "implements", "language", "identifier", "value", "webfinger"),
    *("items", "orderedItems", "first", "next", "partOf", "preferredUsername", "en"),
]
WORDS = [
    *("Note", "Page", "Question", "Tombstone", "Person", "Group", "Create", "Announce", "Undo"),
    *(
        "Collection",
        "OrderedCollectionPage",
        "Mention",
        "Hashtag",
        "Emoji",
        "PropertyValue",
        "Link",
    ),
    *(IDA, FOLLOWERS, f"{PEER}/notes/1", GROUP, "http://peer.example/x", "https://evil.example/x"),
    *(AS_PUBLIC, "as:Public", "Public", "ida", "en", "text/html", "text/markdown", "<b>x</b>"),
    *("2026-11-21T20:03:33Z", "2026-13-41T20:03:33Z", "", " ", "\n", "\x01", "é", "\U0001f600"),
]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=8)
    ),
    max_leaves=30,
)
json_objects = st.dictionaries(st.sampled_from(KEYS), json_values, max_size=14)
READERS = [read_actor, read_object, read_activity, read_collection]


URL_FIELDS = frozenset(
    {
        "id",
        "attributed_to",
        "in_reply_to",
        "url",
        "replies",
        "quote",
        "actor",
        "object_id",
        "target",
    }
    | {"to", "cc", "audience", "inbox", "outbox", "shared_inbox", "followers", "following"}
    | {"featured", "moderators", "also_known_as", "moved_to", "owner", "href", "icon_url"}
    | {"next", "part_of"}
)
TIME_FIELDS = frozenset({"published", "updated", "start_time", "end_time", "deleted"})


def check_types(value: Any) -> None:
    """URLs are canonical URLs, times lie in range, and nothing is mutable but what is kept raw."""
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        for part in item if isinstance(item, tuple) else (item,):
            if dataclasses.is_dataclass(part):
                check_types(part)
            elif field.name in URL_FIELDS and part is not None:
                assert parse_url(part, allow_http=True) == part, field.name
            elif field.name in TIME_FIELDS and part is not None:
                assert type(part) is int and 0 <= part < 7_289_654_400_000, field.name
            elif field.name not in ("raw", "object", "objects", "items", "first"):
                assert part is None or isinstance(part, (str, bool, int, float, tuple)), field.name


def attempt(reader: Any, document: JSONObject, allow_http: bool = False) -> Any:
    """What the reader gives, or the slug of its refusal."""
    try:
        return reader(document, allow_http=allow_http)
    except Refused as refused:
        return refused.reason


@pytest.mark.parametrize("reader", READERS)
@given(document=json_objects)
@settings(max_examples=200)
def test_inv_12_any_document_is_read_or_refused(reader: Any, document: JSONObject) -> None:
    for allow_http in (False, True):
        read = attempt(reader, document, allow_http)
        if isinstance(read, str):
            assert read.replace("-", "").isalpha()
        else:
            check_types(read)


@pytest.mark.parametrize(
    ("reader", "sound"),
    [
        (read_object, note(to=[AS_PUBLIC], content="x")),
        (read_activity, like(to=[AS_PUBLIC])),
        (read_actor, {"id": IDA, "type": "Person", "inbox": IDA, "preferredUsername": "ida"}),
        (read_collection, {"id": IDA, "type": "Collection"}),
    ],
)
@given(extra=json_objects)
@settings(max_examples=200)
def test_inv_12_any_properties_on_a_sound_document_raise_nothing_but_refused(
    reader: Any, sound: JSONObject, extra: JSONObject
) -> None:
    for document in (extra | sound, sound | extra):
        read = attempt(reader, document)
        if not isinstance(read, str):
            check_types(read)


@pytest.mark.parametrize("key", ["attributedTo", "actor", "inReplyTo", "object", "to", "cc", "id"])
@given(number=st.integers() | st.floats() | st.booleans())
def test_inv_12_a_number_is_nobodys_id(key: str, number: float) -> None:
    """NodeBB once read `attributedTo: 1` as its local user 1: here it reads like nothing at all."""
    for reader, sound in ((read_object, note()), (read_activity, like(inReplyTo=IDA, to=[IDA]))):
        with_number = attempt(reader, sound | {key: number})
        with_nothing = attempt(reader, {k: v for k, v in sound.items() if k != key})
        if isinstance(with_number, ActivityDocument) and isinstance(with_nothing, ActivityDocument):
            with_number = dataclasses.replace(with_number, raw={})
            with_nothing = dataclasses.replace(with_nothing, raw={})
        assert with_number == with_nothing or (key == "id" and with_number == "bad-id")


# -- objects --------------------------------------------------------------------------------------


def test_the_topic_of_the_reference_is_read_whole() -> None:
    read = read_object(
        note(
            type="Page",
            to=[GROUP, AS_PUBLIC],
            cc=[FOLLOWERS],
            audience=GROUP,
            context=f"{PEER}/x/1",
            name="Which soil for tomatoes?",
            summary="<p>Clay garden</p>",
            content="<p>Clay garden, north side …</p>",
            mediaType="text/html",
            source={"content": "Clay garden", "mediaType": "text/markdown"},
            contentMap={"en": "<p>Clay garden, north side …</p>"},
            sensitive=True,
            url=f"{PEER}/t/1",
            published="2026-11-21T10:15:00Z",
            updated="2026-11-21T10:16:00Z",
            attachment=[{"type": "Image", "url": f"{PEER}/1.webp", "name": "Bed"}],
            tag=[{"type": "Mention", "href": GROUP, "name": "@gardening@hub.example"}],
            replies=f"{PEER}/notes/1/replies",
            likes={"totalItems": 4},
            shares=f"{PEER}/notes/1/shares",
            generator={"type": "Application", "name": "Tusky"},
        )
    )
    assert (read.id, read.type, read.types) == (f"{PEER}/notes/1", "Page", ("Page",))
    assert read.attributed_to == IDA
    assert (read.to, read.cc, read.audience) == ((GROUP, AS_PUBLIC), (FOLLOWERS,), (GROUP,))
    assert (read.is_public, read.is_unlisted) == (True, False)
    assert read.name == "Which soil for tomatoes?" and read.summary == "<p>Clay garden</p>"
    assert read.content_html == "<p>Clay garden, north side …</p>"
    assert (read.content_source, read.language) == ("Clay garden", "en")
    assert (read.context, read.url) == (f"{PEER}/x/1", f"{PEER}/t/1")
    assert (read.updated or 0) - (read.published or 0) == 60_000
    assert read.sensitive
    assert read.attachments == (
        AttachmentDocument("Image", None, f"{PEER}/1.webp", "Bed", None, None, None, None),
    )
    assert read.tags[0].href == GROUP
    assert read.replies == f"{PEER}/notes/1/replies"
    assert (read.likes, read.shares, read.generator) == (4, None, "Tusky")
    assert read.deleted is None and not read.is_tombstone
    assert read.quote is read.in_reply_to is None


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"id": None}, "no-id"),
        ({"id": 1}, "no-id"),
        ({"id": {"id": f"{PEER}/notes/1"}}, "no-id"),
        ({"id": "tag:peer.example,2026:1"}, "no-id"),
        ({"id": "http://peer.example/notes/1"}, "no-id"),
        ({"type": None}, "no-type"),
        ({"type": 1}, "no-type"),
        ({"attributedTo": "https://evil.example/ida"}, "foreign-author"),
        (
            {"attributedTo": [{"type": "Person", "id": "https://evil.example/ida"}]},
            "foreign-author",
        ),
    ],
)
def test_inv_6_an_object_without_a_sound_owner_is_refused(
    properties: JSONObject, reason: str
) -> None:
    assert refusal(read_object, note(**properties)) == reason


@pytest.mark.parametrize("author", [None, 1, True, [], [1], {}, {"id": 1}, "ida", ["x"]])
def test_inv_12_an_author_of_the_wrong_type_is_absent(author: Any) -> None:
    assert read_object(note(attributedTo=author)).attributed_to is None


def test_of_several_authors_the_first_id_or_person_counts() -> None:
    channel = {"type": "Group", "id": f"{PEER}/channel"}
    person = {"type": "Person", "id": IDA}
    assert read_object(note(attributedTo=[channel, person])).attributed_to == IDA
    assert read_object(note(attributedTo=[1, IDA])).attributed_to == IDA
    assert read_object(note(attributedTo={"id": IDA})).attributed_to == IDA
    assert read_object(note(attributedTo=channel)).attributed_to == f"{PEER}/channel"


def test_the_first_known_type_counts() -> None:
    assert read_object(note(type=["x:Review", "as:Article"])).type == "Article"
    assert read_object(note(type="Recipe")).type == "Recipe"


def test_content_that_is_not_html_becomes_html_that_reads_the_same() -> None:
    read = read_object(note(content="<b>\n& c", mediaType="text/plain"))
    assert read.content_html == "&lt;b&gt;<br>&amp; c"
    assert read_object(note(content="<b>x</b>")).content_html == "<b>x</b>"
    html = note(content="<b>x</b>", mediaType="text/html; charset=utf-8")
    assert read_object(html).content_html == "<b>x</b>"


@pytest.mark.parametrize(
    ("properties", "language"),
    [
        ({"content": "x", "contentMap": {"it": "x"}}, "it"),
        ({"content": "x", "language": {"identifier": "pt-BR", "name": "Português"}}, "pt-BR"),
        ({"name": "x", "nameMap": {"de": "x"}}, "de"),
        ({"content": "x", "contentMap": {"it": "y"}}, None),
        ({"content": "x", "language": 1}, None),
        ({"content": "x", "language": {"identifier": "und"}}, None),
    ],
)
def test_the_language_is_found_in_the_forms_of_the_peers(
    properties: JSONObject, language: str | None
) -> None:
    assert read_object(note(**properties)).language == language


def test_text_is_cut_at_its_limits() -> None:
    read = read_object(
        note(content="c" * 50_001, name="n" * 201, source={"content": "s" * 50_001})
        | {"source": {"content": "s" * 50_001, "mediaType": "text/markdown"}}
    )
    assert len(read.content_html or "") == vocabulary.POST_CHARS == 50_000
    assert len(read.name or "") == 200
    assert len(read.content_source or "") == 50_000
    crowd = [f"{PEER}/users/{number}" for number in range(501)]
    assert len(read_object(note(to=crowd)).to) == 500


def test_a_context_is_opaque_and_may_be_no_url() -> None:
    tag = "tag:peer.example,2026-11-21:objectId=1:objectType=Conversation"
    assert read_object(note(context=tag)).context == tag
    assert read_object(note(conversation=tag)).context == tag
    assert read_object(note(context=1)).context is None


def test_replies_of_another_origin_are_not_the_objects() -> None:
    assert read_object(note(replies="https://evil.example/r")).replies is None
    embedded = {"type": "Collection", "id": f"{PEER}/r"}
    assert read_object(note(replies=embedded)).replies == f"{PEER}/r"


@pytest.mark.parametrize(
    "properties",
    [
        {"quote": "https://q.example/1"},
        {"quote": {"id": "https://q.example/1"}},
        {"quoteUrl": "https://q.example/1"},
        {"quoteUri": "https://q.example/1"},
        {"_misskey_quote": "https://q.example/1"},
        {
            "tag": [
                {
                    "type": "Link",
                    "rel": "https://misskey-hub.net/ns#_misskey_quote",
                    "href": "https://q.example/1",
                }
            ]
        },
    ],
)
def test_quotes_are_found_in_the_forms_of_the_peers(properties: JSONObject) -> None:
    assert read_object(note(**properties)).quote == "https://q.example/1"


def test_polls_events_and_tombstones_have_their_own_fields() -> None:
    poll = read_object(
        note(
            type="Question",
            anyOf=[{"name": "yes", "replies": {"totalItems": 1}}, {"name": "no"}],
            endTime="2026-11-22T20:03:51Z",
            closed="2026-11-22T20:03:51Z",
            votersCount=1,
        )
    )
    assert poll.options == (OptionDocument("yes", 1), OptionDocument("no", None))
    assert poll.multiple and poll.voters == 1 and poll.closed == poll.end_time == 1_795_377_831_000
    assert read_object(note(type="Question", closed=True)).closed is True
    event = read_object(
        note(
            type="Event",
            startTime="2026-11-22T20:00:00Z",
            location={"type": "Place", "name": "Town hall"},
        )
    )
    assert event.start_time == 1_795_377_600_000 and event.location_name == "Town hall"
    gone = read_object({"id": f"{PEER}/1", "type": "Tombstone", "deleted": "2026-11-21T12:00:00Z"})
    assert gone.is_tombstone and gone.deleted == 1_795_262_400_000 and gone.attributed_to is None


# -- visibility -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "cc", "expected"),
    [
        ([AS_PUBLIC], [FOLLOWERS], "public"),
        (["as:Public"], [], "public"),
        (["Public", IDA], [], "public"),
        ([FOLLOWERS], [AS_PUBLIC], "unlisted"),
        ([AS_PUBLIC], [AS_PUBLIC], "public"),
        ([FOLLOWERS], [], "followers"),
        ([IDA], [FOLLOWERS], "followers"),
        ([IDA], [], "direct"),
        ([f"{PEER}/users/other/followers"], [], "direct"),
        ([], [], "direct"),
    ],
)
def test_inv_16_visibility_follows_the_addressing(
    to: list[str], cc: list[str], expected: str
) -> None:
    assert audience_class(to, cc, FOLLOWERS) == expected


@pytest.mark.parametrize(
    "properties",
    [
        *({}, {"to": None}, {"to": []}, {"to": 1}, {"to": True}, {"to": {}}, {"to": [[AS_PUBLIC]]}),
        *(
            {"to": "public"},
            {"to": "AS:PUBLIC"},
            {"to": f"{AS_PUBLIC} "},
            {"to": [{"url": "Public"}]},
        ),
        *({"bto": AS_PUBLIC}, {"audience": AS_PUBLIC}, {"toMap": {"en": AS_PUBLIC}}),
    ],
)
def test_inv_16_missing_or_unknown_addressing_is_not_public(properties: JSONObject) -> None:
    read = read_object(note(**properties))
    assert not read.is_public and not read.is_unlisted
    assert audience_class(read.to, read.cc, FOLLOWERS) == "direct"
    assert audience_class(read.to, read.cc, None) == "direct"


@given(st.lists(st.sampled_from(WORDS)), st.lists(st.sampled_from(WORDS)))
def test_inv_16_only_the_public_collection_makes_anything_public(
    to: list[str], cc: list[str]
) -> None:
    read = read_object(note(to=to, cc=cc))
    expected = any(accessors.is_public(iri) for iri in to + cc)
    assert read.is_public is expected
    assert (audience_class(read.to, read.cc, FOLLOWERS) in ("public", "unlisted")) is expected
    assert audience_class(read.to, read.cc, FOLLOWERS) == audience_class(to, cc, FOLLOWERS)


# -- activities -----------------------------------------------------------------------------------


def test_an_activity_is_read() -> None:
    document = like(
        to=[AS_PUBLIC],
        cc="as:Public",
        audience=[GROUP],
        target={"id": GROUP},
        published="2026-11-21T10:15:00Z",
        summary="because",
        content=":leaf:",
    )
    assert read_activity(document) == ActivityDocument(
        id=f"{PEER}/likes/1",
        type="Like",
        actor=IDA,
        object=f"{GROUP}/1",
        object_id=f"{GROUP}/1",
        objects=(f"{GROUP}/1",),
        target=GROUP,
        to=(AS_PUBLIC,),
        cc=(AS_PUBLIC,),
        audience=(GROUP,),
        published=1_795_256_100_000,
        summary="because",
        content=":leaf:",
        raw=document,
    )
    assert read_activity(document).raw is document


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"type": None}, "no-type"),
        ({"type": []}, "no-type"),
        ({"actor": None}, "no-actor"),
        ({"actor": 1}, "no-actor"),
        ({"actor": "ida"}, "no-actor"),
        ({"actor": "http://peer.example/users/ida"}, "no-actor"),
        ({"id": 1}, "bad-id"),
        ({"id": ""}, "bad-id"),
        ({"id": "urn:uuid:1"}, "bad-id"),
        ({"id": {"id": f"{PEER}/likes/1"}}, "bad-id"),
        ({"id": "https://victim.example/likes/1"}, "foreign-id"),
    ],
)
def test_inv_9_an_activity_has_an_actor_and_an_id_of_its_origin(
    properties: JSONObject, reason: str
) -> None:
    assert refusal(read_activity, like(**properties)) == reason


def test_an_activity_may_have_no_id() -> None:
    update = {"type": "Update", "actor": IDA, "object": IDA}
    assert read_activity(update).id is None


def test_objects_come_alone_or_in_lists_and_numbers_are_none() -> None:
    first, second = {"id": f"{PEER}/1", "type": "Note"}, f"{PEER}/2"
    read = read_activity(like(object=[first, second, 48]))
    assert read.object is first and read.object_id == f"{PEER}/1"
    assert read.objects == (first, second)
    for nothing in (48, None, [], [48], True):
        read = read_activity(like(object=nothing))
        assert read.object is read.object_id is None and read.objects == ()
    assert read_activity(like(object={"type": "Note"})).object_id is None


# -- collections ----------------------------------------------------------------------------------


def test_collections_and_pages_are_read() -> None:
    read = read_collection(
        {
            "id": f"{PEER}/c",
            "type": "OrderedCollection",
            "totalItems": 2,
            "orderedItems": [f"{PEER}/1", {"id": f"{PEER}/2"}, 3],
            "first": f"{PEER}/c?page=1",
        }
    )
    assert (read.id, read.total_items, read.first) == (f"{PEER}/c", 2, f"{PEER}/c?page=1")
    assert read.items == (f"{PEER}/1", {"id": f"{PEER}/2"})
    page = read_collection(
        {
            "type": "CollectionPage",
            "items": f"{PEER}/1",
            "next": f"{PEER}/c?page=2",
            "partOf": f"{PEER}/c",
        }
    )
    assert (page.id, page.items) == (None, (f"{PEER}/1",))
    assert (page.next, page.part_of) == (f"{PEER}/c?page=2", f"{PEER}/c")


def test_pages_of_another_origin_are_not_followed() -> None:
    read = read_collection(
        {"id": f"{PEER}/c", "type": "Collection", "first": "https://evil.example/p", "next": 1}
    )
    assert read.first is read.next is None
    inline = {"type": "CollectionPage", "items": []}
    assert read_collection({"type": "Collection", "first": inline}).first is inline


def test_what_is_no_collection_is_refused() -> None:
    assert refusal(read_collection, {"type": "Note"}) == "not-a-collection"
    assert refusal(read_collection, {"id": 1, "type": "Collection"}) == "bad-id"


def test_at_most_a_thousand_items_are_considered() -> None:
    items = [f"{PEER}/{number}" for number in range(1_001)]
    assert len(read_collection({"type": "Collection", "items": items}).items) == 1_000


# -- documents of other servers -------------------------------------------------------------------


def read_any(document: JSONObject) -> Any:
    (kind, *_) = accessors.types(document)
    if kind in vocabulary.ACTOR_TYPES:
        return read_actor(document, allow_http=True)
    if kind in vocabulary.COLLECTION_TYPES:
        return read_collection(document, allow_http=True)
    if kind in vocabulary.ACTIVITY_TYPES:
        return read_activity(document, allow_http=True)
    return read_object(document, allow_http=True)


@samples.needs_samples
def test_every_sample_is_read() -> None:
    count = 0
    for name, document in samples.every_document():
        if not accessors.types(document) or name == "gotosocial/doc-main-key":
            continue
        read = read_any(document)
        count += 1
        while isinstance(read, ActivityDocument) and isinstance(read.object, dict):
            # What nobody made (a Tombstone, a bare reference) ends the chain.
            if not accessors.types(read.object) or not {"actor", "attributedTo"} & set(read.object):
                break
            read = read_any(read.object)
    assert count > 100


def sample_object(name: str) -> ObjectDocument:
    activity = read_activity(samples.load(name), allow_http=True)
    while isinstance(activity.object, dict) and "object" in activity.object:
        activity = read_activity(activity.object, allow_http=True)
    assert isinstance(activity.object, dict)
    return read_object(activity.object, allow_http=True)


@samples.needs_samples
def test_gotosocial_is_understood() -> None:
    public = sample_object("gotosocial/Create-Note-public")
    assert public.to == (AS_PUBLIC,) and public.is_public and not public.is_unlisted
    assert (public.language, public.summary) == ("en", "a content warning")
    assert [tag.type for tag in public.tags] == ["Mention", "Hashtag"]
    assert public.replies is not None and public.replies.endswith("/replies")
    poll = sample_object("gotosocial/Create-Question")
    assert poll.options == (OptionDocument("yes", 0), OptionDocument("no", 0))
    assert not poll.multiple and poll.voters == 0 and poll.end_time == 1_795_377_831_000
    unlisted = sample_object("gotosocial/Create-Note-unlisted")
    assert unlisted.is_unlisted
    followers = sample_object("gotosocial/Create-Note-followers")
    author = followers.attributed_to
    assert audience_class(followers.to, followers.cc, f"{author}/followers") == "followers"
    direct = sample_object("gotosocial/Create-Note-direct")
    assert audience_class(direct.to, direct.cc, f"{author}/followers") == "direct"
    assert sample_object("gotosocial/Create-Note-reply").in_reply_to is not None
    assert sample_object("gotosocial/Create-Note-media").attachments[0].alt
    edited = sample_object("gotosocial/Update-Note")
    assert (edited.updated or 0) > (edited.published or 0)
    flag = read_activity(samples.load("gotosocial/Flag"), allow_http=True)
    assert flag.type == "Flag" and len(flag.objects) >= 1


@samples.needs_samples
def test_snac2_is_understood() -> None:
    media = sample_object("snac2/Create-Note-media")
    assert media.attachments[0].alt == "a red rectangle" and media.is_public
    assert media.context == "http://snac80.test/alice/p/1795291336.988225#ctxt"
    assert len(sample_object("snac2/Create-Question").options) == 2
    assert read_activity(samples.load("snac2/Follow"), allow_http=True).type == "Follow"


@samples.needs_samples
def test_nodebb_is_understood() -> None:
    article = sample_object("nodebb/local_topic_short--Announce_Create_Article")
    assert (article.type, article.name) == ("Article", "A short topic title")
    assert article.audience == ("https://nbb.test/category/6",) and article.is_public
    assert (article.content_source or "").startswith("Hello **world**")
    moved = read_activity(samples.load("nodebb/move_topic_5--Undo_Announce_int"))
    assert moved.cc == ("https://nbb.test/category/6/followers",)  # without the number 2
    assert isinstance(moved.object, dict) and read_activity(moved.object).object is None
    outbox = read_collection(samples.load("nodebb/group_outbox"))
    assert outbox.total_items == 7 and outbox.items
    moderators = read_collection(samples.load("nodebb/group_moderators"))
    assert moderators.type == "OrderedCollection"
    flag = read_activity(samples.load("nodebb/flag_remote_post--Flag_list"))
    assert len(flag.objects) > 1


@samples.needs_samples
def test_wordpress_is_understood() -> None:
    update = read_activity(samples.load("wordpress/Update_str"))
    assert update.id is None and update.actor == update.object_id == "https://wp.test/?author=1"
    post = sample_object("wordpress/Create_Note")
    assert (post.id, post.language) == ("https://wp.test/?p=7", "en")
    assert post.url == "https://wp.test/2026/11/first-wordpress-post/"


@samples.needs_samples
def test_piefed_is_understood() -> None:
    by_id, whole = [
        read_activity(document)
        for name, document in samples.every_document()
        if name == "piefed/announce-create-link"
    ]
    assert by_id.object == by_id.object_id == "https://piefed.test/c/bench/p/18/a-link-post"
    assert isinstance(whole.object, dict)
    create = read_activity(whole.object)
    assert isinstance(create.object, dict)
    page = read_object(create.object)
    assert (page.type, page.name, page.language) == ("Page", "A link post", "en")
    assert page.attachments[0].type == "Link"
    assert page.attachments[0].url == "https://h0005.test/some/article"
    accept = read_activity(samples.load("piefed/accept-follow"))
    assert isinstance(accept.object, dict) and read_activity(accept.object).to == ()
