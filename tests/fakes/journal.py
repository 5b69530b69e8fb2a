"""What the fake saw: requests, probes, how many are being answered, who left early."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as received; header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Raises ValueError when the body is not JSON; None when there is no body."""
        return json.loads(self.body) if self.body else None


class Passage:
    """One answer under way."""

    __slots__ = ("over",)

    def __init__(self) -> None:
        self.over = False


class Journal:
    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.probes: list[Recorded] = []
        self.disconnects: list[float] = []
        self.in_flight = 0
        self.peak_in_flight = 0
        self.going_down = False
        self._changed = asyncio.Event()

    def clear(self) -> None:
        """Requests still being answered stay counted."""
        self.requests.clear()
        self.probes.clear()
        self.disconnects.clear()
        self.peak_in_flight = self.in_flight

    def note_probe(self, recorded: Recorded) -> None:
        self.probes.append(recorded)
        self._announce()

    @contextmanager
    def answering(self, recorded: Recorded) -> Iterator[Passage]:
        """Counts the request while inside; leaving before `over` is set counts as a disconnect."""
        passage = Passage()
        self.requests.append(recorded)
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        self._announce()
        try:
            yield passage
        except (asyncio.CancelledError, ConnectionError):
            if not passage.over and not self.going_down:
                self.disconnects.append(asyncio.get_running_loop().time())
            raise
        finally:
            self.in_flight -= 1
            self._announce()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
