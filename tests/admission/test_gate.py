"""Holding a slot while a request runs: queueing, leaving, giving up."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.admission.gate import Gate
from router.errors import QueueFull

pytestmark = pytest.mark.anyio

SOON_S = 0.01


class Visit:
    """A request that holds its slot until it is told to go."""

    def __init__(self, gate: Gate, *, max_wait_s: float = 5) -> None:
        self.is_in = asyncio.Event()
        self.may_go = asyncio.Event()
        self.task = asyncio.create_task(self._stay(gate, max_wait_s))

    async def _stay(self, gate: Gate, max_wait_s: float) -> None:
        async with gate.admit("desk", max_wait_s=max_wait_s):
            self.is_in.set()
            await self.may_go.wait()

    async def go(self) -> None:
        self.may_go.set()
        await self.task

    async def leave(self) -> None:
        """As a client who closes the connection."""
        self.task.cancel()
        await asyncio.wait((self.task,))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(1):
        while not condition():
            await asyncio.sleep(0)


async def settled() -> None:
    """Everything that can happen now has happened."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_free_slot_is_given_at_once():
    async with Gate({"desk": 1}).admit("desk", max_wait_s=0):
        pass


@pytest.mark.parametrize("limits", [{"desk": None}, {}])
async def test_a_backend_without_limit_admits_everybody(limits):
    gate = Gate(limits)
    visits = [Visit(gate) for _ in range(200)]
    await asyncio.gather(*(visit.is_in.wait() for visit in visits))
    await asyncio.gather(*(visit.go() for visit in visits))


async def test_a_second_request_waits_for_the_first():
    gate = Gate({"desk": 1})
    first, second = Visit(gate), Visit(gate)
    await until(lambda: gate.waiting("desk") == 1)
    assert not second.is_in.is_set()
    await first.go()
    await second.is_in.wait()
    await second.go()
    assert gate.waiting("desk") == 0


async def test_backends_have_lines_of_their_own():
    gate = Gate({"desk": 1, "lab": 1})
    visit = Visit(gate)
    await visit.is_in.wait()
    async with gate.admit("lab", max_wait_s=0):
        pass
    await visit.go()


async def test_a_client_leaving_while_queued_is_forgotten():
    gate = Gate({"desk": 1})
    first, leaver, third = Visit(gate), Visit(gate), Visit(gate)
    await until(lambda: gate.waiting("desk") == 2)
    await leaver.leave()
    assert gate.waiting("desk") == 1
    await first.go()
    await third.is_in.wait()
    await third.go()


async def test_a_client_leaving_in_the_moment_of_its_turn_passes_the_slot_on():
    gate = Gate({"desk": 1})
    first, leaver, third = Visit(gate), Visit(gate), Visit(gate)
    await until(lambda: gate.waiting("desk") == 2)
    first.may_go.set()
    await asyncio.sleep(0)
    leaver.task.cancel()
    await third.is_in.wait()
    await third.go()


async def test_a_client_leaving_while_running_frees_its_slot():
    gate = Gate({"desk": 1})
    first, second = Visit(gate), Visit(gate)
    await first.is_in.wait()
    await first.leave()
    await second.is_in.wait()
    await second.go()


async def test_a_failing_request_frees_its_slot():
    gate = Gate({"desk": 1})
    with pytest.raises(RuntimeError):
        async with gate.admit("desk", max_wait_s=0):
            raise RuntimeError
    async with gate.admit("desk", max_wait_s=0):
        pass


async def test_waiting_too_long_is_an_answer_with_a_time_to_come_back():
    gate = Gate({"desk": 1})
    first, second = Visit(gate), Visit(gate, max_wait_s=SOON_S)
    with pytest.raises(QueueFull) as caught:
        await second.task
    assert (caught.value.status, caught.value.retryable) == (503, True)
    assert (caught.value.retry_after or 0) > 0
    assert gate.waiting("desk") == 0
    await first.go()


async def test_a_full_line_is_an_answer_at_once():
    gate = Gate({"desk": 1})
    visits = [Visit(gate) for _ in range(101)]
    await until(lambda: gate.waiting("desk") == 100)
    with pytest.raises(QueueFull):
        async with gate.admit("desk", max_wait_s=5):
            pass
    for visit in visits:
        await visit.leave()
    assert gate.waiting("desk") == 0


async def test_who_gave_up_does_not_keep_others_waiting():
    gate = Gate({"desk": 1})
    first, impatient, third = Visit(gate), Visit(gate, max_wait_s=SOON_S), Visit(gate)
    await asyncio.wait((impatient.task,))
    assert isinstance(impatient.task.exception(), QueueFull)
    await first.go()
    await third.is_in.wait()
    await third.go()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3), st.lists(st.tuples(st.sampled_from(["come", "go", "leave"]), st.integers(0, 99)), max_size=25)
)
def test_whatever_happens_the_limit_holds_and_all_slots_come_back(limit, steps):
    asyncio.run(_play(limit, steps))


async def _play(limit: int, steps: list[tuple[str, int]]) -> None:
    gate = Gate({"desk": limit})
    visits: list[Visit] = []
    for step, which in steps:
        if step == "come":
            visits.append(Visit(gate))
        elif visits:
            await _ending(visits.pop(which % len(visits)), step)
        await settled()
        inside = [visit for visit in visits if visit.is_in.is_set()]
        assert len(inside) == min(limit, len(visits))
        assert gate.waiting("desk") == len(visits) - len(inside)
    for visit in visits:
        await visit.leave()
    async with gate.admit("desk", max_wait_s=0):
        pass


def _ending(visit: Visit, step: str) -> Awaitable[None]:
    return visit.go() if step == "go" and visit.is_in.is_set() else visit.leave()
