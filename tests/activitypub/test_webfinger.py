from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activitypub import webfinger
from activitypub.webfinger import Acct, lrdd_template, parse_handle, parse_resource, self_link
from tests.activitypub import samples

ACTIVITY = "application/activity+json"


@pytest.mark.parametrize(
    ("text", "handle"),
    [
        ("ida@peer.example", ("ida", "peer.example")),
        ("@ida@peer.example", ("ida", "peer.example")),
        ("!gardening@hub.example", ("gardening", "hub.example")),
        (" @Ida@PEER.example ", ("Ida", "peer.example")),
        ("ida@peer.example:8443", ("ida", "peer.example:8443")),
        ("ida@peer.example:443", ("ida", "peer.example")),
        ("hub.example@hub.example", ("hub.example", "hub.example")),
        ("a-b.c_d@peer.example", ("a-b.c_d", "peer.example")),
        ("jürgen@bücher.example", ("jürgen", "xn--bcher-kva.example")),
    ],
)
def test_handles_are_read_as_people_write_them(text: str, handle: tuple[str, str]) -> None:
    assert parse_handle(text) == handle


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "ida",
        "@ida",
        "ida@",
        "@peer.example",
        "a@b@peer.example",
        "i da@peer.example",
        "ida@peer example",
        "ida@peer.example/x",
        "ida@peer.example?x",
        "ida@peer.example#x",
        "ida@user@peer.example",
        "ida@peer..example",
        "../x@peer.example",
        "ida@peer.example\\x",
        "a" * 201 + "@peer.example",
        "ida@" + "a." * 200 + "example",
        "@@ida@peer.example",
        "<b>@h.example",
    ],
)
def test_what_is_no_handle_is_none(text: str) -> None:
    assert parse_handle(text) is None


@pytest.mark.parametrize(
    ("resource", "meaning"),
    [
        ("acct:gardening@hub.example", Acct("gardening", "hub.example")),
        ("ACCT:gardening@hub.example", Acct("gardening", "hub.example")),
        ("acct:!gardening@hub.example", Acct("gardening", "hub.example")),
        ("!gardening@hub.example", Acct("gardening", "hub.example")),
        ("@gardening@hub.example", Acct("gardening", "hub.example")),
        ("acct:@gardening@hub.example", Acct("gardening", "hub.example")),
        ("https://Hub.example/@gardening", "https://hub.example/@gardening"),
        ("https://hub.example/", "https://hub.example/"),
        ("http://hub.example/", None),
        ("mailto:gardening@hub.example", None),
        ("acct:", None),
        ("acct:acct:a@hub.example", None),
        ("", None),
    ],
)
def test_resources_are_handles_or_urls(resource: str, meaning: Acct | str | None) -> None:
    assert parse_resource(resource) == meaning


@given(st.text(max_size=50) | st.text(st.sampled_from("acct:@!/.x0é\x00 \\[]"), max_size=20))
def test_any_resource_has_a_meaning_or_none(text: str) -> None:
    meaning = parse_resource(text)
    if isinstance(meaning, Acct):
        assert parse_resource(meaning.uri) == meaning
        assert parse_handle(str(meaning)) == (meaning.name, meaning.host)


def test_our_jrd_leads_to_the_actor() -> None:
    document = webfinger.actor_jrd(
        Acct("gardening", "hub.example"),
        "https://hub.example/ap/g/7f3kq2",
        actor_type="Group",
        profile_url="https://hub.example/@gardening",
        subscribe_template="https://hub.example/interact?uri={uri}",
    )
    assert document == {
        "subject": "acct:gardening@hub.example",
        "aliases": ["https://hub.example/@gardening", "https://hub.example/ap/g/7f3kq2"],
        "links": [
            {
                "rel": "http://webfinger.net/rel/profile-page",
                "type": "text/html",
                "href": "https://hub.example/@gardening",
            },
            {
                "rel": "http://ostatus.org/schema/1.0/subscribe",
                "template": "https://hub.example/interact?uri={uri}",
            },
            {
                "rel": "self",
                "type": "application/activity+json",
                "href": "https://hub.example/ap/g/7f3kq2",
                "properties": {"https://www.w3.org/ns/activitystreams#type": "Group"},
            },
        ],
    }
    assert self_link(document) == "https://hub.example/ap/g/7f3kq2"
    assert webfinger.subject(document) == Acct("gardening", "hub.example")


def test_a_bare_jrd_names_the_actor_once() -> None:
    document = webfinger.actor_jrd(Acct("hub.example", "hub.example"), "https://hub.example/ap/i")
    assert document["aliases"] == ["https://hub.example/ap/i"]
    assert [link["rel"] for link in document["links"]] == ["self"]


def test_the_self_link_is_the_first_that_is_one() -> None:
    links = [
        1,
        {"rel": "self", "type": "text/html", "href": "https://h.example/page"},
        {"rel": "self", "type": ACTIVITY, "href": "javascript:alert(1)"},
        {"rel": "other", "type": ACTIVITY, "href": "https://h.example/other"},
        {"rel": "self", "href": "https://h.example/untyped"},
        {"rel": "self", "type": ACTIVITY, "href": "https://h.example/right"},
        {"rel": "self", "type": ACTIVITY, "href": "https://h.example/late"},
    ]
    assert self_link({"links": links}) == "https://h.example/right"
    wrong: object
    for wrong in (None, 1, "x", [], {}, [[]], {"rel": "self"}):
        assert self_link({"links": wrong}) is None


@pytest.mark.parametrize(
    "subject", [None, 1, "", "gardening@hub.example", "https://hub.example/", "acct:"]
)
def test_a_subject_is_an_acct_uri(subject: object) -> None:
    assert webfinger.subject({"subject": subject}) is None


def test_our_host_meta_has_a_template() -> None:
    document = webfinger.host_meta_xrd("https://hub.example")
    assert lrdd_template(document) == "https://hub.example/.well-known/webfinger?resource={uri}"


def link(template: str, attributes: str = 'rel="lrdd"') -> str:
    return f"<XRD><Link {attributes} template='{template}'/></XRD>"


def test_templates_are_read_with_and_without_a_namespace() -> None:
    template = "https://h.example/wf?resource={uri}"
    assert lrdd_template(link(template)) == template
    assert (
        lrdd_template(f"<x:XRD xmlns:x='u'><x:Link rel='lrdd' template='{template}'/></x:XRD>")
        == template
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not xml",
        "<XRD>",
        "<XRD/>",
        link("https://h.example/wf"),
        link("https://h.example/{uri}{uri}"),
        link("https://h.example/{x}?{uri}"),
        link("https://{uri}/wf"),
        link("https://h.example{uri}/wf"),
        link("{uri}"),
        link("javascript:{uri}"),
        link("https://u@h.example/{uri}"),
        link("https://h.example/{uri}", 'rel="other"'),
        "<!DOCTYPE XRD [<!ENTITY a 'https://h.example/{uri}'>]>" + link("&a;"),
        "<!DOCTYPE XRD SYSTEM 'file:///etc/passwd'>" + link("https://h.example/{uri}"),
        "<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><l>&b;</l>",
        "<a>" * 20_000,
        "<XRD>" + " " * 70_000 + link("https://h.example/{uri}")[5:],
        "<XRD>\x00</XRD>",
        "\ud800",
    ],
)
def test_a_host_meta_without_a_safe_template_gives_none(text: str) -> None:
    assert lrdd_template(text) is None


@given(
    st.text(max_size=80)
    | st.text(st.sampled_from("<>/XRDLink rel='lrd&;!?[]{uri}\x00"), max_size=80)
)
def test_any_host_meta_has_an_answer(text: str) -> None:
    assert lrdd_template(text) is None or "{uri}" in text


@samples.needs_samples
@pytest.mark.parametrize(
    ("name", "actor", "acct"),
    [
        ("gotosocial/doc-webfinger", "http://gts80.test/users/alice", "alice@gts80.test"),
        ("snac2/doc-webfinger", "http://snac80.test/alice", "alice@snac80.test"),
        ("nodebb/webfinger_group", "https://nbb.test/category/6", "quiet@nbb.test"),
        ("wordpress/webfinger", "https://wp.test/?author=1", "wpadmin@wp.test"),
    ],
)
def test_jrds_of_others_lead_to_their_actors(name: str, actor: str, acct: str) -> None:
    document = samples.load(name)
    assert self_link(document, allow_http=True) == actor
    assert str(webfinger.subject(document)) == acct
