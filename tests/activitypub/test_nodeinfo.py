from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activitypub import nodeinfo
from activitypub.nodeinfo import Software, Usage, pick_schema, read_software
from tests.activitypub import samples

OURS = Software("fedcomm", "0.1.0", repository="https://hub.example/source")


def test_the_index_links_both_schemas_and_the_instance_actor() -> None:
    index = nodeinfo.well_known("https://hub.example", application="https://hub.example/ap/i")
    assert [link["rel"][-11:] for link in index["links"]] == [
        "/schema/2.0",
        "/schema/2.1",
        "Application",
    ]
    assert pick_schema(index, "https://hub.example") == "https://hub.example/nodeinfo/2.1"
    assert nodeinfo.application_actor(index, "https://hub.example") == "https://hub.example/ap/i"
    assert len(nodeinfo.well_known("https://hub.example")["links"]) == 2


def test_the_document_of_2_1_is_the_one_of_the_reference() -> None:
    usage = Usage(users=120, active_month=40, active_half_year=80, posts=900, comments=4100)
    assert nodeinfo.document(
        "2.1", OURS, usage, open_registrations=False, metadata={"nodeName": "Hub"}
    ) == {
        "version": "2.1",
        "software": {
            "name": "fedcomm",
            "version": "0.1.0",
            "repository": "https://hub.example/source",
        },
        "protocols": ["activitypub"],
        "services": {"inbound": [], "outbound": []},
        "openRegistrations": False,
        "usage": {
            "users": {"total": 120, "activeMonth": 40, "activeHalfyear": 80},
            "localPosts": 900,
            "localComments": 4100,
        },
        "metadata": {"nodeName": "Hub"},
    }


def test_2_0_has_no_repository_and_withheld_counts_leave_users_in_place() -> None:
    document = nodeinfo.document("2.0", OURS, Usage(), open_registrations=True)
    assert document["software"] == {"name": "fedcomm", "version": "0.1.0"}
    assert document["usage"] == {"users": {}}
    assert nodeinfo.content_type("2.0").endswith('/schema/2.0#"')


def test_a_schema_of_another_origin_is_not_followed() -> None:
    index = {
        "links": [
            {"rel": nodeinfo.SCHEMA_2_1, "href": "https://evil.example/nodeinfo/2.1"},
            {"rel": nodeinfo.SCHEMA_2_0, "href": "https://hub.example/nodeinfo/2.0"},
        ]
    }
    assert pick_schema(index, "https://hub.example") == "https://hub.example/nodeinfo/2.0"
    assert pick_schema(index, "https://third.example") is None


@pytest.mark.parametrize(
    "links", [None, 1, "x", [], [1], {}, [{"rel": 1}], [{"href": "https://hub.example/"}]]
)
def test_an_index_without_links_leads_nowhere(links: Any) -> None:
    assert pick_schema({"links": links}, "https://hub.example") is None


@pytest.mark.parametrize(
    ("software", "expected"),
    [
        ({"name": "NodeBB", "version": "4.15.1"}, ("nodebb", "4.15.1")),
        ({"name": "lemmy"}, ("lemmy", "")),
        ({"name": "lemmy", "version": 1}, ("lemmy", "")),
        ({"name": "a b", "version": "1"}, None),
        ({"name": "<b>", "version": "1"}, None),
        ({"name": 1}, None),
        ({}, None),
        (None, None),
        ("lemmy", None),
    ],
)
def test_software_has_a_name(software: Any, expected: tuple[str, str] | None) -> None:
    assert read_software({"software": software}) == expected


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda v: (
            st.lists(v)
            | st.dictionaries(
                st.sampled_from(["software", "name", "version", "links", "rel", "href"]), v
            )
        ),
    )
)
def test_any_document_has_an_answer(value: Any) -> None:
    document = value if isinstance(value, dict) else {"links": value, "software": value}
    read_software(document)
    pick_schema(document, "https://hub.example")


@samples.needs_samples
def test_nodeinfo_of_others_is_read() -> None:
    assert read_software(samples.load("nodebb/nodeinfo")) == ("nodebb", "4.15.1")
    assert read_software(samples.load("snac2/doc-nodeinfo-2.0")) is not None
    name, version = read_software(samples.load("gotosocial/doc-nodeinfo-2.1")) or ("", "")
    assert name == "gotosocial" and version.startswith("0.20")
    index = samples.load("gotosocial/doc-nodeinfo-index")
    assert (
        pick_schema(index, "http://gts80.test", allow_http=True) == "http://gts80.test/nodeinfo/2.1"
    )
