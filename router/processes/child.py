"""One process as its owner sees it: the phases it goes through, and what every piece of news makes of it. Pure."""

from dataclasses import dataclass, replace
from enum import Enum
from math import inf

FIRST_DELAY_S = 1.0
MAX_DELAY_S = 60.0
STABLE_S = 60.0
"""Who was ready for so long begins anew with the delays after a crash."""


class Phase(Enum):
    """STARTING does not answer yet; LOADING answers that it loads; CRASHED ended though nobody wanted it to."""

    STOPPED = "stopped"
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    STOPPING = "stopping"
    CRASHED = "crashed"


COMING_UP = frozenset({Phase.STARTING, Phase.LOADING})
STAYING = COMING_UP | {Phase.READY}
ALIVE = STAYING | {Phase.STOPPING}


@dataclass(frozen=True, slots=True)
class Child:
    """A snapshot. Times are seconds of a monotonic clock.

    `start` counts starts: news of an earlier one changes nothing. `users` are requests that use it or wait for it,
    `wanted_at` since when somebody waits that it runs. `crashes` counts those in a row, `failures` all of them.
    `is_failing` is stopping because it hangs, so that its end is a crash. `cramped` ran out of memory while loading and
    may try once more. `missed` is how often in a row it did not answer although it is ready. `is_held` was stopped by a
    person, and stays so until somebody asks for it.
    """

    name: str
    phase: Phase = Phase.STOPPED
    start: int = 0
    since: float = -inf
    users: int = 0
    wanted_at: float | None = None
    used_at: float = -inf
    crashes: int = 0
    failures: int = 0
    retry_at: float = -inf
    kill_at: float = inf
    is_failing: bool = False
    cramped: bool = False
    missed: int = 0
    is_held: bool = False
    error: str = ""

    @property
    def is_alive(self) -> bool:
        return self.phase in ALIVE

    @property
    def is_idle(self) -> bool:
        return self.phase is Phase.READY and not self.users

    def wanted(self, now: float) -> "Child":
        """Somebody waits that it runs."""
        if self.phase is Phase.READY:
            return self
        return replace(self, wanted_at=now if self.wanted_at is None else self.wanted_at, is_held=False)

    def entered(self, now: float) -> "Child":
        """A request needs it."""
        return replace(self.wanted(now), users=self.users + 1)

    def left(self, now: float) -> "Child":
        """A request needs it no more. Whoever comes up goes on with it: the next one may want it."""
        waits = None if self.users == 1 and self.phase not in COMING_UP else self.wanted_at
        return replace(self, users=self.users - 1, used_at=now, wanted_at=waits)

    def forgiven(self) -> "Child":
        """It may be tried at once, whatever became of it before."""
        return replace(self, crashes=0, retry_at=-inf)

    def spawned(self, now: float) -> "Child":
        """It was started."""
        return replace(
            self,
            phase=Phase.STARTING,
            start=self.start + 1,
            since=now,
            kill_at=inf,
            is_failing=False,
            is_held=False,
            missed=0,
        )

    def answered(self, start: int, now: float, *, is_ready: bool) -> "Child":
        """It answers, that it is ready or that it loads."""
        if start == self.start and self.phase is Phase.READY and self.missed:
            return replace(self, missed=0)
        if start != self.start or self.phase not in COMING_UP:
            return self
        if not is_ready:
            return replace(self, phase=Phase.LOADING)
        return replace(
            self, phase=Phase.READY, since=now, used_at=now, wanted_at=None, cramped=False, error="", retry_at=-inf
        )

    def silent(self, start: int) -> "Child":
        """It was asked and did not answer in time."""
        if start != self.start or self.phase is not Phase.READY:
            return self
        return replace(self, missed=self.missed + 1)

    def stopping(self, now: float, grace_s: float, *, failing: str = "", by_hand: bool = False) -> "Child":
        """It was asked to end; `failing` says what is wrong with it, if that is why."""
        if self.phase is Phase.STOPPING or not self.is_alive:
            return replace(self, is_held=by_hand or self.is_held, wanted_at=None if by_hand else self.wanted_at)
        return replace(
            self,
            phase=Phase.STOPPING,
            since=now,
            kill_at=now + grace_s,
            is_failing=bool(failing),
            error=failing or self.error,
            is_held=by_hand,
            wanted_at=None if by_hand else self.wanted_at,
        )

    def killed(self) -> "Child":
        """It was killed, and is about to be gone."""
        return replace(self, kill_at=inf)

    def exited(self, start: int, now: float, how: str, *, out_of_memory: bool = False) -> "Child":
        """Its process is gone. `how` it ended, in words."""
        if start != self.start or not self.is_alive:
            return self
        if self.phase is Phase.STOPPING and not self.is_failing:
            return replace(self, phase=Phase.STOPPED, since=now, kill_at=inf)
        if self.phase in COMING_UP and out_of_memory and not self.cramped:
            wanted_at = now if self.wanted_at is None else self.wanted_at
            return replace(self, phase=Phase.STOPPED, since=now, cramped=True, wanted_at=wanted_at, error=how)
        if self.is_failing:
            return self.crashed(now, self.error)
        if self.phase in COMING_UP:
            return self.crashed(now, f"{how} while it was loading")
        was_stable = now - self.since >= STABLE_S
        return replace(self, crashes=0 if was_stable else self.crashes).crashed(now, how)

    def crashed(self, now: float, how: str) -> "Child":
        """It ended though nobody wanted it to. It may be tried again at once, then after ever longer."""
        crashes = self.crashes + 1
        return replace(
            self,
            phase=Phase.CRASHED,
            since=now,
            crashes=crashes,
            failures=self.failures + 1,
            retry_at=now + delay_s(crashes),
            kill_at=inf,
            is_failing=False,
            cramped=False,
            wanted_at=None,
            error=how,
        )


def delay_s(crashes: int) -> float:
    """How long to wait after so many crashes in a row."""
    return 0.0 if crashes <= 1 else min(FIRST_DELAY_S * 2 ** min(crashes - 2, 16), MAX_DELAY_S)
