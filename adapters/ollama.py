"""Ollama through its native API."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from time import time
from typing import ClassVar, TypeVar

import msgspec
from msgspec import Struct

from adapters.exchange import Format, OpenReply, Question
from adapters.passing import Passing
from adapters.pulling import Pulling
from adapters.series import completing
from adapters.upstream import Upstream
from router.canonical.adapter import Adapter, Attempt, BackendConfig, ContextRules, Reply, Vectors
from router.canonical.completion import CompletionRequest
from router.canonical.errand import Errand, Errands
from router.canonical.library import ModelCard, no_such_model
from router.canonical.models import Glance, ModelInfo, Probe, canonical_name, is_passed_on
from router.canonical.request import ChatRequest, EmbedRequest
from router.dialects import ollama
from router.dialects.failures import UNREADABLE
from router.errors import BackendFailed, BackendTimeout, ModelMissing, RejectedByBackend, RouterError

KEEP_ALIVE_S = 30.0
SHOW_TIMEOUT_S = 5.0
MAX_SHOWN = 20
"""Models that one look asks `/api/show` about, so that many new ones do not make it take too long."""
THINK_MAX_VERSION = (0, 22, 0)

_CAPABILITIES = {"completion": "chat"}

_NUM_CTX = re.compile(r"^num_ctx\s+(\d+(?:\.\d+)?(?:e\+?\d{1,2})?)$", re.MULTILINE)

T = TypeVar("T")


class _Version(Struct):
    version: str = "0.0.0"


class _Details(Struct):
    context_length: int | None = None
    family: str | None = None
    parameter_size: str | None = None
    quantization_level: str | None = None


class _Tag(Struct):
    name: str = ""
    model: str = ""
    modified_at: str = ""
    size: int | None = None
    digest: str = ""
    details: _Details | None = None
    capabilities: list[str] | None = None
    context_length: int | None = None
    expires_at: str | None = None
    size_vram: int | None = None
    remote_host: str | None = None


class _Tags(Struct):
    models: list[_Tag] | None = None


class _Show(Struct):
    capabilities: list[str] | None = None
    parameters: str | None = None
    model_info: dict[str, msgspec.Raw] | None = None


class _Shown(Struct, frozen=True):
    """What `/api/show` says: what the model can do, the `num_ctx` of its Modelfile, and the most that it can hold."""

    capabilities: frozenset[str] | None = None
    num_ctx: int | None = None
    trained_length: int | None = None

    @property
    def window(self) -> int | None:
        """What it will be loaded with: at most, where the Modelfile leaves it to the server."""
        return min((length for length in (self.num_ctx, self.trained_length) if length), default=None)


_UNSHOWN = _Shown()


_VERSION = msgspec.json.Decoder(_Version)
_TAGS = msgspec.json.Decoder(_Tags)
_SHOW = msgspec.json.Decoder(_Show)


class Ollama(Adapter):
    """One Ollama server. Capabilities come from its model list, or once per model from `/api/show`."""

    kind: ClassVar[str] = "ollama"
    max_parallel: ClassVar[int] = 1
    swaps_models: ClassVar[bool] = True
    rules: ClassVar[ContextRules] = ContextRules(pins=True, cuts=True)
    glances: ClassVar[bool] = True
    manages: ClassVar[bool] = True
    prefills: ClassVar[bool] = True

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.upstream = Upstream(config, keep_alive_s=KEEP_ALIVE_S)
        self._capabilities: dict[str, frozenset[str]] = {}
        self._digests: dict[str, str] = {}
        self._shown: dict[str, _Shown] = {}
        self._version = (0, 0, 0)

    def chat(self, request: ChatRequest, attempt: Attempt) -> AbstractAsyncContextManager[Reply]:
        """Opens an answer; entering it raises UnsupportedParameter for what Ollama cannot do."""
        return OpenReply(self.upstream, lambda: self._question(request, attempt), _format(request, attempt))

    def complete(self, request: CompletionRequest, attempt: Attempt) -> AbstractAsyncContextManager[Reply]:
        """Opens the answers to all prompts, one after another; raises UnsupportedParameter for what it cannot."""
        return completing(request, lambda single: self._complete(single, attempt))

    def _complete(self, request: CompletionRequest, attempt: Attempt) -> OpenReply:
        model, stream = attempt.model, request.stream
        rendered = ollama.render_generate(request, model, attempt.profile, capabilities=self._known(model))
        question = Question("/api/generate", rendered.body, model, stream, rendered.dropped, attempt.loading)
        return OpenReply(self.upstream, question, _format(request, attempt))

    async def _question(self, request: ChatRequest, attempt: Attempt) -> Question:
        capabilities, profile = self._known(attempt.model), attempt.profile
        matters = request.reasoning_effort is not None or "think" in profile.options or profile.thinking_tokens
        if capabilities is None and matters:
            capabilities = (await self._show(attempt.model, timeout_s=SHOW_TIMEOUT_S)).capabilities
        knows_max = self._version >= THINK_MAX_VERSION
        rendered = ollama.render_request(
            request, attempt.model, profile, capabilities=capabilities, knows_max=knows_max
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

    async def keep(self, attempt: Attempt, keep_alive: float | str | None) -> None:
        """Asks nothing of the model, which loads it or lets it go. One that only embeds is not loaded by generating."""
        embeds = keep_alive != 0 and self._only_embeds(attempt.model)
        body = ollama.render_keep(attempt.model, attempt.profile, keep_alive)
        path = "/api/embed" if embeds else "/api/generate"
        async with self.upstream.post(path, body, model=attempt.model, loading=True) as exchange:
            await exchange.body()

    def run(self, errand: Errand) -> AbstractAsyncContextManager[Errands]:
        """Passes it on to the server."""
        return Passing(self.upstream, errand)

    def pull(self, model: str) -> AbstractAsyncContextManager[Pulling]:
        """Its silences may be as long as loading a model takes."""
        return Pulling(self.upstream, model)

    async def delete(self, model: str, *, timeout_s: float) -> None:
        errand = Errand("DELETE", "/api/delete", ollama.render_named(model))
        try:
            async with asyncio.timeout(timeout_s), self.run(errand) as answer:
                while await answer.read():
                    pass
        except TimeoutError:
            raise BackendTimeout(f"{self.config.name} did not answer in time") from None
        except RejectedByBackend as error:
            raise (no_such_model(self.config.name, model) if error.status == HTTPStatus.NOT_FOUND else error) from None

    async def load(self, attempt: Attempt, keep_alive: float | str | None) -> None:
        await self._kept(attempt, keep_alive)

    async def unload(self, attempt: Attempt) -> None:
        await self._kept(attempt, 0)

    async def _kept(self, attempt: Attempt, keep_alive: float | str | None) -> None:
        try:
            await self.keep(attempt, keep_alive)
        except ModelMissing:
            raise no_such_model(self.config.name, attempt.model) from None

    async def card(self, model: str, *, timeout_s: float) -> ModelCard:
        try:
            told = await self.describe(model, verbose=False, timeout_s=timeout_s)
        except ModelMissing:
            raise no_such_model(self.config.name, model) from None
        return ollama.decode_card(told or b"")

    async def describe(self, model: str, *, verbose: bool, timeout_s: float) -> bytes | None:
        """The answer of `/api/show`."""
        asked = msgspec.json.encode({"model": model, **({"verbose": True} if verbose else {})})
        return await self.upstream.fetch("POST", "/api/show", asked, timeout_s=timeout_s)

    async def probe(self, *, timeout_s: float) -> Probe:
        """Asks for the version, the model list, what is loaded, and once for each new model's capabilities."""
        version = await self._read(_VERSION, "/api/version", timeout_s)
        self._version = _numbers(version.version)
        tags = (await self._read(_TAGS, "/api/tags", timeout_s)).models or []
        loaded = (await self._read(_TAGS, "/api/ps", timeout_s)).models or []
        running = {canonical_name(tag.name or tag.model): tag for tag in loaded}
        await self._show_new(tags, timeout_s)
        models = tuple(self._info(tag, running) for tag in tags if tag.name or tag.model)
        return Probe(version=version.version, models=models)

    async def glance(self, *, timeout_s: float) -> Glance:
        """Asks what is loaded."""
        loaded = (await self._read(_TAGS, "/api/ps", timeout_s)).models or []
        return Glance(loaded={tag.name or tag.model: _stays_s(tag) for tag in loaded})

    async def _show_new(self, tags: list[_Tag], timeout_s: float) -> None:
        """Asks about models that it knows nothing of, the more they leave open the sooner; a failure ends it."""
        for tag in self._forget_changed(tags):
            if await self._show(tag.name or tag.model, timeout_s=timeout_s / 2) is _UNSHOWN:
                break

    def _forget_changed(self, tags: list[_Tag]) -> list[_Tag]:
        """Forgets what was shown of models that are others now; those that this look should ask about."""
        unknown: list[_Tag] = []
        for tag in tags:
            key = canonical_name(tag.name or tag.model)
            if self._digests.get(key) != tag.digest:
                self._shown.pop(key, None)
                self._digests[key] = tag.digest
            if key not in self._shown:
                unknown.append(tag)
        for key in self._digests.keys() - {canonical_name(tag.name or tag.model) for tag in tags}:
            del self._digests[key]
            self._shown.pop(key, None)
        return sorted(unknown, key=lambda tag: tag.capabilities is not None)[:MAX_SHOWN]

    def _info(self, tag: _Tag, running: dict[str, _Tag]) -> ModelInfo:
        name = tag.name or tag.model
        key = canonical_name(name)
        shown = self._shown.get(key, _UNSHOWN)
        capabilities = shown.capabilities if tag.capabilities is None else _translated(tag.capabilities)
        if capabilities is not None:
            self._capabilities[key] = capabilities
        loaded = running.get(key)
        owner, slash, _ = name.rpartition("/")
        details = tag.details or _Details()
        trained = shown.trained_length or details.context_length
        return ModelInfo(
            name=name,
            capabilities=capabilities,
            context_length=(loaded.context_length if loaded else None) or shown.window or trained,
            trained_length=trained,
            size=tag.size,
            loaded=loaded is not None,
            loaded_s=_stays_s(loaded) if loaded else None,
            memory=loaded.size if loaded else None,
            vram=loaded.size_vram if loaded else None,
            digest=tag.digest,
            hosted=bool(tag.remote_host) or is_passed_on(name),
            created=ollama.seconds(tag.modified_at),
            owned_by=owner if slash else "library",
            family=details.family or "",
            parameters=details.parameter_size or "",
            quantization=details.quantization_level or "",
        )

    def _only_embeds(self, model: str) -> bool:
        known = self._known(model)
        return known is not None and "embedding" in known and "chat" not in known

    def _known(self, model: str) -> frozenset[str] | None:
        return self._capabilities.get(canonical_name(model))

    async def _show(self, model: str, *, timeout_s: float) -> _Shown:
        """What the server says of a model; a failure here fails no request."""
        try:
            body = await self.upstream.fetch(
                "POST", "/api/show", msgspec.json.encode({"model": model}), timeout_s=timeout_s
            )
            shown = _SHOW.decode(body)
        except (RouterError, *UNREADABLE):
            return _UNSHOWN
        capabilities = None if shown.capabilities is None else _translated(shown.capabilities)
        key = canonical_name(model)
        if capabilities is not None:
            self._capabilities[key] = capabilities
        known = self._shown[key] = _Shown(capabilities, _parameter(shown.parameters), _trained(shown.model_info))
        return known

    async def _read(self, decoder: msgspec.json.Decoder[T], path: str, timeout_s: float) -> T:
        body = await self.upstream.get(path, timeout_s=timeout_s)
        try:
            return decoder.decode(body)
        except UNREADABLE:
            raise BackendFailed(f"{self.config.name} does not answer {path} like an Ollama server") from None

    async def aclose(self) -> None:
        await self.upstream.aclose()


def _format(request: ChatRequest, attempt: Attempt) -> Format:
    """Lines are forwarded to Ollama's own clients alone, in the shape that they asked in."""
    own = request.wire.dialect if request.wire.dialect in ollama.OWN else None
    return Format(
        own or ollama.NAME,
        lambda: ollama.StreamDecoder(attempt.shown, own),
        lambda body: ollama.decode_whole(body, attempt.shown, own),
    )


def _stays_s(tag: _Tag) -> float | None:
    """How much longer a loaded model stays. None for one that should be gone already: then the clocks differ."""
    left = ollama.seconds(tag.expires_at or "") - time()
    return left if left > 0 else None


def _translated(capabilities: list[str]) -> frozenset[str]:
    return frozenset(_CAPABILITIES.get(name, name) for name in capabilities)


def _parameter(parameters: str | None) -> int | None:
    """`num_ctx` among the parameters of a Modelfile, one a line; large numbers are written as `1.05e+06`."""
    found = _NUM_CTX.search(parameters or "")
    return int(float(found[1])) if found else None


def _trained(info: Mapping[str, msgspec.Raw] | None) -> int | None:
    """The most tokens that the model itself can hold, whatever it is loaded with."""
    for key, raw in (info or {}).items():
        if key.endswith(".context_length"):
            value: object = msgspec.json.decode(raw)
            return value if isinstance(value, int) and value > 0 else None
    return None


def _numbers(version: str) -> tuple[int, int, int]:
    """The first three numbers of a version; `0.0.0` is a development build, which knows everything."""
    parts = version.split("-", 1)[0].split(".")[:3]
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        return (0, 0, 0)
    major, minor, patch = (int(part) for part in parts)
    return (major, minor, patch) if (major, minor, patch) != (0, 0, 0) else (999, 0, 0)
