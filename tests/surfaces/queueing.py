"""Keys, bodies and looks at the queue, for tests of waiting."""

import asyncio

from tests.fakes import Faults
from tests.running import RunningRouter
from tests.surfaces.asking import asked

ANN, BOB, NIGHT = "key-of-ann-1", "key-of-bob-1", "key-of-night-1"
KEYS = {
    "api_keys": [
        {"key": ANN, "name": "ann"},
        {"key": BOB},
        {"key": NIGHT, "name": "night", "priority": "normal"},
        {"key": "key-of-carl-1", "name": "carl"},
    ]
}
QUICK = {"server": {"keepalive_s": 0.03}}
HOLD = Faults(stall_after=2, times=1)
BODY = asked("desk/fake-chat", stream=True)


def key(of: str) -> str:
    return f"Authorization: Bearer {of}\r\n"


def bearer(of: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {of}"}


async def queue_of(r: RunningRouter) -> dict:
    response = await r.client.get("/v1/router/queue")
    assert response.status_code == 200
    return response.json()


async def waiting(r: RunningRouter, count: int) -> dict:
    """The queue once so many wait."""
    async with asyncio.timeout(5):
        while (report := await queue_of(r))["waiting"] != count:
            await asyncio.sleep(0.002)
    return report
