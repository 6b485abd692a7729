from __future__ import annotations

from typing import Any

import pytest

from activitypub.documents import (
    ActorDocument,
    ImageRef,
    KeyDocument,
    Refused,
    read_actor,
    read_keys,
)
from tests.activitypub import samples

ID = "https://peer.example/users/ida"
PEM = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n"


def actor(**properties: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "type": "Person",
        "preferredUsername": "ida",
        "inbox": f"{ID}/inbox",
    } | properties


def key(**properties: Any) -> dict[str, Any]:
    return {"id": f"{ID}#main-key", "owner": ID, "publicKeyPem": PEM} | properties


def refusal(document: dict[str, Any]) -> str:
    with pytest.raises(Refused) as caught:
        read_actor(document)
    return caught.value.reason


def test_the_least_actor_is_enough() -> None:
    read = read_actor(actor())
    assert (read.id, read.type, read.preferred_username) == (ID, "Person", "ida")
    assert read.inbox == f"{ID}/inbox"
    assert read.outbox is read.shared_inbox is read.name is None
    assert read.icon is None and read.moderators is None
    assert not (read.keys or read.fields or read.also_known_as or read.tags)
    assert read.manually_approves is read.suspended is read.implements_rfc9421 is False
    assert read.discoverable is read.indexable is None


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"id": None}, "no-id"),
        ({"id": 1}, "no-id"),
        ({"id": {"id": ID}}, "no-id"),
        ({"id": [ID]}, "no-id"),
        ({"id": "http://peer.example/users/ida"}, "no-id"),
        ({"id": "acct:ida@peer.example"}, "no-id"),
        ({"type": None}, "not-an-actor"),
        ({"type": "Note"}, "not-an-actor"),
        ({"type": []}, "not-an-actor"),
        ({"inbox": None}, "no-inbox"),
        ({"inbox": "/inbox"}, "no-inbox"),
        ({"inbox": "https://evil.example/inbox"}, "foreign-inbox"),
        ({"inbox": "https://peer.example:8443/inbox"}, "foreign-inbox"),
        ({"inbox": "http://peer.example/inbox"}, "no-inbox"),
        ({"preferredUsername": None}, "no-username"),
        ({"preferredUsername": 1}, "no-username"),
        ({"preferredUsername": ""}, "no-username"),
        ({"preferredUsername": "i da"}, "no-username"),
        ({"preferredUsername": "ida@evil.example"}, "no-username"),
        ({"preferredUsername": "../ida"}, "no-username"),
        ({"preferredUsername": "i" * 201}, "no-username"),
    ],
)
def test_an_actor_that_cannot_be_used_is_refused(properties: dict[str, Any], reason: str) -> None:
    assert refusal(actor(**properties)) == reason


def test_an_application_without_a_name_is_named_by_its_host() -> None:
    site = {
        "id": "https://lemmy.example/",
        "type": "Application",
        "inbox": "https://lemmy.example/i",
    }
    assert read_actor(site).preferred_username == "lemmy.example"
    assert refusal(site | {"type": "Group"}) == "no-username"


def test_http_actors_are_read_only_where_allowed() -> None:
    document = actor(id="http://peer.test/ida", inbox="http://peer.test/ida/inbox")
    assert refusal(document) == "no-id"
    assert read_actor(document, allow_http=True).inbox == "http://peer.test/ida/inbox"


def test_the_first_known_type_counts() -> None:
    assert read_actor(actor(type=["x:Bot", "as:Service"])).type == "Service"


@pytest.mark.parametrize("name", ["outbox", "followers", "following", "featured"])
def test_inv_5_a_collection_of_another_origin_is_not_the_actors(name: str) -> None:
    assert getattr(read_actor(actor(**{name: f"{ID}/c"})), name) == f"{ID}/c"
    assert getattr(read_actor(actor(**{name: "https://evil.example/c"})), name) is None
    assert getattr(read_actor(actor(**{name: 1})), name) is None


def test_a_shared_inbox_is_found_in_both_places_on_related_hosts_only() -> None:
    for target, expected in (
        ("https://peer.example/inbox", "https://peer.example/inbox"),
        ("https://ap.peer.example/inbox", "https://ap.peer.example/inbox"),
        ("https://evil.example/inbox", None),
        ("https://evilpeer.example/inbox", None),
        (1, None),
    ):
        assert read_actor(actor(endpoints={"sharedInbox": target})).shared_inbox == expected
        assert read_actor(actor(sharedInbox=target)).shared_inbox == expected
    assert read_actor(actor(endpoints={})).shared_inbox is None


def test_a_page_on_another_host_is_dropped() -> None:
    assert read_actor(actor(url="https://peer.example/@ida")).url == "https://peer.example/@ida"
    assert read_actor(actor(url="https://www.peer.example/@ida")).url is not None
    assert read_actor(actor(url="https://bank.example/")).url is None


def test_inv_3_a_key_names_the_actor_and_lives_on_its_origin() -> None:
    assert read_actor(actor(publicKey=key())).keys == (
        KeyDocument(f"{ID}#main-key", ID, PEM, None),
    )
    for wrong in (
        {"owner": "https://peer.example/users/other"},
        {"owner": None},
        {"owner": 1},
        {"id": "https://evil.example/key"},
        {"id": None},
        {"publicKeyPem": None},
        {"publicKeyPem": ""},
        {"publicKeyPem": [PEM]},
    ):
        assert read_actor(actor(publicKey=key(**wrong))).keys == ()
    wrong_type: object
    for wrong_type in (None, "x", 1, [], [1], [[]], {}):
        assert read_actor(actor(publicKey=wrong_type)).keys == ()


def test_multikeys_stand_beside_pem_keys() -> None:
    multikey = {
        "id": f"{ID}#ed25519-key",
        "type": "Multikey",
        "controller": ID,
        "publicKeyMultibase": "z6Mk",
    }
    document = actor(publicKey=[key()], assertionMethod=[multikey, f"{ID}#other", 1])
    assert read_actor(document).keys == (
        KeyDocument(f"{ID}#main-key", ID, PEM, None),
        KeyDocument(f"{ID}#ed25519-key", ID, None, "z6Mk"),
    )
    foreign = multikey | {"controller": "https://evil.example/"}
    assert read_actor(actor(assertionMethod=foreign)).keys == ()


def test_an_actor_has_at_most_five_keys() -> None:
    keys = [key(id=f"{ID}#key-{number}") for number in range(9)]
    assert [k.id[-1] for k in read_actor(actor(publicKey=keys)).keys] == list("01234")
    multikeys = [
        {"id": f"{ID}#ed-{number}", "controller": ID, "publicKeyMultibase": "z6Mk"}
        for number in range(5)
    ]
    both = read_actor(actor(publicKey=keys[:2], assertionMethod=multikeys))
    assert [k.id[-1] for k in both.keys] == list("01012")


def test_keys_are_read_from_a_stub_of_an_actor() -> None:
    """GoToSocial answers an unsigned GET of a key with a stub that has no inbox."""
    stub = {"id": ID, "type": "Person", "preferredUsername": "ida", "publicKey": key()}
    assert refusal(stub) == "no-inbox"
    assert [k.id for k in read_keys(stub, ID)] == [f"{ID}#main-key"]
    assert read_keys(stub, "https://peer.example/users/other") == ()


def test_moderators_of_a_group_are_a_collection_or_the_ids() -> None:
    url = "https://peer.example/mods"
    mods = ["https://peer.example/a", "https://other.example/b"]
    assert read_actor(actor(type="Group", attributedTo=url)).moderators == url
    assert read_actor(actor(type="Group", moderators=url)).moderators == url
    assert read_actor(actor(type="Group", attributedTo=[*mods, 1])).moderators == tuple(mods)
    assert (
        read_actor(
            actor(type="Group", attributedTo="https://evil.example/m", moderators=url)
        ).moderators
        == url
    )
    assert read_actor(actor(type="Group", attributedTo=1)).moderators is None
    assert read_actor(actor(type="Person", attributedTo=url)).moderators is None


def test_the_profile_is_read_with_its_fields() -> None:
    read = read_actor(
        actor(
            name="Ida",
            summary="<p>Hello</p>",
            icon={"type": "Image", "url": "https://cdn.example/i.png", "mediaType": "image/PNG"},
            image=[
                {"type": "Image", "url": [{"type": "Link", "href": "https://cdn.example/h.jpg"}]}
            ],
            attachment=[
                {"type": "PropertyValue", "name": "site", "value": "<a>x</a>"},
                {"type": "Note", "name": "site"},
                {"type": "PropertyValue", "name": 1, "value": "x"},
                1,
            ],
            tag=[{"type": "Emoji", "name": ":a:", "icon": {"url": "https://cdn.example/e.png"}}],
            published="2026-11-21T19:32:58.801Z",
            alsoKnownAs="https://old.example/ida",
            movedTo="https://new.example/ida",
            webfinger="ida@peer.example",
            manuallyApprovesFollowers=True,
            discoverable=False,
            indexable=True,
            postingRestrictedToMods=True,
            suspended=True,
            memorial=True,
            language=[{"identifier": "it", "name": "Italiano"}],
        )
    )
    assert (read.name, read.summary_html) == ("Ida", "<p>Hello</p>")
    assert read.icon == ImageRef("https://cdn.example/i.png", "image/png", None)
    assert read.image == ImageRef("https://cdn.example/h.jpg", None, None)
    assert read.fields == (("site", "<a>x</a>"),)
    assert [tag.name for tag in read.tags] == [":a:"]
    assert read.published == 1_795_289_578_801
    assert read.also_known_as == ("https://old.example/ida",)
    assert read.moved_to == "https://new.example/ida"
    assert read.webfinger == "ida@peer.example"
    assert read.manually_approves and read.posting_restricted and read.suspended and read.memorial
    assert (read.discoverable, read.indexable, read.language) == (False, True, "it")


def test_limits_hold_at_the_element() -> None:
    aliases = [f"https://old.example/{number}" for number in range(257)]
    assert len(read_actor(actor(alsoKnownAs=aliases)).also_known_as) == 256
    fields = [{"type": "PropertyValue", "name": "n", "value": "v" * 3_000}] * 51
    read = read_actor(actor(attachment=fields, name="n" * 201, summary="s" * 5_001))
    assert len(read.fields) == 50 and len(read.fields[0][1]) == 2_047
    assert len(read.name or "") == 200 and len(read.summary_html or "") == 5_000


@pytest.mark.parametrize(
    ("implements", "expected"),
    [
        ([{"href": "https://datatracker.ietf.org/doc/html/rfc9421", "name": "x"}], True),
        ([{"href": "https://www.rfc-editor.org/rfc/rfc9421.html"}], True),
        ("https://datatracker.ietf.org/doc/html/rfc9421", True),
        ([{"id": "https://datatracker.ietf.org/doc/html/RFC9421"}], True),
        ([{"href": "https://datatracker.ietf.org/doc/html/rfc9421x"}], False),
        ([{"href": 1}, 1, None], False),
        (None, False),
    ],
)
def test_rfc_9421_is_announced_by_the_server(implements: Any, expected: bool) -> None:
    generator = {"type": "Application", "implements": implements}
    assert read_actor(actor(generator=generator)).implements_rfc9421 is expected
    assert read_actor(actor(implements=implements)).implements_rfc9421 is expected


@samples.needs_samples
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gotosocial/doc-actor", ("Person", "alice", None)),
        ("snac2/doc-actor", ("Person", "alice", "http://snac80.test/shared-inbox")),
        ("nodebb/actor_person", ("Person", "alice", "https://nbb.test/inbox")),
        ("nodebb/actor_group_category", ("Group", "quiet", "https://nbb.test/inbox")),
        ("nodebb/actor_application", ("Application", "nbb.test", None)),
        ("wordpress/actor_person", ("Person", "wpadmin", None)),
    ],
)
def test_actors_of_others_are_read(name: str, expected: tuple[str, str, str | None]) -> None:
    read = read_actor(samples.load(name), allow_http=True)
    assert (read.type, read.preferred_username) == expected[:2]
    if expected[2] is not None:
        assert read.shared_inbox == expected[2]
    assert len(read.keys) == 1 and read.keys[0].pem is not None


@samples.needs_samples
def test_details_of_other_actors_are_read() -> None:
    def sample(name: str) -> ActorDocument:
        return read_actor(samples.load(name), allow_http=True)

    gotosocial = sample("gotosocial/doc-actor")
    assert gotosocial.keys[0].id == "http://gts80.test/users/alice/main-key"
    assert gotosocial.name == "Alice A." and gotosocial.discoverable is True
    assert gotosocial.url == "http://gts80.test/@alice" and gotosocial.fields[0][0] == "site"
    snac2 = sample("snac2/doc-actor")
    assert snac2.icon == ImageRef("http://snac80.test/susie.png", "image/png", None)
    assert snac2.webfinger == "alice@snac80.test"
    group = sample("nodebb/actor_group_category")
    assert group.moderators == "https://nbb.test/category/6/moderators"
    wordpress = sample("wordpress/actor_person")
    assert wordpress.id == "https://wp.test/?author=1"
    assert [name for name, _ in wordpress.fields] == ["Blog", "Profile", "Homepage"]
