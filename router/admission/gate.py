"""The asyncio side of admission: `async with gate.admit(claim)` holds a slot."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import count
from types import TracebackType
from typing import Protocol

from router.admission.claims import Claim, Granted, Priority, Refused
from router.admission.limits import LaneSpec
from router.admission.scheduler import Lane
from router.admission.view import Standing, Track, standing
from router.errors import BackendDrained, BackendRemoved, QueueFull, QueueShareExhausted, RouterError


def _nowhere() -> bool:
    return False


class Watcher(Protocol):
    """Whoever counts what happens at the gate."""

    def admitted(self, backend: str, priority: Priority, waited_s: float) -> None:
        """A request may run."""
        ...

    def refused(self, backend: str, reason: str) -> None:
        """A request may not wait, or not any longer: user_share, full, max_wait, drained, removed."""
        ...


class Admitted:
    """A slot that is held. `load`: the backend has to load the model first, as far as anybody knows.

    Whoever holds it sets `served` once the backend has begun to answer: the slot's time then counts as service.
    """

    __slots__ = ("claim", "load", "served")

    def __init__(self, claim: Claim, *, load: bool) -> None:
        self.claim = claim
        self.load = load
        self.served = False


class Stay:
    """One request at the gate, from asking to leaving. To be entered once; leaving frees whatever it has."""

    __slots__ = ("_gate", "admitted", "claims", "has_another", "request", "since", "turn")

    def __init__(self, gate: "Gate", claims: Sequence[Claim], *, request: str, has_another: Callable[[], bool]) -> None:
        self._gate = gate
        self.claims = claims
        self.request = request
        self.has_another = has_another
        self.since = 0.0
        self.admitted: Admitted | None = None
        self.turn: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Admitted:
        self._gate.ask(self)
        if self.admitted is not None:
            return self.admitted
        turn = self.turn = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._gate.max_wait_s):
                await turn
        except TimeoutError:
            if self.admitted is None:
                raise self._gate.gave_up(self) from None
        except BaseException:
            self._gate.leave(self)
            raise
        assert self.admitted is not None
        return self.admitted

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.leave(self)

    def standing(self) -> Standing | None:
        """Its place in line, the best of them if it waits in several; None once it waits no more."""
        return None if self.turn is None or self.turn.done() else self._gate.standing(self)


class Gate:
    """Every lane with those who wait in it. Whatever changes a lane is synchronous, and delivers its grants at once."""

    def __init__(self, specs: Iterable[LaneSpec], *, max_wait_s: float = 120, watcher: Watcher | None = None) -> None:
        self.tracks = tuple(Track(spec, Lane(spec.limits({}))) for spec in specs)
        self.max_wait_s = max_wait_s
        self.waiting: dict[int, Stay] = {}
        self.queued: dict[tuple[str, Priority], int] = {}
        self._by_backend = {backend: track for track in self.tracks for backend in track.spec.backends}
        self._watcher = watcher
        self._tickets = count(1)
        self._granted: deque[Claim] = deque()
        self._is_delivering = False

    def become(self, specs: Collection[LaneSpec], *, max_wait_s: float, moved: Collection[str] = ()) -> None:
        """Other lanes and limits from now on. Who runs goes on, who waits keeps its place, as far as there is one.

        Those who wait for nothing but removed backends get BackendRemoved. `moved` backends are other servers now.
        """
        now, before, old = asyncio.get_running_loop().time(), self._by_backend, self.tracks
        known = {track.spec.name: track for track in old}
        self.tracks = tuple(known.get(spec.name) or Track(spec, Lane(spec.limits({}))) for spec in specs)
        for track, spec in zip(self.tracks, specs, strict=True):
            track.spec = spec
        self.max_wait_s = max_wait_s
        self._by_backend = {backend: track for track in self.tracks for backend in track.spec.backends}
        gone = [claim for backend, track in before.items() for claim in self._rehoused(backend, track)]
        for backend in moved:
            self._by_backend[backend].learned.pop(backend, None)
            self._by_backend[backend].lane.forget_loaded(backend)
        for track in old:
            if track not in self.tracks and track.timer is not None:
                track.timer.cancel()
        for claim in gone:
            self._removed(claim)
        for track in self.tracks:
            self._moved(track, track.lane.set_limits(track.spec.limits(track.learned, track.fits), now), now)

    def _rehoused(self, backend: str, old: Track) -> Sequence[Claim]:
        """Takes a backend to the lane that is now its own; if it has none, those who waited for it."""
        new = self._by_backend.get(backend)
        if new is old:
            return ()
        moving = old.lane.give_up(backend)
        slots, is_drained = old.learned.pop(backend, None), backend in old.drained
        old.drained.discard(backend)
        if new is None:
            return moving.waiting
        new.lane.take_over(moving)
        if slots is not None:
            new.learned[backend] = slots
        if is_drained:
            new.drained.add(backend)
        return ()

    def _removed(self, claim: Claim) -> None:
        stay = self._dequeue(claim)
        if stay is None or stay.turn is None or stay.turn.done():
            return
        if not any(other.ticket in self.waiting for other in stay.claims):
            self._count_refusal(claim, "removed")
            stay.turn.set_exception(BackendRemoved(f"{claim.backend} is no longer in the settings"))

    def ticket(self) -> int:
        """A number that no other claim has."""
        return next(self._tickets)

    def admit(self, claim: Claim, *, request: str = "", has_another: Callable[[], bool] = _nowhere) -> Stay:
        """Holds a slot for as long as the context."""
        return self.admit_any((claim,), request=request, has_another=has_another)

    def admit_any(
        self, claims: Sequence[Claim], *, request: str = "", has_another: Callable[[], bool] = _nowhere
    ) -> Stay:
        """Holds a slot of the first lane that has one, and leaves the others.

        Entering raises QueueFull or QueueShareExhausted when every line refuses it or no turn comes in time. Where a
        backend is drained, or is while it waits, it raises BackendDrained if `has_another` says that the request has
        somewhere else to go; else it waits for whoever resumes the backend.
        """
        return Stay(self, claims, request=request, has_another=has_another)

    def ask(self, stay: Stay) -> None:
        """The stay is admitted, or in line; else raises."""
        now = stay.since = asyncio.get_running_loop().time()
        refusals: list[tuple[Claim, Refused]] = []
        for claim in stay.claims:
            track = self._by_backend[claim.backend]
            if claim.backend in track.drained and stay.has_another():
                continue
            verdict = track.lane.ask(claim, now)
            if type(verdict) is Granted:
                self._admit(stay, claim, now, load=verdict.load)
                return
            if type(verdict) is Refused:
                refusals.append((claim, verdict))
            else:
                self._enqueue(stay, claim)
                self._arm(track, now)
        if not any(claim.ticket in self.waiting for claim in stay.claims):
            raise self._refusal(stay, refusals)

    def leave(self, stay: Stay) -> None:
        """The request is over, or has left: its slot or its places in line are free."""
        now = asyncio.get_running_loop().time()
        admitted = stay.admitted
        for claim in stay.claims:
            if admitted is not None and admitted.claim is claim:
                self._free(claim, now, served=admitted.served)
            else:
                self._withdraw(claim, now)

    def gave_up(self, stay: Stay) -> RouterError:
        """No turn came in time."""
        now = asyncio.get_running_loop().time()
        self.leave(stay)
        claims = [claim for claim in stay.claims if claim.backend in self._by_backend]
        waits = [self._by_backend[claim.backend].lane.retry_after(now) for claim in claims]
        names = " and ".join(claim.backend for claim in claims)
        drained = all(claim.backend in self._by_backend[claim.backend].drained for claim in claims)
        for claim in claims:
            self._count_refusal(claim, "drained" if drained else "max_wait")
        why = "is drained and nobody resumed it" if drained else "was busy"
        return QueueFull(f"{names} {why}: no slot became free within {self.max_wait_s:g} s", retry_after=min(waits))

    def standing(self, stay: Stay) -> Standing | None:
        """The best place of one who waits."""
        now = asyncio.get_running_loop().time()
        waits = [claim for claim in stay.claims if claim.ticket in self.waiting]
        places = [standing(self._by_backend[claim.backend], claim.ticket, now) for claim in waits]
        return min((place for place in places if place is not None), key=lambda place: place.eta_s, default=None)

    def looked(self, backend: str, *, slots: int | None, loaded: Iterable[str]) -> None:
        """What a look at the backend has told: how many requests it takes at once, and which models are loaded."""
        track, now = self._by_backend[backend], asyncio.get_running_loop().time()
        if slots is not None and slots > 0 and track.learned.get(backend) != slots:
            track.learned[backend] = slots
            self._moved(track, track.lane.set_limits(track.spec.limits(track.learned, track.fits), now), now)
        self._moved(track, track.lane.resident(backend, loaded, now), now)

    def running(self, backend: str, *, is_running: bool) -> None:
        """The process of a backend has begun or ended."""
        track, now = self._by_backend[backend], asyncio.get_running_loop().time()
        self._moved(track, track.lane.running(backend, now, is_running=is_running), now)

    def fitting(self, backend: str, fits: Callable[[AbstractSet[str]], bool]) -> None:
        """What is known by now of which processes of its lane fit together."""
        track, now = self._by_backend[backend], asyncio.get_running_loop().time()
        track.fits = fits
        self._moved(track, track.lane.set_limits(track.spec.limits(track.learned, fits), now), now)

    def drain(self, backend: str) -> None:
        """Starts nothing new there. Who waits for it and has somewhere else to go is sent on."""
        track, now = self._by_backend[backend], asyncio.get_running_loop().time()
        track.drained.add(backend)
        track.lane.pause(backend)
        for stay in {id(stay): stay for stay in self.waiting.values()}.values():
            mine = [claim for claim in stay.claims if claim.backend == backend and claim.ticket in self.waiting]
            if not mine or not (stay.has_another() or self._waits_elsewhere(stay, backend)):
                continue
            for claim in mine:
                self._withdraw(claim, now)
            if stay.turn is not None and not stay.turn.done() and not self._waits_elsewhere(stay, backend):
                stay.turn.set_exception(self._drained(mine[0]))

    def resume(self, backend: str) -> None:
        """Undoes `drain`."""
        track, now = self._by_backend[backend], asyncio.get_running_loop().time()
        track.drained.discard(backend)
        self._moved(track, track.lane.resume(backend, now), now)

    def in_flight(self, backend: str) -> int:
        """How many requests hold a slot of it."""
        return self._by_backend[backend].lane.in_flight(backend)

    def is_idle(self, backend: str, model: str) -> bool:
        """Whether a request for this model, by its canonical name, would run at once."""
        track = self._by_backend[backend]
        return backend not in track.drained and track.lane.is_idle(backend, model, asyncio.get_running_loop().time())

    def waiting_for(self, backend: str) -> int:
        """How many requests wait for a slot of it; may be asked from another thread."""
        return sum(self.queued.get((backend, priority), 0) for priority in Priority)

    def counts(self) -> Mapping[tuple[str, Priority], int]:
        """How many wait, by backend and class; may be asked from another thread."""
        return dict(self.queued)

    def _waits_elsewhere(self, stay: Stay, backend: str) -> bool:
        return any(claim.ticket in self.waiting and claim.backend != backend for claim in stay.claims)

    def _admit(self, stay: Stay, claim: Claim, now: float, *, load: bool) -> None:
        stay.admitted = Admitted(claim, load=load)
        if len(stay.claims) > 1:
            for other in stay.claims:
                if other is not claim:
                    self._withdraw(other, now)
        if self._watcher is not None:
            self._watcher.admitted(claim.backend, claim.priority, now - stay.since)
        if stay.turn is not None and not stay.turn.done():
            stay.turn.set_result(None)

    def _enqueue(self, stay: Stay, claim: Claim) -> None:
        self.waiting[claim.ticket] = stay
        key = (claim.backend, claim.priority)
        self.queued[key] = self.queued.get(key, 0) + 1

    def _dequeue(self, claim: Claim) -> Stay | None:
        stay = self.waiting.pop(claim.ticket, None)
        if stay is not None:
            self.queued[claim.backend, claim.priority] -= 1
        return stay

    def _withdraw(self, claim: Claim, now: float) -> None:
        """Takes a claim out of its line, or gives back a slot that it got and does not use."""
        if self._dequeue(claim) is not None:
            self._free(claim, now, served=False)

    def _free(self, claim: Claim, now: float, *, served: bool) -> None:
        track = self._by_backend.get(claim.backend)
        if track is None:
            return
        granted = track.lane.leave(claim.ticket, now, served=served)
        if granted or track.timer is not None or track.lane.waiting():
            self._moved(track, granted, now)

    def _moved(self, track: Track, granted: Iterable[Claim], now: float) -> None:
        """Delivers grants one after another, also those that a delivery leads to."""
        self._granted.extend(granted)
        if not self._is_delivering:
            self._is_delivering = True
            try:
                while self._granted:
                    claim = self._granted.popleft()
                    if (stay := self._dequeue(claim)) is not None:
                        load = self._by_backend[claim.backend].lane.loads(claim.ticket)
                        self._admit(stay, claim, now, load=load)
            finally:
                self._is_delivering = False
        self._arm(track, now)

    def _arm(self, track: Track, now: float) -> None:
        """One timer for the moment at which the lane may grant something though nothing happens."""
        if track.timer is not None:
            track.timer.cancel()
            track.timer = None
        if track.lane.waiting() and (due := track.lane.due(now)) is not None:
            track.timer = asyncio.get_running_loop().call_at(due, self._is_due, track)

    def _is_due(self, track: Track) -> None:
        track.timer = None
        now = asyncio.get_running_loop().time()
        self._moved(track, track.lane.advance(now), now)

    def _refusal(self, stay: Stay, refusals: Sequence[tuple[Claim, Refused]]) -> RouterError:
        """The refusal of the line that asks for the least patience."""
        if not refusals:
            self._count_refusal(stay.claims[0], "drained")
            return self._drained(stay.claims[0])
        for claim, refused in refusals:
            self._count_refusal(claim, refused.reason)
        claim, refused = min(refusals, key=lambda refusal: refusal[1].retry_after_s)
        if refused.reason == "user_share":
            return QueueShareExhausted(
                f"too many of your requests wait for {claim.backend} already: let some of them finish",
                retry_after=refused.retry_after_s,
            )
        return QueueFull(f"{claim.backend} has too many requests waiting", retry_after=refused.retry_after_s)

    def _count_refusal(self, claim: Claim, reason: str) -> None:
        if self._watcher is not None:
            self._watcher.refused(claim.backend, reason)

    def _drained(self, claim: Claim) -> BackendDrained:
        retry_after = self._by_backend[claim.backend].lane.retry_after(asyncio.get_running_loop().time())
        return BackendDrained(f"{claim.backend} is drained: it takes no new requests", retry_after=retry_after)
