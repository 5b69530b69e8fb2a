"""The order in which one request's candidates are asked. Pure."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from router.errors import (
    BackendDrained,
    BackendLoading,
    BackendRemoved,
    BackendUnreachable,
    ContextLengthExceeded,
    QueueFull,
    QueueShareExhausted,
    RouterError,
)
from router.relay.turn import Turn
from router.routing.plan import Candidate

TURNED_AWAY = (QueueFull, QueueShareExhausted, BackendDrained, BackendRemoved)
"""The backend was never asked."""


class Course:
    """Who is still to be asked, and what those said who were.

    A backend that failed is asked for another model only after all others; one that could not be reached, or that
    loads its model, is asked again when nobody else is left.
    """

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._waiting = deque(candidates)
        self._again: list[Candidate] = []
        self.failures: list[RouterError] = []
        self.turned_away = 0

    def take(self, fits: Callable[[Candidate], bool] = lambda _: True) -> Candidate | None:
        """The next one that fits, which is then no longer waiting."""
        for candidate in self._waiting:
            if fits(candidate):
                self._waiting.remove(candidate)
                return candidate
        return None

    @property
    def others(self) -> Sequence[Candidate]:
        """Those who wait, in order."""
        return tuple(self._waiting)

    def goes_to(self, turn: Turn, winner: Candidate) -> None:
        """This one of the rivals had a slot first."""
        if winner is not turn.candidate:
            self._waiting.remove(winner)
            self._waiting.appendleft(turn.candidate)
            turn.goes_to(winner)

    def has(self, fits: Callable[[Candidate], bool]) -> bool:
        """Whether anybody who waits fits."""
        return any(fits(candidate) for candidate in self._waiting)

    def keep(self, fits: Callable[[Candidate], bool]) -> None:
        """Nobody else will be asked."""
        self._waiting = deque(candidate for candidate in self._waiting if fits(candidate))
        self._again = [candidate for candidate in self._again if fits(candidate)]

    def failed(self, candidate: Candidate, error: RouterError, *, rivals: Sequence[Candidate] = ()) -> None:
        """A candidate came to nothing. Where no line took the request, all its rivals did."""
        self.failures.append(error)
        if isinstance(error, TURNED_AWAY):
            self.turned_away += 1
            self.keep(lambda other: other not in rivals)
        if error.blame == "backend":
            backend = candidate.target.backend
            self._waiting = deque(sorted(self._waiting, key=lambda other: other.target.backend == backend))
        if isinstance(error, (BackendUnreachable, BackendLoading)):
            self._again.append(candidate)

    def starts_over(self) -> bool:
        """Brings back those who may be asked again, if nobody else is left; False when there is nobody at all."""
        if self._waiting or not self._again:
            return False
        self._waiting.extend(self._again)
        self._again.clear()
        return True

    @property
    def most_telling(self) -> RouterError:
        """The failure that says soonest when to come back, else that the prompt is too long, which a client can mend
        at once, else the last that may pass, else the last."""
        if told := [error for error in self.failures if error.retry_after is not None]:
            return min(told, key=lambda error: error.retry_after or 0.0)
        if too_long := [error for error in self.failures if isinstance(error, ContextLengthExceeded)]:
            return too_long[0]
        return next((error for error in reversed(self.failures) if error.status >= 429), self.failures[-1])
