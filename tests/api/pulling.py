"""Following pulls over /api, event by event."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from router.pulls.run import Run
from tests.api.conftest import Office

PULL = "/api/backends/desk/models/pull"
QWEN = {"model": "qwen3"}
LAYERS = {"qwen3": (500, 300), "hf.co/org/model:Q4": (100,)}

Event = tuple[str, dict[str, Any]]


def events(text: str) -> list[Event]:
    """Every event of a stream but its comments."""
    found = []
    for block in text.split("\n\n"):
        if block.startswith("event: "):
            name, _, data = block.partition("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


class Follower:
    """Reads a stream of events as far as it is asked to."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_text()
        self._text = ""

    async def until(self, name: str, **fields: Any) -> dict[str, Any]:
        """The data of the first event of that name with these fields."""
        while True:
            for found, data in events(self._text[: self._text.rfind("\n\n") + 2]):
                if found == name and fields.items() <= data.items():
                    return data
            self._text += await anext(self._lines)

    async def rest(self) -> list[Event]:
        """All events, once it has ended."""
        async for piece in self._lines:
            self._text += piece
        return events(self._text)


@asynccontextmanager
async def following(office: Office, path: str = PULL, method: str = "POST", **more: Any) -> AsyncIterator[Follower]:
    client = office.r.client
    async with client.stream(method, path, headers={**office.keys["admin"], **more.pop("headers", {})}, **more) as got:
        yield Follower(got)


def runs(office: Office) -> list[Run]:
    """The pulls of the router itself, the newest first."""
    return [*office.r.router.pulls]
