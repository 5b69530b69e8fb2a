"""Short words for claims and lanes."""

from itertools import count
from typing import Any

from router.admission.claims import Claim, Granted, Limits, Priority
from router.admission.scheduler import Lane

CLASSES = {"i": Priority.INTERACTIVE, "n": Priority.NORMAL, "b": Priority.BATCH}
BOX = "box"


class Scene:
    """A lane, a clock that is set by hand, and who runs."""

    def __init__(self, **limits: Any) -> None:
        self.lane = Lane(Limits(**limits))
        self.now = 1_000.0
        self.tickets = count(1)
        self.running: dict[int, Claim] = {}
        self.names: dict[int, str] = {}
        self.loads = 0

    def ask(self, name="", *, user="u", model="m", kind="n", backend=BOX, at=None):
        ticket = next(self.tickets)
        claim = Claim(ticket, backend, model, user, CLASSES[kind], self.now if at is None else at, alias=name)
        self.names[ticket] = name
        verdict = self.lane.ask(claim, self.now)
        if isinstance(verdict, Granted):
            assert verdict.load == self.lane.loads(ticket)
            self._runs(claim)
        return verdict

    def ticket(self, name):
        return next(ticket for ticket, known in self.names.items() if known == name)

    def leave(self, name, **how):
        ticket = self.ticket(name)
        self.running.pop(ticket, None)
        return self.granted(self.lane.leave(ticket, self.now, **how))

    def granted(self, claims):
        for claim in claims:
            self._runs(claim)
        return [claim.alias for claim in claims]

    def drain(self, *, service_s=1.0):
        """Runs everything to its end, the oldest run first; returns the names in the order of their grants."""
        order: list[str] = []
        while self.running:
            self.now += service_s
            ticket = next(iter(self.running))
            del self.running[ticket]
            order += self.granted(self.lane.leave(ticket, self.now))
        return order

    def wait(self, seconds):
        """Lets time pass, and calls `advance` when it is due; returns the names granted."""
        until, order = self.now + seconds, []
        while (due := self.lane.due(self.now)) is not None and due <= until:
            self.now = due
            order += self.granted(self.lane.advance(self.now))
        self.now = until
        return order

    def _runs(self, claim: Claim) -> None:
        assert claim.ticket not in self.running
        self.running[claim.ticket] = claim
        self.loads += self.lane.loads(claim.ticket)
