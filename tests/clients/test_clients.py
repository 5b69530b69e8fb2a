"""Every client plays every scene over every kind of backend, set up as `turnout connect` says."""

from collections.abc import Callable

import pytest

from router import embedded
from tests.clients import publishing
from tests.clients.board import Board, Part
from tests.clients.client import Client
from tests.clients.each import every
from tests.clients.kits import must_be_there
from tests.clients.scenes import played_by
from tests.sdk.kinds import FAKES

CLIENTS = every()
PARTS: list[Part] = [(client, kind, scene) for client in CLIENTS for kind in FAKES for scene in played_by(client, kind)]

pytestmark = pytest.mark.timeout(400)


def there(client: Client) -> None:
    """Skips what is not installed here, or fails."""
    if (reason := client.missing()) is None:
        return
    if must_be_there(client.kit, client.tier):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: "-".join(each.name for each in part))
def test_a_client_plays_a_scene(
    part: Part, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    there(part[0])
    board: Board = request.getfixturevalue("board")
    board.outcome(*part)
    record_property(publishing.PROPERTY, "\t".join(each.name for each in part))


@pytest.mark.parametrize("client", [each for each in CLIENTS if "real" not in each.cannot], ids=lambda each: each.name)
def test_a_client_prints_what_a_real_model_says(client: Client, request: pytest.FixtureRequest) -> None:
    there(client)
    if not embedded.available():
        pytest.skip("needs the extra `demo`")
    board: Board = request.getfixturevalue("board")
    assert board.real_answer(client).strip()
