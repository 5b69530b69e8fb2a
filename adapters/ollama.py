"""Ollama through its native API."""

from contextlib import AbstractAsyncContextManager
from typing import ClassVar, TypeVar

import msgspec
from msgspec import Struct

from adapters.exchange import Format, OpenReply, Question
from adapters.upstream import Upstream
from router.canonical.adapter import Adapter, Attempt, BackendConfig, Reply, Vectors
from router.canonical.models import ModelInfo, Probe, canonical_name
from router.canonical.request import ChatRequest, EmbedRequest
from router.dialects import ollama
from router.dialects.failures import UNREADABLE
from router.errors import BackendFailed, RouterError

KEEP_ALIVE_S = 30.0
SHOW_TIMEOUT_S = 5.0
MAX_SHOWN = 200
THINK_MAX_VERSION = (0, 22, 0)

_CAPABILITIES = {"completion": "chat"}

T = TypeVar("T")


class _Version(Struct):
    version: str = "0.0.0"


class _Details(Struct):
    context_length: int | None = None


class _Tag(Struct):
    name: str = ""
    model: str = ""
    modified_at: str = ""
    size: int | None = None
    digest: str = ""
    details: _Details | None = None
    capabilities: list[str] | None = None
    context_length: int | None = None


class _Tags(Struct):
    models: list[_Tag] | None = None


class _Show(Struct):
    capabilities: list[str] | None = None


_VERSION = msgspec.json.Decoder(_Version)
_TAGS = msgspec.json.Decoder(_Tags)
_SHOW = msgspec.json.Decoder(_Show)


class Ollama(Adapter):
    """One Ollama server. Capabilities come from its model list, or once per model from `/api/show`."""

    kind: ClassVar[str] = "ollama"
    prefills: ClassVar[bool] = True

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.upstream = Upstream(config, keep_alive_s=KEEP_ALIVE_S)
        self._capabilities: dict[str, frozenset[str]] = {}
        self._digests: dict[str, str] = {}
        self._version = (0, 0, 0)

    def chat(self, request: ChatRequest, attempt: Attempt) -> AbstractAsyncContextManager[Reply]:
        """Opens an answer; entering it raises UnsupportedParameter for what Ollama cannot do."""
        answer = Format(
            ollama.NAME,
            lambda: ollama.StreamDecoder(attempt.shown),
            lambda body: ollama.decode_whole(body, attempt.shown),
        )
        return OpenReply(self.upstream, lambda: self._question(request, attempt), answer)

    async def _question(self, request: ChatRequest, attempt: Attempt) -> Question:
        capabilities = self._known(attempt.model)
        if capabilities is None and (request.reasoning_effort is not None or "think" in attempt.profile.options):
            capabilities = await self._show(attempt.model, timeout_s=SHOW_TIMEOUT_S)
        knows_max = self._version >= THINK_MAX_VERSION
        rendered = ollama.render_request(
            request, attempt.model, attempt.profile, capabilities=capabilities, knows_max=knows_max
        )
        return Question("/api/chat", rendered.body, attempt.model, request.stream, rendered.dropped, attempt.loading)

    async def embed(self, request: EmbedRequest, attempt: Attempt) -> Vectors:
        """Embeds every input, in batches no larger than the settings allow."""
        parts = request.split(self.config.embedding_batch)
        return Vectors.joined([await self._embed(part, attempt) for part in parts])

    async def _embed(self, request: EmbedRequest, attempt: Attempt) -> Vectors:
        rendered = ollama.render_embed(request, attempt.model, attempt.profile)
        async with self.upstream.post(
            "/api/embed", rendered.body, model=attempt.model, loading=attempt.loading
        ) as exchange:
            answer = await exchange.body()
        try:
            return ollama.decode_embeddings(answer, len(request.inputs), dropped=rendered.dropped)
        except BackendFailed as error:
            raise BackendFailed(f"{self.config.name}: {error.message}") from None

    async def probe(self, *, timeout_s: float) -> Probe:
        """Asks for the version, the model list, what is loaded, and once for each new model's capabilities."""
        version = await self._read(_VERSION, "/api/version", timeout_s)
        self._version = _numbers(version.version)
        tags = (await self._read(_TAGS, "/api/tags", timeout_s)).models or []
        loaded = (await self._read(_TAGS, "/api/ps", timeout_s)).models or []
        running = {canonical_name(tag.name or tag.model): tag for tag in loaded}
        models = [await self._info(tag, running, timeout_s) for tag in tags if tag.name or tag.model]
        return Probe(version=version.version, models=tuple(models))

    async def _info(self, tag: _Tag, running: dict[str, _Tag], timeout_s: float) -> ModelInfo:
        name = tag.name or tag.model
        key = canonical_name(name)
        capabilities = None if tag.capabilities is None else _translated(tag.capabilities)
        if capabilities is None and self._digests.get(key) == tag.digest:
            capabilities = self._capabilities.get(key)
        if capabilities is None and len(self._digests) < MAX_SHOWN:
            capabilities = await self._show(name, timeout_s=timeout_s)
        if capabilities is not None:
            self._capabilities[key] = capabilities
            self._digests[key] = tag.digest
        loaded = running.get(key)
        owner, slash, _ = name.rpartition("/")
        return ModelInfo(
            name=name,
            capabilities=capabilities,
            context_length=(loaded.context_length if loaded else None)
            or (tag.details.context_length if tag.details else None),
            size=tag.size,
            loaded=loaded is not None,
            created=ollama.seconds(tag.modified_at),
            owned_by=owner if slash else "library",
        )

    def _known(self, model: str) -> frozenset[str] | None:
        return self._capabilities.get(canonical_name(model))

    async def _show(self, model: str, *, timeout_s: float) -> frozenset[str] | None:
        """A model's capabilities, or None when the server does not say; a failure here fails no request."""
        try:
            body = await self.upstream.fetch(
                "POST", "/api/show", msgspec.json.encode({"model": model}), timeout_s=timeout_s
            )
            capabilities = _SHOW.decode(body).capabilities
        except (RouterError, *UNREADABLE):
            return None
        if capabilities is None:
            return None
        known = _translated(capabilities)
        self._capabilities[canonical_name(model)] = known
        return known

    async def _read(self, decoder: msgspec.json.Decoder[T], path: str, timeout_s: float) -> T:
        body = await self.upstream.get(path, timeout_s=timeout_s)
        try:
            return decoder.decode(body)
        except UNREADABLE:
            raise BackendFailed(f"{self.config.name} does not answer {path} like an Ollama server") from None

    async def aclose(self) -> None:
        await self.upstream.aclose()


def _translated(capabilities: list[str]) -> frozenset[str]:
    return frozenset(_CAPABILITIES.get(name, name) for name in capabilities)


def _numbers(version: str) -> tuple[int, int, int]:
    """The first three numbers of a version; `0.0.0` is a development build, which knows everything."""
    parts = version.split("-", 1)[0].split(".")[:3]
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        return (0, 0, 0)
    major, minor, patch = (int(part) for part in parts)
    return (major, minor, patch) if (major, minor, patch) != (0, 0, 0) else (999, 0, 0)
