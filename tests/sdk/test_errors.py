"""What goes wrong, as the exceptions of the official SDK, over every kind of backend."""

import openai
import pytest

from tests.fakes import Faults
from tests.running import NO_TLS
from tests.sdk.stage import Stage
from tests.sdk.talk import Talk, user

LONG = "word " * 4000
TOO_MANY = "too many"
"""A 429 without a time to come back, which Claude sends to those whose budget is spent."""


@pytest.fixture
def scripted(talk: Talk) -> Talk:
    """A talk with a backend that can be made to fail."""
    if talk.fake is None:
        pytest.skip("a real backend fails only when it wants to")
    return talk


@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_request_names_its_field(talk: Talk, stream: bool) -> None:
    wrong: dict[str, object] = {"temperature": "warm", "stream": stream}
    with pytest.raises(openai.BadRequestError) as caught:
        talk.ask(**wrong)
    assert (caught.value.param, caught.value.type) == ("temperature", "invalid_request_error")


def test_a_wrong_key_is_an_authentication_error(on_stage: Stage) -> None:
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    wrong = openai.OpenAI(base_url=f"{on_stage.url}/v1", api_key="a-wrong-key", max_retries=0, http_client=http)
    with wrong as sdk, pytest.raises(openai.AuthenticationError) as caught:
        sdk.models.list()
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id


def test_an_unknown_model_is_a_not_found_error(talk: Talk) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        talk.ask(model=f"{talk.model}-that-nobody-has")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        talk.client.models.retrieve("nobody-has-this")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, openai.BadRequestError, None),
        (401, openai.InternalServerError, "upstream_auth"),
        (429, openai.RateLimitError, TOO_MANY),
        (500, openai.InternalServerError, "backend_error"),
        (503, openai.InternalServerError, "backend_busy"),
    ],
)
def test_a_backends_status_is_the_class_of_the_error(
    scripted: Talk, status: int, error: type[openai.APIStatusError], code: str | None, stream: bool
) -> None:
    assert scripted.fake is not None
    scripted.fake.faults = Faults(status=status)
    with pytest.raises(error) as caught:
        scripted.ask(stream=stream)
    if code == TOO_MANY:
        code = "insufficient_quota" if scripted.kind.flavour == "claude" else "rate_limit_exceeded"
    assert code in {None, caught.value.code}
    assert not isinstance(caught.value, openai.AuthenticationError)


@pytest.mark.parametrize("status", [429, 503])
def test_the_sdk_waits_as_long_as_the_backend_said_and_tries_again(
    scripted: Talk, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("openai._base_client.time.sleep", waits.append)
    assert scripted.fake is not None
    scripted.fake.faults = Faults(status=status, headers={"Retry-After": "7"}, times=2)
    answer = scripted.client.with_options(max_retries=2).chat.completions.create(
        model=scripted.model, messages=user("hi")
    )
    assert answer.choices[0].message.content
    assert waits == [7, 7]


def test_the_sdk_gives_up_with_the_last_error(scripted: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai._base_client.time.sleep", lambda _: None)
    assert scripted.fake is not None
    scripted.fake.faults = Faults(status=429, headers={"Retry-After": "3"})
    with pytest.raises(openai.RateLimitError) as caught:
        scripted.client.with_options(max_retries=1).chat.completions.create(model=scripted.model, messages=user("hi"))
    assert caught.value.response.headers["retry-after"] == "3"
    assert len(scripted.fake.requests) == 2


def test_a_bad_request_is_never_tried_again(scripted: Talk) -> None:
    assert scripted.fake is not None
    scripted.fake.faults = Faults(status=400)
    with pytest.raises(openai.BadRequestError):
        scripted.client.with_options(max_retries=5).chat.completions.create(model=scripted.model, messages=user("hi"))
    assert len(scripted.fake.requests) == 1


def test_an_overlong_prompt_is_told_in_openais_words(talk: Talk) -> None:
    if talk.fake is not None:
        words = "exceeds the available context size"
        talk.fake.faults = Faults(status=400, body={"error": {"message": words, "type": "x"}})
    with pytest.raises(openai.BadRequestError) as caught:
        talk.ask(LONG)
    assert caught.value.code == "context_length_exceeded"
