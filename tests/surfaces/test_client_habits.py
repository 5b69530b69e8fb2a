"""What real clients send, one row for each habit that was seen on the wire: every kind of backend answers it."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.dialects.responses_reading import read
from tests.fakes import FakeBackend, FakeModel
from tests.running import RunningRouter, running
from tests.surfaces.asking import CHAT, alias, backends
from tests.surfaces.messages import CLAUDE_MODEL, MESSAGES, events_of, texts_of

pytestmark = pytest.mark.anyio

KINDS = ("ollama", "llama_cpp", "openai", "claude")
RESPONSES, COMPLETIONS = "/v1/responses", "/v1/completions"
ABLE = ("completion", "tools", "vision", "thinking", "insert")
REPLY = "Hello from the fake."
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
          "additionalProperties": False}  # fmt: skip
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
ASK = {"role": "user", "content": "Say hello"}


def tool(name: str = "get_weather", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "d" * 900, "parameters": SCHEMA, **more}}


def call(name: str = "get_weather") -> dict[str, Any]:
    return {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": '{"city":"Paris"}'}}


def loop(said: Mapping[str, Any], result: Any, **more: Any) -> list[dict[str, Any]]:
    """A tool round trip: the assistant's message with the call, and the result in some shape."""
    called = {"role": "assistant", **said, "tool_calls": [call()]}
    return [ASK, called, {"role": "tool", "tool_call_id": "call_get_weather", "content": result, **more}]


def parts(*texts: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text} for text in texts]


CHATS: dict[str, dict[str, Any]] = {
    "opencode": {**USAGE, "max_tokens": 4096, "tools": [tool(f"t{at}") for at in range(11)] + [tool()],
                 "tool_choice": "auto", "messages": loop({"content": ""}, "sun")},
    "qwen-code": {**USAGE, "max_tokens": 32000, "tools": [tool(f"t{at}") for at in range(20)] + [tool()],
                  "messages": [{"role": "system", "content": "x " * 9_000},
                               {"role": "user", "content": parts(*"abcde")},
                               *loop({"content": None}, parts("sun", "wind")), ASK]},
    "pi": {**USAGE, "max_completion_tokens": 4000, "store": False, "tools": [tool(strict=False)],
           "messages": [{"role": "user", "content": parts("a")}, *loop({"content": None}, "sun")]},
    "vibe": {**USAGE, "temperature": 0.2, "tools": [tool()], "messages": loop({}, "sun", name="get_weather")},
    "cline": {**USAGE, "temperature": 0, "tools": [tool(f"t{at}") for at in range(24)] + [tool()],
              "tool_choice": "auto", "messages": loop({"content": None}, "sun")},
    "cn": {**USAGE, "tools": [tool()], "messages": loop({"content": ""}, "sun")},
    "copilot": {**USAGE, "temperature": 0, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0, "n": 1,
                "tools": [tool()], "messages": loop({"content": None, "refusal": None}, "sun")},
    "aider": {"stream": True, "temperature": 0, "messages": [{"role": "system", "content": "s"}, ASK, ASK]},
    "smolagents": {"stop": ["Observation:", "Calling tools:"], "tools": [tool()], "tool_choice": "required",
                   "messages": [{"role": "system", "content": parts("s")}, {"role": "user", "content": parts("hi")}]},
    "instructor": {"tools": [tool(strict=True)], "messages": [ASK],
                   "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
    "llama-index": {"tools": [tool()], "tool_choice": "required", "parallel_tool_calls": False, "messages": [ASK]},
    "langchain": {"max_completion_tokens": 50, "reasoning_effort": "low", "seed": None, "logprobs": None, "stop": None,
                  "messages": [ASK], "response_format":
                  {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}},
    "llm --schema": {**USAGE, "messages": [ASK], "response_format":
                     {"type": "json_schema", "json_schema": {"name": "output", "schema": SCHEMA}}},
    "json mode": {"messages": [ASK], "response_format": {"type": "json_object"}},
    "zed": {**USAGE, "max_completion_tokens": 900, "parallel_tool_calls": True, "prompt_cache_key": "k",
            "reasoning_effort": "medium", "tools": [tool()], "messages": loop({"content": None}, "sun")},
    "haystack": {"n": 1, "stream": False, "temperature": 1, "messages": [ASK]},
    "cursor asks": {**USAGE, "messages": [ASK], "tools":
                    [tool(), {"type": "function", "name": "flat", "parameters": SCHEMA}]},
    "cursor's agent": {"stream": True, "input": [ASK], "instructions": "Be brief.", "reasoning": {"effort": "low"},
                       "tools": [{"type": "function", "name": "flat", "parameters": SCHEMA},
                                 {"type": "custom", "name": "edit", "format": {"type": "grammar", "syntax": "lark",
                                                                               "definition": "start: /a/"}}]},
}  # fmt: skip
TEXTS: dict[str, dict[str, Any]] = {
    "langchain": {"prompt": ["Say hello"], "max_tokens": 256, "seed": None, "logprobs": None, "n": 1, "best_of": 1,
                  "frequency_penalty": 0, "presence_penalty": 0, "temperature": 0.7, "top_p": 1},
    "zed predicts": {"prompt": "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>", "max_tokens": 64,
                     "stop": ["<|endoftext|>", "<|file_sep|>"]},
    "continue": {"prompt": "<PRE> a <SUF>b <MID>", "stream": True, "max_tokens": 512, "temperature": 0.01,
                 "stop": [f"s{at}" for at in range(14)]},
    "twinny": {"prompt": "<PRE> a <SUF>b <MID>", "stream": True, "keep_alive": "5m",
               "options": {"temperature": 0.2, "num_predict": 512, "stop": ["<EOT>"]}},
}  # fmt: skip
FLAT = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}
CODEX = [
    {"type": "message", "role": "developer", "id": "msg_0", "content": [{"type": "input_text", "text": "rules"}]},
    {"type": "message", "role": "user", "id": "msg_1", "content": [{"type": "input_text", "text": "Say hello"}]},
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "get_weather", "arguments": "{}"},
    {"type": "function_call_output", "id": "fco_1", "call_id": "c1", "output": "sun"},
]
REASONS = {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k",
           "store": False, "parallel_tool_calls": True}  # fmt: skip
RESPONDED: dict[str, dict[str, Any]] = {
    "codex": {**REASONS, "stream": True, "instructions": "i" * 20_000, "input": CODEX, "tool_choice": "auto",
              "client_metadata": {"x": "y"}, "tools":
              [FLAT, {"type": "namespace", "name": "n", "tools": [FLAT]}, {"type": "web_search"},
               {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark",
                                                                    "definition": "start: /a/"}},
               {"type": "local_shell"}]},
    "copilot": {**REASONS, "stream": True, "input": [ASK], "tools": [FLAT], "max_output_tokens": 64},
    "agents": {"input": "Say hello", "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA,
                                                         "strict": True}}},
    "vs code": {"stream": True, "input": [{"role": "user", "content": [{"type": "input_text", "text": "Say hello"}]}],
                "tools": [FLAT], "truncation": "disabled", "top_logprobs": None},
}  # fmt: skip
CLAUDES_TOOL = {"name": "get_weather", "description": "d", "input_schema": SCHEMA}
TOLD: dict[str, dict[str, Any]] = {
    "claude code": {
        "stream": True, "max_tokens": 32000, "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": '{"device_id":"d","session_id":"s"}'},
        "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2;"},
                   {"type": "text", "text": "You code.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "tools": [CLAUDES_TOOL, {**CLAUDES_TOOL, "name": "later", "defer_loading": True}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Say hello",
                                                   "cache_control": {"type": "ephemeral"}}]},
                     {"role": "system", "content": "Be brief."}],
    },
    "copilot": {"stream": True, "max_tokens": 2000, "temperature": 1, "tools": [CLAUDES_TOOL], "messages": [ASK],
                "thinking": {"type": "enabled", "budget_tokens": 1024}},
    "anthropic's sdk": {"max_tokens": 100, "messages": [ASK],
                        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
}  # fmt: skip
ROWS = [
    (path, name, body)
    for path, table in ((CHAT, CHATS), (COMPLETIONS, TEXTS), (RESPONSES, RESPONDED), (MESSAGES, TOLD))
    for name, body in table.items()
]
HEADERS = {
    "claude code": {"anthropic-version": "2023-06-01", "anthropic-beta": ",".join(f"beta-{at}" for at in range(7)),
                    "x-api-key": "sk-test", "x-claude-code-session-id": "s"},
    "anthropic's sdk": {"anthropic-version": "2026-10-21", "authorization": "Bearer sk-test"},
    "codex": {"session-id": "s", "thread-id": "t", "originator": "codex_exec", "x-codex-turn": "1"},
    "copilot": {"anthropic-version": "2023-06-01", "authorization": "Bearer sk-test"},
    "cn": {"api-key": "sk-test", "authorization": "Bearer sk-test"},
}  # fmt: skip


@pytest.fixture(params=KINDS)
async def served(request, anyio_backend) -> AsyncIterator[tuple[FakeBackend, RunningRouter]]:
    name = CLAUDE_MODEL if request.param == "claude" else "local"
    async with FakeBackend([FakeModel(name, ABLE, context_length=64_000)], flavour=request.param, reply=REPLY) as fake:
        config = {"backends": backends({"desk": fake}), "models": alias("m", f"desk/{name}")}
        async with running(config) as r:
            yield fake, r


def said(path: str, body: Mapping[str, Any], content: bytes) -> str:
    """The text of an answer, which has to end as it should."""
    if path == MESSAGES and body.get("stream"):
        events = events_of(content)
        assert events[-1]["type"] == "message_stop"
        return texts_of(events)
    if path == RESPONSES:
        response = read(content).response if body.get("stream") else json.loads(content)
        assert response["status"] == "completed"
        return "".join(part["text"] for item in response["output"] if item["type"] == "message"
                       for part in item["content"])  # fmt: skip
    if not body.get("stream"):
        whole = json.loads(content)
        if path == MESSAGES:
            return "".join(block.get("text", "") for block in whole["content"])
        (choice,) = whole["choices"]
        return choice["text"] if path == COMPLETIONS else choice["message"]["content"]
    return _streamed(path, content.decode())


def _streamed(path: str, content: str) -> str:
    payloads = [event.removeprefix("data: ") for event in content.split("\n\n") if event.startswith("data: ")]
    assert payloads.pop() == "[DONE]"
    choices = [choice for payload in payloads for choice in json.loads(payload)["choices"]]
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]
    return "".join(
        choice["text"] if path == COMPLETIONS else choice["delta"].get("content") or "" for choice in choices
    )


@pytest.mark.parametrize(("path", "name", "body"), ROWS, ids=[f"{path[4:]} {name}" for path, name, _ in ROWS])
async def test_what_a_client_sends_is_answered(served, path, name, body):
    _, r = served
    query = "?beta=true" if path == MESSAGES else ""
    headers = HEADERS.get(name, {"authorization": "Bearer sk-test"})
    response = await r.client.post(f"{path}{query}", json={"model": "m", **body}, headers=headers)
    assert response.status_code == 200, response.text
    assert said(path, body, response.content).strip() == REPLY
