"""Vectors that depend on the text alone."""

import base64
import hashlib
import math
import struct
from collections.abc import Sequence


def vector(text: str, length: int) -> list[float]:
    """L2-normalised, each number exact in float32."""
    digest = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(4 * length)
    return normalised([number / 2**31 for number in struct.unpack(f"<{length}i", digest)])


def shortened(values: Sequence[float], dimensions: int | None) -> list[float]:
    """Cut to `dimensions` and normalised again; a larger or absent number changes nothing."""
    if dimensions is None or not 0 < dimensions < len(values):
        return list(values)
    return normalised(values[:dimensions])


def normalised(values: Sequence[float]) -> list[float]:
    norm = math.sqrt(sum(v * v for v in values)) or 1.0
    return [_float32(v / norm) for v in values]


def as_base64(values: Sequence[float]) -> str:
    """Little-endian float32, as OpenAI sends it."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def _float32(value: float) -> float:
    """The shortest decimal that reads back as the same float32."""
    (exact,) = struct.unpack("<f", struct.pack("<f", value))
    return float(f"{exact:.9g}")
