"""What the head of a GGUF file says about its model.

The `gguf` package reads the same, but brings numpy, and takes four seconds and 200 MB for a model of 135M parameters,
because it looks at every token and tensor. A test compares the two. The format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from struct import Struct, error

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_READERS = {kind: Struct(f"<{code}") for kind, code in _SCALARS.items()}
_U32, _U64, _HEAD = Struct("<I"), Struct("<Q"), Struct("<4sIQQ")
_STRING, _ARRAY = 8, 9
_SHORT = 1024
"""Arrays of numbers up to this length are read, longer ones and those of strings passed over."""
_MAX_FIELDS = 100_000
_SHARD = re.compile(r"-00001-of-(\d{5})$")

QUANTIZATIONS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip
"""llama.cpp's `llama_ftype`."""

Value = int | float | bool | str | list[int | float | bool]


class NotGGUF(ValueError):
    """The file is not what it should be; the message says in a few words why."""


@dataclass(frozen=True, slots=True)
class Model:
    """`context_length` is what it was trained for, in tokens; `kv_bytes` what one token of context takes in memory.

    `size` is bytes on disk, all parts of a split file together. Empty or None: the file does not say.
    """

    architecture: str = ""
    name: str = ""
    quantization: str = ""
    context_length: int | None = None
    chat_template: str = ""
    has_vision: bool = False
    kv_bytes: int = 0
    size: int = 0


def read(path: Path) -> Model:
    """Reads the head of a file. Raises NotGGUF, or OSError."""
    fields = read_fields(path)
    architecture = str(fields.get("general.architecture", ""))
    file_type, length = fields.get("general.file_type"), fields.get(f"{architecture}.context_length")
    return Model(
        architecture=architecture,
        name=str(fields.get("general.name", "")),
        quantization=QUANTIZATIONS.get(file_type, "") if isinstance(file_type, int) else "",
        context_length=length if isinstance(length, int) else None,
        chat_template=str(fields.get("tokenizer.chat_template", "")),
        has_vision=fields.get("clip.has_vision_encoder") is True,
        kv_bytes=_kv_bytes(fields, architecture),
        size=sum(part.stat().st_size for part in parts(path)),
    )


def parts(path: Path) -> list[Path]:
    """The files of a model that is split into several, if this is the first of them."""
    shard = _SHARD.search(path.stem)
    if shard is None:
        return [path]
    name, count = path.stem[: shard.start()], shard[1]
    found = [path.with_name(f"{name}-{number:05}-of-{count}{path.suffix}") for number in range(1, int(count) + 1)]
    return [part for part in found if part.exists()]


def name_of(path: Path) -> str:
    """The name of a model without its folder, ending, and number of a part."""
    return _SHARD.sub("", path.stem)


def read_fields(path: Path) -> dict[str, Value]:
    """The fields of the head but for long lists. Raises NotGGUF, or OSError."""
    with path.open("rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(data).fields()
        except ValueError as problem:
            raise problem if isinstance(problem, NotGGUF) else NotGGUF("is empty") from None
        except (error, IndexError, OverflowError):
            raise NotGGUF("is cut off or damaged") from None


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def fields(self) -> dict[str, Value]:
        if self._data[:4] != b"GGUF":
            raise NotGGUF("is no GGUF file")
        _, version, _, count = _HEAD.unpack_from(self._data)
        if version not in {2, 3} or count > _MAX_FIELDS:
            raise NotGGUF("has a version of GGUF that is not known")
        self._at = _HEAD.size
        found: dict[str, Value] = {}
        for _ in range(count):
            key = self._string()
            value = self._value(self._number(_U32))
            if value is not None:
                found[key] = value
        return found

    def _number(self, reader: Struct) -> int:
        (value,) = reader.unpack_from(self._data, self._at)
        self._at += reader.size
        return value

    def _string(self) -> str:
        length = self._number(_U64)
        end = self._at + length
        if end > len(self._data):
            raise IndexError
        text = self._data[self._at : end].decode("utf-8", errors="replace")
        self._at = end
        return text

    def _value(self, kind: int) -> Value | None:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._array(self._number(_U32), self._number(_U64))
        if kind not in _READERS:
            raise NotGGUF("is cut off or damaged")
        return self._number(_READERS[kind])

    def _array(self, kind: int, count: int) -> Value | None:
        if kind == _STRING:
            return self._skip_strings(count)
        reader = _READERS.get(kind)
        if reader is None or self._at + count * reader.size > len(self._data):
            raise NotGGUF("is cut off or damaged")
        if count <= _SHORT:
            return [self._number(reader) for _ in range(count)]
        self._at += count * reader.size
        return None

    def _skip_strings(self, count: int) -> None:
        data, at, length_at = self._data, self._at, _U64.unpack_from
        for _ in range(count):
            at += 8 + length_at(data, at)[0]
        self._at = at


def _kv_bytes(fields: dict[str, Value], architecture: str) -> int:
    """Keys and values of all layers, at two bytes a number."""

    def number(name: str) -> int:
        value = fields.get(f"{architecture}.{name}", 0)
        return value if isinstance(value, int) else 0

    layers, heads = number("block_count"), number("attention.head_count")
    width = number("embedding_length") // heads if heads else 0
    sizes = (number("attention.key_length") or width) + (number("attention.value_length") or width)
    told = fields.get(f"{architecture}.attention.head_count_kv", heads)
    held = sum(int(each) for each in told) if isinstance(told, list) else int(told or 0) * layers if isinstance(told, int) else 0  # fmt: skip  # noqa: E501
    return 2 * held * sizes
