"""`python -m benchmarks.parsing`: what reading one activity costs, step by step, without database and network.

CPU microseconds for each `Create` of an answer, each with ids and words of its own from 200 people: as the benchmark
of the inbox sends it, and as Mastodon and GoToSocial do. To compare two versions, run it with one and the other in
`PYTHONPATH`, in turns.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from activitypub import ijson, signatures
from activitypub.cavage import http_date
from activitypub.digests import digest_header
from activitypub.documents import ActivityDocument, ObjectDocument, read_activity, read_object
from benchmarks.stage import created
from fedcomm.federation.contents import addressed, content_of, fitted
from fedcomm.federation.votes import votes_in_create
from fedcomm.hub.composition import Content
from tests.federation.stub import PUBLIC

ORIGIN: Final = "https://hub.example"
ANSWERED: Final = f"{ORIGIN}/ap/o/123456789"
ANNA: Final = f"{ORIGIN}/ap/p/77"
SIGNED_AT: Final = 1_793_527_200
PEOPLE: Final = 200

Activity = dict[str, Any]


def benchmark(number: int) -> Activity:
    """As `benchmarks.inbox` sends it."""
    author = f"https://load{number % 10}.example/users/a{number % PEOPLE}"
    return created(author, f"{author}/notes/{number}", ANSWERED, number)


def mastodon(number: int) -> Activity:
    """With a mention, a link, two hashtags, and all that Mastodon says besides."""
    host = f"https://m{number % 10}.example"
    author = f"{host}/users/a{number % PEOPLE}"
    uri = f"{author}/statuses/116123456789{number}"
    text = (
        '<p><span class="h-card" translate="no"><a href="https://hub.example/@anna" '
        f'class="u-url mention">@<span>anna</span></a></span> I did, &amp; no. {number} grows: '
        f'<a href="https://garden.example/long/path/to/{number}" target="_blank" '
        'rel="nofollow noopener" translate="no"><span class="invisible">https://</span>'
        f'<span class="ellipsis">garden.example/long/path</span><span class="invisible">/to/{number}'
        "</span></a></p><p>The rest<br />is clay. "
        f'<a href="{host}/tags/compost" class="mention hashtag" rel="tag">#<span>compost</span></a> '
        f'<a href="{host}/tags/soil" class="mention hashtag" rel="tag">#<span>soil</span></a></p>'
    )
    activity = created(author, uri, ANSWERED, number)
    activity["published"] = activity["object"]["published"]
    activity["cc"] = activity["object"]["cc"] = [f"{author}/followers", ANNA]
    activity["object"] |= {
        "summary": None,
        "url": f"{host}/@a{number % PEOPLE}/116123456789{number}",
        "sensitive": False,
        "atomUri": uri,
        "inReplyToAtomUri": ANSWERED,
        "conversation": "tag:hub.example,2026-11-01:objectId=1:objectType=Conversation",
        "interactionPolicy": {"canQuote": {"automaticApproval": [PUBLIC], "manualApproval": []}},
        "content": text,
        "contentMap": {"en": text},
        "attachment": [],
        "tag": [
            {"type": "Mention", "href": ANNA, "name": "@anna@hub.example"},
            {"type": "Hashtag", "href": f"{host}/tags/compost", "name": "#compost"},
            {"type": "Hashtag", "href": f"{host}/tags/soil", "name": "#soil"},
        ],
        "replies": {"id": f"{uri}/replies", "type": "Collection"},
        "likes": {"id": f"{uri}/likes", "type": "Collection", "totalItems": 0},
        "shares": {"id": f"{uri}/shares", "type": "Collection", "totalItems": 0},
    }
    return activity


def gotosocial(number: int) -> Activity:
    """With a mention and its long policies."""
    author = f"https://g{number % 10}.example/users/a{number % PEOPLE}"
    uri = f"{author}/statuses/01M7ZVBK6W2XA72N{number:010}"
    text = (
        f'<p><span class="h-card"><a href="{ANNA}" class="u-url mention" '
        'rel="nofollow noreferrer noopener" target="_blank">@<span>anna</span></a></span> '
        f"answer {number}</p>"
    )
    anybody = {
        "always": [PUBLIC],
        "approvalRequired": [],
        "automaticApproval": [PUBLIC],
        "manualApproval": [],
    }
    activity = created(author, uri, ANSWERED, number)
    activity["cc"] = activity["object"]["cc"] = [f"{author}/followers", ANNA]
    activity["object"] |= {
        "summary": "",
        "url": f"{uri}/page",
        "sensitive": False,
        "content": text,
        "contentMap": {"en": text},
        "interactionPolicy": {"canAnnounce": anybody, "canLike": anybody, "canReply": anybody},
        "attachment": [],
        "tag": {"type": "Mention", "href": ANNA, "name": "@anna@hub.example"},
        "replies": {"id": f"{uri}/replies", "type": "Collection"},
    }
    return activity


KINDS: Final[Mapping[str, Callable[[int], Activity]]] = {
    "as the benchmark sends it": benchmark,
    "Mastodon": mastodon,
    "GoToSocial": gotosocial,
}


def measure(make: Callable[[int], Activity], count: int) -> dict[str, float]:
    """CPU microseconds of each step for one activity, and of all steps of one after the other."""
    steps: dict[str, float] = {}
    gc.collect()
    gc.disable()  # what is kept here for the next step is not kept in the hub

    def timed(name: str, step: Callable[..., Any], *given: list[Any]) -> list[Any]:
        began = time.process_time()
        found = [step(*arguments) for arguments in zip(*given, strict=True)]
        steps[name] = (time.process_time() - began) / count * 1e6
        return found

    bodies = [_wire(make(number)) for number in range(count)]
    requests = [_request(body) for body in bodies]
    timed("signature's form", _claim, requests)
    documents = timed("JSON", ijson.parse_object, bodies)
    activities = timed("activity", read_activity, documents)
    timed("whether it votes", _votes, activities)
    things = timed("object", _thing, activities)
    timed("clean content", _content, things)
    bodies = [_wire(make(count + number)) for number in range(count)]
    requests = [_request(body) for body in bodies]
    timed("all of it, of one after the other", _whole, bodies, requests)
    gc.enable()
    return steps


def _wire(activity: Activity) -> bytes:
    """As it is on the wire: some write what is special in HTML as escapes."""
    text = json.dumps(activity, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()


def _request(body: bytes) -> signatures.Request:
    key_id = f"{json.loads(body)['actor']}#main-key"
    signature = (
        f'keyId="{key_id}",algorithm="rsa-sha256",headers="(request-target) host date digest",'
        f'signature="{"A" * 342}=="'
    )
    headers = (
        ("Host", "hub.example"),
        ("Content-Type", "application/activity+json"),
        ("Date", http_date(SIGNED_AT)),
        ("Digest", digest_header(body)),
        ("Signature", signature),
    )
    return signatures.Request("POST", "/ap/inbox", f"{ORIGIN}/ap/inbox", headers, body)


def _claim(request: signatures.Request) -> signatures.Claim:
    return signatures.inspect(request, now=SIGNED_AT)


def _votes(activity: ActivityDocument) -> list[Any]:
    return votes_in_create(activity, allow_http=False)


def _thing(activity: ActivityDocument) -> ObjectDocument:
    assert isinstance(activity.object, dict)
    return addressed(read_object(activity.object), activity)


def _content(thing: ObjectDocument) -> Content:
    reading = content_of(thing, [], local_origin=ORIGIN, with_files=True)
    try:
        # Short texts are cleaned at once: there is nothing to wait for.
        reading.send(None)
    except StopIteration as done:
        found: Content = done.value
        return fitted(found, "reply")
    reading.close()
    raise AssertionError("the text is too long")


def _whole(body: bytes, request: signatures.Request) -> Content:
    activity = read_activity(ijson.parse_object(body))
    _claim(request)
    _votes(activity)
    return _content(_thing(activity))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parsing", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="activities of each kind")
    parser.add_argument("--json", action="store_true", help="write JSON")
    options = parser.parse_args()
    found = {name: measure(make, options.count) for name, make in KINDS.items()}
    if options.json:
        print(json.dumps(found))
        return
    for name, steps in found.items():
        print(name)
        for step, microseconds in steps.items():
            print(f"  {step:36} {microseconds:8.1f} µs")


if __name__ == "__main__":
    main()
