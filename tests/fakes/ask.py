"""A request as the routes see it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.answer import Answer
from tests.fakes.persona import Flavour, Persona
from tests.fakes.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Ask:
    """`whole` is the fault of answering in one piece to a request for a stream; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    raw: bytes
    whole: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Raises ValueError when the body is not JSON, TypeError when it is not an object."""
        fields = json.loads(self.raw)
        if not isinstance(fields, dict):
            raise TypeError("the body is not an object")
        return fields

    def wants_stream(self) -> bool:
        """What the request asked for; Ollama streams unless told not to."""
        try:
            asked = self.fields().get("stream")
        except (ValueError, TypeError):
            return False
        return bool(asked) if asked is not None else self.path.startswith("/api/")

    def named_model(self) -> str:
        """The model that was asked for, if one was."""
        try:
            name = self.fields().get("model")
        except (ValueError, TypeError):
            return ""
        return name if isinstance(name, str) else ""

    def last_message(self) -> str:
        """What was said last, if it was plain text."""
        try:
            messages = self.fields().get("messages") or [{}]
        except (ValueError, TypeError):
            return ""
        return str(messages[-1].get("content", ""))


Route = Callable[[Persona, Ask], Answer]
Table = Mapping[tuple[str, str], Route]

_BAD_JSON: dict[Flavour, str] = {
    "ollama": "invalid character looking for beginning of value: {}",
    "openai": "We could not parse the JSON body of your request: {}",
    "llama_cpp": "[json.exception.parse_error.101] parse error: {}",
    "claude": "The request body is not valid JSON: {}",
}


def json_fields(persona: Persona, ask: Ask) -> dict[str, Any]:
    """Raises Refusal in the words of the server being faked."""
    try:
        return ask.fields()
    except (ValueError, TypeError) as error:
        raise Refusal(400, _BAD_JSON[persona.flavour].format(error)) from error
