"""How much was used within the last minute, to the second."""

from collections import deque

SPAN_S = 60


class Window:
    """Adds up amounts over a sliding minute in slots of a second: never forgets too early, at most a second late.

    Times are seconds of a monotonic clock.
    """

    __slots__ = ("_slots", "total")

    def __init__(self) -> None:
        self._slots: deque[list[int]] = deque()
        self.total = 0

    def add(self, amount: int, *, now: float) -> None:
        """Counts an amount from now on."""
        self.forget(now)
        second = int(now)
        if not self._slots or self._slots[-1][0] < second:
            self._slots.append([second, 0])
        self._slots[-1][1] += amount
        self.total += amount

    def take_back(self, amount: int, *, at: float, now: float) -> None:
        """Undoes an `add` of that amount at an earlier time, if it still counts."""
        self.forget(now)
        for slot in self._slots:
            if slot[0] == int(at):
                slot[1] -= amount
                self.total -= amount
                return

    def forget(self, now: float) -> None:
        """Drops what is out of the minute."""
        while self._slots and self._slots[0][0] + SPAN_S + 1 <= now:
            self.total -= self._slots.popleft()[1]

    def room_in(self, room: int, *, limit: int, now: float) -> float:
        """Seconds until `room` more fit under the limit, if nothing is added; 0 when they do now."""
        self.forget(now)
        total = self.total
        if total + room <= limit:
            return 0.0
        for second, amount in self._slots:
            total -= amount
            if total + room <= limit:
                return max(0.0, second + SPAN_S + 1 - now)
        return float(SPAN_S + 1)

    def empty_in(self, now: float) -> float:
        """Seconds until nothing is counted any more."""
        self.forget(now)
        return max(0.0, self._slots[-1][0] + SPAN_S + 1 - now) if self._slots else 0.0
