"""Two backends behind one alias: the pair that most faults are tried on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.fakes import FakeBackend
from tests.running import RunningRouter, running
from tests.surfaces.asking import alias, backends


@dataclass(frozen=True)
class Pair:
    """A router whose alias `both` leads to `first`, then to `second`."""

    r: RunningRouter
    first: FakeBackend
    second: FakeBackend


@pytest.fixture
async def pair(anyio_backend) -> AsyncIterator[Pair]:
    async with (
        FakeBackend(flavour="openai", reply="I am first.") as first,
        FakeBackend(flavour="openai", reply="I am second.") as second,
    ):
        config = {
            "backends": {
                **backends({"first": first}, timeouts={"first_token": 0.15, "idle": 0.15}),
                **backends({"second": second}),
            },
            "models": alias("both", "first/fake-chat", "second/fake-chat"),
        }
        async with running(config) as r:
            yield Pair(r, first, second)
