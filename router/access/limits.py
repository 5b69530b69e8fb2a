"""What each key has used, and whether it may have more. Pure: both clocks are passed in."""

from collections.abc import Mapping
from dataclasses import dataclass

from router.access.principal import Allowance
from router.access.window import Window
from router.errors import BudgetSpent, TooManyRequests, TooManyTokens

DAY_S = 86_400
IDLE_DAYS = 1


@dataclass(frozen=True, slots=True)
class Clock:
    """One moment: seconds of a monotonic clock, and seconds since 1970."""

    monotonic: float
    wall: float

    @property
    def day(self) -> int:
        """Days of UTC since 1970."""
        return int(self.wall // DAY_S)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a caller stands with one limit of a minute; `reset_s` is seconds until all of it is free again."""

    limit: int
    remaining: int
    reset_s: float


@dataclass(slots=True)
class Reservation:
    """Tokens set aside for a request under way. `Limits.settle` ends it, whatever became of the request."""

    key_id: str
    tokens: int
    at: float
    settled: bool = False


class _Account:
    """What one key has used."""

    __slots__ = ("day", "requests", "reserved", "spent", "tokens")

    def __init__(self, day: int) -> None:
        self.requests = Window()
        self.tokens = Window()
        self.day = day
        self.spent = 0
        self.reserved = 0

    def turn_to(self, day: int) -> None:
        if day > self.day:
            self.day, self.spent = day, 0


class Limits:
    """The accounts of all keys. Every method is synchronous: nothing is decided across an await."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}
        self._swept = 0

    def admit(self, key_id: str, allowance: Allowance, *, tokens: int, clock: Clock) -> Reservation:
        """Counts a request and sets aside the tokens it will take, as far as one knows.

        A request larger than a whole limit may begin when nothing else is counted. Raises BudgetSpent,
        TooManyRequests or TooManyTokens, each saying when to come back; a refused request counts for nothing.
        """
        account = self._account(key_id, clock)
        _refuse_over_budget(account, allowance, clock)
        now = clock.monotonic
        limit = allowance.requests_per_minute
        if limit is not None and (wait := account.requests.room_in(1, limit=limit, now=now)):
            raise TooManyRequests(f"this key may send {limit} requests a minute", retry_after=wait)
        limit = allowance.tokens_per_minute
        wanted = max(1, min(tokens, limit or 0))
        if limit is not None and (wait := account.tokens.room_in(wanted, limit=limit, now=now)):
            raise TooManyTokens(f"this key may use {limit} tokens a minute", retry_after=wait)
        account.requests.add(1, now=now)
        account.tokens.add(tokens, now=now)
        account.reserved += tokens
        return Reservation(key_id, tokens, now)

    def settle(self, reservation: Reservation, *, used: int, clock: Clock) -> None:
        """Puts what a request took in the place of what was set aside for it. A second time changes nothing."""
        if reservation.settled:
            return
        reservation.settled = True
        account = self._account(reservation.key_id, clock)
        account.tokens.take_back(reservation.tokens, at=reservation.at, now=clock.monotonic)
        account.tokens.add(used, now=clock.monotonic)
        account.reserved -= reservation.tokens
        account.spent += used

    def seed(self, spent: Mapping[str, int], *, clock: Clock) -> None:
        """Takes over what keys have spent today as the database knows it: what was there before a restart, and what
        other routers on the same database gave. Never lowers a count.
        """
        for key_id, tokens in spent.items():
            account = self._account(key_id, clock)
            account.spent = max(account.spent, tokens)

    def standing(self, key_id: str, allowance: Allowance, *, clock: Clock) -> tuple[Standing | None, Standing | None]:
        """How the key stands with its requests and its tokens a minute; None where it has no limit."""
        account = self._account(key_id, clock)
        return (
            _standing(account.requests, allowance.requests_per_minute, clock.monotonic),
            _standing(account.tokens, allowance.tokens_per_minute, clock.monotonic),
        )

    def _account(self, key_id: str, clock: Clock) -> _Account:
        if clock.day > self._swept:
            self._sweep(clock)
        account = self._accounts.get(key_id)
        if account is None:
            account = self._accounts[key_id] = _Account(clock.day)
        account.turn_to(clock.day)
        return account

    def _sweep(self, clock: Clock) -> None:
        """Once a day, forgets keys that were not used for a day."""
        self._swept = clock.day
        idle = [
            key_id
            for key_id, account in self._accounts.items()
            if account.day < clock.day - IDLE_DAYS and not account.reserved
        ]
        for key_id in idle:
            del self._accounts[key_id]


def _refuse_over_budget(account: _Account, allowance: Allowance, clock: Clock) -> None:
    """What is under way counts as spent, so many requests at once do not go over the budget together."""
    budget = allowance.tokens_per_day
    if budget is not None and account.spent + account.reserved >= budget:
        wait = (clock.day + 1) * DAY_S - clock.wall
        raise BudgetSpent(f"this key has spent its {budget} tokens of today (UTC)", retry_after=wait)


def _standing(window: Window, limit: int | None, now: float) -> Standing | None:
    if limit is None:
        return None
    window.forget(now)
    return Standing(limit, min(limit, max(0, limit - window.total)), window.empty_in(now))
