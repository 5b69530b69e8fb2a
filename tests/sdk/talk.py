"""A client of the official SDK in front of one kind of backend, and what that backend was told."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.adapters.party import Party
from tests.fakes import FakeBackend, Scripted
from tests.running import NO_TLS
from tests.sdk.kinds import Kind
from tests.sdk.stage import KEY, Stage, chat_alias, embedding_alias

HELLO = "Say hello to Paris in one short sentence."


def user(content: Any) -> list[Any]:
    """A conversation of one message."""
    return [{"role": "user", "content": content}]


class Talk:
    """`dropped` are the fields that the router said it could not pass on, in this test."""

    def __init__(self, stage: Stage, kind: Kind) -> None:
        self.stage = stage
        self.kind = kind
        self.fake: FakeBackend | None = stage.fakes.get(kind.name)
        self.model = chat_alias(kind)
        self.embedding_model = embedding_alias(kind)
        self.dropped: set[str] = set()
        self.client = openai.OpenAI(
            base_url=f"{stage.url}/v1",
            api_key=KEY,
            max_retries=0,
            timeout=60,
            http_client=openai.DefaultHttpxClient(verify=NO_TLS, event_hooks={"response": [self._heard]}),
        )

    def _heard(self, response: Any) -> None:
        self.dropped |= {name for name in response.headers.get("x-turnout-dropped", "").split(", ") if name}

    def says(self, text: str, *, thinking: str | None = None) -> None:
        """What the model will answer; a real one says what it likes."""
        if self.fake is not None:
            self.fake.reply, self.fake.thinking = text, thinking

    def scripted(self, *frames: Any) -> None:
        """What the backend will stream, in frames of its own format; see `party`."""
        assert self.fake is not None
        self.fake.script(self.party.chat_path, Scripted(lines=[*frames, *self.party.end()]))

    @property
    def party(self) -> Party:
        """The writer of this kind's frames; it has no adapter."""
        assert self.fake is not None
        return Party(self.kind.flavour, self.fake, None)  # pyright: ignore[reportArgumentType]

    def ask(self, content: Any = HELLO, **fields: Any) -> ChatCompletion:
        """A whole answer. `messages` may be given instead of the content of one."""
        return self.client.chat.completions.create(**{"model": self.model, "messages": user(content), **fields})

    def stream(self, content: Any = HELLO, **fields: Any) -> list[ChatCompletionChunk]:
        """A streamed answer, read to its end."""
        asked: dict[str, Any] = {"model": self.model, "messages": user(content), "stream": True, **fields}
        return list(self.client.chat.completions.create(**asked))

    def told(self) -> dict[str, Any]:
        """The body of the last request that reached the backend."""
        assert self.fake is not None
        return json.loads(self.fake.requests[-1].body)

    def was_told(self, value: Any, *names: str) -> bool:
        """Whether the backend got this value under one of these names, at any depth; of a real one, nobody knows."""
        return self.fake is None or any(got == value for got in _under(self.told(), names))


def text_of(chunks: Sequence[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def _under(value: Any, names: Sequence[str]) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in names:
                yield inner
            yield from _under(inner, names)
    elif isinstance(value, list):
        for inner in value:
            yield from _under(inner, names)
