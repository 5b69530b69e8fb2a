"""llama.cpp's own server: OpenAI's chat format with a few habits, plus `/health` and `/props`."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from adapters import llama_models
from adapters.exchange import Format, OpenReply, Question
from adapters.openai_compatible import OpenAICompatible
from adapters.series import completing
from router.canonical.adapter import Attempt, ContextRules, Reply
from router.canonical.auxiliary import AuxiliaryAnswer, AuxiliaryRequest
from router.canonical.completion import CompletionRequest
from router.canonical.events import Frame
from router.canonical.models import Glance, ModelInfo, Probe
from router.canonical.request import ChatRequest, Profile, TextPart
from router.dialects import llama_auxiliary, llama_completion, openai_chat
from router.dialects.failures import UNREADABLE
from router.errors import (
    BackendFailed,
    EndpointMissing,
    ModelMissing,
    RejectedByBackend,
    RouterError,
    UnsupportedOperation,
    UnsupportedParameter,
)

BUDGETS = ("reasoning_budget_tokens", "thinking_budget_tokens")


class _Meta(Struct):
    n_ctx: int | None = None
    n_ctx_train: int | None = None
    n_params: int | None = None
    size: int | None = None


class _Architecture(Struct):
    input_modalities: list[str] = []


class _Status(Struct):
    value: str = ""


class _Model(Struct):
    id: str
    status: _Status | None = None
    aliases: list[str] = []
    meta: _Meta | None = None
    architecture: _Architecture | None = None
    created: float | None = None


class _Models(Struct):
    data: list[_Model]


class _Modalities(Struct):
    vision: bool = False
    audio: bool = False


class _TemplateCaps(Struct):
    supports_tools: bool | None = None


class _Generation(Struct):
    n_ctx: int | None = None


class _Props(Struct):
    default_generation_settings: _Generation | None = None
    total_slots: int | None = None
    endpoint_slots: bool | None = None
    modalities: _Modalities | None = None
    chat_template_caps: _TemplateCaps | None = None
    build_info: str | None = None
    is_sleeping: bool = False


class _Slot(Struct):
    is_processing: bool = False


class _Counted(Struct):
    input_tokens: int


class _Prompt(Struct):
    prompt: str


class _Tokens(Struct):
    tokens: list[int]


_UNTOLD = frozenset({"embedding", "thinking", "insert"})
_MODELS = msgspec.json.Decoder(_Models)
_SLOTS = msgspec.json.Decoder(list[_Slot])
_COUNTED = msgspec.json.Decoder(_Counted)
_PROMPT = msgspec.json.Decoder(_Prompt)
_TOKENS = msgspec.json.Decoder(_Tokens)
_TOOLS = msgspec.json.Decoder(list[msgspec.Raw] | None)
_PROPS = msgspec.json.Decoder(_Props)


class LlamaCpp(OpenAICompatible):
    """One llama.cpp server; its model name in an answer is replaced, all else passes through."""

    kind: ClassVar[str] = "llama_cpp"
    strict_end: ClassVar[bool] = True
    templated: ClassVar[bool] = True
    native: ClassVar[frozenset[str]] = frozenset({"top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n"})
    max_parallel: ClassVar[int] = 4
    rules: ClassVar[ContextRules] = ContextRules(any_name=True)
    glances: ClassVar[bool] = True
    prefills: ClassVar[bool] = True

    _slots_told: bool = True
    """Whether `/slots` is worth asking: `--no-slots` switches it off until the server is started anew."""
    _at_rest: Callable[[], Probe] | None = None
    _has_several: bool = False
    """Whether it was started without a model, and loads them as they are asked for."""
    _tools: bool | None = None
    _vision: bool | None = None

    def overrides(self, request: ChatRequest, profile: Profile) -> dict[str, Any]:
        """Forces one tool the only way the server knows, and bounds reasoning.

        Usage is left to `timings` unless it was asked for. Raises UnsupportedParameter where the server would silently
        drop tools or fail on images.
        """
        self._refuse(request)
        budget = _budget(request, profile)
        choice = request.tool_choice
        if choice is None or not choice.names:
            return budget
        tools = _TOOLS.decode(request.wire.fields.get("tools", b"null")) or ()
        named = [raw for tool, raw in zip(request.tools, tools, strict=True) if tool.name in choice.names]
        if not named:
            raise UnsupportedParameter("tool_choice names a tool that is not in tools", param="tool_choice")
        return {**budget, "tools": named, "tool_choice": choice.mode}

    def _refuse(self, request: ChatRequest) -> None:
        choice = request.tool_choice
        if request.tools and self._tools is False and (choice is None or choice.mode != "none"):
            raise UnsupportedParameter(
                f"the model '{request.model}' has a chat template without tools: it would ignore them", param="tools"
            )
        if request.has_images and self._vision is False:
            raise UnsupportedParameter(f"the model '{request.model}' does not take images", param="messages")

    def complete(self, request: CompletionRequest, attempt: Attempt) -> AbstractAsyncContextManager[Reply]:
        """Opens the answers to all prompts, one after another, in the server's own format."""
        return completing(request, lambda single: self._complete(single, attempt))

    def _complete(self, request: CompletionRequest, attempt: Attempt) -> OpenReply:
        body = llama_completion.render_request(request, attempt.model, attempt.profile)
        answer = Format(
            llama_completion.NAME,
            lambda: llama_completion.StreamDecoder(attempt.shown),
            lambda body: llama_completion.decode_whole(body, attempt.shown),
        )
        path = "/infill" if request.suffix else "/completion"
        dropped = tuple(name for name in request.unsupported if name == "best_of")
        question = Question(path, body, attempt.model, request.stream, dropped, attempt.loading)
        return OpenReply(self.upstream, question, answer)

    async def auxiliary(self, request: AuxiliaryRequest, attempt: Attempt) -> AuxiliaryAnswer:
        """Raises UnsupportedOperation for documents to order where the server was not started for that."""
        path, body = llama_auxiliary.render(request, attempt.model)
        try:
            async with self.upstream.post(path, body, model=attempt.model, loading=attempt.loading) as exchange:
                answer = await exchange.body()
        except EndpointMissing:
            raise UnsupportedOperation(f"{self.config.name} is too old for {request.operation}") from None
        try:
            return llama_auxiliary.decode(request, answer)
        except BackendFailed as error:
            raise BackendFailed(f"{self.config.name}: {error.message}") from None

    async def load(self, attempt: Attempt, keep_alive: float | str | None) -> None:  # noqa: ARG002 (it is not asked)
        """Only where the server has several models, which stay as long as it has room for them."""
        self._has_to_have_several()
        await llama_models.load(self.upstream, attempt.model, within_s=self.config.timeouts.load)

    async def unload(self, attempt: Attempt) -> None:
        self._has_to_have_several()
        await llama_models.unload(self.upstream, attempt.model, within_s=self.config.timeouts.load)

    def _has_to_have_several(self) -> None:
        if not self._has_several:
            name = self.config.name
            raise UnsupportedOperation(f"{name} has one model, from its start to its end: nothing is loaded or let go")

    async def prompt_tokens(self, request: ChatRequest, attempt: Attempt, *, timeout_s: float) -> int | None:
        """By the server's own count; one too old for that writes the prompt out and counts its tokens."""
        if self._at_rest is not None:
            return None
        try:
            async with asyncio.timeout(timeout_s):
                if isinstance(request, CompletionRequest):
                    return await self._text_tokens(request, timeout_s)
                body = self.rendered(request, attempt)
                return await self._counted(body, timeout_s, has_images=request.has_images)
        except (RouterError, TimeoutError, *UNREADABLE):
            return None

    async def _counted(self, body: bytes, timeout_s: float, *, has_images: bool) -> int | None:
        try:
            answer = await self.upstream.fetch("POST", "/v1/chat/completions/input_tokens", body, timeout_s=timeout_s)
            return _COUNTED.decode(answer).input_tokens
        except (RejectedByBackend, BackendFailed, ModelMissing):
            if has_images:
                return None
        answer = await self.upstream.fetch("POST", "/apply-template", body, timeout_s=timeout_s)
        return await self._tokens(_PROMPT.decode(answer).prompt, timeout_s)

    async def _text_tokens(self, request: CompletionRequest, timeout_s: float) -> int:
        """The tokens of all prompts, and of the text after a gap."""
        texts = [*(prompt for prompt in request.prompts if isinstance(prompt, str)), request.suffix or ""]
        ids = sum(len(prompt) for prompt in request.prompts if not isinstance(prompt, str))
        return ids + sum([await self._tokens(text, timeout_s) for text in texts if text])

    async def _tokens(self, text: str, timeout_s: float) -> int:
        asked = msgspec.json.encode({"content": text, "add_special": True})
        return len(_TOKENS.decode(await self.upstream.fetch("POST", "/tokenize", asked, timeout_s=timeout_s)).tokens)

    def format(self, request: ChatRequest, attempt: Attempt) -> Format:
        """A whole answer to a prefilled turn repeats the prefill, which no other server does: it is taken off."""
        read = super().format(request, attempt)
        prefill = _prefill(request)
        if not prefill:
            return read
        return Format(read.dialect, read.decoder, lambda body: _without_prefill(read.whole(body), body, prefill))

    def moved(self, url: str | None, at_rest: Callable[[], Probe]) -> None:
        self._at_rest = at_rest if url is None else None
        self._slots_told = True
        if url is not None:
            self.config = replace(self.config, url=url)
            self.upstream.moved(self.config)

    async def probe(self, *, timeout_s: float) -> Probe:
        """Asks `/health`, then `/props` for what the model can do; neither wakes a sleeping server."""
        if self._at_rest is not None:
            return self._at_rest()
        await self.upstream.get("/health", timeout_s=timeout_s)
        try:
            props = _PROPS.decode(await self.upstream.get("/props", timeout_s=timeout_s))
            models = _MODELS.decode(await self.upstream.get("/v1/models", timeout_s=timeout_s))
        except UNREADABLE:
            raise BackendFailed(f"{self.config.name} does not answer like a llama.cpp server") from None
        if props.chat_template_caps is not None:
            self._tools = props.chat_template_caps.supports_tools
        if props.modalities is not None:
            self._vision = props.modalities.vision
        self._has_several = any(model.status is not None for model in models.data)
        found = tuple(self._info(model, props) for model in models.data)
        if props.endpoint_slots is not None:
            self._slots_told = props.endpoint_slots
        glance = Glance() if props.is_sleeping else await self._glance_quietly(timeout_s)
        slots = props.total_slots or glance.slots
        return Probe(version=props.build_info, models=self.listed() or found, slots=slots, idle_slots=glance.idle_slots)

    async def glance(self, *, timeout_s: float) -> Glance:
        """Counts the slots that are idle, where the server tells."""
        if not self._slots_told or self._at_rest is not None:
            return Glance()
        try:
            slots = _SLOTS.decode(await self.upstream.get("/slots", timeout_s=timeout_s))
        except (RejectedByBackend, BackendFailed, *UNREADABLE):
            self._slots_told = False
            return Glance()
        return Glance(slots=len(slots) or None, idle_slots=sum(not slot.is_processing for slot in slots))

    async def _glance_quietly(self, timeout_s: float) -> Glance:
        try:
            return await self.glance(timeout_s=timeout_s)
        except RouterError:
            return Glance()

    def _info(self, model: _Model, props: _Props) -> ModelInfo:
        capabilities = {"chat"}
        if self._tools:
            capabilities.add("tools")
        if self._vision or (model.architecture and "image" in model.architecture.input_modalities):
            capabilities.add("vision")
        settings, meta = props.default_generation_settings, model.meta
        return ModelInfo(
            name=model.id,
            capabilities=frozenset(capabilities),
            untold=_UNTOLD if self._tools is not None and self._vision is not None else _UNTOLD | {"tools", "vision"},
            context_length=(settings.n_ctx if settings else None) or (meta.n_ctx if meta else None),
            trained_length=meta.n_ctx_train if meta else None,
            size=meta.size if meta else None,
            loaded=model.status.value == "loaded" if model.status else not props.is_sleeping,
            owned_by="llamacpp",
            parameters=_in_billions(meta.n_params) if meta and meta.n_params else "",
            created=int(model.created or 0),
        )


def _in_billions(parameters: int) -> str:
    """As Ollama writes it: 8.0B, 134.5M."""
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.1f}M"


def _budget(request: ChatRequest, profile: Profile) -> dict[str, Any]:
    """The alias's limit for reasoning, where the client sets none."""
    if profile.thinking_tokens is None or any(name in request.wire.fields for name in BUDGETS):
        return {}
    return {BUDGETS[0]: profile.thinking_tokens}


def _prefill(request: ChatRequest) -> str:
    last = request.messages[-1]
    if last.role != "assistant" or last.tool_calls:
        return ""
    return "".join(part.text for part in last.parts if isinstance(part, TextPart))


def _without_prefill(frame: Frame, body: bytes, prefill: str) -> Frame:
    raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    choices = msgspec.json.decode(raw.get("choices", b"[]"), type=list[dict[str, msgspec.Raw]])
    for choice in choices:
        message = msgspec.json.decode(choice.get("message", b"{}"), type=dict[str, Any])
        content = message.get("content")
        if isinstance(content, str):
            message["content"] = content.removeprefix(prefill)
        choice["message"] = msgspec.Raw(msgspec.json.encode(message))
    raw["choices"] = msgspec.Raw(msgspec.json.encode(choices))
    return openai_chat.decode_whole(msgspec.json.encode(raw), _model_of(frame))


def _model_of(frame: Frame) -> str:
    return getattr(frame.events[0], "model", "")
