"""What a plan is made for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from router.canonical.caller import CODING_TOOL, NOBODY, Caller, Priority
from router.canonical.completion import CompletionRequest
from router.canonical.request import ChatRequest, Message

CODE = "code"
CODE_TASKS = frozenset({CODE, "coding"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """The `model` that was asked for, and what the request itself needs; `messages` are only looked at in pools.

    `looks` is the priority that it seems to have, where nobody says which.
    """

    model: str
    task: str | None = None
    images: bool = False
    embedding: bool = False
    caller: Caller = NOBODY
    looks: Priority = Priority.NORMAL
    tools: bool = False
    thinking: bool = False
    insert: bool = False
    messages: Sequence[Message] = ()

    @property
    def is_code(self) -> bool:
        """Whether it is about code: the task says so, or no task is named and a coding tool asks."""
        return self.task in CODE_TASKS if self.task else self.caller.source == CODING_TOOL

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What a model must be able to do, most telling first."""
        if self.embedding:
            return ("embedding",)
        if not (self.tools or self.images or self.thinking or self.insert):
            return ("chat",)
        needs = (
            (self.tools, "tools"), (self.images, "vision"), (self.thinking, "thinking"), (self.insert, "insert")
        )  # fmt: skip
        return (*(name for is_needed, name in needs if is_needed), "chat")

    def as_it_is(self) -> "Wanted":
        """The same for a job that no model is pulled for."""
        return replace(self, caller=structs.replace(self.caller, may_pull=False))


def wanted_by(
    asked: ChatRequest, *, task: str | None = None, caller: Caller = NOBODY, looks: Priority = Priority.NORMAL
) -> Wanted:
    """What a chat request needs; `task` comes before the one in its body."""
    choice = asked.tool_choice
    return Wanted(
        asked.model,
        task=task or asked.task,
        images=asked.has_images,
        caller=caller,
        looks=looks,
        tools=bool(asked.tools) and (choice is None or choice.mode != "none"),
        thinking=asked.reasoning_effort not in {None, "none"},
        insert=isinstance(asked, CompletionRequest) and asked.suffix is not None,
        messages=asked.messages,
    )
