"""A client of Ollama's official Python package in front of one kind of backend."""

from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from tests.running import NO_TLS
from tests.sdk.stage import KEY
from tests.sdk.talk import Talk

HEADERS = {"Authorization": f"Bearer {KEY}"}
QUICK: dict[str, Any] = {"num_predict": 16}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC"


def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: Its name.
    """
    return f"12 degrees in {city}"


def connected(talk: Talk, **more: Any) -> ollama.Client:
    return ollama.Client(talk.stage.url, headers=HEADERS, verify=NO_TLS, timeout=60, **more)


def scripted(talk: Talk) -> Talk:
    """Skips the real model, whose template knows no tools and which sees nothing."""
    if talk.fake is None:
        pytest.skip("the real model can neither see nor call")
    return talk


def client_of(talk: Talk) -> Iterator[ollama.Client]:
    """A client that is closed afterwards, which it offers no public way to."""
    client = connected(talk)
    try:
        yield client
    finally:
        client._client.close()
