"""Who has used how much lately: service seconds by user, of which half is forgotten every few minutes."""

from heapq import nlargest

HALF_LIFE_S = 300.0
MAX_USERS = 1000
_REBASE_AFTER = 32 * HALF_LIFE_S


class Shares:
    """Seconds are kept times a factor that grows with the clock, so that nobody's need be touched to let them fade."""

    def __init__(self) -> None:
        self._used: dict[str, float] = {}
        self._running: dict[str, tuple[int, float]] = {}  # how many, and the sum of their starts
        self._epoch = 0.0

    def started(self, user: str, now: float) -> None:
        """A request of this user runs from now on."""
        count, starts = self._running.get(user, (0, 0.0))
        self._running[user] = (count + 1, starts + now)

    def ended(self, user: str, started_at: float, now: float) -> None:
        """It ends, and what it took is its user's."""
        self.forgot(user, started_at)
        if now - self._epoch > _REBASE_AFTER:
            self._rebase(now)
        self._used[user] = self._used.get(user, 0.0) + (now - started_at) * self._factor(now)
        if len(self._used) > MAX_USERS:
            self._used = dict(nlargest(MAX_USERS // 2, self._used.items(), key=lambda item: item[1]))

    def forgot(self, user: str, started_at: float) -> None:
        """It runs no longer, or elsewhere, and nobody is charged here."""
        count, starts = self._running[user]
        if count == 1:
            del self._running[user]
        else:
            self._running[user] = (count - 1, starts - started_at)

    def used(self, user: str, now: float) -> float:
        """Seconds, faded; what runs counts whole and a second more each, so that free slots go round."""
        used = self._used.get(user, 0.0)
        if used:
            used /= self._factor(now)
        if running := self._running.get(user):
            count, starts = running
            used += count * (now + 1.0) - starts
        return used

    def _factor(self, now: float) -> float:
        return 2.0 ** ((now - self._epoch) / HALF_LIFE_S)

    def _rebase(self, now: float) -> None:
        factor = self._factor(min(now, self._epoch + 30 * _REBASE_AFTER))
        self._used = {user: faded for user, used in self._used.items() if (faded := used / factor) > 1e-3}
        self._epoch = now
