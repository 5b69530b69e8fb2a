"""Taking a backend out of service at the gate: who moves on, who waits for it to come back."""

import asyncio

import pytest

from router.errors import BackendDrained, QueueFull
from tests.admission.visits import SOON_S, Visit, gate_of, is_empty, settled, until

pytestmark = pytest.mark.anyio


async def test_running_requests_go_on_and_nothing_new_begins():
    gate = gate_of({"desk": 2})
    running = Visit(gate)
    await running.is_in.wait()
    gate.drain("desk")
    late = Visit(gate)
    await settled()
    assert (running.is_in.is_set(), late.is_in.is_set()) == (True, False)
    assert (gate.in_flight("desk"), gate.waiting_for("desk")) == (1, 1)
    gate.resume("desk")
    await late.is_in.wait()
    await asyncio.gather(running.go(), late.go())
    assert is_empty(gate)


async def test_who_has_somewhere_else_to_go_is_sent_on_at_once():
    gate = gate_of({"desk": 1})
    running, stuck, free = Visit(gate), Visit(gate), Visit(gate, has_another=lambda: True)
    await until(lambda: gate.waiting_for("desk") == 2)
    gate.drain("desk")
    with pytest.raises(BackendDrained) as caught:
        await free.task
    assert (caught.value.status, caught.value.retryable) == (503, True)
    with pytest.raises(BackendDrained):
        await Visit(gate, has_another=lambda: True).task
    assert gate.waiting_for("desk") == 1
    gate.resume("desk")
    await running.go()
    await stuck.go()
    assert is_empty(gate)


async def test_who_waits_in_another_line_too_keeps_its_place_there():
    gate = gate_of({"desk": 1, "lab": 1})
    desk, lab, either = Visit(gate), Visit(gate, ["lab"]), Visit(gate, ["desk", "lab"])
    await until(lambda: gate.waiting_for("lab") == 1)
    gate.drain("desk")
    assert (gate.waiting_for("desk"), gate.waiting_for("lab")) == (0, 1)
    await lab.go()
    await either.is_in.wait()
    await asyncio.gather(desk.go(), either.go())
    assert is_empty(gate)


async def test_drained_and_resumed_twice_is_as_once():
    gate = gate_of({"desk": 1})
    gate.drain("desk")
    gate.drain("desk")
    visit = Visit(gate)
    await settled()
    gate.resume("desk")
    gate.resume("desk")
    await visit.is_in.wait()
    await visit.go()
    assert is_empty(gate)


async def test_waiting_for_a_drained_backend_has_an_end():
    gate = gate_of({"desk": 1}, max_wait_s=SOON_S)
    gate.drain("desk")
    with pytest.raises(QueueFull, match="drained"):
        await Visit(gate).task
    assert is_empty(gate)


async def test_a_client_leaving_in_the_moment_of_the_drain_leaves_nothing_behind():
    gate = gate_of({"desk": 1})
    running, leaver = Visit(gate), Visit(gate, has_another=lambda: True)
    await until(lambda: gate.waiting_for("desk") == 1)
    gate.drain("desk")
    leaver.task.cancel()
    await asyncio.wait((leaver.task,))
    await running.go()
    assert is_empty(gate)
