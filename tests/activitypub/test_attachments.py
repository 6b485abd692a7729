from __future__ import annotations

from typing import Any

import pytest

from activitypub.attachments import (
    AttachmentDocument,
    OptionDocument,
    TagDocument,
    read_attachments,
    read_image,
    read_options,
    read_tags,
    read_total,
)

CDN = "https://cdn.example"


def attachment(**properties: Any) -> dict[str, Any]:
    return {"type": "Image", "url": f"{CDN}/1.webp"} | properties


def test_an_image_is_read_whole() -> None:
    document = attachment(
        type="Document",
        mediaType="image/webp",
        name="Cracked clay bed",
        width=1200,
        height=800,
        blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj",
        focalPoint=[-0.5, 1],
    )
    assert read_attachments({"attachment": document}) == (
        AttachmentDocument(
            "Document",
            "image/webp",
            f"{CDN}/1.webp",
            "Cracked clay bed",
            1200,
            800,
            "LEHV6nWB2yk8pyo0adR*.7kCMdnj",
            (-0.5, 1.0),
        ),
    )


def test_the_alternative_text_is_the_summary_and_then_the_name() -> None:
    both = attachment(name="file.webp", summary="A bed of clay")
    assert read_attachments({"attachment": [both]})[0].alt == "A bed of clay"
    long = attachment(name="a" * 1_501, summary="")
    assert read_attachments({"attachment": [long]})[0].alt == "a" * 1_500


@pytest.mark.parametrize(
    "properties",
    [
        {"width": "1200", "height": 0},
        {"width": True, "height": 65_536},
        {"width": 1.5, "height": -1},
        {"blurhash": "<script>"},
        {"blurhash": 1},
        {"focalPoint": [2, 0]},
        {"focalPoint": ["0", "0"]},
        {"focalPoint": [True, False]},
        {"focalPoint": [0]},
        {"focalPoint": {"x": 0}},
        {"mediaType": "image"},
        {"mediaType": ["image/png"]},
        {"mediaType": 'image/png"x'},
        {"name": 1},
    ],
)
def test_inv_12_claims_of_the_wrong_type_are_absent(properties: dict[str, Any]) -> None:
    (read,) = read_attachments({"attachment": [attachment(**properties)]})
    assert read == AttachmentDocument("Image", None, f"{CDN}/1.webp", None, None, None, None, None)


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        f"{CDN}/1.webp",
        {},
        attachment(type="Poison"),
        attachment(type=None),
        attachment(url=None),
        attachment(url="javascript:alert(1)"),
        attachment(url="http://cdn.example/1.webp"),
        {"type": "PropertyValue", "name": "a", "value": "b"},
    ],
)
def test_what_is_no_attachment_is_left_out_without_its_neighbours(value: Any) -> None:
    assert len(read_attachments({"attachment": [value, attachment()]})) == 1


def test_a_link_preview_may_point_to_the_old_web() -> None:
    (link,) = read_attachments({"attachment": [{"type": "Link", "href": "http://old.example/a"}]})
    assert (link.type, link.url) == ("Link", "http://old.example/a")


def test_a_medium_with_several_files_gives_the_first() -> None:
    video = attachment(
        type="Video",
        url=[
            {"type": "Link", "href": 1},
            {"type": "Link", "href": f"{CDN}/v.mp4", "mediaType": "video/mp4"},
        ],
    )
    (read,) = read_attachments({"attachment": [video]})
    assert (read.url, read.media_type) == (f"{CDN}/v.mp4", "video/mp4")


def test_images_are_urls_objects_or_the_first_of_an_array() -> None:
    for value in (f"{CDN}/a.png", {"url": f"{CDN}/a.png"}, [{"url": f"{CDN}/a.png"}, 1]):
        image = read_image({"icon": value}, "icon")
        assert image is not None and image.url == f"{CDN}/a.png"
    for wrong in (None, 1, [], {}, {"url": 1}, "x", [[f"{CDN}/a.png"]]):
        assert read_image({"icon": wrong}, "icon") is None


def test_tags_of_three_kinds_are_read() -> None:
    tags = [
        {"type": "Mention", "href": "https://p.example/ida", "name": "@ida@p.example"},
        {"type": "Mention", "href": "https://p.example/bo"},
        {"type": "Hashtag", "name": "#tomatoes", "href": "https://p.example/tags/tomatoes"},
        {"type": "Hashtag", "name": "#bare"},
        {"type": "Emoji", "name": ":leaf:", "icon": {"type": "Image", "url": f"{CDN}/leaf.png"}},
        {"type": "Mention", "name": "@nobody"},
        {"type": "Hashtag", "href": "https://p.example/"},
        {"type": "Emoji", "name": ":nothing:"},
        {"type": "Link", "href": "https://p.example/"},
        {"type": "Mention", "href": 1},
        1,
        None,
    ]
    assert read_tags({"tag": tags}) == (
        TagDocument("Mention", "@ida@p.example", "https://p.example/ida", None),
        TagDocument("Mention", "", "https://p.example/bo", None),
        TagDocument("Hashtag", "#tomatoes", "https://p.example/tags/tomatoes", None),
        TagDocument("Hashtag", "#bare", None, None),
        TagDocument("Emoji", ":leaf:", None, f"{CDN}/leaf.png"),
    )


def test_each_kind_of_tag_has_its_own_limit() -> None:
    tags: list[dict[str, Any]] = []
    for number in range(70):
        tags.append({"type": "Mention", "href": f"https://p.example/{number}"})
        tags.append({"type": "Hashtag", "name": f"#t{number}"})
        tags.append({"type": "Emoji", "name": f":e{number}:", "icon": f"{CDN}/{number}.png"})
    read = read_tags({"tag": tags})
    counts = {
        kind: sum(tag.type == kind for tag in read) for kind in ("Mention", "Hashtag", "Emoji")
    }
    assert counts == {"Mention": 50, "Hashtag": 30, "Emoji": 64}


def test_attachments_and_options_have_limits() -> None:
    assert len(read_attachments({"attachment": [attachment()] * 17})) == 16
    options = [{"type": "Note", "name": f"option {number}"} for number in range(21)]
    assert len(read_options({"oneOf": options})[0]) == 20


def test_options_have_names_and_perhaps_counts() -> None:
    options = [
        {"name": "yes", "replies": {"type": "Collection", "totalItems": 3}},
        {"name": "no", "replies": {"totalItems": "3"}},
        {"name": 1},
        {"name": ""},
        "maybe",
    ]
    expected = (OptionDocument("yes", 3), OptionDocument("no", None))
    assert read_options({"oneOf": options}) == (expected, False)
    assert read_options({"anyOf": options}) == (expected, True)
    assert read_options({}) == ((), False)


@pytest.mark.parametrize("value", [None, 3, "https://p.example/likes", {"totalItems": -1}, {}, []])
def test_a_total_is_a_count(value: Any) -> None:
    assert read_total({"likes": value}, "likes") is None
    assert read_total({"likes": {"totalItems": 3}}, "likes") == 3


@pytest.mark.parametrize(
    ("said", "milliseconds"),
    [
        ("PT1M2.4S", 62_400),
        ("PT1S", 1_000),
        ("PT2H", 7_200_000),
        ("P0DT3M", 180_000),
        ("PT", None),
        ("PT0S", None),
        ("P1Y", None),
        ("PT-3S", None),
        ("PT999999H", None),
        ("3", None),
        (3, None),
        (None, None),
    ],
)
def test_how_long_something_plays_is_read_or_nothing(said: object, milliseconds: object) -> None:
    file = {"type": "Document", "url": "https://p.example/v.mp4", "duration": said}
    (found,) = read_attachments({"attachment": [file]})
    assert found.duration_ms == milliseconds
