"""A node reads from public addresses, and from the networks it was told of."""

import socket
from ipaddress import ip_network
from typing import Any

import pytest

from workers.addresses import AddressRefused, Pinned, check_address, permitted


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.9.1", "loopback"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 - connecting to it reaches this host
        ("10.1.2.3", "private"),
        ("172.31.255.1", "private"),
        ("192.168.1.1", "private"),
        ("169.254.169.254", "link-local"),
        ("100.64.0.1", "reserved"),
        ("198.18.0.1", "private"),
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "private"),
        ("255.255.255.255", "private"),
        ("::1", "loopback"),
        ("::", "unspecified"),
        ("fe80::1", "link-local"),
        ("fe80::1%lo", "link-local"),
        ("fd00:ec2::254", "private"),
        ("fec0::1", "private"),
        ("ff02::1", "multicast"),
        ("::127.0.0.1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("64:ff9b::127.0.0.1", "loopback"),
        ("64:ff9b::169.254.169.254", "link-local"),
        ("64:ff9b:1::10.0.0.1", "private|reserved"),  # Python releases differ
        ("2002:7f00:1::", "loopback"),
        ("2001::1", "private"),
    ],
)
def test_address_that_is_not_public_is_refused_by_its_kind(address: str, kind: str) -> None:
    with pytest.raises(AddressRefused, match=kind):
        check_address(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_public_address_is_taken(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
        ("64:ff9b::10.1.2.3", "10.1.2.3/32"),
        ("fd00::5", "fd00::/8"),
        ("127.0.0.1", "127.0.0.1/32"),
    ],
)
def test_address_of_an_allowed_network_is_taken(address: str, network: str) -> None:
    check_address(address, (ip_network(network),))


def test_address_beside_an_allowed_network_is_refused() -> None:
    with pytest.raises(AddressRefused):
        check_address("10.2.0.1", (ip_network("10.1.0.0/16"), ip_network("fd00::/8")))


def names(*addresses: str) -> Any:
    def lookup(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (it, port)) for it in addresses]

    return lookup


def test_name_with_good_and_bad_addresses_leads_to_the_good_ones_only() -> None:
    found = permitted("mixed.example", 80, lookup=names("10.0.0.1", "8.8.8.8", "::1"))

    assert found == [("8.8.8.8", 80)]


def test_name_with_bad_addresses_only_is_refused_with_each_of_them() -> None:
    with pytest.raises(AddressRefused) as refused:
        permitted("inside.example", 80, lookup=names("10.0.0.1", "::1"))

    assert str(refused.value) == (
        "inside.example is refused: 10.0.0.1 is a private address, ::1 is a loopback address; "
        "this node reads from public addresses and from its allow_networks"
    )


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "017700000001", "localhost"])
def test_other_spellings_of_loopback_are_seen_through(host: str) -> None:
    with pytest.raises(AddressRefused, match="loopback"):
        permitted(host, 80)


def test_name_is_looked_up_and_judged_at_each_use_and_its_addresses_taken_in_turn() -> None:
    answers = [["8.8.8.1", "8.8.8.2"]] * 2 + [["8.8.8.1", "127.0.0.1"]] * 2
    asked: list[str] = []

    def lookup(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [(None, None, None, "", (text, port)) for text in answers[len(asked) - 1]]

    pinned = Pinned("media.example", 1935, lookup=lookup)
    found = [pinned.address() for _ in answers]

    assert asked == ["media.example"] * 4
    assert found == ["8.8.8.1", "8.8.8.2", "8.8.8.1", "8.8.8.1"]
