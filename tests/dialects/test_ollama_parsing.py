"""What Ollama's clients ask, as the hub understands it."""

import json

import msgspec
import pytest

from router.canonical.completion import CompletionRequest
from router.canonical.request import ChatRequest, ImagePart, Profile, TextPart
from router.dialects import ollama
from router.errors import BadRequest, InvalidJSON, InvalidParameter, RouterError

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC"
JPEG = "/9j/4AAQSkZJRgABAQ=="
USER = {"role": "user", "content": "hi"}


def chat(**fields) -> ChatRequest:
    asked = ollama.parse_chat(json.dumps({"model": "m", "messages": [USER], **fields}).encode())
    assert isinstance(asked, ChatRequest)
    return asked


def generate(**fields):
    return ollama.parse_generate(json.dumps({"model": "m", **fields}).encode())


def rendered(asked: ChatRequest, capabilities=frozenset({"chat", "thinking", "tools", "vision"}), **profile):
    return ollama.render_request(asked, "m", Profile(**profile), capabilities)


def call(name: str, **more):
    return {"role": "assistant", "tool_calls": [{"function": {"name": name, "arguments": {"a": 1}}, **more}]}


@pytest.mark.parametrize(("stream", "streams"), [({}, True), ({"stream": None}, True), ({"stream": False}, False)])
def test_an_answer_is_streamed_unless_that_is_refused(stream, streams):
    assert chat(**stream).stream is streams


def test_options_are_split_into_what_everybody_knows_and_what_ollama_knows():
    options = {"temperature": 0, "num_predict": 9, "stop": "x", "seed": 3.0, "top_k": 4, "num_ctx": 512, "min_p": None}
    asked = chat(options=options)
    assert (asked.sampling.temperature, asked.sampling.max_tokens, asked.sampling.stop) == (0, 9, ("x",))
    assert asked.extras == {"options": {"top_k": 4, "num_ctx": 512}}


def test_no_limit_of_the_output_stays_what_ollama_makes_of_it():
    asked = chat(options={"num_predict": -1})
    assert asked.sampling.max_tokens is None
    assert json.loads(rendered(asked).body)["options"] == {"num_predict": -1}


@pytest.mark.parametrize("think", [True, False, "low", "max"])
def test_ollama_itself_is_told_what_was_said_of_thinking(think):
    assert json.loads(rendered(chat(think=think)).body)["think"] == think


@pytest.mark.parametrize(("think", "effort"), [(True, "medium"), (False, "none"), ("high", "high"), (None, None)])
def test_thinking_is_an_effort_to_everybody_else(think, effort):
    assert chat(think=think).reasoning_effort == effort


@pytest.mark.parametrize(
    ("written", "kind"),
    [("json", "json_object"), ({"type": "object"}, "json_schema"), ("", None), (None, None)],
)
def test_formats(written, kind):
    wanted = chat(format=written).response_format
    assert (wanted and wanted.kind) == kind


@pytest.mark.parametrize(("data", "kind"), [(PNG, "image/png"), (JPEG, "image/jpeg")])
def test_images_get_the_type_that_nobody_told(data, kind):
    (message,) = chat(messages=[{**USER, "images": [data, f"data:image/x;base64,{data}"]}]).messages
    assert message.parts == (TextPart("hi"), ImagePart(data, kind), ImagePart(data, kind))


def test_results_find_their_calls_by_name_and_order():
    results = [
        {"role": "tool", "content": text, "tool_name": name} for name, text in (("b", "1"), ("a", "2"), ("a", "3"))
    ]
    asked = chat(messages=[USER, call("a"), call("a"), call("b"), *results])
    calls = [message.tool_calls[0].id for message in asked.messages[1:4]]
    assert len(set(calls)) == 3
    assert [message.tool_call_id for message in asked.messages[4:]] == [calls[2], calls[0], calls[1]]


def test_results_find_their_calls_by_id_before_all():
    results = [
        {"role": "tool", "content": "1", "tool_name": "a", "tool_call_id": "y"},
        {"role": "tool", "content": "2"},
    ]
    asked = chat(messages=[USER, call("a", id="x"), call("a", id="y"), *results])
    assert [message.tool_call_id for message in asked.messages[3:]] == ["y", "x"]


def test_results_of_calls_that_are_not_there_are_told_all_the_same():
    (_, result) = chat(messages=[USER, {"role": "tool", "content": "1", "tool_name": "a"}]).messages
    assert result.tool_call_id == "call_a"


@pytest.mark.parametrize("prompt", [{}, {"prompt": ""}, {"prompt": "", "keep_alive": "5m"}])
def test_a_generation_of_nothing_loads_the_model(prompt):
    asked = generate(**prompt)
    assert isinstance(asked, ollama.Keep)
    assert not asked.unloads


@pytest.mark.parametrize("keep_alive", [0, "0", "0s"])
def test_a_chat_about_nothing_for_no_time_unloads_the_model(keep_alive):
    asked = ollama.parse_chat(json.dumps({"model": "m", "messages": [], "keep_alive": keep_alive}).encode())
    assert isinstance(asked, ollama.Keep)
    assert asked.unloads


def test_a_prompt_is_a_chat_of_one_message():
    asked = generate(prompt="hi", system="be brief", images=[PNG])
    assert [(message.role, len(message.parts)) for message in asked.messages] == [("system", 1), ("user", 2)]
    assert not isinstance(asked, CompletionRequest)


@pytest.mark.parametrize("more", [{"raw": True}, {"suffix": "end"}])
def test_a_raw_prompt_and_a_gap_are_completions(more):
    asked = generate(prompt="hi", **more)
    assert isinstance(asked, CompletionRequest)
    assert asked.suffix == more.get("suffix")


def test_what_nobody_else_knows_is_said_to_be_dropped():
    assert set(generate(prompt="hi", context=[1], template="t").unsupported) == {"context", "template"}


@pytest.mark.parametrize(
    ("inputs", "texts"), [("a", ("a",)), (["a", "b"], ("a", "b")), ("", ()), ([], ()), ([""], ("",)), (None, ())]
)
def test_inputs_of_embeddings(inputs, texts):
    assert ollama.parse_embed(json.dumps({"model": "m", "input": inputs}).encode()).inputs == texts


def test_embeddings_are_told_to_ollama_as_they_were_asked_but_for_how_the_model_is_loaded():
    body = {"model": "m", "input": "a", "keep_alive": "300", "options": {"num_ctx": 9, "top_k": 1}, "dimensions": 4}
    asked = ollama.parse_embed(json.dumps(body).encode())
    told = ollama.render_embed(asked, "real", Profile())
    expected = {"model": "real", "input": "a", "keep_alive": 300, "options": {"top_k": 1}, "dimensions": 4}
    assert msgspec.json.decode(told.body) == {**expected, "truncate": False}
    assert told.dropped == ()


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"", BadRequest, "missing request body"),
        (b"{", InvalidJSON, "JSON"),
        (b'{"messages": []}', InvalidParameter, "model is required"),
        (b'{"model": "m", "messages": [{"role": "user", "content": []}]}', InvalidParameter, "content"),
        (b'{"model": "m", "messages": [{"images": ["%"]}]}', InvalidParameter, "base64"),
        (b'{"model": "m", "messages": [{}], "think": "xhigh"}', InvalidParameter, "think"),
        (b'{"model": "m", "messages": [{}], "think": 1}', InvalidParameter, "think"),
        (b'{"model": "m", "messages": [{}], "format": "xml"}', InvalidParameter, "format"),
        (b'{"model": "m", "messages": [{}], "stream": "false"}', InvalidParameter, "stream"),
        (b'{"model": "m", "messages": [{}], "keep_alive": true}', InvalidParameter, "keep_alive"),
        (b'{"model": "m", "messages": [{}], "top_logprobs": 21}', InvalidParameter, "top_logprobs"),
        (b'{"model": "m", "messages": [{}], "options": {"temperature": "hot"}}', InvalidParameter, "temperature"),
        (b'{"model": "m", "messages": [{"tool_calls": [{}]}]}', InvalidParameter, "function"),
        (b'{"model": "m", "messages": [{}], "tools": [{"type": "function"}]}', InvalidParameter, "tool"),
    ],
)
def test_what_makes_no_sense_is_refused(body, error, words):
    with pytest.raises(error, match=words) as raised:
        ollama.parse_chat(body)
    told = json.loads(ollama.render_error(raised.value))
    assert told == {"error": raised.value.message}


def test_a_raw_prompt_has_no_template():
    with pytest.raises(RouterError, match="raw mode"):
        generate(prompt="hi", raw=True, system="s")
