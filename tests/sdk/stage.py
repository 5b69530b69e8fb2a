"""One router over a fake of every kind and a real llama.cpp, on a thread of its own, for clients that block."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from anyio.from_thread import start_blocking_portal

from router import embedded
from tests.e2e.real_llama import start_real_llama
from tests.fakes import FakeBackend
from tests.running import running
from tests.sdk.kinds import FAKES, REAL, Kind

KEY = "a-key-for-the-sdks"


@dataclass(frozen=True, slots=True)
class Stage:
    """`fakes` by the name of their kind."""

    url: str
    fakes: Mapping[str, FakeBackend]


def chat_alias(kind: Kind) -> str:
    return f"chat-{kind.name}"


def embedding_alias(kind: Kind) -> str:
    return f"embed-{kind.name}"


@dataclass(frozen=True, slots=True)
class Room:
    """Tokens: of the context window and of an answer at most, by every chat alias over a fake; of the real model."""

    context: int | None = None
    answer: int | None = None
    real_context: int = 2048
    real_answer: int = 48


SMALL = Room()


@contextmanager
def stage(room: Room = SMALL) -> Iterator[Stage]:
    """Up inside the `with`. The real kind is there when the extra `demo` is installed."""
    with ExitStack() as stack:
        real = stack.enter_context(_real(room)) if embedded.available() else {}
        portal = stack.enter_context(start_blocking_portal())
        yield stack.enter_context(portal.wrap_async_context_manager(_set_up(real, room)))


@contextmanager
def _real(room: Room) -> Iterator[dict[str, Any]]:
    chat = start_real_llama(REAL.chat, context=room.real_context, parallel=2)
    embed = start_real_llama(str(REAL.embedding), embedding=True, context=1024, parallel=1)
    try:
        yield {
            REAL.name: {"type": REAL.flavour, "url": chat.url},
            f"{REAL.name}-embed": {"type": REAL.flavour, "url": embed.url},
        }
    finally:
        chat.stop()
        embed.stop()


@asynccontextmanager
async def _set_up(real: Mapping[str, Any], room: Room) -> AsyncGenerator[Stage]:
    async with AsyncExitStack() as stack:
        fakes = {
            kind.name: await stack.enter_async_context(FakeBackend(kind.models(room.context), flavour=kind.flavour))
            for kind in FAKES
        }
        headers = {"Authorization": f"Bearer {KEY}"}
        r = await stack.enter_async_context(running(_settings(fakes, real, room), headers=headers))
        yield Stage(r.url, fakes)


def _settings(fakes: Mapping[str, FakeBackend], real: Mapping[str, Any], room: Room) -> dict[str, Any]:
    backends = {
        name: {"type": fake.flavour, "url": fake.url, "api_key": "a-backend-key"} for name, fake in fakes.items()
    }
    models: dict[str, Any] = {}
    limits = {"context_length": room.context, "max_tokens": room.answer}
    for kind in FAKES:
        models[chat_alias(kind)] = {"targets": [f"{kind.name}/{kind.chat}"], **limits}
        models[embedding_alias(kind)] = {
            "targets": [f"{kind.name}/{kind.embedding or kind.chat}"],
            "tags": ["embedding"],
        }
    if real:
        models[chat_alias(REAL)] = {
            "targets": [f"{REAL.name}/{REAL.chat}"],
            "max_tokens": room.real_answer,
            "options": {"temperature": 0, "seed": 1},
        }
        models[embedding_alias(REAL)] = {
            "targets": [f"{REAL.name}-embed/{REAL.embedding}"],
            "tags": ["embedding"],
        }
    return {"auth": {"api_keys": [KEY]}, "backends": {**backends, **real}, "models": models}
