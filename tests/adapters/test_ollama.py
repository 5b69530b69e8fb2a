"""What only Ollama's adapter does, beyond the golden cases."""

import pytest

from adapters.ollama import MAX_SHOWN
from router.errors import BackendFailed
from tests.adapters.party import TOOLS, Party, party
from tests.fakes import FakeModel, Scripted

pytestmark = pytest.mark.anyio

BARE = {"name": "old:latest", "model": "old:latest", "size": 5, "digest": "d"}


def think_sent(who: Party) -> object:
    return who.fake.requests[-1].json.get("think")


async def test_each_model_is_asked_about_once():
    async with party("ollama") as who:
        for _ in range(2):
            chat, embedder = (await who.adapter.probe(timeout_s=5)).models
        asked = [probe.path for probe in who.fake.probes]
    assert (chat.capabilities, embedder.capabilities) == ({"chat", "tools"}, {"embedding"})
    looks = ["/api/version", "/api/tags", "/api/ps"]
    assert asked == [*looks, "/api/show", "/api/show", *looks]


async def test_a_model_that_is_not_loaded_will_have_what_its_modelfile_says():
    async with party("ollama") as who:
        who.fake.models = [FakeModel("m:latest", loaded=False, context_length=8192)]
        info = {"llama.context_length": 131072}
        parameters = 'stop                           "x"\nnum_ctx                        1.6384e+04'
        shown = {"capabilities": ["completion"], "model_info": info, "parameters": parameters}
        who.fake.script("/api/show", Scripted(lines=[shown]))
        (model,) = (await who.adapter.probe(timeout_s=5)).models
    assert (model.context_length, model.trained_length) == (16384, 131072)


async def test_a_loaded_model_has_what_it_was_loaded_with():
    async with party("ollama") as who:
        who.fake.models = [FakeModel("m:latest", context_length=4096)]
        who.fake.script("/api/show", Scripted(lines=[{"model_info": {"llama.context_length": 131072}}]))
        (model,) = (await who.adapter.probe(timeout_s=5)).models
    assert (model.context_length, model.trained_length) == (4096, 131072)


async def test_a_look_at_many_new_models_asks_about_a_few():
    async with party("ollama") as who:
        who.fake.models = [FakeModel(f"m{number}:latest") for number in range(MAX_SHOWN + 5)]
        for expected in (MAX_SHOWN, MAX_SHOWN + 5):
            await who.adapter.probe(timeout_s=5)
            assert [probe.path for probe in who.fake.probes].count("/api/show") == expected


async def test_a_question_that_fails_ends_the_questions_of_a_look():
    async with party("ollama") as who:
        who.fake.script("/api/show", *[Scripted(status=500)] * 9)
        assert len((await who.adapter.probe(timeout_s=5)).models) == 2
        assert [probe.path for probe in who.fake.probes].count("/api/show") == 1


async def test_a_server_that_lists_no_abilities_is_asked_once_for_each_model():
    async with party("ollama") as who:
        who.fake.models = [FakeModel("old:latest", ("completion", "vision"))]
        who.fake.script("/api/tags", Scripted(lines=[{"models": [BARE]}]))
        for _ in range(2):
            (model,) = (await who.adapter.probe(timeout_s=5)).models
            assert model.capabilities == {"chat", "vision"}
        assert [probe.path for probe in who.fake.probes].count("/api/show") == 1


async def test_a_model_that_was_pulled_anew_is_asked_about_anew():
    async with party("ollama") as who:
        who.fake.models = [FakeModel("old:latest", ("completion",))]
        who.fake.script("/api/tags", *(Scripted(lines=[{"models": [{**BARE, "digest": each}]}]) for each in "ab"))
        await who.adapter.probe(timeout_s=5)
        who.fake.models = [FakeModel("old:latest", ("completion", "tools"))]
        (model,) = (await who.adapter.probe(timeout_s=5)).models
    assert model.capabilities == {"chat", "tools"}


async def test_a_model_that_nobody_can_tell_about_is_listed_all_the_same():
    async with party("ollama") as who:
        who.fake.script("/api/tags", Scripted(lines=[{"models": [BARE, {"size": 3}]}]))
        (model,) = (await who.adapter.probe(timeout_s=5)).models
    assert (model.name, model.capabilities, model.loaded) == ("old:latest", None, False)


async def test_a_look_knows_what_is_loaded_with_which_context():
    async with party("ollama") as who:
        who.fake.models = [FakeModel("a:1", context_length=2048), FakeModel("b:1", loaded=False, context_length=4096)]
        first, second = (await who.adapter.probe(timeout_s=5)).models
    assert (first.loaded, first.context_length) == (True, 2048)
    assert (second.loaded, second.context_length) == (False, 4096)


@pytest.mark.parametrize("tags", [{"models": None}, {"models": []}, {}])
async def test_an_empty_list_is_a_list(tags):
    async with party("ollama") as who:
        who.fake.script("/api/tags", Scripted(lines=[tags]))
        assert (await who.adapter.probe(timeout_s=5)).models == ()


@pytest.mark.parametrize("tags", [b"Ollama is running", b"[]", b'{"models":5}', b"\xff"])
async def test_a_server_of_another_kind_is_not_taken_for_ollama(tags):
    async with party("ollama") as who:
        who.fake.script("/api/tags", Scripted(body=tags))
        with pytest.raises(BackendFailed):
            await who.adapter.probe(timeout_s=5)


async def test_the_first_request_that_needs_to_know_asks_whether_the_model_thinks():
    async with party("ollama") as who:
        who.fake.models = [FakeModel("qwen3", ("completion", "thinking"))]
        await who.hear(reasoning_effort="low")
        assert think_sent(who) == "low"


async def test_an_effort_for_a_model_that_does_not_think_is_named_as_dropped():
    async with party("ollama") as who:
        heard = await who.hear(reasoning_effort="low", user="u")
        assert (think_sent(who), heard.dropped) == (None, ("user", "reasoning_effort"))


@pytest.mark.parametrize(
    ("version", "think"),
    [("0.21.9", "high"), ("0.22.0", "max"), ("0.33.0-rc2", "max"), ("0.0.0", "max"), ("odd", "high")],
)
async def test_only_a_server_that_knows_max_is_told_so(version, think):
    async with party("ollama") as who:
        who.fake.models = [FakeModel("qwen3", ("completion", "thinking"))]
        who.fake.script("/api/version", Scripted(lines=[{"version": version}]))
        await who.adapter.probe(timeout_s=5)
        await who.hear(reasoning_effort="xhigh")
        assert think_sent(who) == think


async def test_tools_for_a_model_known_not_to_use_them_are_refused_before_the_question():
    async with party("ollama") as who:
        who.fake.models = [FakeModel("plain", ("completion",))]
        await who.adapter.probe(timeout_s=5)
        error = (await who.hear(tools=TOOLS)).error
        assert error is not None
        assert (error.param, error.retryable, who.fake.requests) == ("tools", True, [])


async def test_what_an_embedding_request_loses_is_named():
    async with party("ollama") as who:
        assert (await who.embed(["a"], user="u")).dropped == ("user",)
