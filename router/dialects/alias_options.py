"""Alias options that only one kind of backend understands, and those that decide how a model is loaded."""

from collections.abc import Mapping
from typing import Any, cast

from router.canonical.request import Profile

OLLAMA_OPTIONS = frozenset({"options", "keep_alive", "think", "num_ctx", "truncate", "shift"})

CLAUDE_OPTIONS = frozenset({"cache", "default_max_tokens", "unforceable_tool_choice", "thinking_budgets"})

CONTEXT_OPTION = "num_ctx"

RUNNER_OPTIONS = frozenset(
    {
        "num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict",
        "use_mlock", "low_vram", "f16_kv", "vocab_only", "logits_all", "embedding_only", "numa", "shift",
    }
)  # fmt: skip
"""What Ollama loads a model with: a request with another value makes it load the model anew. The second line did so in
older versions; `shift` stands beside `options`, the others in it."""

_BESIDE = frozenset({"options", "keep_alive", "think", "truncate"})


def pinned_options(profile: Profile) -> dict[str, Any]:
    """The runner options that an alias sets, wherever it has them."""
    pinned: dict[str, Any] = {}
    if profile.options:
        options = {**profile.options, **_nested(profile.options)}
        pinned = {key: value for key, value in options.items() if key in RUNNER_OPTIONS}
    if profile.context_length is not None:
        pinned[CONTEXT_OPTION] = profile.context_length
    return pinned


def client_options(extras: Mapping[str, Any]) -> dict[str, Any]:
    """The native options of a client that knows whom it talks to: those in `options`, under those beside it."""
    return {**_nested(extras), **{key: value for key, value in extras.items() if key not in _BESIDE}}


def _nested(options: Mapping[str, Any]) -> Mapping[str, Any]:
    nested: object = options.get("options")
    return cast("Mapping[str, Any]", nested) if isinstance(nested, Mapping) else {}
