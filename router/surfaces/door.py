"""From the headers and the address of a request to who is calling."""

from collections.abc import Iterable, Sequence
from functools import partial
from time import time

from router.access.callers import Callers
from router.access.limits import Limits
from router.access.networks import Address, Network, client_address
from router.access.principal import Principal

RawHeaders = Sequence[tuple[bytes, bytes]]


class Door:
    """Where every request comes in. `limits` count what its callers use."""

    def __init__(self, callers: Callers, limits: Limits) -> None:
        self.limits = limits
        self._callers = callers
        self._proxies: tuple[Network, ...] = ()

    def trust(self, proxies: Iterable[Network]) -> None:
        """These may say for whom they call."""
        self._proxies = tuple(proxies)

    def principal(self, headers: RawHeaders, peer: str) -> Principal:
        """Who is calling; raises Unauthorized, KeyExpired or KeysUnavailable."""
        return self._callers.principal(presented_key(headers), partial(self.address, headers, peer), now=time())

    @property
    def asks(self) -> bool:
        """Whether a key is asked of those who are in no network that needs none."""
        return self._callers.asks

    def require_admin(self, principal: Principal, headers: RawHeaders, peer: str) -> None:
        """Raises Unauthorized, ScopeMissing or AddressNotAllowed unless the caller may administer from there."""
        self._callers.require_admin(principal, partial(self.address, headers, peer))

    def address(self, headers: RawHeaders, peer: str) -> Address | None:
        """Where the caller is, as far as that can be trusted."""
        return client_address(peer, headers, self._proxies)


def presented_key(headers: RawHeaders) -> str | None:
    """The key in raw ASGI headers: `Authorization: Bearer KEY`, or `x-api-key`, or `api-key`."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, key = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                return key.strip()
        elif name in {b"x-api-key", b"api-key"}:
            return value.decode("latin-1").strip()
    return None
