"""Which hosts a node may read from: by address, since a name may lead anywhere."""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = tuple[Network, ...]
Lookup = Callable[..., Sequence[tuple[Any, ...]]]
"""``socket.getaddrinfo``, or what answers like it."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(Exception):  # noqa: N818
    """A host is, or its name leads only to, what this node does not read from; the text says so."""


def check_address(text: str, allowed: Networks = ()) -> None:
    """AddressRefused unless the address is a public one or lies in an ``allowed`` network.

    An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) is judged as that one.
    """
    kind = _kind_of(_real(ipaddress.ip_address(text)), allowed)
    if kind is not None:
        raise AddressRefused(f"{text} is {kind}")


def permitted(
    host: str, port: int, allowed: Networks = (), *, lookup: Lookup = socket.getaddrinfo
) -> list[tuple[str, int]]:
    """The addresses of a host that may be connected to, each with the port; never none.

    Raises AddressRefused where it has others only, OSError where the name leads nowhere.
    """
    found = dict.fromkeys(
        str(answer[4][0]) for answer in lookup(host, port, type=socket.SOCK_STREAM)
    )
    refusals: list[str] = []
    good: list[tuple[str, int]] = []
    for text in found:
        try:
            check_address(text, allowed)
            good.append((text, port))
        except AddressRefused as refused:
            refusals.append(str(refused))
    if not good:
        raise AddressRefused(
            f"{host} is refused: {', '.join(refusals) or 'it has no address'}; this node reads "
            "from public addresses and from its allow_networks"
        )
    return good


class Pinned:
    """The address that a host is reached at where no proxy looks: looked up and judged before
    each use, and given to whoever connects in place of the name."""

    def __init__(
        self,
        host: str,
        port: int,
        allowed: Networks = (),
        *,
        lookup: Lookup = socket.getaddrinfo,
    ) -> None:
        self._host, self._port = host, port
        self._allowed, self._lookup = allowed, lookup
        self._uses = 0

    def address(self) -> str:
        """Each time the next one, since the first may be dead; raises as ``permitted``."""
        good = permitted(self._host, self._port, self._allowed, lookup=self._lookup)
        address, _ = good[self._uses % len(good)]
        self._uses += 1
        return address


def _real(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address if address.sixtofour is None else address.sixtofour


def _kind_of(address: Address, allowed: Networks) -> str | None:
    """What is wrong with an address, in words; None for one that may be read from."""
    if any(address in network for network in allowed):
        return None
    kinds = {
        "a loopback address": address.is_loopback,
        "a link-local address": address.is_link_local,
        "a multicast address": address.is_multicast,
        "the unspecified address": address.is_unspecified,
        "a private address": address.is_private
        or (isinstance(address, ipaddress.IPv6Address) and address.is_site_local),
        "a reserved address": address.is_reserved or not address.is_global,
    }
    return next((kind for kind, holds in kinds.items() if holds), None)
