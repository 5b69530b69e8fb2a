"""The stage that every client plays on, and what it is asked to play."""

from collections.abc import Iterator, Sequence

import pytest

from tests.clients.board import Board
from tests.clients.scenes import ROOM
from tests.clients.sealed import sealed
from tests.sdk.stage import Stage, stage


@pytest.fixture(scope="session")
def client_stage() -> Iterator[Stage]:
    with stage(ROOM) as running:
        yield running


@pytest.fixture(scope="session")
def prefix(client_stage: Stage) -> Iterator[Sequence[str]]:
    """What starts a command where there is no way out; empty where the kernel makes no such place."""
    with sealed(client_stage.url) as words:
        yield words


@pytest.fixture(scope="session")
def board(request: pytest.FixtureRequest, client_stage: Stage, prefix: Sequence[str]) -> Board:
    asked = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    parts = [each["part"] for each in asked if "part" in each]
    return Board(client_stage, prefix, parts)
