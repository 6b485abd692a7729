"""The address policy of security.md §7, case by case."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from activitypub.network import (
    AddressRefused,
    KeepAlive,
    NetworkPolicy,
    PolicyResolver,
    UrlRefused,
    address_allowed,
    connector,
    open_socket,
    url_allowed,
)

PUBLIC = NetworkPolicy()

REFUSED_ADDRESSES = [
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.1.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",  # IPv4-compatible
    "::8.8.8.8",
    "::ffff:127.0.0.1",  # IPv4-mapped
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",  # IPv4-translated
    "64:ff9b::8.8.8.8",  # NAT64
    "64:ff9b:1::1",
    "100::1",
    "1fff:ffff::1",
    "2001::1",  # Teredo
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4
    "3fff::1",
    "3fff:fff:ffff::1",
    "4000::1",
    "fc00::1",
    "fd00::1",
    "fe80::1",
    "fe80::1%1",
    "2606:4700::1%1",
    "fec0::1",
    "ff02::1",
    "localhost",
    "",
    "１２７.0.0.1",
]

ALLOWED_ADDRESSES = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:1.1.1.1",
    "2000::1",
    "2001:200::1",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2003::1",
    "2606:4700:4700::1111",
    "3ffe:ffff::1",
    "3fff:1000::1",
]


@pytest.mark.parametrize("address", REFUSED_ADDRESSES)
def test_inv_23_an_address_outside_the_public_internet_is_refused(address: str) -> None:
    assert not address_allowed(address, PUBLIC)


@pytest.mark.parametrize("address", ALLOWED_ADDRESSES)
def test_an_address_of_the_public_internet_is_allowed(address: str) -> None:
    assert address_allowed(address, PUBLIC)


def test_a_listed_private_network_is_allowed_also_in_its_mapped_form_and_nothing_beside_it() -> (
    None
):
    policy = NetworkPolicy(allow_private=(ip_network("10.1.0.0/16"),))
    assert address_allowed("10.1.2.3", policy)
    assert address_allowed("::ffff:10.1.2.3", policy)
    assert not address_allowed("10.2.0.1", policy)
    assert not address_allowed("::10.1.2.3", policy)
    assert not address_allowed("127.0.0.1", policy)


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_outside_global_unicast_is_allowed_unless_it_maps_a_public_ipv4(
    address: Any,
) -> None:
    inside = 0x2000 <= int(address) >> 112 <= 0x3FFF
    mapped = address.ipv4_mapped
    if mapped is None and not inside:
        assert not address_allowed(address, PUBLIC)
    elif mapped is not None:
        assert address_allowed(address, PUBLIC) == address_allowed(mapped, PUBLIC)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://peer.example/", "scheme"),
        ("ftp://peer.example/", "url"),
        ("file:///etc/passwd", "url"),
        ("gopher://peer.example/", "url"),
        ("//peer.example/", "url"),
        ("", "url"),
        ("https://", "url"),
        ("https:///path", "url"),
        ("https://user@peer.example/", "url"),
        ("https://user:word@peer.example/", "url"),
        ("https://peer.example\\@10.0.0.1/", "url"),
        ("https://peer.example/\r\nHost: other", "url"),
        ("https://peer.example/a b", "url"),
        ("https://peer.example:8443/", "port"),
        ("https://peer.example:80/", "port"),
        ("https://peer.example:0/", "url"),
        ("https://localhost/", "host"),
        ("https://intranet/", "host"),
        ("https://127.0.0.1/", "literal"),
        ("https://1.1.1.1/", "literal"),
        ("https://0.0.0.0/", "literal"),
        ("https://[::1]/", "literal"),
        ("https://[::ffff:127.0.0.1]/", "literal"),
        ("https://[2606:4700::1]/", "literal"),
        ("https://１２７.0.0.1/", "literal"),
        ("https://127。0。0。1/", "literal"),
        ("https://2130706433/", "url"),
        ("https://0x7f000001/", "url"),
        ("https://127.1/", "url"),
        ("https://0x7f.1/", "url"),
        ("https://0177.0.0.1/", "url"),
        ("https://1.1.1.1./", "url"),
        ("https://localhost./", "url"),
        ("https://peer.example./", "url"),
        ("https://peer..example/", "url"),
        ("https://%31%32%37.0.0.1/", "url"),
        ("https://-peer.example/", "url"),
    ],
)
def test_inv_23_a_url_that_may_lead_inward_is_refused_before_anything_is_sent(
    url: str, reason: str
) -> None:
    with pytest.raises(UrlRefused) as caught:
        url_allowed(url, PUBLIC)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://peer.example", "https://peer.example/"),
        ("https://peer.example?a=b", "https://peer.example/?a=b"),
        ("https://Peer.Example/Users/A", "https://peer.example/Users/A"),
        ("https://peer.example:443/a", "https://peer.example/a"),
        ("https://peer.example/u/a#main-key", "https://peer.example/u/a"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://peer.example/%7Ea/%c3%a9?x=%20+y", "https://peer.example/%7Ea/%c3%a9?x=%20+y"),
        ("https://peer.example/caffè", "https://peer.example/caff%C3%A8"),
        ("https://peer.example/a/../b", "https://peer.example/a/../b"),
    ],
)
def test_an_allowed_url_is_returned_in_the_form_that_is_sent(url: str, sent: str) -> None:
    assert url_allowed(url, PUBLIC) == sent
    assert url_allowed(sent, PUBLIC) == sent
    assert str(URL(sent, encoded=True)) == sent


@given(st.text() | st.from_regex(r"https?://[^/]{0,20}(:[0-9]{0,6})?/?.{0,20}", fullmatch=True))
def test_whatever_passes_is_read_alike_by_the_http_library(text: str) -> None:
    for policy in (PUBLIC, NetworkPolicy.loopback()):
        try:
            sent = url_allowed(text, policy)
        except UrlRefused:
            continue
        wire = URL(sent, encoded=True)
        assert str(wire) == sent
        assert sent.isascii() and sent.isprintable() and "#" not in sent
        authority = sent.split("/")[2]
        name = authority if authority.endswith("]") else authority.rpartition(":")[0] or authority
        assert wire.raw_host is not None
        assert wire.raw_host == name.strip("[]")
        assert wire.user is None and wire.password is None


def test_a_development_policy_allows_http_ports_literals_and_this_machine_only() -> None:
    policy = NetworkPolicy.loopback()
    for url in (
        "http://localhost:8080/a",
        "http://127.0.0.1:1/",
        "http://[::1]:1/",
        "https://hub/",
    ):
        assert url_allowed(url, policy) == url
    assert address_allowed("127.0.0.1", policy)
    assert address_allowed("::1", policy)
    assert not address_allowed("10.0.0.1", policy)
    assert not address_allowed("0.0.0.0", policy)


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, ("127.0.0.1", 443)),
        (socket.AF_INET, ("0.0.0.0", 443)),
        (socket.AF_INET, ("169.254.169.254", 80)),
        (socket.AF_INET6, ("::1", 443, 0, 0)),
        (socket.AF_INET6, ("::ffff:127.0.0.1", 443, 0, 0)),
        (socket.AF_INET6, ("64:ff9b::7f00:1", 443, 0, 0)),
        (socket.AF_UNIX, ("1.1.1.1", 443)),
    ],
)
def test_inv_23_no_socket_is_opened_for_a_refused_address(
    family: socket.AddressFamily, address: tuple[Any, ...]
) -> None:
    with pytest.raises(AddressRefused):
        open_socket(PUBLIC, (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address))


def test_a_socket_is_opened_for_a_public_address() -> None:
    row = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("1.1.1.1", 443))
    with open_socket(PUBLIC, row) as opened:
        assert opened.family == socket.AF_INET


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0", "１２７.0.0.1"])
async def test_inv_23_a_literal_that_skips_the_resolver_is_stopped_at_the_connection(
    host: str,
) -> None:
    """Straight to the connector, as if the check of the URL did not exist."""
    reached: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response()

    runner = web.AppRunner(_application(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession(
            connector=connector(PUBLIC, limit=4, limit_per_host=2)
        ) as session:
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await session.get(f"http://{host}:{port}/")
        assert isinstance(caught.value.os_error, AddressRefused)
        assert reached == []
    finally:
        await runner.cleanup()


async def test_of_a_name_with_public_and_private_addresses_only_the_public_ones_are_used() -> None:
    def lookup(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        return [_row("10.0.0.1", port), _row("1.1.1.1", port), _row("::1", port)]

    resolver = PolicyResolver(PUBLIC, lookup)
    rows = await resolver.resolve("peer.example", 443)
    assert [row["host"] for row in rows] == ["1.1.1.1"]
    await resolver.close()


async def test_a_name_that_leads_only_inward_is_refused() -> None:
    def lookup(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        return [_row("10.0.0.1", port), _row("::1", port)]

    resolver = PolicyResolver(PUBLIC, lookup)
    with pytest.raises(AddressRefused):
        await resolver.resolve("peer.example", 443)
    await resolver.close()


async def test_names_of_the_policy_are_answered_without_dns() -> None:
    def lookup(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        raise AssertionError(f"{host} went to DNS")

    policy = NetworkPolicy.loopback(
        resolve={"hub.test": "127.0.0.2", "*.example": "127.0.0.3", "*.deep.example": "127.0.0.4"}
    )
    resolver = PolicyResolver(policy, lookup)
    for name, address in (
        ("hub.test", "127.0.0.2"),
        ("a.example", "127.0.0.3"),
        ("b.a.example", "127.0.0.3"),
        ("a.deep.example", "127.0.0.4"),
    ):
        assert [row["host"] for row in await resolver.resolve(name, 80)] == [address]
    for name in ("example", "a.hub.test", "notexample"):
        with pytest.raises(AssertionError):
            await resolver.resolve(name, 80)
    await resolver.close()


async def test_inv_23_a_name_of_the_policy_does_not_open_an_address_by_itself() -> None:
    resolver = PolicyResolver(NetworkPolicy(resolve={"hub.test": "127.0.0.1"}), _no_lookup)
    with pytest.raises(AddressRefused):
        await resolver.resolve("hub.test", 443)
    await resolver.close()


async def test_inv_24_a_silent_name_server_is_given_up_after_the_connect_time() -> None:
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    def lookup(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        asyncio.run_coroutine_threadsafe(released.wait(), loop).result(10)
        return []

    resolver = PolicyResolver(NetworkPolicy(connect_seconds=0.05), lookup)
    with pytest.raises(OSError, match="name server"):
        await resolver.resolve("slow.example", 443)
    released.set()
    await resolver.close()


def test_inv_23_we_never_call_ourselves() -> None:
    """A sub-domain may name its parent's inbox as its shared one; the parent may be this hub."""
    policy = NetworkPolicy(own_origin="https://hub.example")
    for url in ("https://hub.example/ap/inbox", "https://HUB.example:443", "https://hub.example?x"):
        with pytest.raises(UrlRefused) as refused:
            url_allowed(url, policy)
        assert refused.value.reason == "own"
    assert url_allowed("https://hub.example.org/inbox", policy)
    assert url_allowed("https://www.hub.example/inbox", policy)


def _row(address: str, port: int) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    tail = (0, 0) if ":" in address else ()
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, *tail))


def _no_lookup(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    raise AssertionError(f"{host} went to DNS")


def _application(handler: Any) -> web.Application:
    application = web.Application()
    application.router.add_get("/{tail:.*}", handler)
    return application


def test_a_connection_that_was_not_used_for_a_while_makes_room_for_another() -> None:
    kept = KeepAlive(most=2, seconds=10.0)
    assert [kept.stays(host, 0.0) for host in ("a", "b", "c", "a")] == [True, True, False, True]
    assert kept.stays("a", 8.0)
    assert not kept.stays("c", 9.0)
    # b's has been closed by now, a's has not.
    assert kept.stays("c", 11.0)
    assert not kept.stays("b", 11.0)
    assert kept.stays("a", 11.0)
