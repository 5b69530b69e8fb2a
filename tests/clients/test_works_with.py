"""The table of clients in the README, and what stands behind it."""

from router import connect
from tests.clients import works_with
from tests.clients.each import every
from tests.clients.scenes import SCENES


def test_the_table_in_the_readme_is_what_the_pinned_clients_play() -> None:
    assert not works_with.complaints(every()), "run `just clients-all` and `just works-with`"


def test_every_client_that_is_explained_is_tried() -> None:
    assert [client.name for client in every()] == [guide.name for guide in connect.GUIDES]


def test_a_reason_is_given_for_scenes_that_there_are() -> None:
    scenes = {scene.name for scene in SCENES} | {"real"}
    assert all(client.cannot.keys() <= scenes and all(client.cannot.values()) for client in every())
