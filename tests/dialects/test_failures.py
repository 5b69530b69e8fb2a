"""What the error answers of backends mean: recorded ones of llama.cpp, and Ollama's own words."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import errors
from router.dialects.failures import classify, clean, read, read_in_band, retry_after_s
from router.errors import (
    BackendBusy,
    BackendError,
    BackendFailed,
    BackendLoading,
    BackendRefusedKey,
    BackendTimeout,
    ContextLengthExceeded,
    EndpointMissing,
    ModelMissing,
    RateLimited,
    RejectedByBackend,
    RouterError,
    UnsupportedOperation,
    UnsupportedParameter,
)
from tests.dialects.recordings import body, named, recording

RUNNER_TOO_LONG = (
    '{"error":{"code":400,"message":"request (5000 tokens) exceeds the available context size (4096 tokens), try '
    'increasing it","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}'
)
UNUSUAL = {
    "err_prompt_too_long": ContextLengthExceeded,
    "err_prompt_too_long_stream": ContextLengthExceeded,
    "err_anthropic_too_long": ContextLengthExceeded,
    "err_embeddings_disabled": UnsupportedParameter,
    "err_embedding_disabled": UnsupportedParameter,
    "err_image_no_mmproj": UnsupportedParameter,
    "err_cors_proxy": BackendRefusedKey,
    "err_models_by_id": EndpointMissing,
    "err_unknown_route": EndpointMissing,
    "err_unknown_route_get": EndpointMissing,
    "err_wrong_method": EndpointMissing,
    "err_infill_unsupported": UnsupportedParameter,
    "err_rerank_disabled": UnsupportedOperation,
    "err_embed_rerank": UnsupportedOperation,
}
RECORDED = [name for name in named("err_*") if recording(name)["response"]["status"] >= 400]


def meaning(status: int, said: object, **headers: str) -> RouterError:
    text = said if isinstance(said, bytes) else msgspec.json.encode(said)
    return classify(read(status, headers, text), backend="desk", model="llama3.2")


def of_recording(name: str) -> RouterError:
    answer = recording(name)["response"]
    return classify(read(answer["status"], dict(answer["headers"]), body(name)), backend="coder", model="m")


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_error_of_llama_cpp_means_what_it_should(name):
    assert type(of_recording(name)) is UNUSUAL.get(name, RejectedByBackend)


@pytest.mark.parametrize(
    "name", [name for name in RECORDED if UNUSUAL.get(name, RejectedByBackend) is RejectedByBackend]
)
def test_what_is_the_clients_mistake_is_neither_retried_nor_blamed_on_the_backend(name):
    error = of_recording(name)
    assert (error.retryable, error.blame) == (False, "nobody")
    assert 400 <= error.status < 500


@pytest.mark.parametrize("name", RECORDED)
def test_an_error_says_which_backend_and_what_it_said(name):
    assert "coder" in of_recording(name).message


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("loading_503", BackendLoading),
        ("auth_bad_key", BackendRefusedKey),
        ("reasoning_bad_format", RejectedByBackend),
        ("chat_n_too_many", RejectedByBackend),
        ("router_chat_unknown_model", ModelMissing),
        ("router_chat_broken", BackendFailed),
    ],
)
def test_other_recorded_errors_mean_what_they_should(name, kind):
    assert type(of_recording(name)) is kind


def test_a_server_that_is_loading_says_when_to_come_back():
    assert of_recording("loading_503").retry_after > 0


def test_the_type_of_an_error_is_not_taken_for_its_code():
    assert of_recording("chat_n_too_many").code == "invalid_request"


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (404, "model 'llama3.2' not found", ModelMissing),
        (404, 'model "llama3.2" not found, try pulling it first', ModelMissing),
        (400, "model is required", RejectedByBackend),
        (400, "invalid model name", RejectedByBackend),
        (400, 'use either :local or :cloud, not both: "x:local:cloud"', RejectedByBackend),
        (400, "registry.ollama.ai/library/llama3.2:latest does not support tools", UnsupportedParameter),
        (400, '"llama3.2" does not support thinking', UnsupportedParameter),
        (400, '"nomic-embed-text" does not support chat', UnsupportedParameter),
        (400, "registry.ollama.ai/library/llama3.2:latest does not support insert", UnsupportedParameter),
        (
            400,
            '"x" does not support chat\nregistry.ollama.ai/library/x:latest does not support tools',
            UnsupportedParameter,
        ),
        (500, 'option "stop" must be of type array', RejectedByBackend),
        (500, 'invalid format: "\\"foo\\""; expected "json" or a valid JSON Schema object', RejectedByBackend),
        (503, "server busy, please try again.  maximum pending requests exceeded", BackendBusy),
        (400, RUNNER_TOO_LONG, ContextLengthExceeded),
        (
            400,
            "the prompt is longer than the context length currently available to the model; shorten the prompt",
            ContextLengthExceeded,
        ),
        (400, "the input length exceeds the context length", ContextLengthExceeded),
        (400, "input after truncation exceeds maximum context length", ContextLengthExceeded),
        (400, "input exceeds maximum context length and cannot be truncated further", ContextLengthExceeded),
        (500, "llama-server process has terminated: exit status 1: boom", BackendFailed),
        (500, "timed out waiting for llama-server to start - progress 0.00", BackendFailed),
        (500, "llama-server reported out-of-memory during startup: cudaMalloc failed", BackendFailed),
        (500, "unable to load full model on GPU", BackendFailed),
        (500, "model runner has unexpectedly stopped, this may be due to resource limitations", BackendFailed),
        (403, "ollama cloud is disabled: remote model is unavailable", BackendRefusedKey),
        (401, "unauthorized", BackendRefusedKey),
        (502, "dial tcp: lookup ollama.com: no such host", BackendFailed),
        (400, "this server cannot run this remote model", RejectedByBackend),
        (501, "This server does not support embeddings. Start it with `--embeddings`", UnsupportedParameter),
        (500, "this model does not support embeddings", UnsupportedParameter),
        (400, "embedding contains NaN or Inf values", RejectedByBackend),
        (500, "failed to encode response: json: unsupported value: NaN", BackendFailed),
        (400, "illegal base64 data at input byte 4", RejectedByBackend),
        (400, 'time: missing unit in duration "300"', RejectedByBackend),
    ],
)
def test_an_error_text_of_ollama_means_what_it_should(status, text, kind):
    assert type(meaning(status, {"error": text})) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, BackendRefusedKey),
        (403, BackendRefusedKey),
        (404, EndpointMissing),
        (405, EndpointMissing),
        (408, BackendTimeout),
        (409, RejectedByBackend),
        (413, RejectedByBackend),
        (422, RejectedByBackend),
        (429, RateLimited),
        (500, BackendFailed),
        (502, BackendFailed),
        (503, BackendBusy),
        (504, BackendTimeout),
        (529, BackendFailed),
    ],
)
def test_a_status_alone_means_what_it_should(status, kind):
    assert type(meaning(status, b"")) is kind


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_refusal_that_speaks_of_the_context_stays_a_refusal(status):
    assert not isinstance(meaning(status, {"error": "exceeds the context of your plan"}), ContextLengthExceeded)


def test_a_text_404_is_a_wrong_address_not_a_missing_model():
    assert type(meaning(404, b"404 page not found: model")) is EndpointMissing


@pytest.mark.parametrize(
    "said",
    [
        {"error": {"message": "The model `x` does not exist", "code": "model_not_found"}},
        {"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404},
        {"detail": "Model x not found"},
    ],
)
def test_a_missing_model_is_told_in_any_servers_words(said):
    assert type(meaning(404, said)) is ModelMissing


def test_a_missing_model_is_blamed_on_the_model_alone():
    assert meaning(404, {"error": "model 'x' not found"}).blame == "model"


def test_a_refused_key_is_never_the_clients_401():
    assert meaning(401, {"error": "unauthorized"}).status == 502


def test_a_rejected_request_keeps_the_backends_code():
    assert meaning(400, {"error": {"message": "no", "code": "bad_thing"}}).code == "bad_thing"


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (503, BackendBusy)])
def test_when_to_come_back_is_passed_on(status, kind):
    error = meaning(status, {"error": "later"}, **{"Retry-After": "7"})
    assert (type(error), error.retry_after) == (kind, 7.0)


def test_a_date_to_come_back_at_is_seconds_from_now():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < (retry_after_s(later) or 0) <= 60


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, None), ("", None), ("soon", None), ("nan", None), ("-5", 0), ("1e9", 3600)]
)
def test_an_odd_time_to_come_back_is_bounded_or_none(value, seconds):
    assert retry_after_s(value) == seconds


@given(st.text())
def test_no_time_to_come_back_is_too_odd_to_read(value):
    seconds = retry_after_s(value)
    assert seconds is None or 0 <= seconds <= 3600


json_values = st.recursive(
    st.none() | st.text() | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["error", "message", "code", "type"]), inner)
    ),
    max_leaves=6,
)


@given(st.integers(400, 599), st.binary(max_size=60) | json_values.map(msgspec.json.encode))
def test_any_error_answer_becomes_an_error_that_names_the_backend(status, body):
    error = meaning(status, body)
    assert "desk" in error.message
    assert 400 <= error.status <= 504


@pytest.mark.parametrize(
    "secret",
    [
        "http://127.0.0.1:11434/api/chat",
        "https://user:pw@host.example/v1",
        "127.0.0.1:38421",
        "10.0.0.7",
        "[::1]:8080",
        "/home/ann/.ollama/models/blob",
        "C:\\Users\\ann\\models",
        "sk-proj-abcdef123456",
        "Bearer abcdefghijk",
    ],
)
def test_addresses_paths_and_keys_are_taken_out(secret):
    assert secret not in clean(f'Post "{secret}": EOF')


def test_what_a_model_is_called_stays_readable():
    text = "registry.ollama.ai/library/llama3.2:latest does not support tools"
    assert clean(text) == text


@given(st.text(max_size=2000))
def test_a_message_is_one_short_line(text):
    cleaned = clean(text)
    assert len(cleaned) <= 403
    assert "\n" not in cleaned


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_an_error_inside_a_stream_always_has_a_text(error):
    assert read_in_band(error)


def test_every_backend_error_may_go_to_the_next_target():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BackendError)]
    assert all(kind.retryable for kind in kinds)
