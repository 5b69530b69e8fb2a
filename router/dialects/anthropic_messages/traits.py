"""What each Claude model can do: a table, and what the models' own list says."""

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from router.canonical.models import ModelInfo
from router.dialects.failures import UNREADABLE
from router.errors import BackendFailed

EFFORTS = ("low", "medium", "high", "xhigh", "max")
CAPABILITIES = frozenset({"chat", "tools", "vision", "thinking"})

_ALL = frozenset(EFFORTS)
_ADAPTIVE = frozenset({"adaptive"})
_OPTIONAL = frozenset({"adaptive", "disabled"})
_BUDGET = frozenset({"enabled"})


class Traits(Struct, frozen=True, kw_only=True):
    """What a request to one model may say.

    `thinking` holds the accepted values of `thinking.type`, `efforts` those of `output_config.effort`;
    `thinks_unasked` is whether it thinks when nothing is said about it. Lengths are in tokens.
    """

    thinking: frozenset[str] = _ADAPTIVE
    thinks_unasked: bool = True
    efforts: frozenset[str] = _ALL
    forces_tools: bool = True
    prefills: bool = False
    takes_system_inside: bool = False
    has_schemas: bool = True
    context_length: int = 1_000_000
    max_tokens: int = 128_000

    @property
    def takes_sampling(self) -> bool:
        """Whether it can be told a temperature, in the older version of the format."""
        return self.prefills or "enabled" in self.thinking


_NEWEST = Traits(forces_tools=False, takes_system_inside=True)
_FIFTH = Traits(takes_system_inside=True)
_UNASKING = Traits(thinks_unasked=False)
_4_6 = Traits(thinks_unasked=False, thinking=frozenset({"adaptive", "enabled"}), efforts=_ALL - {"xhigh"})
_4_5 = Traits(
    thinks_unasked=False,
    thinking=_BUDGET,
    efforts=frozenset(),
    prefills=True,
    context_length=200_000,
    max_tokens=64_000,
)
_OLDER = Traits(
    thinks_unasked=False,
    thinking=frozenset(),
    efforts=frozenset(),
    prefills=True,
    has_schemas=False,
    context_length=200_000,
    max_tokens=8_192,
)
_UNHEARD_OF = Traits(prefills=True)

_TABLE: Mapping[str, Traits] = {
    "claude-fable-5-2": _NEWEST,
    "claude-mythos-5-2": _NEWEST,
    "claude-opus-5-5": _NEWEST,
    "claude-sonnet-5-5": Traits(
        thinking=frozenset({"adaptive", "between_tools"}), forces_tools=False, takes_system_inside=True
    ),
    "claude-haiku-5-5": Traits(thinking=_OPTIONAL),
    "claude-fable-5-1": _NEWEST,
    "claude-mythos-5-1": _NEWEST,
    "claude-sonnet-5": Traits(thinking=_OPTIONAL),
    "claude-fable-5": _FIFTH,
    "claude-mythos-5": _FIFTH,
    "claude-opus-5": Traits(thinking=_OPTIONAL, takes_system_inside=True),
    "claude-opus-4-8": Traits(thinks_unasked=False, takes_system_inside=True),
    "claude-opus-4-7": _UNASKING,
    "claude-mythos-preview": Traits(efforts=frozenset(), forces_tools=False),
    "claude-opus-4-6": _4_6,
    "claude-sonnet-4-6": _4_6,
    "claude-haiku-4-5": _4_5,
    "claude-opus-4-5": msgspec.structs.replace(_4_5, efforts=frozenset({"low", "medium", "high"})),
    "claude-sonnet-4-5": _4_5,
}
"""As documented in autumn 2026. A name with a date behind it is the same model."""

_DATED = re.compile(r"-(\d{8}|latest)$")
_OLD_NAME = re.compile(r"^claude-(\d|instant|(opus|sonnet|haiku)-4(-[01])?$)")


class _Support(Struct, frozen=True):
    supported: bool = False


class _Types(Struct):
    adaptive: _Support = _Support()
    between_tools: _Support = _Support()
    disabled: _Support = _Support()
    enabled: _Support = _Support()


class _Thinking(Struct):
    supported: bool = False
    types: _Types | None = None


class _Effort(Struct):
    supported: bool = False
    low: _Support | None = None
    medium: _Support | None = None
    high: _Support | None = None
    xhigh: _Support | None = None
    max: _Support | None = None


class _Capabilities(Struct):
    effort: _Effort | None = None
    image_input: _Support | None = None
    structured_outputs: _Support | None = None
    thinking: _Thinking | None = None


class _Model(Struct):
    id: str
    created_at: str = ""
    lifecycle: str = "active"
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    capabilities: _Capabilities | None = None


class _Models(Struct):
    data: list[_Model]


class Listed(Struct, frozen=True):
    """One model as its list describes it, with what a request to it may say."""

    info: ModelInfo
    traits: Traits


_MODELS = msgspec.json.Decoder(_Models)


def traits_of(model: str) -> Traits:
    """What is known of a model by its name alone; of a name that nobody has heard of, the best."""
    name = _DATED.sub("", model)
    return _TABLE.get(name) or (_OLDER if _OLD_NAME.match(name) else _UNHEARD_OF)


def is_known(model: str) -> bool:
    """Whether the table has the model."""
    return _DATED.sub("", model) in _TABLE


def known_models() -> tuple[ModelInfo, ...]:
    """The models of the table, for when nobody could be asked."""
    return tuple(_info(name, traits, 0, vision=True) for name, traits in _TABLE.items())


def decode_models(body: bytes) -> tuple[Listed, ...]:
    """The models of `GET /v1/models` that still answer; raises BackendFailed for anything else."""
    try:
        models = _MODELS.decode(body).data
    except UNREADABLE:
        raise BackendFailed("the list of models cannot be read") from None
    return tuple(_listed(model) for model in models if model.lifecycle != "retired")


def _listed(model: _Model) -> Listed:
    """The model's own word counts before the table's, field by field."""
    told = model.capabilities or _Capabilities()
    known = traits_of(model.id)
    traits = msgspec.structs.replace(
        known,
        thinking=known.thinking if told.thinking is None else _accepted(told.thinking, known),
        efforts=known.efforts if told.effort is None else _efforts(told.effort),
        has_schemas=known.has_schemas if told.structured_outputs is None else told.structured_outputs.supported,
        context_length=model.max_input_tokens or known.context_length,
        max_tokens=model.max_tokens or known.max_tokens,
    )
    vision = told.image_input is None or told.image_input.supported
    return Listed(_info(model.id, traits, _seconds(model.created_at), vision=vision), traits)


def _accepted(thinking: _Thinking, known: Traits) -> frozenset[str]:
    if not thinking.supported:
        return frozenset()
    if thinking.types is None:
        return known.thinking
    return frozenset(name for name in _Types.__struct_fields__ if getattr(thinking.types, name).supported)


def _efforts(effort: _Effort) -> frozenset[str]:
    levels = {name: getattr(effort, name) for name in EFFORTS}
    return frozenset(name for name, level in levels.items() if effort.supported and level and level.supported)


def _info(name: str, traits: Traits, created: int, *, vision: bool) -> ModelInfo:
    missing = {"thinking"} if not traits.thinking else set[str]()
    return ModelInfo(
        name=name,
        capabilities=CAPABILITIES - missing if vision else CAPABILITIES - missing - {"vision"},
        context_length=traits.context_length,
        created=created,
        owned_by="anthropic",
    )


def _seconds(timestamp: str) -> int:
    """An RFC 3339 time in seconds since 1970; 0 when it cannot be read."""
    try:
        return max(int(datetime.fromisoformat(timestamp).timestamp()), 0)
    except (ValueError, OverflowError):
        return 0
