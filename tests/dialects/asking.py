"""What the tests of chat requests ask."""

import json
from typing import Any

from router.canonical.request import ChatRequest, Profile
from router.dialects import openai_chat

USER = {"role": "user", "content": "hi"}
FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
EVERY_PARAMETER: dict[str, Any] = {
    "audio": {"voice": "alloy", "format": "wav"},
    "frequency_penalty": 0.5,
    "function_call": "auto",
    "functions": [FUNCTION],
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 9,
    "max_tokens": 8,
    "metadata": {"a": "b"},
    "modalities": ["text"],
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "x"},
    "presence_penalty": 0.25,
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": {"type": "json_object"},
    "safety_identifier": "s",
    "seed": 42,
    "service_tier": "auto",
    "stop": ["a", "b"],
    "store": False,
    "stream": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "temperature": 0,
    "tool_choice": "auto",
    "tools": [{"type": "function", "function": FUNCTION}],
    "top_logprobs": 3,
    "top_p": 1,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {},
}


def parsed(**fields: Any) -> ChatRequest:
    return openai_chat.parse_request(json.dumps({"model": "m", "messages": [USER], **fields}).encode())


def rendered(request: ChatRequest, profile: Profile | None = None, **overrides: Any) -> dict[str, Any]:
    return json.loads(openai_chat.render_request(request, "wire-name", profile or Profile(), overrides))
