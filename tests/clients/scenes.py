"""What every client plays over every kind of backend, and what has to come of it. All of it is said here once."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from router.connect.guide import PROMPT
from tests.clients.client import Client
from tests.clients.running import Transcript
from tests.fakes import FakeBackend, Faults, ToolUse
from tests.sdk.kinds import FAKES, Kind
from tests.sdk.stage import Room

REPLY = "Seven green boats sail past the old harbour wall at noon today."
QUESTION = "What is the weather in Paris? Use your tools."
ROOM = Room(context=32768, answer=1024, real_context=8192, real_answer=24)
LONG = "a b c d e f g " * 8500
"""About 59,500 tokens, and 119 kB: a word of a command line cannot be much longer."""
BROKE_AT = 5
WAIT_S = 1


@dataclass(frozen=True, slots=True)
class Played:
    """One client was asked once; the backend is as it was then."""

    client: Client
    fake: FakeBackend
    said: Transcript

    def told(self, text: str) -> list[dict[str, Any]]:
        """The bodies of the requests that held a text and reached the backend."""
        return [request.json for request in self.fake.requests if text in request.body.decode(errors="replace")]

    @property
    def failed(self) -> bool:
        return self.said.code != 0 or re.search("error|fail|exception", self.said.everything, re.IGNORECASE) is not None

    def __str__(self) -> str:
        requests = [f"{request.path} {request.body[:300]!r}" for request in self.fake.requests]
        cut = Transcript(self.said.text[-3000:], self.said.complaints[-3000:], self.said.code)
        return f"{self.client.name}: {cut}\nthe backend was asked: {requests}"


@dataclass(frozen=True, slots=True)
class Scene:
    """`arrange` sets the backend up; `check` raises AssertionError."""

    name: str
    title: str
    prompt: str
    arrange: Callable[[FakeBackend, Client], None]
    check: Callable[[Played], None]


def _plain(fake: FakeBackend, client: Client) -> None:
    fake.reply, fake.faults = REPLY, Faults()
    fake.uses = ToolUse(client.answers_by, {"text": REPLY}) if client.answers_by else None


def _answered(played: Played) -> None:
    assert REPLY in played.said.text, played
    assert played.told(PROMPT), played


def _streamed(played: Played) -> None:
    _answered(played)
    asked = played.told(PROMPT)[-1]
    assert asked.get("stream", played.fake.flavour == "ollama") is True, played


def _tool_at_hand(fake: FakeBackend, client: Client) -> None:
    _plain(fake, client)
    fake.uses = client.uses


def _tool_used(played: Played) -> None:
    assert REPLY in played.said.text, played
    assert played.told(played.client.proof), played


def _refused(played: Played) -> None:
    assert re.search("context|too long", played.said.everything, re.IGNORECASE), played
    assert REPLY not in played.said.text, played
    assert not played.told(LONG[:1000]), played


def _breaks(fake: FakeBackend, client: Client) -> None:
    """Once only for a client that asks again, some for minutes."""
    _plain(fake, client)
    fake.faults = Faults(drop_after=BROKE_AT, times=1 if client.asks_again else None)


def _owned_up(played: Played) -> None:
    if played.client.asks_again:
        _tried_again(played)
        return
    assert played.told(PROMPT), played
    assert REPLY not in played.said.text, played
    assert played.said.code is not None, f"it went on trying: {played}"
    assert played.failed, played


def _busy(fake: FakeBackend, client: Client) -> None:
    _plain(fake, client)
    fake.faults = Faults(status=429, headers={"Retry-After": str(WAIT_S)}, times=1)


def _tried_again(played: Played) -> None:
    if played.client.tries_again:
        _answered(played)
        assert len(played.told(PROMPT)) >= 2, played
    else:
        assert re.search("429|rate.?limit|busy|too many", played.said.everything, re.IGNORECASE), played


SCENES: Sequence[Scene] = (
    Scene("chat", "plain chat", PROMPT, _plain, _answered),
    Scene("stream", "a stream", PROMPT, _plain, _streamed),
    Scene("tools", "a tool round trip", QUESTION, _tool_at_hand, _tool_used),
    Scene("long", "an over-long prompt", LONG, _plain, _refused),
    Scene("broken", "a stream that breaks", PROMPT, _breaks, _owned_up),
    Scene("limited", "a 429 with `Retry-After`", PROMPT, _busy, _tried_again),
)


def playable(client: Client) -> Sequence[Scene]:
    """All that it can play, which is what the README tells."""
    return [scene for scene in SCENES if scene.name not in client.cannot]


def played_by(client: Client, kind: Kind) -> Sequence[Scene]:
    """Over this kind, here and now."""
    if client.everywhere is None or kind is FAKES[0] or os.environ.get("TURNOUT_EVERY_SCENE") == "1":
        return playable(client)
    return [scene for scene in playable(client) if scene.name in client.everywhere]
