"""llama.cpp's own server: OpenAI's chat format with a few habits, plus `/health` and `/props`."""

from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from adapters.exchange import Format
from adapters.openai_compatible import OpenAICompatible
from router.canonical.adapter import Attempt
from router.canonical.events import Frame
from router.canonical.models import ModelInfo, Probe
from router.canonical.request import ChatRequest, TextPart
from router.dialects import openai_chat
from router.dialects.failures import UNREADABLE
from router.errors import BackendFailed, UnsupportedParameter


class _Meta(Struct):
    n_ctx: int | None = None
    size: int | None = None


class _Architecture(Struct):
    input_modalities: list[str] = []


class _Model(Struct):
    id: str
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
    modalities: _Modalities | None = None
    chat_template_caps: _TemplateCaps | None = None
    build_info: str | None = None
    is_sleeping: bool = False


_MODELS = msgspec.json.Decoder(_Models)
_TOOLS = msgspec.json.Decoder(list[msgspec.Raw] | None)
_PROPS = msgspec.json.Decoder(_Props)


class LlamaCpp(OpenAICompatible):
    """One llama.cpp server; its model name in an answer is replaced, all else passes through."""

    kind: ClassVar[str] = "llama_cpp"
    strict_end: ClassVar[bool] = True
    prefills: ClassVar[bool] = True

    _tools: bool | None = None
    _vision: bool | None = None

    def overrides(self, request: ChatRequest) -> dict[str, Any]:
        """Forces one tool the only way the server knows, and leaves usage to `timings` unless it was asked for.

        Raises UnsupportedParameter where the server would silently drop tools or fail on images.
        """
        choice = request.tool_choice
        if request.tools and self._tools is False and (choice is None or choice.mode != "none"):
            raise UnsupportedParameter(
                f"the model '{request.model}' has a chat template without tools: it would ignore them", param="tools"
            )
        if request.has_images and self._vision is False:
            raise UnsupportedParameter(f"the model '{request.model}' does not take images", param="messages")
        if choice is None or not choice.names:
            return {}
        tools = _TOOLS.decode(request.wire.fields.get("tools", b"null")) or ()
        named = [raw for tool, raw in zip(request.tools, tools, strict=True) if tool.name in choice.names]
        if not named:
            raise UnsupportedParameter("tool_choice names a tool that is not in tools", param="tool_choice")
        return {"tools": named, "tool_choice": choice.mode}

    def format(self, request: ChatRequest, attempt: Attempt) -> Format:
        """A whole answer to a prefilled turn repeats the prefill, which no other server does: it is taken off."""
        read = super().format(request, attempt)
        prefill = _prefill(request)
        if not prefill:
            return read
        return Format(read.dialect, read.decoder, lambda body: _without_prefill(read.whole(body), body, prefill))

    async def probe(self, *, timeout_s: float) -> Probe:
        """Asks `/health`, then `/props` for what the model can do; neither wakes a sleeping server."""
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
        found = tuple(self._info(model, props) for model in models.data)
        return Probe(version=props.build_info, models=self.listed() or found)

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
            context_length=(settings.n_ctx if settings else None) or (meta.n_ctx if meta else None),
            size=meta.size if meta else None,
            loaded=not props.is_sleeping,
            owned_by="llamacpp",
            created=int(model.created or 0),
        )


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
