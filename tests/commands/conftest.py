"""A router over two Ollama servers with a registry behind them, a server of another kind, and its command line."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from router.cli import main
from tests.api.conftest import Office, opened
from tests.fakes import FakeBackend, FakeModel, Registry
from tests.running import running
from tests.surfaces.asking import backends

LAYERS = {"qwen3:8b": (5000, 300), "llama3.2": (400,), "gemma3": (600,)}

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
async def desk(anyio_backend) -> AsyncIterator[FakeBackend]:
    models = [
        FakeModel("llama3.2:latest", ("completion", "tools")),
        FakeModel("nomic-embed-text:latest", ("embedding",), 274_302_450, loaded=False),
    ]
    async with FakeBackend(models, flavour="ollama") as desk:
        desk.registry = Registry(LAYERS)
        yield desk


@pytest.fixture
async def den(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend([FakeModel("phi4:14b", loaded=False)], flavour="ollama") as den:
        den.registry = Registry(LAYERS)
        yield den


@pytest.fixture
async def cloud(anyio_backend) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(flavour="openai") as cloud:
        yield cloud


@asynccontextmanager
async def at_work(folder: Path, fakes: dict[str, FakeBackend], **more: Any) -> AsyncIterator[Office]:
    config = {"backends": backends(fakes), "server": {"data_dir": str(folder), "keepalive_s": 1}, **more}
    async with running(config) as r:
        yield await opened(r)


@pytest.fixture
async def house(desk, cloud, tmp_path) -> AsyncIterator[Office]:
    """With one Ollama server."""
    models = {"coder": {"targets": ["desk/llama3.2", "cloud/fake-chat"]}}
    async with at_work(tmp_path / "data", {"desk": desk, "cloud": cloud}, models=models) as office:
        yield office


@pytest.fixture
async def two(desk, den, cloud, tmp_path) -> AsyncIterator[Office]:
    """With two of them."""
    async with at_work(tmp_path / "data", {"desk": desk, "den": den, "cloud": cloud}) as office:
        yield office


@pytest.fixture
def run(monkeypatch) -> Run:
    """Runs a command line against an office, as its administrator; `answer` is what somebody types."""

    async def run(office: Office, *words: str, answer: str = "") -> Result:
        monkeypatch.setenv("TURNOUT_URL", office.r.url)
        monkeypatch.setenv("TURNOUT_API_KEY", office.keys["admin"]["x-api-key"])
        return await asyncio.to_thread(CliRunner().invoke, main, list(words), input=answer)

    return run
