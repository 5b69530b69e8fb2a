"""What real servers sent, from `tests/recordings`."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

LLAMA_CPP = Path(__file__).parent.parent / "recordings" / "llama_cpp"


@cache
def recording(name: str) -> dict[str, Any]:
    return json.loads((LLAMA_CPP / f"{name}.json").read_text())


def body(name: str) -> bytes:
    """The answer's body: bytes as received for a stream, else the JSON written again."""
    stream = LLAMA_CPP / f"{name}.sse"
    return stream.read_bytes() if stream.exists() else msgspec.json.encode(recording(name)["response"]["body"])


def named(pattern: str) -> list[str]:
    return sorted(file.stem for file in LLAMA_CPP.glob(f"{pattern}.json"))


def _is_chat(name: str) -> bool:
    request = recording(name)["request"]
    return (request["method"], request["path"]) == ("POST", "/v1/chat/completions")


CHATS = [name for name in named("*") if _is_chat(name) and recording(name)["response"]["status"] == 200]
CHAT_STREAMS = [name for name in CHATS if (LLAMA_CPP / f"{name}.sse").exists()]
WHOLE_CHATS = [name for name in CHATS if name not in CHAT_STREAMS]
