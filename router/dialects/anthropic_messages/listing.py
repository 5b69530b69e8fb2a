"""Lists of models for Anthropic's clients."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from router.errors import InvalidParameter

USUAL_PAGE = 20
MAX_PAGE = 1_000


class Entry(Struct, frozen=True):
    """One model; `created` is seconds since 1970, `context_length` tokens."""

    id: str
    created: int = 0
    context_length: int | None = None


class Page(Struct, frozen=True):
    """What of a list is asked for: so many, those after or before the one of an id."""

    limit: int = USUAL_PAGE
    after_id: str = ""
    before_id: str = ""

    @staticmethod
    def asked(limit: str, after_id: str, before_id: str) -> "Page":
        """By the parameters of a query; raises InvalidParameter."""
        number = int(limit) if limit.isascii() and limit.isdecimal() and len(limit) < 6 else 0
        if limit and not 1 <= number <= MAX_PAGE:
            raise InvalidParameter(f"limit is a number from 1 to {MAX_PAGE}", param="limit")
        return Page(number or USUAL_PAGE, after_id, before_id)


def render_models(entries: Sequence[Entry], page: Page) -> bytes:
    """One page of the list; an id that is not in it is no border."""
    ids = [entry.id for entry in entries]
    start = ids.index(page.after_id) + 1 if page.after_id in ids else 0
    end = ids.index(page.before_id) if page.before_id in ids else len(ids)
    if page.before_id in ids and not page.after_id:
        start = max(0, end - page.limit)
    shown = entries[start : min(end, start + page.limit)]
    more = start > 0 if page.before_id and not page.after_id else start + len(shown) < end
    return msgspec.json.encode(
        {
            "data": [_model(entry) for entry in shown],
            "first_id": shown[0].id if shown else None,
            "last_id": shown[-1].id if shown else None,
            "has_more": more,
        }
    )


def render_model(entry: Entry) -> bytes:
    return msgspec.json.encode(_model(entry))


def _model(entry: Entry) -> dict[str, Any]:
    return {
        "type": "model",
        "id": entry.id,
        "display_name": entry.id,
        "created_at": datetime.fromtimestamp(entry.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "max_input_tokens": entry.context_length,
        "max_tokens": None,
        "capabilities": None,
    }
