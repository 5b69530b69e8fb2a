"""Request bodies that nearly make sense: valid ones, and what mutations make of them."""

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import strategies as st

TEXTS = (
    "", " ", "\x00", "\ud800", "\udfff\ud800", "\u2028", "\x85", "\ufeff", "\U0001f642", "é" * 300, "a" * 5_000,
    "data:image/png;base64,AAAA", "data:;base64,", "data:,", "http://x/y", "{}", "[]", "null", "[DONE]", "data: x\n\n",
    "\r\n\r\n", "../../etc", "%00", "system", "user", "assistant", "tool", "function", "developer", "required",
    "auto", "json_schema", "json_object", "text", "none", "high", "5m", "-1", '{"a": 1}', '{"a": NaN}', '"x"',
)  # fmt: skip
NUMBERS = (
    0, -0.0, -1, 1, 0.5, 2, 3, 7, 128, 129, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, 1e308, -1e308, 5e-324,
)  # fmt: skip
KEYS = (
    "type", "function", "name", "role", "content", "text", "image_url", "url", "arguments", "id", "tool_calls",
    "tool_call_id", "parameters", "properties", "schema", "json_schema", "effort", "task", "options", "think",
    "keep_alive", "num_ctx", "num_predict", "stop", "include_usage", "detail", "strict", "mode", "tools", "refusal",
    "allowed_tools", "custom", "function_call", "functions", "reasoning", "prompt", "audio", "stream", "", "\ud800",
    "namespace", "call_id", "output", "input", "summary", "action", "encrypted_content",
    "suffix", "echo", "n",
)  # fmt: skip
CHANGES = ("alike", "alike", "alike", "other", "remove", "wrap", "object", "copy", "add", "add", "deep")

_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "ok": True}, "required": ["city"]}
_TOOL = {"type": "function", "function": {"name": "get_weather", "description": "d", "parameters": _SCHEMA}}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
CHATS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "hi"}]},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What is the weather?"}]},
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "rain"}]},
            {"role": "user", "content": "And tomorrow?"},
        ],
        "tools": [_TOOL],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "parallel_tool_calls": False,
    },
    {
        "messages": [
            {
                "role": "user",
                "name": "ada",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
            },
            {"role": "assistant", "content": "A cat", "reasoning_content": "whiskers"},
            {"role": "developer", "content": "Say more."},
        ],
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["a", "b"],
        "seed": 1,
        "n": 1,
        "logprobs": True,
        "top_logprobs": 2,
        "presence_penalty": 0.1,
        "frequency_penalty": 0,
        "logit_bias": {"1": 2},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": _SCHEMA}},
        "reasoning_effort": "low",
        "stream_options": {"include_usage": True},
        "metadata": {"task": "m"},
        "options": {"num_ctx": 1024},
        "keep_alive": "5m",
        "think": True,
        "user": "u",
    },
]
EMBEDDINGS: list[dict[str, Any]] = [
    {"input": "hi"},
    {"input": ["a", "b", ""], "encoding_format": "float", "dimensions": 2, "user": "u"},
    {"input": [[1, 2], [3]], "encoding_format": "base64"},
    {"input": [1, 2, 3], "metadata": {"task": "m"}},
]
RESPONSES: list[dict[str, Any]] = [
    {"input": "hi", "instructions": "Be brief.", "max_output_tokens": 7, "previous_response_id": None},
    {
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
            {"role": "user", "content": [{"type": "input_text", "text": "What is the weather?"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}],
             "encrypted_content": "turnout1.W3sidHlwZSI6InRoaW5raW5nIn1d"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "get_weather", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "b", "name": "patch", "input": "x"},
            {"type": "local_shell_call", "id": "lsh_1", "call_id": "c", "status": "completed",
             "action": {"type": "exec", "command": ["ls"], "env": {}}},
            {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "rain"}]},
            {"type": "custom_tool_call_output", "call_id": "b", "output": "done"},
            {"type": "local_shell_call_output", "id": "lsh_1", "output": "files"},
            {"role": "user", "content": "And tomorrow?"},
        ],
        "tools": [
            {"type": "function", "name": "get_weather", "parameters": _SCHEMA, "strict": True},
            {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
            {"type": "local_shell"},
            {"type": "web_search"},
            {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f", "parameters": _SCHEMA}]},
        ],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "patch"}]},
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "text": {"format": {"type": "json_schema", "name": "x", "schema": _SCHEMA, "strict": True}},
        "store": False,
        "parallel_tool_calls": False,
        "metadata": {"task": "m"},
    },
]  # fmt: skip
COMPLETIONS: list[dict[str, Any]] = [
    {"prompt": "def f("},
    {"prompt": ["a", "b"], "n": 2, "echo": True, "max_tokens": 3, "logprobs": 1, "stop": "x", "best_of": 2},
    {"prompt": "def f(", "suffix": "return", "options": {"num_predict": 2, "temperature": 0.1, "stop": ["a"]}},
    {"prompt": [1, 2], "stream_options": {"include_usage": True}, "metadata": {"task": "m"}, "user": "u", "seed": 1},
    {"prompt": [[1], [2]], "temperature": 0, "top_p": 1, "logit_bias": {"1": 2}, "keep_alive": 0, "think": True},
]
RERANKS: list[dict[str, Any]] = [
    {"query": "a", "documents": ["a", {"text": "b"}], "top_n": 1, "return_documents": True}
]
TOKENS: list[dict[str, Any]] = [{"content": "a b", "with_pieces": True, "add_special": False}]
BASES = {
    "/v1/chat/completions": CHATS,
    "/v1/responses": RESPONSES,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/completions": COMPLETIONS,
    "/v1/rerank": RERANKS,
    "/tokenize": TOKENS,
}
STREAMED = frozenset({"/v1/chat/completions", "/v1/responses", "/v1/completions"})
WEIGHTS = (
    dict.fromkeys(BASES, 1)
    | {"/v1/embeddings": 2, "/v1/completions": 4}
    | dict.fromkeys(("/v1/chat/completions", "/v1/responses"), 6)
)
DRAWN = tuple(path for path, weight in WEIGHTS.items() for _ in range(weight))


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes]:
    """A route, and a body that was valid before it was mutated."""
    random = draw(st.randoms(use_true_random=True))
    path = random.choice(DRAWN)
    base: dict[str, Any] = copy.deepcopy(random.choice(BASES[path]))
    if path in STREAMED and random.random() < 0.5:
        base["stream"] = True
    for _ in range(draw(st.integers(0, 4))):
        mutate(base, random)
    body = json.dumps({"model": "m", **base}).encode()
    if random.random() < 0.1:
        body = damaged(body, random)
    return path, body


def mutate(body: Any, random: Random) -> None:
    """Changes, removes, wraps or adds one thing, somewhere."""
    places = list(_places(body))
    if not places:
        return
    container, key = random.choice(places)
    match random.choice(CHANGES):
        case "alike":
            container[key] = _like(container[key], random)
        case "other":
            container[key] = _value(random, 2)
        case "remove":
            del container[key]
        case "wrap":
            container[key] = [container[key]]
        case "object":
            container[key] = {random.choice(KEYS): container[key]}
        case "copy":
            other, place = random.choice(places)
            container[key] = copy.deepcopy(other[place])
        case "add":
            _add(container, random)
        case _:
            for _ in range(random.choice((5, 60, 140))):
                container[key] = [container[key]]


def _add(container: Any, random: Random) -> None:
    if isinstance(container, dict):
        container[random.choice(KEYS)] = _value(random, 2)
    else:
        container.append(copy.deepcopy(random.choice(container)))


def _like(value: Any, random: Random) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return random.choice(NUMBERS)
        case str():
            return random.choice(TEXTS)
        case list():
            return value[::-1] + value if random.random() < 0.5 else value[1:]
        case dict():
            return {**value, random.choice(KEYS): _value(random, 1)}
        case _:
            return _value(random, 1)


def _value(random: Random, depth: int) -> Any:
    """Any JSON value, at most so deep."""
    choice = random.randrange(7 if depth else 5)
    if choice < 5:
        return (None, random.random() < 0.5, random.choice(NUMBERS), random.choice(TEXTS), random.choice(KEYS))[choice]
    values = [_value(random, depth - 1) for _ in range(random.randrange(3))]
    return values if choice == 5 else {random.choice(KEYS): value for value in values}


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield value, key
            yield from _places(inner)


def damaged(data: bytes, random: Random) -> bytes:
    """Bytes with something cut out, put in, or both."""
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.randrange(12))
    known = (b"", b"\xff", b"\xed\xa0\x80", b"NaN", b"1e999", b"\\ud800", b"\n\n", b"\x00", b'"', b"{", b"]", b"\r")
    return data[:start] + random.choice((*known, random.randbytes(3))) + data[end:]
