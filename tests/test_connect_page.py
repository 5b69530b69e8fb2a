"""docs/clients.md."""

from router.connect import GUIDES
from router.connect.__main__ import PAGE
from router.connect.page import page


def test_the_page_of_clients_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(GUIDES), "run: just docs"


def test_no_client_has_two_guides() -> None:
    names = [guide.name for guide in GUIDES]
    assert len(names) == len(set(names))
