"""Names that clients may ask for, and where they lead."""

from typing import Literal

from pydantic import Field, JsonValue

from router.settings.fields import PriorityName, Seconds, Section


class AliasSettings(Section):
    """A name that clients put in `model`, and where it leads."""

    targets: tuple[str, ...] = Field(min_length=1, description="`backend/model`, tried in this order.")
    strategy: Literal["ordered", "score"] = Field(
        default="ordered",
        description="`ordered` tries the targets as they stand; `score` takes the one that has the model loaded, knows "
        "the conversation, has free slots and is fast.",
    )
    priority: PriorityName | None = Field(
        default=None,
        description="Where its requests stand in line when neither key nor request say. Default: as they look.",
    )
    local_only: bool = Field(default=False, description="Never leaves for a hosted service, whatever fails.")
    tags: tuple[str, ...] = Field(
        default=(), description="What it is good for: `code`, `embedding`, `vision`, your own words."
    )
    options: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Sampling defaults, used only where the client said nothing, and backend options sent as given "
        "(for Ollama `options`, `keep_alive`, `think`; for Claude `cache: true` to cache prompts, `thinking`, "
        "`default_max_tokens`, `thinking_budgets`, `unforceable_tool_choice: reject`).",
    )
    context_length: int | None = Field(
        default=None, ge=1, description="Context window in tokens: shown to clients, sent to Ollama as `num_ctx`."
    )
    max_tokens: int | None = Field(
        default=None, ge=1, description="Output cap in tokens: used when the client sets none, and never exceeded."
    )
    thinking_tokens: int | None = Field(
        default=None, ge=0, description="Room for reasoning in tokens, on top of the output cap, for models that think."
    )
    truncate: bool = Field(
        default=False,
        description="Lets the backend cut a prompt that is too long. Default: 400 context_length_exceeded.",
    )
    client_options: tuple[str, ...] = Field(
        default=(),
        description="Options that make a server load the model anew (`num_ctx`, `num_gpu` ...) and that clients may "
        "set all the same.",
    )
    resume: bool = Field(
        default=False,
        description="A stream that breaks goes on with the next target that can, from where it was, and says so.",
    )
    hedge_after: Seconds | None = Field(
        default=None, description="Without a first token after this long, another idle target is asked as well."
    )
    split_thinking: bool | None = Field(
        default=None,
        description="Turns `<think>` tags at the start of an answer into `reasoning_content`. Default: for families "
        "that write them (DeepSeek-R1, QwQ, Qwen3 ...). On: also where the model's template opened the tag.",
    )


class RoutingSettings(Section):
    """Where a request goes that names no alias."""

    default_model: str | None = Field(
        default=None,
        description="Alias or `backend/model` for `auto`, and for a model nobody knows. Absent: 404 model_not_found.",
    )
    on_missing_model: Literal["error", "default", "pull"] = Field(
        default="default",
        description="A request for a model that nobody has: `default` goes to `default_model`, if there is one; "
        "`error` is a 404 even then; `pull` has an Ollama fetch the model while the request waits, which lets whoever "
        "may use all models fill a disk.",
    )
    tasks: dict[str, str] = Field(
        default_factory=dict, description="Task name to alias or `backend/model`, for `model: task:NAME`."
    )
