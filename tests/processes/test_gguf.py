"""Heads of GGUF files: what the `gguf` package says of a real one, and files that are damaged."""

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router import embedded
from router.processes.gguf import Model, NotGGUF, name_of, parts, read, read_fields

U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def head(*fields: tuple[str, int, bytes], version: int = 3) -> bytes:
    body = b"".join(text(key) + struct.pack("<I", kind) + value for key, kind, value in fields)
    return struct.pack("<4sIQQ", b"GGUF", version, 0, len(fields)) + body


QWEN = head(
    ("general.architecture", STRING, text("qwen3")),
    ("general.file_type", U32, struct.pack("<I", 15)),
    ("tokenizer.ggml.tokens", ARRAY, struct.pack("<IQ", STRING, 3) + text("a") + text("b") + text("")),
    ("tokenizer.ggml.scores", ARRAY, struct.pack("<IQ", F32, 2000) + bytes(8000)),
    ("qwen3.context_length", U32, struct.pack("<I", 40960)),
    ("qwen3.block_count", U32, struct.pack("<I", 36)),
    ("qwen3.embedding_length", U32, struct.pack("<I", 4096)),
    ("qwen3.attention.head_count", U32, struct.pack("<I", 32)),
    ("qwen3.attention.head_count_kv", U32, struct.pack("<I", 8)),
    ("qwen3.attention.key_length", U32, struct.pack("<I", 128)),
    ("qwen3.attention.value_length", U32, struct.pack("<I", 128)),
    ("tokenizer.chat_template", STRING, text("{% if tools %}")),
)


def test_what_a_file_says(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(QWEN)
    assert read(path) == Model(
        architecture="qwen3",
        quantization="Q4_K_M",
        context_length=40960,
        chat_template="{% if tools %}",
        kv_bytes=2 * 36 * 8 * 256,
        size=len(QWEN),
    )


def test_a_file_for_images_says_so(tmp_path):
    path = tmp_path / "mmproj.gguf"
    path.write_bytes(head(("general.architecture", STRING, text("clip")), ("clip.has_vision_encoder", BOOL, b"\1")))
    assert read(path).has_vision


def test_layers_may_differ_in_their_heads(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(
        head(
            ("general.architecture", STRING, text("x")),
            ("x.block_count", U32, struct.pack("<I", 3)),
            ("x.embedding_length", U32, struct.pack("<I", 64)),
            ("x.attention.head_count", U32, struct.pack("<I", 4)),
            ("x.attention.head_count_kv", ARRAY, struct.pack("<IQ3I", U32, 3, 0, 1, 4)),
        )
    )
    assert read(path).kv_bytes == 2 * (0 + 1 + 4) * 32


@pytest.mark.skipif(not embedded.available(), reason="needs the extra `demo`")
def test_a_real_file_is_read_as_the_gguf_package_reads_it():
    """Written down from gguf 0.19: ReaderField.contents() of every field but tokens, types and merges."""
    fields = read_fields(embedded.model_file())
    assert {key: fields[key] for key in fields if not key.startswith("tokenizer.")} == {
        "general.architecture": "llama",
        "general.type": "model",
        "general.name": "Smollm2 135M 8k Lc100K Mix1 Ep2",
        "general.organization": "HuggingFaceTB",
        "general.finetune": "8k-lc100k-mix1-ep2",
        "general.basename": "smollm2",
        "general.size_label": "135M",
        "general.license": "apache-2.0",
        "llama.block_count": 30,
        "llama.context_length": 8192,
        "llama.embedding_length": 576,
        "llama.feed_forward_length": 1536,
        "llama.attention.head_count": 9,
        "llama.attention.head_count_kv": 3,
        "llama.rope.freq_base": 100000.0,
        "llama.attention.layer_norm_rms_epsilon": 9.999999747378752e-06,
        "general.file_type": 3,
        "llama.vocab_size": 49152,
        "llama.rope.dimension_count": 64,
        "general.quantization_version": 2,
    }
    assert str(fields["tokenizer.chat_template"]).startswith("{% for message in messages %}{% if loop.first")
    assert read(embedded.model_file()).kv_bytes == 2 * 30 * 3 * 128


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (b"", "is empty"),
        (b"GG", "no GGUF"),
        (b"PK\3\4" + bytes(40), "no GGUF"),
        (head(version=1), "not known"),
        (QWEN[:60], "cut off"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q", 2**60), "cut off"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, written, why):
    path = tmp_path / "m.gguf"
    path.write_bytes(written)
    with pytest.raises(NotGGUF, match=why):
        read_fields(path)


@given(st.integers(0, len(QWEN) - 1), st.integers(0, 255))
@example(at=172, byte=128)
def test_no_damage_leads_to_anything_else_than_a_refusal(tmp_path_factory, at, byte):
    path: Path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(QWEN[:at] + bytes([byte]) + QWEN[at + 1 :])
    with suppress(NotGGUF):
        assert read(path).size == len(QWEN)


def test_the_parts_of_a_split_file_count_together(tmp_path):
    for number in (1, 2):
        (tmp_path / f"big-0000{number}-of-00002.gguf").write_bytes(QWEN)
    first = tmp_path / "big-00001-of-00002.gguf"
    assert len(parts(first)) == 2
    assert read(first).size == 2 * len(QWEN)
    assert name_of(first) == "big"
