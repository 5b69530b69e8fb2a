"""The embeddings that the fake backend answers with, and whether an answer holds them to the last digit."""

from functools import cache
from random import Random

import msgspec

from bench.answers import MODEL, encode, response
from bench.paths import Path

INPUTS = 64
LENGTH = 768
PROMPT_TOKENS = INPUTS * 12


class _Item(msgspec.Struct):
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Item]


_parse = msgspec.json.Decoder(_Answer).decode


@cache
def _vectors() -> list[list[float]]:
    random = Random(7)
    return [[random.uniform(-0.1, 0.1) for _ in range(LENGTH)] for _ in range(INPUTS)]


def openai_body(model: str = MODEL) -> bytes:
    """OpenAI's answer, 1 MB."""
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(_vectors())]
    usage = {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS}
    return encode({"object": "list", "data": data, "model": model, "usage": usage})


def ollama_body() -> bytes:
    """Ollama's answer."""
    durations = {"total_duration": 90_000_000, "load_duration": 1_000_000, "prompt_eval_count": PROMPT_TOKENS}
    return encode({"model": MODEL, "embeddings": _vectors(), **durations})


@cache
def answer(embed: str) -> bytes:
    """The whole HTTP answer of the endpoint `embed`."""
    return response(ollama_body() if embed == "/api/embed" else openai_body())


def native_body(path: Path) -> bytes:
    """What the backend of this path says."""
    return ollama_body() if path.kind == "ollama" else openai_body()


def fault(body: bytes) -> str | None:
    """Say how an OpenAI answer differs from what the backend computed, or None."""
    if all(encode(vector) in body for vector in _vectors()):
        return None
    try:
        found = [item.embedding for item in _parse(body).data]
    except msgspec.DecodeError:
        return "wrong body"
    return "digits rewritten" if found == _vectors() else "floats changed"
