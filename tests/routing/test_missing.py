"""What is pulled for a request, where, and what never is."""

from dataclasses import replace

import pytest

from router.canonical.caller import Caller
from router.canonical.models import ModelInfo, Probe
from router.routing.catalog import Catalog, Target, Terms
from router.routing.choice import Scene
from router.routing.health import Health
from router.routing.missing import is_pullable, pulled_first, to_pull
from router.routing.plan import Candidate, Plan
from router.routing.wanted import Wanted

NOW = 100.0
CATALOG = Catalog(
    backends=("desk", "attic", "cloud"),
    on_missing="pull",
    terms={"attic": Terms(weight=2.0), "cloud": Terms(hosted=True, weight=9.0)},
)
ABLE = ("desk", "attic", "cloud")


def looked(*backends: str) -> Health:
    health = Health(CATALOG.backends)
    for name in backends:
        health.looked(name, Probe(models=(ModelInfo(name="llama3.2:latest"),)), now=NOW, latency_s=0.1)
    return health


def missing(model="qwen3", *, chosen=None, catalog=CATALOG, health=None, able=ABLE, **wanted):
    caller = wanted.pop("caller", Caller())
    scene = Scene(catalog, health or looked(*ABLE), NOW, local_only=caller.local_only)
    return to_pull(Wanted(model, caller=caller, **wanted), scene, able, chosen=chosen)


def leading(*targets: str) -> Plan:
    split = (target.partition("/") for target in targets)
    return Plan(tuple(Candidate(Target(backend, model)) for backend, _, model in split), "by name", "by name")


def test_the_weightiest_server_that_answers_and_may_be_used_pulls():
    assert missing() == Target("cloud", "qwen3")
    assert missing(caller=Caller(local_only=True)) == Target("attic", "qwen3")
    assert missing(health=looked("desk")) == Target("desk", "qwen3")
    assert missing(able=("desk",)) == Target("desk", "qwen3")


def test_a_server_that_is_down_or_drained_pulls_nothing():
    health = looked("desk", "attic")
    health.failed("attic", "gone", now=NOW)
    assert missing(health=health) == Target("desk", "qwen3")
    health.drain("desk")
    assert missing(health=health) is None


@pytest.mark.parametrize("mode", ["error", "default"])
def test_nothing_is_pulled_unless_the_settings_say_so(mode):
    assert missing(catalog=replace(CATALOG, on_missing=mode)) is None


def test_nothing_is_pulled_for_a_request_that_may_not_have_it():
    assert missing(caller=Caller(may_pull=False)) is None


@pytest.mark.parametrize("models", [(), ("*",), ("qwen3",)])
def test_nothing_is_pulled_for_a_key_that_is_bound_to_models(models):
    assert missing(caller=Caller(models=models)) is None


@pytest.mark.parametrize("wanted", [{"model": "auto"}, {"model": "task:code"}, {"task": "code"}])
def test_what_names_no_model_pulls_none(wanted):
    assert missing(**wanted) is None


def test_a_target_is_pulled_where_it_is_to_be():
    assert missing("m", chosen=leading("desk/qwen3", "attic/qwen3")) == Target("desk", "qwen3")


def test_nothing_is_pulled_while_anybody_has_it_or_may_have_it():
    assert missing("m", chosen=leading("desk/qwen3", "attic/llama3.2")) is None
    assert missing("m", chosen=leading("desk/qwen3", "attic/qwen3"), able=("desk",)) is None
    assert missing("m", chosen=leading("desk/qwen3"), health=looked("attic")) is None


@pytest.mark.parametrize(
    "name",
    ["qwen3", "qwen3:8b-q4_K_M", "someone/model", "hf.co/org/model-GGUF:Q4_K_M", "registry.ollama.ai/library/qwen3:8b"],
)
def test_names_of_models_may_be_pulled(name):
    assert is_pullable(name)


@pytest.mark.parametrize(
    "name",
    ["", "-x", "a b", "a\nb", "a//b", "/a", "a/", "../a", "http://h/a/b", "evil.test/a/b", "a.b/c", "h:80/c",
     "h:80/c/d", "[::1]/a/b", "qwen3:cloud", "gpt-oss:120b-cloud", "ä", "x" * 301],
)  # fmt: skip
def test_other_names_and_other_hosts_may_not(name):
    assert not is_pullable(name)


def test_the_plan_says_that_it_has_to_be_pulled():
    target = Target("desk", "qwen3")
    alone, aliased = pulled_first(target, None), pulled_first(target, leading("desk/qwen3", "attic/qwen3"))
    assert (alone.pull, alone.reason) == (target, "nobody has it, to be pulled on desk")
    assert (aliased.pull, aliased.reason, len(aliased.candidates)) == (target, "by name, to be pulled", 2)
    assert "pulled first" in aliased.candidates[0].note
