"""When an answer is what a golden case expects."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

SAME = "*"
"""Matches anything; with a name behind it, any string that is the same wherever the name recurs."""


def mismatches(expected: Any, actual: Any, *, exact: bool = False) -> list[str]:
    """Where `actual` is not what is expected. Keys that nobody expects are allowed unless `exact`."""
    return _Comparison(exact=exact).differences(expected, actual, "")


class _Comparison:
    def __init__(self, *, exact: bool) -> None:
        self._exact = exact
        self._named: dict[str, str] = {}

    def differences(self, expected: Any, actual: Any, place: str) -> list[str]:
        if isinstance(expected, str) and expected.startswith(SAME):
            return self._wildcard(expected, actual, place)
        if place.endswith(".arguments") and isinstance(expected, str) and isinstance(actual, str):
            return self._values(json.loads(expected), json.loads(actual), place)
        if isinstance(expected, dict) and isinstance(actual, dict):
            return self._objects(expected, actual, place)
        if isinstance(expected, list) and isinstance(actual, list):
            return self._lists(expected, actual, place)
        return self._values(expected, actual, place)

    def _wildcard(self, expected: str, actual: Any, place: str) -> list[str]:
        if expected == SAME:
            return []
        known = self._named.setdefault(expected, actual)
        return [] if isinstance(actual, str) and known == actual else [f"{place}: {actual!r} is not {known!r}"]

    def _objects(self, expected: Mapping[str, Any], actual: Mapping[str, Any], place: str) -> list[str]:
        found: list[str] = []
        for key, value in expected.items():
            if key in actual:
                found += self.differences(value, actual[key], f"{place}.{key}")
            elif value is not None:
                found.append(f"{place}.{key} is missing")
        if self._exact:
            found += [f"{place}.{key} is not wanted: {actual[key]!r}" for key in actual if key not in expected]
            if not found and list(expected) != list(actual) and ".format" in place:
                found.append(f"{place} has its keys in another order")
        return found

    def _lists(self, expected: Sequence[Any], actual: Sequence[Any], place: str) -> list[str]:
        if len(expected) != len(actual):
            return [f"{place} has {len(actual)} entries, not {len(expected)}: {actual!r}"]
        pairs = enumerate(zip(expected, actual, strict=True))
        return [text for at, (one, other) in pairs for text in self.differences(one, other, f"{place}[{at}]")]

    def _values(self, expected: Any, actual: Any, place: str) -> list[str]:
        same = expected == actual and isinstance(expected, bool) == isinstance(actual, bool)
        return [] if same else [f"{place} is {actual!r}, not {expected!r}"]


def joined(payloads: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a client makes of a stream's chunks; a finish reason, usage or error that did not come is None."""
    said: dict[str, Any] = {"content": "", "reasoning_content": "", "finish_reason": None, "usage": None, "error": None}
    calls: dict[int, dict[str, Any]] = {}
    for payload in payloads:
        said["error"] = said["error"] or ("error" in payload or None)
        said["usage"] = payload.get("usage") or said["usage"]
        for choice in payload.get("choices", []):
            delta = choice["delta"]
            said["content"] += delta.get("content") or ""
            said["reasoning_content"] += delta.get("reasoning_content") or ""
            said["finish_reason"] = choice.get("finish_reason") or said["finish_reason"]
            for piece in delta.get("tool_calls", []):
                _add_call(calls, piece)
    return {**said, "tool_calls": [call for _, call in sorted(calls.items())]}


def _add_call(calls: dict[int, dict[str, Any]], piece: Mapping[str, Any]) -> None:
    call = calls.setdefault(piece["index"], {"index": piece["index"], "function": {"name": "", "arguments": ""}})
    call.update({key: piece[key] for key in ("id", "type") if key in piece})
    function = piece.get("function", {})
    call["function"]["name"] += function.get("name", "")
    call["function"]["arguments"] += function.get("arguments", "")
