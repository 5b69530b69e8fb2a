"""The table of clients in the README."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.clients.client import Client
from tests.clients.scenes import SCENES, playable
from tests.readme import Part, table
from tests.sdk.kinds import FAKES

PART = Part("<!-- clients: written by `just works-with` -->", "<!-- /clients -->")
HEAD = ("client", "version", "route", *(kind.title for kind in FAKES), "what else")
UNTRIED = "?"

Row = Sequence[str]


def row(client: Client, version: str, cells: Sequence[str]) -> Row:
    """One client, with the version that was tried and what came of it over each kind."""
    scenes = {scene.name: scene.title for scene in SCENES} | {"real": "the tiny real model"}
    notes = [f"not tried: {scenes[name]} ({reason})" for name, reason in client.cannot.items()]
    if not client.tries_again and "limited" not in client.cannot:
        notes.append("leaves it to the person to try again after a 429")
    if client.asks_again and "broken" not in client.cannot:
        notes.append("asks again by itself when a stream breaks")
    return (client.guide.title, version, f"`{client.guide.surface}`", *cells, "; ".join(notes))


def cell(passed: int) -> str:
    return f"{passed} of {len(SCENES)}"


def published() -> Mapping[str, Row]:
    """What the README says, by the title of the client."""
    return {each[0]: each for each in PART.rows()[1:] if len(each) == len(HEAD)}


def as_published(clients: Sequence[Client]) -> Sequence[Row]:
    """The rows as they should be, with what the README says of versions and outcomes."""
    nothing = ("", UNTRIED, "", *(UNTRIED for _ in FAKES))
    known = published()
    return [row(client, *_tried(known.get(client.guide.title, nothing))) for client in clients]


def write(played: Sequence[tuple[str, str, str]], clients: Sequence[Client]) -> None:
    """Puts into the README what was played; clients of which nothing was keep their rows."""
    passed = Counter((client, kind) for client, kind, _ in played)
    anew = {client for client, _ in passed}
    rows = [
        row(client, client.kit.pinned(client.package), [cell(passed[client.name, kind.name]) for kind in FAKES])
        if client.name in anew
        else before
        for client, before in zip(clients, as_published(clients), strict=True)
    ]
    PART.write(table(HEAD, rows))


def complaints(clients: Sequence[Client]) -> Sequence[str]:
    """What is wrong with the table: a row too many or too few, a version that is not the pinned one, a lower count.

    Clients of tier 2 may be untried, as the table then says.
    """
    wrong = [] if PART.text() == table(HEAD, as_published(clients)) else ["the table is not as it would be written"]
    for client in clients:
        version, cells = _tried(published().get(client.guide.title, ()))
        if client.tier == 2 and {version, *cells} == {UNTRIED}:
            continue
        if version != client.kit.pinned(client.package):
            wrong.append(f"{client.name} was tried as {version or 'nothing'}")
        if set(cells) != {cell(len(playable(client)))}:
            wrong.append(f"{client.name} plays {len(playable(client))} scenes, not {', '.join(cells)}")
    return wrong


def _tried(known: Row) -> tuple[str, Sequence[str]]:
    return ("", ()) if not known else (known[1], known[3 : 3 + len(FAKES)])
