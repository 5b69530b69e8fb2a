"""Everybody who may call: keys of the settings and of the database, networks that need none, or anybody at all."""

from collections.abc import Callable
from dataclasses import replace

from router.access.directory import KeyDirectory, Snapshot
from router.access.networks import Address, Allowlist
from router.access.principal import ANYBODY, GUEST, OPEN_SCOPES, Principal, Scope
from router.errors import KeyExpired, KeysUnavailable, RouterError, Unauthorized

NO_KEY = "no API key was sent: send it as 'Authorization: Bearer KEY'"


class Callers:
    """Asks for a key as soon as there is one with which to chat or embed, or if `required`; else anybody may.

    `written` are the keys of the settings, `stored` those of the database, if there is one.
    """

    def __init__(self, written: KeyDirectory, stored: KeyDirectory | None = None, *, required: bool = False) -> None:
        self.allowlist = Allowlist()
        self._written = written
        self._stored = stored
        self._required = required or written.asks

    def become(self, written: Snapshot, *, required: bool) -> None:
        """These are the keys of the settings from now on."""
        self._written.replace(written)
        self._required = required or written.asks

    @property
    def asks(self) -> bool:
        """Whether a key is asked of those who are in no network that needs none."""
        return self._required or (self._stored is not None and self._stored.asks)

    def principal(self, presented: str | None, where: Callable[[], Address | None], *, now: float) -> Principal:
        """Who calls; `now` is seconds since 1970. Raises Unauthorized, KeyExpired or KeysUnavailable."""
        if not (presented or self.asks):
            return ANYBODY
        refusal: RouterError
        try:
            known = self._known(presented, now=now)
        except (Unauthorized, KeysUnavailable) as error:
            refusal = error
        else:
            return known if self.asks else replace(known, scopes=known.scopes | OPEN_SCOPES)
        if not self.asks:
            return ANYBODY
        if not isinstance(refusal, KeyExpired) and self.allowlist.may_call_without_key(where()):
            return GUEST
        raise refusal

    def require_admin(self, principal: Principal, where: Callable[[], Address | None]) -> None:
        """Raises Unauthorized, ScopeMissing or AddressNotAllowed unless the caller may administer."""
        if not principal.key_id:
            raise Unauthorized(NO_KEY)
        principal.require(Scope.ADMIN)
        self.allowlist.require_admin_place(where())

    def _known(self, presented: str | None, *, now: float) -> Principal:
        if not presented:
            if not self._required and self._stored is not None:
                self._stored.require_read()
            raise Unauthorized(NO_KEY)
        known = self._written.find(presented, now=now)
        if known is None and self._stored is not None:
            return self._stored.principal(presented, now=now)
        if known is None:
            raise Unauthorized("the API key is not valid here")
        return known
