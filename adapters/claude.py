"""Claude through Anthropic's API, or anything that speaks it."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import ClassVar

import msgspec

from adapters.anthropic_sdk.loading import Loading
from adapters.exchange import Format, OpenReply, Question
from adapters.reasoning_store import ReasoningStore
from adapters.series import completing
from router.canonical import outgoing
from router.canonical.adapter import Adapter, Attempt, BackendConfig, ContextRules, Reply, Vectors
from router.canonical.completion import CompletionRequest
from router.canonical.models import ModelInfo, Probe
from router.canonical.request import ChatRequest, EmbedRequest
from router.dialects import anthropic_messages
from router.dialects.anthropic_messages import FOREIGN_REASONING, Listed, Rendered, Traits
from router.errors import BackendFailed, RejectedByBackend, RouterError, UnsupportedParameter, UnsupportedValue

logger = logging.getLogger(__name__)

KEEP_ALIVE_S = 30.0
LIST_S = 300.0
LIST_AGAIN_S = 60.0
LIST_TIMEOUT_S = 5.0
MESSAGES_PATH = "/v1/messages"
BETA_PATH = f"{MESSAGES_PATH}?beta=true"
BETA_HEADER = "anthropic-beta"
"""Where clients name the experiments that they take part in."""
COUNT_PATH = "/v1/messages/count_tokens"
MODELS_PATH = "/v1/models?limit=1000"


class Claude(Adapter):
    """One account at Anthropic. Heartbeats leave it alone; its model list is read beside requests, now and then."""

    kind: ClassVar[str] = "claude"
    passive: ClassVar[bool] = True
    rules: ClassVar[ContextRules] = ContextRules(holds_answer=False)

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self._sdk = Loading(config, keep_alive_s=KEEP_ALIVE_S, classify=anthropic_messages.classify)
        self._listed: dict[str, Listed] = {}
        self._list_due = 0.0
        self._reasoning = ReasoningStore()

    def chat(self, request: ChatRequest, attempt: Attempt) -> AbstractAsyncContextManager[Reply]:
        """Opens an answer; raises UnsupportedParameter for what Claude cannot do."""
        return self._chat(request, attempt)

    def complete(self, request: CompletionRequest, attempt: Attempt) -> AbstractAsyncContextManager[Reply]:
        """Asks the prompt as a message of the user; raises UnsupportedParameter for what takes the model itself."""
        if request.suffix:
            raise UnsupportedParameter(f"{self.config.name}: Claude fills no gaps in a text", param="suffix")
        if not all(isinstance(prompt, str) for prompt in request.prompts):
            raise UnsupportedValue(f"{self.config.name}: Claude takes text, not token ids", param="prompt")
        return completing(request, lambda single: self.chat(single, attempt))

    @asynccontextmanager
    async def _chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[OpenReply]:
        async with AsyncExitStack() as stack:
            upstream = await self._sdk.upstream()
            await stack.enter_async_context(self._listing(attempt.model))
            restored = self._restored(request)
            rendered = self._rendered(restored, attempt, with_reasoning=True)
            answer = self._format(request, attempt)
            question = partial(_question, request, attempt)
            try:
                with outgoing.also(request.wire.headers):
                    reply = await stack.enter_async_context(OpenReply(upstream, question(rendered), answer))
            except RejectedByBackend as error:
                if error.code != FOREIGN_REASONING or not rendered.is_signed:
                    raise
                self._reasoning.forget(request.messages)
                rendered = self._rendered(request, attempt, with_reasoning=False)
                with outgoing.also(request.wire.headers):
                    reply = await stack.enter_async_context(OpenReply(upstream, question(rendered), answer))
            yield reply

    def _restored(self, request: ChatRequest) -> ChatRequest:
        """With the reasoning that clients drop; one of Anthropic's own has kept it."""
        if request.wire.dialect == anthropic_messages.NAME:
            return request
        return msgspec.structs.replace(request, messages=self._reasoning.restored(request.messages))

    def _rendered(self, request: ChatRequest, attempt: Attempt, *, with_reasoning: bool) -> Rendered:
        traits = self._traits(attempt.model)
        rendered = anthropic_messages.render_request(
            request, attempt.model, attempt.profile, traits=traits, with_reasoning=with_reasoning
        )
        if with_reasoning:
            return rendered
        return msgspec.structs.replace(rendered, dropped=(*rendered.dropped, "thinking_blocks"))

    def _format(self, request: ChatRequest, attempt: Attempt) -> Format:
        shown, remember = attempt.shown, self._reasoning.remember
        wanted = request.response_format
        bare = wanted is not None and wanted.kind == "json_object"
        return Format(
            anthropic_messages.NAME,
            lambda: anthropic_messages.StreamDecoder(shown, bare_json=bare, remember=remember),
            lambda body: anthropic_messages.decode_whole(body, shown, bare_json=bare, remember=remember),
        )

    async def prompt_tokens(self, request: ChatRequest, attempt: Attempt, *, timeout_s: float) -> int | None:
        """By Anthropic's own count, which costs nothing but has a rate limit of its own."""
        try:
            body = self._rendered(self._restored(request), attempt, with_reasoning=True).body
            counted = anthropic_messages.counting(body)
            upstream = await self._sdk.upstream()
            with outgoing.also(request.wire.headers):
                answer = await upstream.fetch("POST", COUNT_PATH, counted, timeout_s=timeout_s)
            return anthropic_messages.decode_count(answer)
        except (RouterError, TimeoutError):
            return None

    async def embed(self, request: EmbedRequest, attempt: Attempt) -> Vectors:  # noqa: ARG002 (whatever is asked)
        """Raises UnsupportedParameter: Claude has no embeddings."""
        raise UnsupportedParameter(f"{self.config.name}: Claude makes no embeddings", param="model")

    async def probe(self, *, timeout_s: float) -> Probe:
        """Reads the model list, which costs nothing; for whoever asks on purpose. Settings do not change it."""
        await self._list(timeout_s)
        return Probe(models=tuple(listed.info for listed in self._listed.values()))

    def known_models(self) -> tuple[ModelInfo, ...]:
        """The models that the settings name, else those that Claude lists, else those that are known anyhow."""
        if self.config.models:
            return tuple(self._named(name) for name in self.config.models)
        if self._listed:
            return tuple(listed.info for listed in self._listed.values())
        return anthropic_messages.known_models()

    def _named(self, name: str) -> ModelInfo:
        if name in self._listed:
            return self._listed[name].info
        known = next((model for model in anthropic_messages.known_models() if model.name == name), None)
        return known or ModelInfo(name=name, owned_by=self.config.name)

    def _traits(self, model: str) -> Traits:
        return self._listed[model].traits if model in self._listed else anthropic_messages.traits_of(model)

    @asynccontextmanager
    async def _listing(self, model: str) -> AsyncGenerator[None]:
        """Reads the model list beside a request when it is old; only an unheard-of model has to wait for it."""
        now = asyncio.get_running_loop().time()
        if now < self._list_due:
            yield
            return
        self._list_due = now + LIST_S
        reading = asyncio.create_task(self._list_quietly())
        try:
            if model not in self._listed and not anthropic_messages.is_known(model):
                await asyncio.wait((reading,))
            yield
        finally:
            reading.cancel()
            await asyncio.wait((reading,), timeout=LIST_TIMEOUT_S)

    async def _list_quietly(self) -> None:
        """A list that cannot be had fails no request and is asked for again a little later."""
        read = False
        try:
            await self._list(LIST_TIMEOUT_S)
            read = True
        except RouterError as error:
            logger.info("the models of %s cannot be listed: %s", self.config.name, error.code)
        finally:
            if not read:
                self._list_due = asyncio.get_running_loop().time() + LIST_AGAIN_S

    async def _list(self, timeout_s: float) -> None:
        upstream = await self._sdk.upstream()
        body = await upstream.get(MODELS_PATH, timeout_s=timeout_s)
        try:
            self._listed = {listed.info.name: listed for listed in anthropic_messages.decode_models(body)}
        except BackendFailed as error:
            raise BackendFailed(f"{self.config.name}: {error.message}") from None

    async def warm_up(self) -> None:
        with suppress(RouterError):
            await self._sdk.upstream()

    async def aclose(self) -> None:
        await self._sdk.aclose()


def _question(request: ChatRequest, attempt: Attempt, rendered: Rendered) -> Question:
    path = BETA_PATH if BETA_HEADER in request.wire.headers else MESSAGES_PATH
    return Question(path, rendered.body, attempt.model, rendered.stream, rendered.dropped)
