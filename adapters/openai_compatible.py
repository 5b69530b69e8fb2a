"""Any server that speaks OpenAI's API: vLLM, LM Studio, a cloud, another router."""

from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Self

import msgspec
from msgspec import Struct

from adapters.exchange import Format, OpenReply, Question
from adapters.upstream import Upstream
from router.canonical.adapter import Adapter, Attempt, BackendConfig, ContextRules, Reply, Vectors
from router.canonical.completion import CompletionRequest
from router.canonical.models import ModelInfo, Probe
from router.canonical.request import ChatRequest, EmbedRequest, Profile
from router.dialects import openai_chat, openai_completions, openai_embeddings, openai_responses
from router.dialects.failures import UNREADABLE
from router.errors import BackendFailed, EndpointMissing, RejectedByBackend, UnsupportedParameter

KEEP_ALIVE_S = 3.0
"""uvicorn and llama.cpp close idle connections after 5 seconds."""


class _Model(Struct):
    id: str
    created: float | None = None
    owned_by: str | None = None
    max_model_len: int | None = None
    context_length: int | None = None


class _Models(Struct):
    data: list[_Model] | None = None


_MODELS = msgspec.json.Decoder(_Models)


class OpenAICompatible(Adapter):
    """One OpenAI-compatible server. Bytes pass through but for the model name."""

    kind: ClassVar[str] = "openai"
    strict_end: ClassVar[bool] = False
    templated: ClassVar[bool] = False
    """Whether thinking is switched off in its chat template."""
    native: ClassVar[frozenset[str]] = frozenset()
    """The options of Ollama that it knows as well."""
    rules: ClassVar[ContextRules] = ContextRules(cuts=True)

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.upstream = Upstream(config, keep_alive_s=KEEP_ALIVE_S)

    def chat(self, request: ChatRequest, attempt: Attempt) -> AbstractAsyncContextManager[Reply]:
        """Opens an answer; raises UnsupportedParameter for a request that this dialect cannot say."""
        if self.config.responses and request.wire.dialect == openai_responses.NAME:
            return self._respond(request, attempt)
        body = self.rendered(request, attempt)
        dropped = openai_chat.unspoken(request, self.native)
        question = Question(
            "/v1/chat/completions", body, attempt.model, request.stream, dropped, loading=attempt.loading
        )
        return OpenReply(self.upstream, question, self.format(request, attempt))

    def _respond(self, request: ChatRequest, attempt: Attempt) -> OpenReply:
        """A request of the Responses API for a server that has it: with all that only OpenAI could do."""
        body = openai_responses.render_request(request, attempt.model, attempt.profile)
        answer = Format(
            openai_responses.NAME,
            lambda: openai_responses.StreamDecoder(attempt.shown),
            lambda body: openai_responses.decode_whole(body, attempt.shown),
        )
        question = Question("/v1/responses", body, attempt.model, request.stream, loading=attempt.loading)
        return OpenReply(self.upstream, question, answer)

    def complete(self, request: CompletionRequest, attempt: Attempt) -> AbstractAsyncContextManager[Reply]:
        """Opens an answer; entering it raises UnsupportedParameter where the server only chats."""
        body = openai_completions.render_request(request, attempt.model, attempt.profile)
        choices = len(request.prompts) * request.n
        answer = Format(
            openai_completions.NAME,
            lambda: openai_completions.StreamDecoder(attempt.shown, choices=choices, strict_end=self.strict_end),
            lambda body: openai_completions.decode_whole(body, attempt.shown),
        )
        question = Question("/v1/completions", body, attempt.model, request.stream, loading=attempt.loading)
        return _Completion(self.upstream, question, answer)

    def rendered(self, request: ChatRequest, attempt: Attempt) -> bytes:
        """The body of a chat request; raises UnsupportedParameter for one that this dialect cannot say."""
        asked = openai_chat.spoken(request, templated=self.templated, native=self.native)
        overrides = self.overrides(asked, attempt.profile)
        return openai_chat.render_request(asked, attempt.model, attempt.profile, overrides)

    def format(self, request: ChatRequest, attempt: Attempt) -> Format:
        """How this server's answers are read."""
        return Format(
            openai_chat.NAME,
            lambda: openai_chat.StreamDecoder(attempt.shown, choices=request.n, strict_end=self.strict_end),
            lambda body: openai_chat.decode_whole(body, attempt.shown),
        )

    def overrides(self, request: ChatRequest, profile: Profile) -> dict[str, Any]:  # noqa: ARG002 (for others)
        """Request fields that must differ from what the client wrote; None takes one away."""
        if not request.stream:
            return {}
        return {"stream_options": openai_chat.asking_for_usage(request)}

    async def embed(self, request: EmbedRequest, attempt: Attempt) -> Vectors:
        """Embeds every input, in batches no larger than the backend takes.

        Raises UnsupportedParameter when the backend paid no attention to `dimensions`, as many do.
        """
        options = openai_chat.sent_options(attempt.profile)
        answers: list[Vectors] = []
        for part in request.split(self.config.embedding_batch):
            body = openai_embeddings.render_request(part, attempt.model, options)
            async with self.upstream.post(
                "/v1/embeddings", body, model=attempt.model, loading=attempt.loading
            ) as exchange:
                answer = await exchange.body()
            answers.append(self._vectors(answer, part, attempt))
        vectors = Vectors.joined(answers)
        if request.dimensions is not None:
            self._check_width(vectors, request.dimensions)
        return vectors

    def _vectors(self, answer: bytes, request: EmbedRequest, attempt: Attempt) -> Vectors:
        expected = len(request.inputs)
        try:
            return openai_embeddings.decode(answer, attempt.shown, base64=request.base64, expected=expected)
        except BackendFailed as error:
            raise BackendFailed(f"{self.config.name}: {error.message}") from None

    def _check_width(self, vectors: Vectors, wanted: int) -> None:
        got = openai_embeddings.width(vectors.vectors[0])
        if got != wanted:
            raise UnsupportedParameter(
                f"{self.config.name} makes vectors of {got} numbers whatever is asked", param="dimensions"
            )

    async def probe(self, *, timeout_s: float) -> Probe:
        """Asks for the model list, the one thing nearly every such server answers without generating.

        One whose models the settings name has said enough by answering at all.
        """
        try:
            body = await self.upstream.get("/v1/models", timeout_s=timeout_s)
        except (BackendFailed, RejectedByBackend):
            if self.config.models:
                return Probe(models=self.listed())
            raise
        try:
            models = _MODELS.decode(body).data
        except UNREADABLE:
            models = None
        if models is None:
            raise BackendFailed(f"{self.config.name} does not answer /v1/models like an OpenAI server")
        return Probe(models=self.listed() or tuple(self.info(model) for model in models))

    def listed(self) -> tuple[ModelInfo, ...]:
        """The models that the settings name, for a server that cannot list them."""
        return tuple(ModelInfo(name=name, owned_by=self.config.name) for name in self.config.models)

    def info(self, model: _Model) -> ModelInfo:
        """One entry of the list; vLLM and others say the context length in fields of their own."""
        return ModelInfo(
            name=model.id,
            context_length=model.max_model_len or model.context_length,
            created=int(model.created or 0),
            owned_by=model.owned_by or self.config.name,
        )

    async def aclose(self) -> None:
        await self.upstream.aclose()


class _Completion(OpenReply):
    """Many servers have chats alone: that they do not know the address is no failure of theirs."""

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except EndpointMissing:
            raise UnsupportedParameter(
                f"{self._upstream.name} has no text completions: use /v1/chat/completions", param="model"
            ) from None
