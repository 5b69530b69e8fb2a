"""Knowing when everybody who began before a change has ended."""

from collections import deque
from collections.abc import Callable


class Epoch:
    """The time between two changes; `under_way` of those who began in it have not ended."""

    __slots__ = ("over", "under_way")

    def __init__(self) -> None:
        self.under_way = 0
        self.over: Callable[[], None] | None = None


class Epochs:
    """What a change takes away is given up once nobody is under way who may have seen it."""

    def __init__(self) -> None:
        self._open = deque([Epoch()])

    def begin(self) -> Epoch:
        """Somebody begins; to be given to `end`."""
        epoch = self._open[-1]
        epoch.under_way += 1
        return epoch

    def end(self, epoch: Epoch) -> None:
        """They have ended."""
        epoch.under_way -= 1
        if len(self._open) > 1:
            self._settle()

    def change(self, over: Callable[[], None]) -> None:
        """Calls `over` when all who have begun until now have ended, perhaps at once."""
        self._open[-1].over = over
        self._open.append(Epoch())
        self._settle()

    def _settle(self) -> None:
        while len(self._open) > 1 and not self._open[0].under_way:
            if (over := self._open.popleft().over) is not None:
                over()
