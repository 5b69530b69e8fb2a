"""Tools of the Responses API as functions, which every backend knows, and calls of them back as they were asked for."""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Raw, Struct

from router.canonical.request import Tool, ToolCall, ToolChoice
from router.dialects.failures import UNREADABLE
from router.dialects.openai_responses.wire import Grammar, NamedTool, OfferedTool
from router.dialects.undecoded import given
from router.errors import InvalidParameter

MAX_TOOLS = 1_024
MAX_NAME = 64
SHELL = "local_shell"

_NOT_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_MODES = frozenset({"auto", "none", "required"})
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_SHELL_TELL = "Runs a command on the user's machine and returns what it prints."
_SHELL_SCHEMA = Raw(
    b'{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"},'
    b'"description":"The program and its arguments."},"working_directory":{"type":"string"},'
    b'"timeout_ms":{"type":"integer"}},"required":["command"],"additionalProperties":false}'
)


class _Input(Struct):
    input: str


class Action(Struct):
    """What `local_shell` is asked to do."""

    command: list[str] = []
    env: dict[str, str] = {}
    timeout_ms: int | None = None
    user: str | None = None
    working_directory: str | None = None


_INPUT = msgspec.json.Decoder(_Input)
_ACTION = msgspec.json.Decoder(Action)


class Origin(Struct, frozen=True):
    """What the client calls a function; `kind` is function, custom, or local_shell."""

    kind: str
    name: str
    namespace: str | None = None


class Toolbox(Struct, frozen=True):
    """The tools of a request as functions; `dropped` are those that nobody but OpenAI could run."""

    functions: tuple[Tool, ...] = ()
    origins: Mapping[str, Origin] = {}
    dropped: tuple[str, ...] = ()

    def origin(self, name: str) -> Origin:
        """The tool that a function stands for; a name that the model made up is a function's."""
        return self.origins.get(name) or Origin("function", name)


def toolbox(offered: Sequence[OfferedTool] | None) -> Toolbox:
    """The tools as functions; raises InvalidParameter for too many, or one without a name."""
    functions: list[Tool] = []
    origins: dict[str, Origin] = {}
    dropped: dict[str, None] = {}
    flat = _flat(offered or ())
    if len(flat) > MAX_TOOLS:
        raise InvalidParameter(f"tools has more than {MAX_TOOLS} entries", param="tools")
    for place, namespace, tool in flat:
        origin = _origin(tool, namespace, place)
        if origin is None:
            dropped[tool.type] = None
            continue
        function = _function(tool, origin)
        if function.name not in origins:
            functions.append(function)
            origins[function.name] = origin
    return Toolbox(tuple(functions), origins, tuple(dropped))


def _flat(offered: Sequence[OfferedTool]) -> list[tuple[str, str | None, OfferedTool]]:
    found: list[tuple[str, str | None, OfferedTool]] = []
    for at, tool in enumerate(offered):
        if tool.type == "namespace":
            inner = enumerate(tool.tools or ())
            found += [(f"tools[{at}].tools[{place}]", tool.name, nested) for place, nested in inner]
        else:
            found.append((f"tools[{at}]", None, tool))
    return found


def _origin(tool: OfferedTool, namespace: str | None, place: str) -> Origin | None:
    if tool.type == SHELL:
        return Origin(SHELL, SHELL)
    if tool.type not in {"function", "custom"}:
        return None
    name = tool.function.name if tool.function else tool.name
    if not name:
        raise InvalidParameter(f"a tool of type {tool.type} needs a name", param=f"{place}.name")
    return Origin(tool.type, name, namespace)


def _function(tool: OfferedTool, origin: Origin) -> Tool:
    name = function_name(origin.name, origin.namespace)
    if origin.kind == SHELL:
        return Tool(name, _SHELL_TELL, _SHELL_SCHEMA)
    if origin.kind == "custom":
        return Tool(name, _custom_description(tool), _custom_schema(tool.format))
    if (nested := tool.function) is not None:
        return Tool(name, nested.description, given(nested.parameters), strict=nested.strict)
    return Tool(name, tool.description, given(tool.parameters), strict=tool.strict)


def function_name(name: str, namespace: str | None) -> str:
    """The one name of a function that has two, always the same, and within what backends take."""
    if not namespace:
        return name
    joined = namespace + name if namespace.endswith("__") else f"{namespace}__{name}"
    clean = _NOT_NAME.sub("_", joined)
    if clean == joined and len(joined) <= MAX_NAME:
        return joined
    return f"{clean[: MAX_NAME - 9]}_{sha256(joined.encode()).hexdigest()[:8]}"


def _custom_description(tool: OfferedTool) -> str:
    told = tool.description or ""
    grammar = tool.format
    if grammar is None or not grammar.definition:
        return told
    return f"{told}\n\nThe input must follow this {grammar.syntax or ''} grammar:\n{grammar.definition}".strip()


def _custom_schema(grammar: Grammar | None) -> Raw:
    told = "The input of the tool, as it is: no JSON in it and no quotes around it."
    if grammar is not None and grammar.definition:
        told = f"{told} It follows the grammar of the description."
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"input": {"type": "string", "description": told}},
        "required": ["input"],
        "additionalProperties": False,
    }
    return Raw(msgspec.json.encode(schema))


def custom_input(arguments: str) -> str:
    """The text that a custom tool is called with; a call that is no JSON is the text itself."""
    try:
        return _INPUT.decode(arguments).input
    except UNREADABLE:
        return "" if arguments.strip() in {"", "{}"} else arguments


def shell_action(arguments: str) -> Action:
    """What a call of the shell asks for; one that nobody can read asks for nothing."""
    try:
        return _ACTION.decode(arguments)
    except UNREADABLE:
        return Action()


def custom_call(call_id: str, name: str, text: str) -> ToolCall:
    """An earlier call of a custom tool, as the function that it is here."""
    return ToolCall(call_id, name, msgspec.json.encode({"input": text}).decode())


def shell_call(call_id: str, action: Raw) -> ToolCall:
    """An earlier call of the shell; raises InvalidParameter for an action that is no object."""
    try:
        fields = _OBJECT.decode(given(action) or b"{}")
    except UNREADABLE:
        raise InvalidParameter("the action of a shell call is an object", param="action") from None
    kept = {key: raw for key, raw in fields.items() if key != "type" and given(raw) is not None}
    return ToolCall(call_id, SHELL, msgspec.json.encode(kept).decode())


def tool_choice(wanted: NamedTool | str | None, box: Toolbox) -> tuple[ToolChoice | None, bool]:
    """The choice, and whether it named a tool that was dropped; without any tool there is nothing to choose."""
    if wanted is None:
        return None, False
    if isinstance(wanted, str):
        if wanted not in _MODES:
            raise _bad_choice()
        return (ToolChoice(wanted) if box.functions else None), False
    is_list = wanted.type == "allowed_tools"
    mode = wanted.mode if is_list else "required"
    if mode not in _MODES:
        raise _bad_choice()
    named = [_named(tool) for tool in (wanted.tools if is_list else [wanted])]
    names = tuple(name for name in named if name is not None and name in box.origins)
    if any(name is not None and name not in box.origins for name in named):
        raise InvalidParameter("tool_choice names a tool that is not in tools", param="tool_choice")
    return (ToolChoice(mode, names) if names else None), len(names) < len(named)


def _named(tool: NamedTool) -> str | None:
    """The function's name; None for a tool that only OpenAI could run."""
    if tool.type == SHELL:
        return SHELL
    if tool.type not in {"function", "custom"}:
        return None
    name = tool.function.name if tool.function else tool.name
    if name is None:
        raise _bad_choice()
    return function_name(name, tool.namespace)


def _bad_choice() -> InvalidParameter:
    return InvalidParameter("tool_choice must be none, auto, required, or name a tool", param="tool_choice")
