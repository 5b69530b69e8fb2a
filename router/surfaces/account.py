"""What one request takes of what its key may use."""

from collections.abc import Callable
from time import monotonic, time

from router.access.limits import Clock, Limits, Reservation
from router.access.principal import Principal
from router.access.ratelimit_headers import RawHeaders, ratelimit_headers


class Account:
    """The share of one request: taken once, settled at its end whatever became of it."""

    __slots__ = ("_limits", "_principal", "_reservation")

    def __init__(self, limits: Limits, principal: Principal) -> None:
        self._limits = limits
        self._principal = principal
        self._reservation: Reservation | None = None

    def take(self, tokens: Callable[[], int]) -> None:
        """Counts the request and sets aside its tokens; raises BudgetSpent, TooManyRequests or TooManyTokens."""
        principal, allowance = self._principal, self._principal.allowance
        is_counted = allowance.tokens_per_minute is not None or allowance.tokens_per_day is not None
        wanted = tokens() if is_counted else 0
        self._reservation = self._limits.admit(principal.key_id, allowance, tokens=wanted, clock=_now())

    def settle(self, used: int) -> None:
        """Puts what it took in the place of what was set aside."""
        if self._reservation is not None:
            self._limits.settle(self._reservation, used=used, clock=_now())

    def headers(self) -> RawHeaders:
        """`x-ratelimit-*`, as things stand."""
        standing = self._limits.standing(self._principal.key_id, self._principal.allowance, clock=_now())
        return ratelimit_headers(*standing)


def _now() -> Clock:
    return Clock(monotonic(), time())
