"""What a certificate shall say, before there is one."""

import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

import psutil

from cli.exits import UsageError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
MAX_HOST_LENGTH = 253
TAKEN_NAMES = ("issued",)
DUE_SHARE = 1 / 3
"""Of a certificate's life: what is left when it is renewed."""

Address = IPv4Address | IPv6Address
T = TypeVar("T")


class Kind(StrEnum):
    """What the holder of a certificate is."""

    MASTER = "master"
    NODE = "node"
    CLIENT = "client"
    SERVER = "server"

    @property
    def serves(self) -> bool:
        """Whether others connect to it; else it connects to others."""
        return self in (Kind.MASTER, Kind.SERVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One certificate: whose it is, where that can be reached, and for how long it is good."""

    kind: Kind
    name: str
    hosts: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    life: timedelta


def wanted(
    kind: Kind, name: str | None, *, hosts: Sequence[str], addresses: Sequence[str], days: int
) -> Wanted:
    """The certificate asked for; UsageError names what cannot be.

    A master without a host or address gets those of this machine; a server without a host gets
    its own name as one, or as its address.
    """
    named = checked_name(name or (kind.value if kind is Kind.MASTER else None))
    known_hosts = tuple(checked_host(host) for host in hosts)
    known_addresses = tuple(_address(text) for text in addresses)
    if kind is Kind.MASTER and not (hosts or addresses):
        known_hosts, known_addresses = own_hosts(), own_addresses()
    if kind is Kind.SERVER and not hosts:
        own_host, own_address = places_of([named])
        known_hosts, known_addresses = own_host, _once((*own_address, *known_addresses))
    return Wanted(
        kind=kind,
        name=named,
        hosts=_once(known_hosts),
        addresses=_once(known_addresses),
        life=timedelta(days=days),
    )


def is_due(*, now: datetime, not_before: datetime, not_after: datetime) -> bool:
    """Whether so little of its life is left that it is to be renewed."""
    return not_after - now < (not_after - not_before) * DUE_SHARE


def checked_name(name: str | None) -> str:
    """The name, which is also that of a folder; UsageError."""
    if name is None:
        raise UsageError("a certificate has a name; give it after the kind")
    if not NAME.fullmatch(name) or name in TAKEN_NAMES:
        raise UsageError(
            f"{name!r} cannot name a certificate; take up to 63 letters, digits, dots and dashes"
        )
    return name


def checked_host(host: str) -> str:
    """The host name, lower case; UsageError."""
    if not _is_host(host):
        raise UsageError(
            f"--host {host!r} is no host name; give one such as farm.example, "
            "an IP address with --address"
        )
    return host.lower()


def own_hosts() -> tuple[str, ...]:
    """The names of this machine."""
    named = (socket.gethostname(), socket.getfqdn(), "localhost")
    return _once(host.lower() for host in named if _is_host(host))


def own_addresses() -> tuple[Address, ...]:
    """The addresses of this machine that others may reach it by, loopback first."""
    found = [
        ip_address(address.address)
        for interface in psutil.net_if_addrs().values()
        for address in interface
        if address.family in (socket.AF_INET, socket.AF_INET6) and "%" not in address.address
    ]
    loopback = (ip_address("127.0.0.1"), ip_address("::1"))
    return _once((*loopback, *(address for address in found if not address.is_link_local)))


def places_of(texts: Sequence[str]) -> tuple[tuple[str, ...], tuple[Address, ...]]:
    """Host names and addresses among the texts; UsageError for what is neither."""
    addresses = [found for text in texts if (found := _address_or_none(text)) is not None]
    hosts = [checked_host(text) for text in texts if _address_or_none(text) is None]
    return _once(hosts), _once(addresses)


def _is_host(host: str) -> bool:
    labels = host.split(".")
    is_address = labels[-1].isdigit()
    return (
        len(host) <= MAX_HOST_LENGTH
        and not is_address
        and all(LABEL.fullmatch(label) for label in labels)
    )


def _address(text: str) -> Address:
    found = _address_or_none(text)
    if found is None:
        raise UsageError(
            f"--address {text!r} is no IP address; give one such as 192.0.2.7, a name with --host"
        )
    return found


def _address_or_none(text: str) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return None if "%" in text else found


def _once(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))
