"""/v1/responses as OpenAI answers it, including what only OpenAI can do: a web search, and reasoning that it seals."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.answer import Answer, named_sse, named_sse_frame, whole
from tests.fakes.ask import Ask, json_fields
from tests.fakes.openai_routes import requested_model
from tests.fakes.persona import Persona
from tests.fakes.refusal import Refusal
from tests.fakes.reply import Reply, reply_to

SEALED = "gAAAAsealed-by-openai"
_CREATED = 1_790_000_000
_ARGUMENT_PIECES = ('{"', "city", '":"', "Paris", '"}')

Event = Mapping[str, Any]


def respond(persona: Persona, ask: Ask) -> Answer:
    fields = json_fields(persona, ask)
    requested_model(persona, fields)
    items = _items(fields)
    for at, item in enumerate(items):
        if item.get("type") == "reasoning" and item.get("encrypted_content") not in {None, SEALED}:
            raise Refusal(400, "The encrypted content could not be verified.", param=f"input[{at}]")
    reply = reply_to(persona, _as_chat(fields, items), think=True, limit=fields.get("max_output_tokens"))
    made = _Made(persona, fields, reply)
    if not fields.get("stream"):
        return whole(made.response(made.status, made.items))
    frames = made.frames()
    return named_sse(frames, ending=1)


def _items(fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    given = fields.get("input")
    if given is None:
        raise Refusal(400, "Missing required parameter: 'input'.", param="input")
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


def _as_chat(fields: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The conversation in the words of the other fakes, which decide what is answered."""
    said = [
        {
            "role": "tool" if str(item.get("type")).endswith("_output") else item.get("role"),
            "content": item.get("content"),
        }
        for item in items
    ]
    offered = [tool for tool in fields.get("tools") or [] if tool["type"] == "function"]
    return {"messages": said, "tools": [{"function": {"name": tool["name"]}} for tool in offered]}


class _Made:
    """One answer: its items, and the events that tell them."""

    def __init__(self, persona: Persona, fields: Mapping[str, Any], reply: Reply) -> None:
        self._fields = fields
        self._reply = reply
        self._id = f"resp_{persona.token(24)}"
        self._events: list[list[Event]] = []
        self.status = "incomplete" if reply.finish == "length" else "completed"
        self.items: list[dict[str, Any]] = []
        if any(tool["type"] == "web_search" for tool in fields.get("tools") or []):
            self.items.append({"id": f"ws_{persona.token(8)}", "type": "web_search_call", "status": "completed"})
        if reply.thinking:
            summary = [{"type": "summary_text", "text": "".join(reply.thinking)}]
            sealed = {"encrypted_content": SEALED}
            self.items.append({"id": f"rs_{persona.token(8)}", "type": "reasoning", "summary": summary, **sealed})
        if reply.tool:
            call = {
                "call_id": f"call_{persona.token(8)}",
                "name": reply.tool,
                "arguments": "".join(reply.argument_pieces(_ARGUMENT_PIECES)),
            }
            self.items.append({"id": f"fc_{persona.token(8)}", "type": "function_call", "status": "completed", **call})
        else:
            part = {"type": "output_text", "text": "".join(reply.content), "annotations": [{"type": "url_citation"}]}
            named = {"id": f"msg_{persona.token(8)}", "type": "message", "status": "completed", "role": "assistant"}
            self.items.append({**named, "content": [part]})

    def response(self, status: str, output: Sequence[Any]) -> dict[str, Any]:
        cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
        named = {"id": self._id, "object": "response", "created_at": _CREATED, "model": self._fields["model"]}
        counts = {
            "input_tokens": self._reply.prompt_tokens,
            "output_tokens": self._reply.completion_tokens,
            "total_tokens": self._reply.prompt_tokens + self._reply.completion_tokens,
        }
        usage = None if status == "in_progress" else counts
        told = {"error": None, "incomplete_details": cut, "output": list(output), "usage": usage, "billing": {"a": 1}}
        return {**named, "status": status, **told}

    def frames(self) -> list[str]:
        """One frame for each piece; what begins and ends items travels with them."""
        begun = self.response("in_progress", [])
        opening: list[Event] = [{"type": f"response.{kind}", "response": begun} for kind in ("created", "in_progress")]
        frames: list[list[Event]] = [opening]
        for at, item in enumerate(self.items):
            *pieces, last = self._told(at, item)
            frames += [*([piece] for piece in pieces), last]
        frames.append([{"type": f"response.{self.status}", "response": self.response(self.status, self.items)}])
        count = 0
        out: list[str] = []
        for frame in frames:
            numbered = [{**event, "sequence_number": count + at} for at, event in enumerate(frame)]
            count += len(frame)
            out.append("".join(named_sse_frame(event).decode() for event in numbered))
        return out

    def _told(self, at: int, item: Mapping[str, Any]) -> list[Any]:
        place = {"output_index": at, "item_id": item["id"]}
        done: list[Event] = [{"type": "response.output_item.done", "output_index": at, "item": item}]
        deltas: list[Event] = []
        empty: dict[str, Any] = dict(item)
        if item["type"] == "reasoning":
            kind = "response.reasoning_summary_text.delta"
            deltas = [{"type": kind, **place, "summary_index": 0, "delta": piece} for piece in self._reply.thinking]
            empty |= {"summary": [], "encrypted_content": None}
        elif item["type"] == "message":
            kind = "response.output_text.delta"
            deltas = [{"type": kind, **place, "content_index": 0, "delta": piece} for piece in self._reply.content]
            empty |= {"content": [], "status": "in_progress"}
        elif item["type"] == "function_call":
            kind = "response.function_call_arguments.delta"
            deltas = [
                {"type": kind, **place, "delta": piece} for piece in self._reply.argument_pieces(_ARGUMENT_PIECES)
            ]
            empty |= {"arguments": "", "status": "in_progress"}
        added: Event = {"type": "response.output_item.added", "output_index": at, "item": empty}
        return [added, *deltas, done]
