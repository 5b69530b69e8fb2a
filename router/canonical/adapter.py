"""What every backend family must offer."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Protocol

from msgspec import Raw, Struct

from router.canonical.auxiliary import AuxiliaryAnswer, AuxiliaryRequest
from router.canonical.completion import CompletionRequest
from router.canonical.errand import Errand, Errands
from router.canonical.events import Frame, UsageReported
from router.canonical.library import ModelCard, Pulling
from router.canonical.models import Glance, ModelInfo, Probe, canonical_name
from router.canonical.request import ChatRequest, EmbedRequest, Profile
from router.errors import UnsupportedOperation

ALL_MODELS = "*"


class Timeouts(Struct, frozen=True):
    """How long to wait for a backend, in seconds."""

    connect: float = 5
    first_token: float = 300
    load: float = 600
    idle: float = 120


class BackendConfig(Struct, frozen=True, kw_only=True):
    """One backend as its adapter sees it; `url` is the root without endpoint or slash.

    With `responses` it answers OpenAI's Responses API itself. `process` is another for every other process that the
    router runs, and empty for servers that run by themselves.
    """

    name: str
    url: str
    api_key: str | None = None
    headers: Mapping[str, str] = {}
    models: tuple[str, ...] = ()
    timeouts: Timeouts = Timeouts()
    embedding_batch: int | None = None
    responses: bool = False
    process: str = ""
    whole_only: frozenset[str] = frozenset()
    stream_only: frozenset[str] = frozenset()
    """Models that cannot stream, and models that can do nothing else; `*` is every model."""

    def streams(self, model: str, *, wanted: bool) -> bool:
        """Whether to ask the model for a stream, when the client wants one or not."""
        if self.whole_only and _is_listed(model, self.whole_only):
            return False
        return wanted or (bool(self.stream_only) and _is_listed(model, self.stream_only))


def _is_listed(model: str, names: frozenset[str]) -> bool:
    return ALL_MODELS in names or canonical_name(model) in map(canonical_name, names)


class ContextRules(Struct, frozen=True, kw_only=True):
    """How a kind of backend treats a prompt and its context window."""

    pins: bool = False
    """It loads a model with the context length that it is asked for."""
    holds_answer: bool = True
    """The output limit counts too: prompt and answer share the window."""
    any_name: bool = False
    """With one model, it answers whatever name is asked for."""
    cuts: bool = False
    """It may cut a prompt without saying so."""


class Attempt(Struct, frozen=True, kw_only=True):
    """One try at one candidate: `model` is the backend's name for it, `shown` what the client is told.

    `loading` is whether the backend has to load the model first, as far as is known: then it gets the time to.
    """

    model: str
    shown: str
    profile: Profile = Profile()
    loading: bool = False


class Reply(Protocol):
    """An open answer: batches of frames, one batch for each read from the network."""

    @property
    def dropped(self) -> tuple[str, ...]:
        """Request fields that this backend could not be told."""
        ...

    @property
    def dialect(self) -> str:
        """The wire format of the frames' `raw`."""
        ...

    def batches(self) -> AsyncIterator[Sequence[Frame]]:
        """Frames as they arrive; raises RouterError when the answer breaks off or has no end marker."""
        ...


class Vectors(Struct, frozen=True, kw_only=True):
    """Embeddings in the order of the inputs: each a JSON list of numbers, or a JSON string of base64."""

    vectors: tuple[Raw, ...]
    usage: UsageReported | None = None
    dropped: tuple[str, ...] = ()
    raw: bytes | None = None
    """The whole body in OpenAI's form, when it can be forwarded as it is."""

    @staticmethod
    def joined(parts: "Sequence[Vectors]") -> "Vectors":
        """The answers to the parts of one request as one, in order."""
        if len(parts) == 1:
            return parts[0]
        usage = UsageReported()
        for part in parts:
            usage = usage.added(part.usage or UsageReported())
        vectors = tuple(vector for part in parts for vector in part.vectors)
        return Vectors(vectors=vectors, usage=usage, dropped=parts[0].dropped)


class Adapter(ABC):
    """A backend family: where it is, how it authenticates, which dialects it speaks, how it is probed.

    Every method raises RouterError for what goes wrong on the network or at the backend.
    """

    kind: ClassVar[str]
    passive: ClassVar[bool] = False
    """Whether heartbeats leave it alone: its health is what becomes of requests, its models are `known_models`."""
    max_parallel: ClassVar[int] = 32
    """How many requests it takes at once while neither the settings nor a look at it say."""
    swaps_models: ClassVar[bool] = False
    """Whether it loads models as they are asked for; `max_parallel` is then for each of them."""

    manages: ClassVar[bool] = False
    """Whether its models can be pulled, copied and deleted over its API, as Ollama's can."""

    rules: ClassVar[ContextRules] = ContextRules()

    glances: ClassVar[bool] = False
    """Whether there is more to see at a `glance` than nothing."""
    prefills: ClassVar[bool] = False
    """Whether it goes on with a last message of the assistant as if it had said that itself, without repeating it."""

    def __init__(self, config: BackendConfig) -> None:
        self.config = config

    @abstractmethod
    def chat(self, request: ChatRequest, attempt: Attempt) -> AbstractAsyncContextManager[Reply]:
        """Opens an answer; leaving the context closes the connection and so stops the generation."""

    def complete(self, request: CompletionRequest, attempt: Attempt) -> AbstractAsyncContextManager[Reply]:  # noqa: ARG002
        """Opens an answer to a text completion, as `chat` does; raises UnsupportedOperation where there are none."""
        raise UnsupportedOperation(f"{self.config.name} has no text completions: use /v1/chat/completions")

    async def auxiliary(self, request: AuxiliaryRequest, attempt: Attempt) -> AuxiliaryAnswer:  # noqa: ARG002
        """Does one of the smaller jobs; raises UnsupportedOperation where it cannot be done."""
        raise UnsupportedOperation(f"{self.config.name} does not offer {request.operation}: a llama.cpp server may")

    async def keep(self, attempt: Attempt, keep_alive: float | str | None) -> None:  # noqa: B027
        """Loads the model for so long, said as Ollama takes it, or lets it go; nothing where that cannot be asked."""

    def run(self, errand: Errand) -> AbstractAsyncContextManager[Errands]:  # noqa: ARG002
        """Passes on what is to be done with the models; only one that `manages` them can."""
        raise UnsupportedOperation(f"{self.config.name} is no Ollama server: its models are not managed here")

    def pull(self, model: str) -> AbstractAsyncContextManager[Pulling]:
        """Has the server fetch a model; only one that `manages` them can. Leaving the context ends it."""
        raise self._manages_none(model)

    async def delete(self, model: str, *, timeout_s: float) -> None:  # noqa: ARG002
        """Removes a model for good; raises UnknownModel where there is none."""
        raise self._manages_none(model)

    async def load(self, attempt: Attempt, keep_alive: float | str | None) -> None:  # noqa: ARG002
        """Loads a model as its alias would have it, for so long, said as Ollama takes it; returns when it is there.

        Raises UnsupportedOperation where that cannot be asked.
        """
        raise self._manages_none(attempt.model)

    async def unload(self, attempt: Attempt) -> None:
        """Takes a model out of memory."""
        raise self._manages_none(attempt.model)

    async def card(self, model: str, *, timeout_s: float) -> ModelCard:  # noqa: ARG002
        """What the server says of a model beyond its list; raises UnknownModel where there is none."""
        return ModelCard()

    def _manages_none(self, model: str) -> UnsupportedOperation:
        return UnsupportedOperation(
            f"{self.config.name} is no server whose models are managed here, so nothing is done to {model[:200]}: "
            "only Ollama's are"
        )

    async def describe(self, model: str, *, verbose: bool, timeout_s: float) -> bytes | None:  # noqa: ARG002
        """What an Ollama server says of a model, as it says it; None for any other."""
        return None

    @abstractmethod
    async def embed(self, request: EmbedRequest, attempt: Attempt) -> Vectors:
        """Embeds every input, in order."""

    @abstractmethod
    async def probe(self, *, timeout_s: float) -> Probe:
        """Looks whether the backend answers, without generating; `timeout_s` bounds the whole look.

        Raises BackendLoading for one that is there but has not loaded its model yet.
        """

    async def glance(self, *, timeout_s: float) -> Glance:  # noqa: ARG002 (nothing is asked)
        """Looks at what is loaded and idle, in one small question that wakes and loads nothing."""
        return Glance()

    async def prompt_tokens(self, request: ChatRequest, attempt: Attempt, *, timeout_s: float) -> int | None:  # noqa: ARG002 (whatever is asked)
        """How many tokens the prompt is, by the backend's own count; None where it cannot be asked.

        `timeout_s` bounds all of it. Nothing is generated.
        """
        return None

    def known_models(self) -> tuple[ModelInfo, ...]:
        """The models that a passive adapter knows of, without asking anybody."""
        return ()

    async def warm_up(self) -> None:  # noqa: B027
        """Does beside the first requests what the first would have to wait for; raises nothing."""

    def moved(self, url: str | None, at_rest: Callable[[], Probe]) -> None:  # noqa: ARG002 (only a kind with processes)
        """The router runs this backend's process, which is there now.

        With None it does not run, but would be started for a request: a look then finds what `at_rest` says, or raises
        what that raises.

        Raises TypeError for a kind that the settings let nobody `launch`.
        """
        raise TypeError(f"a backend of type {self.kind} has no process of ours")

    @abstractmethod
    async def aclose(self) -> None:
        """Closes idle connections."""
