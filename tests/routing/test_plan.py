"""Who may serve a request, in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.canonical.models import ModelInfo, Probe
from router.errors import NoBackend, UnknownModel
from router.routing.catalog import Catalog
from router.routing.health import Health, Readiness
from router.routing.plan import Wanted, plan
from tests.routing.scene import MODELS, NOW, alias, catalog, down, everything_up, planned, targets


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("coder", ["desk/qwen2.5-coder:32b", "lab/big"]),
        ("coder:latest", ["desk/qwen2.5-coder:32b", "lab/big"]),
        ("gpt-4o", ["desk/llama3.2"]),
        ("desk/llama3.2", ["desk/llama3.2"]),
        ("desk/whatever:it/is", ["desk/whatever:it/is"]),
        ("smollm2", ["coder/smollm2"]),
        ("SmolLM2:latest", ["coder/smollm2"]),
        ("hf.co/org/repo:q4", ["lab/hf.co/org/repo:q4"]),
        ("nomic-embed-text", ["desk/nomic-embed-text:latest"]),
    ],
)
def test_a_name_leads_to_its_targets(model, wanted):
    assert targets(planned(model)) == wanted


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("coder", "alias coder"),
        ("desk/llama3.2", "backend desk by name"),
        ("smollm2", "model by name"),
        ("task:code", "task code by tag"),
    ],
)
def test_a_plan_says_why(model, reason):
    assert planned(model).reason == reason


def test_an_alias_comes_before_a_model_of_the_same_name():
    book = catalog(alias("smollm2", "lab/llava"))
    assert targets(planned("smollm2", book)) == ["lab/llava"]


def test_an_alias_brings_its_profile():
    assert planned("coder").candidates[0].profile.max_tokens == len("coder")


def test_a_model_by_name_brings_no_profile():
    assert planned("smollm2").candidates[0].profile.max_tokens is None


def test_a_model_on_two_backends_goes_to_the_less_busy_one():
    health = everything_up()
    health.started("desk", now=NOW)
    assert targets(planned("llama3.2", health=health)) == ["lab/llama3.2", "desk/llama3.2:latest"]


def test_equally_busy_backends_take_turns_by_chance():
    draws = iter([0.9, 0.1])
    found = plan(Wanted("llama3.2"), catalog(), everything_up(), now=NOW, random=lambda: next(draws))
    assert targets(found) == ["lab/llama3.2", "desk/llama3.2:latest"]


def test_the_targets_of_an_alias_keep_their_order_however_busy():
    health = everything_up()
    health.started("desk", now=NOW)
    assert targets(planned("coder", health=health))[0] == "desk/qwen2.5-coder:32b"


def test_a_backend_that_is_down_is_tried_last():
    assert targets(planned("coder", health=down("desk"))) == ["lab/big", "desk/qwen2.5-coder:32b"]


def test_when_all_are_down_all_are_tried_in_order():
    assert targets(planned("coder", health=down("desk", "lab"))) == ["desk/qwen2.5-coder:32b", "lab/big"]


def test_a_backend_whose_look_failed_is_tried_last():
    health = everything_up()
    health.look_failed("desk", "refused", now=NOW, models_s=300)
    assert targets(planned("coder", health=health)) == ["lab/big", "desk/qwen2.5-coder:32b"]


def test_a_candidate_that_is_down_says_why():
    assert planned("coder", health=down("desk")).candidates[-1].note == "desk broke"


def test_a_missing_model_puts_only_its_own_target_last():
    health = everything_up()
    health.model_missing("desk", "qwen2.5-coder:32b")
    assert targets(planned("coder", health=health)) == ["lab/big", "desk/qwen2.5-coder:32b"]
    assert planned("gpt-4o", health=health).candidates[0].readiness is Readiness.READY


def test_a_backend_that_may_be_tried_again_keeps_its_place():
    found = plan(Wanted("coder"), catalog(), down("desk"), now=NOW + 2, random=lambda: 0.5)
    assert found.candidates[0].readiness is Readiness.TRIAL
    assert targets(found)[0] == "desk/qwen2.5-coder:32b"


def test_a_second_request_does_not_join_a_trial():
    health = down("desk")
    health.started("desk", now=NOW + 2)
    found = plan(Wanted("coder"), catalog(), health, now=NOW + 2, random=lambda: 0.5)
    assert targets(found)[0] == "lab/big"


@pytest.mark.parametrize(
    "wanted",
    [{"model": "task:research"}, {"model": "nobody", "task": "research"}, {"model": "auto", "task": "research"}],
)
def test_a_task_leads_where_the_settings_say(wanted):
    book = catalog(tasks={"research": "lab/llava"})
    assert targets(planned(wanted.pop("model"), book, **wanted)) == ["lab/llava"]


@pytest.mark.parametrize("name", ["gpt-4o", "desk/llama3.2", "llama3.2"])
def test_a_task_may_lead_to_any_kind_of_name(name):
    found = planned("task:chat", catalog(tasks={"chat": name}))
    assert "desk" in {candidate.target.backend for candidate in found.candidates}
    assert found.chosen_by == "task chat"


def test_a_known_model_comes_before_a_task():
    book = catalog(tasks={"research": "lab/llava"})
    assert targets(planned("smollm2", book, task="research")) == ["coder/smollm2"]


def test_a_task_without_settings_leads_to_the_first_alias_with_the_tag():
    assert targets(planned("task:code")) == ["desk/qwen2.5-coder:32b", "lab/big"]


def test_a_tag_goes_to_another_alias_when_the_first_is_down():
    assert targets(planned("task:code", health=down("desk", "lab"))) == ["coder/smollm2"]


def test_a_tag_is_a_hard_filter():
    with pytest.raises(UnknownModel):
        planned("task:poetry", catalog(default="coder"))


def test_a_tag_that_only_broken_aliases_carry_stays_with_them():
    assert targets(planned("task:prose", health=down("coder"))) == ["coder/smollm2"]


def test_an_unknown_task_names_the_known_ones():
    with pytest.raises(UnknownModel) as caught:
        planned("task:poetry", catalog(tasks={"research": "lab/llava"}))
    assert "code, prose, research" in caught.value.message


def test_auto_goes_to_the_default():
    assert targets(planned("auto", catalog(default="gpt-4o"))) == ["desk/llama3.2"]


def test_auto_without_default_goes_to_a_loaded_chat_model():
    assert targets(planned("auto")) == ["desk/qwen2.5-coder:32b"]


def test_auto_without_default_avoids_what_is_down():
    assert targets(planned("auto", health=down("desk"))) == ["coder/smollm2"]


def test_auto_with_everything_down_still_has_a_model():
    assert targets(planned("auto", health=down("desk", "coder", "lab"))) == ["desk/qwen2.5-coder:32b"]


@pytest.mark.parametrize(
    ("needs", "target"), [({"images": True}, "lab/llava"), ({"embedding": True}, "desk/nomic-embed-text:latest")]
)
def test_auto_finds_a_model_that_can(needs, target):
    assert targets(planned("auto", catalog(default="coder"), **needs)) == [target]


@pytest.mark.parametrize(("tag", "needs"), [("vision", {"images": True}), ("embedding", {"embedding": True})])
def test_auto_prefers_the_alias_with_the_tag(tag, needs):
    book = catalog(alias("special", "coder/smollm2", tags=[tag]))
    assert targets(planned("auto", book, **needs)) == ["coder/smollm2"]


def test_auto_never_embeds_with_a_chat_model():
    health = everything_up()
    health.looked("desk", Probe(models=()), now=NOW, latency_s=0.01)
    with pytest.raises(UnknownModel):
        planned("auto", catalog(default="coder"), health, embedding=True)


def test_an_unknown_model_goes_to_the_default():
    found = planned("nobody", catalog(default="gpt-4o"))
    assert (targets(found), found.reason) == (["desk/llama3.2"], "default model gpt-4o")


def test_an_unknown_model_without_default_is_refused_by_name():
    with pytest.raises(UnknownModel) as caught:
        planned("nobody")
    assert (caught.value.status, caught.value.param, caught.value.code) == (404, "model", "model_not_found")
    assert "nobody" in caught.value.message


@pytest.mark.parametrize(("asked", "meant"), [("lama3.2", "llama3.2"), ("codr", "coder"), ("smollm", "smollm2")])
def test_an_unknown_model_is_told_its_nearest(asked, meant):
    with pytest.raises(UnknownModel) as caught:
        planned(asked)
    assert meant in caught.value.message


def test_a_very_long_name_is_not_repeated_whole():
    with pytest.raises(UnknownModel) as caught:
        planned("x" * 10_000)
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("model", ["llama3.2", "auto"])
def test_while_no_backend_answers_nobody_can_say_that_a_model_is_unknown(model):
    health = Health(MODELS)
    for name in MODELS:
        health.look_failed(name, "refused", now=NOW, models_s=300)
    with pytest.raises(NoBackend) as caught:
        planned(model, health=health)
    assert caught.value.retry_after is not None


@pytest.mark.parametrize("model", ["llama3.2", "auto"])
def test_without_any_backend_there_is_nobody_to_ask(model):
    with pytest.raises(NoBackend):
        plan(Wanted(model), Catalog(), Health(), now=NOW, random=lambda: 0.5)


names = st.sampled_from(["desk", "coder", "lab"])


@given(st.lists(names, min_size=1, max_size=4), st.sets(names))
def test_a_plan_holds_every_target_and_those_that_are_up_first(backends, broken):
    book = catalog(alias("any", *[f"{name}/m{at}" for at, name in enumerate(backends)]))
    found = planned("any", book, down(*broken))
    wanted = [f"{name}/m{at}" for at, name in enumerate(backends)]
    up = [target for target in wanted if target.partition("/")[0] not in broken]
    assert targets(found) == [*up, *(target for target in wanted if target not in up)]


@given(st.lists(names, unique=True, min_size=1), st.lists(st.integers(0, 5), min_size=3, max_size=3), st.randoms())
def test_a_pool_never_prefers_the_busier(holders, busy, random):
    health = Health(MODELS)
    for name in holders:
        health.looked(name, Probe(models=(ModelInfo(name="shared"),)), now=NOW, latency_s=0.01)
    for name, count in zip(MODELS, busy, strict=True):
        for _ in range(count):
            health.started(name, now=NOW)
    found = plan(Wanted("shared"), catalog(), health, now=NOW, random=random.random)
    loads = [health[candidate.target.backend].in_flight for candidate in found.candidates]
    assert loads == sorted(loads)
