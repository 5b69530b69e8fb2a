"""Where a caller is, and what that place may do without a key."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from router.errors import AddressNotAllowed

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_HOPS = 32
"""Of a longer X-Forwarded-For only the last ones are read."""


class Grant(Enum):
    """What a network is allowed: to call without a key, or to administer with one."""

    CALL = "call"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class AllowedNetwork:
    network: Network
    grant: Grant


def parse_network(text: str) -> Network:
    """A network in CIDR, or one address; raises ValueError, also for bits set outside the mask."""
    network = ip_network(text.strip())
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None and network.prefixlen >= 96:
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


def parse_address(text: str) -> Address | None:
    """An address as servers and proxies write it: with a port, in brackets, with a zone; None if it is none.

    An IPv4 address inside an IPv6 one is taken out, so one place has one address.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def client_address(
    peer: str, headers: Sequence[tuple[bytes, bytes]], trusted_proxies: Sequence[Network]
) -> Address | None:
    """Where a request came from: the peer, or what trusted proxies say of it in `X-Forwarded-For`.

    The header is read from the right, for only its end was written by a proxy that is trusted, up to the first address
    that is no trusted proxy. None when that cannot be read, or when the peer has no address (a Unix socket): such a
    caller is nowhere and is allowed nothing.
    """
    address = parse_address(peer)
    if address is None or not is_in(address, trusted_proxies):
        return address
    forwarded = ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
    if not forwarded.strip():
        return address
    for hop in reversed(forwarded.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
        address = parse_address(hop)
        if address is None or not is_in(address, trusted_proxies):
            return address
    return address


class Allowlist:
    """What callers may do because of where they are."""

    def __init__(self, networks: Iterable[AllowedNetwork] = ()) -> None:
        entries = tuple(networks)
        self._call = tuple(entry.network for entry in entries if entry.grant is Grant.CALL)
        self._admin = tuple(entry.network for entry in entries if entry.grant is Grant.ADMIN)

    def may_call_without_key(self, address: Address | None) -> bool:
        return address is not None and is_in(address, self._call)

    def may_administer(self, address: Address | None) -> bool:
        """Whether administering is bound to no networks, or the caller is in one of them."""
        return not self._admin or (address is not None and is_in(address, self._admin))

    def require_admin_place(self, address: Address | None) -> None:
        """Raises AddressNotAllowed if administering is bound to networks and the caller is in none of them."""
        if not self.may_administer(address):
            raise AddressNotAllowed("administering is not allowed from this address")
