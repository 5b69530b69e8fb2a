"""What an Ollama server says of its models, and of one that it pulls."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.canonical.library import PullStep
from router.dialects.ollama import PullDecoder, decode_card
from router.errors import BackendFailed, StreamBroken, StreamCut, UnknownModel

LINES = [
    {"status": "pulling manifest"},
    {"status": "pulling 6a0746a1ec1a", "digest": "sha256:6a07", "total": 100},
    {"status": "pulling 6a0746a1ec1a", "digest": "sha256:6a07", "total": 100, "completed": 40},
    {"status": "success"},
]
STEPS = [
    PullStep("pulling manifest"),
    PullStep("pulling 6a0746a1ec1a", "sha256:6a07", 100, 0),
    PullStep("pulling 6a0746a1ec1a", "sha256:6a07", 100, 40),
    PullStep("success"),
]


LONG_DIGEST = b'{"digest": "%b"}\n' % (b"a" * 201)


def written(*lines: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@given(st.lists(st.integers(0, 400)))
def test_a_pull_is_read_however_it_is_cut(cuts):
    data, decoder, steps = written(*LINES), PullDecoder("m"), []
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        steps += decoder.feed(data[start:end])
    assert (steps, decoder.ended, decoder.failure) == (STEPS, True, None)


def test_an_end_without_success_is_none():
    decoder = PullDecoder("m")
    decoder.feed(written(*LINES[:3]))
    with pytest.raises(StreamCut):
        decoder.finish()


def test_a_last_line_without_its_end_counts():
    decoder = PullDecoder("m")
    assert decoder.feed(written(*LINES)[:-1]) == STEPS[:-1]
    assert decoder.finish() == [STEPS[-1]]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("pull model manifest: file does not exist", UnknownModel),
        ("pull model manifest: 412: requires a newer version of Ollama", BackendFailed),
        ("max retries exceeded: EOF", BackendFailed),
        ("write /root/.ollama/blobs/sha256-a: no space left on device", BackendFailed),
    ],
)
def test_an_error_ends_it_in_the_servers_words(words, kind):
    decoder = PullDecoder("m")
    assert decoder.feed(written(LINES[0], {"error": words})) == STEPS[:1]
    assert type(decoder.failure) is kind
    assert "/root" not in decoder.failure.message
    assert words.rpartition(": ")[2] in decoder.failure.message


def test_a_status_that_is_longer_than_anybody_reads_is_cut():
    (step,) = PullDecoder("m").feed(written({"status": "a" * 5000, "digest": "b" * 200}))
    assert step == PullStep("a" * 200, "b" * 200)


@pytest.mark.parametrize("line", [b"[]\n", b"{\n", b'"a"\n', b'{"status": 1}\n', b"\xff\n", LONG_DIGEST])
def test_what_is_no_line_of_a_pull_is_refused(line):
    with pytest.raises(StreamBroken):
        PullDecoder("m").feed(line)


def test_a_model_is_described():
    parameters = """\
stop                           "<|eot_id|>"
stop                           "a \\"b\\""
num_ctx                        4096
num_keep                       1.048576e+06
temperature                    0.6
"""
    details = {"family": "llama", "format": "gguf", "parameter_size": "3.2B", "quantization_level": "Q4_0"}
    card = decode_card(
        json.dumps(
            {
                "license": "MIT",
                "parameters": parameters,
                "template": "{{ .Prompt }}",
                "details": details,
                "model_info": {"llama.context_length": 131072, "llama.embedding_length": 3072},
                "capabilities": ["completion", "tools"],
            }
        ).encode()
    )  # fmt: skip
    assert card.parameters == {
        "stop": ["<|eot_id|>", 'a "b"'],
        "num_ctx": 4096,
        "num_keep": 1_048_576,
        "temperature": 0.6,
    }
    assert (card.context_length, card.embedding_length, card.license) == (131072, 3072, "MIT")
    assert card.capabilities == {"chat", "tools"}


def test_a_model_of_which_little_is_said_is_described_so():
    card = decode_card(b'{"model_info": {}, "license": ["a", "b"]}')
    assert (card.capabilities, card.context_length, card.license, card.parameters) == (None, None, "a\n\nb", {})
    with pytest.raises(BackendFailed):
        decode_card(b"<html>")
