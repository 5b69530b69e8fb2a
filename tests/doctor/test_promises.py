"""What the doctor says of aliases that cannot keep what they promise."""

import pytest

from tests.doctor.examining import only, told
from tests.fakes import FakeBackend, FakeModel
from tests.surfaces.asking import alias

pytestmark = pytest.mark.anyio

CODER = FakeModel("qwen2.5-coder:7b", ("completion", "tools"), context_length=32768)
NOMIC = FakeModel("nomic-embed-text:latest", ("embedding",))
LIST = {"openai": [FakeModel("fake-chat"), FakeModel("text-embedding-3-small")]}


@pytest.fixture
async def ollama(anyio_backend):
    async with FakeBackend([CODER, NOMIC]) as fake:
        yield fake


@pytest.fixture
async def lab(anyio_backend):
    async with FakeBackend(LIST["openai"], flavour="openai") as fake:
        yield fake


def leading(fake: FakeBackend, models=None, **more):
    return {"backends": {"desk": {"type": fake.flavour, "url": fake.url}}, "models": models or {}, **more}


async def test_an_alias_that_can_keep_its_promise_is_fine(ollama):
    models = alias("code", "desk/qwen2.5-coder:7b", context_length=32768) | alias(
        "embed", "desk/nomic-embed-text", tags=["embedding"]
    )
    assert await told(leading(ollama, models)) == []


async def test_a_model_that_is_not_pulled_comes_with_the_command_that_pulls_it(ollama):
    complaint = await only(leading(ollama, alias("fast", "desk/llama3.2")))
    assert (complaint.code, complaint.place) == ("model_missing", "models.fast")
    assert complaint.what == "desk has not pulled llama3.2."
    assert complaint.mend == f"Run `OLLAMA_HOST=127.0.0.1:{ollama.port} ollama pull llama3.2`."


async def test_a_name_that_was_probably_meant_is_offered(ollama):
    complaint = await only(leading(ollama, alias("code", "desk/qwen2.5-coder")))
    assert "or write desk/qwen2.5-coder:7b if that is meant" in complaint.mend


async def test_a_model_that_another_server_lacks_comes_with_those_it_has(lab):
    complaint = await only(leading(lab, alias("fast", "desk/llama")))
    assert complaint.mend == "Name one that it has: fake-chat, text-embedding-3-small."


async def test_tasks_and_the_default_are_looked_at_too(lab):
    routing = {"default_model": "desk/nobody", "tasks": {"code": "desk/fake-chatt"}}
    wrong = await told(leading(lab, routing=routing))
    assert [(complaint.code, complaint.place) for complaint in wrong] == [
        ("model_missing", "routing.default_model"),
        ("model_missing", "routing.tasks.code"),
    ]
    assert wrong[1].mend == "Write desk/fake-chat."


async def test_a_llama_cpp_server_answers_to_any_name(anyio_backend):
    async with FakeBackend(flavour="llama_cpp") as fake:
        assert await told(leading(fake, alias("any", "desk/default"))) == []


async def test_an_embedding_model_behind_a_chat_alias_is_said(ollama):
    complaint = await only(leading(ollama, alias("chat", "desk/nomic-embed-text")))
    assert (complaint.code, complaint.place) == ("embedding_model", "models.chat")


async def test_an_embedding_model_is_known_by_its_name_where_nobody_says(lab):
    complaint = await only(leading(lab, alias("chat", "desk/text-embedding-3-small")))
    assert complaint.code == "embedding_model"
    assert await told(leading(lab, alias("embed", "desk/text-embedding-3-small", tags=["embedding"]))) == []


async def test_a_chat_model_behind_an_embedding_alias_is_said(ollama):
    complaint = await only(leading(ollama, alias("embed", "desk/qwen2.5-coder:7b", tags=["embedding"])))
    assert (complaint.code, complaint.place) == ("chat_model", "models.embed")


async def test_a_context_larger_than_an_ollama_model_holds_is_said(ollama):
    complaint = await only(leading(ollama, alias("code", "desk/qwen2.5-coder:7b", context_length=131072)))
    assert complaint.code == "context"
    assert complaint.what == "it promises a context of 131072 tokens and desk/qwen2.5-coder:7b holds 32768."
    assert complaint.mend == "Set models.code.context_length to 32768."


async def test_a_context_larger_than_a_llama_cpp_server_was_started_with_is_said(anyio_backend):
    async with FakeBackend([FakeModel("m", context_length=4096)], flavour="llama_cpp") as fake:
        complaint = await only(leading(fake, alias("code", "desk/m", context_length=8192)))
    assert complaint.code == "context"
    assert "`-c 8192`" in complaint.mend


async def test_aliases_of_a_backend_that_does_not_answer_are_not_blamed(ollama):
    config = leading(ollama, alias("fast", "desk/llama3.2"))
    await ollama.stop()
    assert [complaint.code for complaint in await told(config)] == ["refused"]


async def test_aliases_that_load_one_model_differently_are_told(ollama):
    model = "desk/qwen2.5-coder:7b"
    models = alias("a", model, context_length=4096) | alias("b", model, context_length=8192)
    complaint = await only(leading(ollama, models))
    assert (complaint.code, complaint.place, complaint.severity) == ("reloads", "models.b", "warning")
    assert await told(leading(ollama, alias("a", model, context_length=4096) | alias("c", model))) == []
