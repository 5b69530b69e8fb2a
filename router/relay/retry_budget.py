"""How often the whole process may try again: so that backends which are all in trouble are not hammered too. Pure."""

from collections import deque

SHARE = 0.2
LEAST = 3
WINDOW_S = 10


class RetryBudget:
    """Counts requests, and the attempts beyond the first that they took, over the last seconds.

    Every further attempt is counted. While that is less than a share of the requests there is room for any. When there
    is none left, one may still go where nothing speaks against it: to a backend that is up and has not turned
    anybody away since it last answered. So the first backend of two may die under full load, and yet a fleet that
    fails as a whole gets its requests hardly more than once: whoever fails is trusted no longer.
    """

    def __init__(self, *, share: float = SHARE, least: int = LEAST, window_s: int = WINDOW_S) -> None:
        self._share = share
        self._least = least
        self._window_s = window_s
        self._seconds: deque[list[int]] = deque()  # of each second: which, requests, further attempts
        self._requests = 0
        self._further = 0
        self._in_trouble: set[str] = set()

    def requested(self, now: float) -> None:
        """A request begins."""
        self._current(now)[1] += 1
        self._requests += 1

    def spend(self, now: float) -> None:
        """An attempt beyond the first of a request is made."""
        self._current(now)[2] += 1
        self._further += 1

    def has_room(self, now: float) -> bool:
        """Whether a further attempt is within the share."""
        self._current(now)
        return self._further < max(self._least, int(self._share * self._requests))

    def turned_away(self, backend: str) -> None:
        """An attempt there failed, whoever is to blame."""
        self._in_trouble.add(backend)

    def answered(self, backend: str) -> None:
        """An attempt there came to something."""
        if self._in_trouble:
            self._in_trouble.discard(backend)

    def trusts(self, backend: str) -> bool:
        """Whether nobody has been turned away there since it last answered."""
        return backend not in self._in_trouble

    def _current(self, now: float) -> list[int]:
        second = int(now)
        seconds = self._seconds
        if seconds and seconds[-1][0] == second:
            return seconds[-1]
        while seconds and seconds[0][0] <= second - self._window_s:
            _, requests, further = seconds.popleft()
            self._requests -= requests
            self._further -= further
        seconds.append([second, 0, 0])
        return seconds[-1]
