"""What a target can hold, and whether a prompt fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.canonical.adapter import ContextRules
from router.canonical.models import ModelInfo, Probe
from router.canonical.request import ChatRequest, Profile, Sampling, Wire
from router.dialects.alias_options import pinned_options
from router.routing.catalog import Alias, Catalog, Target
from router.routing.health import Health
from router.routing.window import MIN_ANSWER, Fit, Need, Pins, answer_limit, asked_window, fits, model_of, window

OLLAMA = ContextRules(pins=True, cuts=True)
OTHERS = ContextRules()
CLAUDE = ContextRules(holds_answer=False)
LOADED = ModelInfo(name="m", context_length=4096, trained_length=131_072, loaded=True)


def request(max_tokens: int | None = None, **extras) -> ChatRequest:
    return ChatRequest(
        model="m", messages=(), wire=Wire("openai", {}), sampling=Sampling(max_tokens=max_tokens), extras=extras
    )


@pytest.mark.parametrize(
    ("profile", "info", "rules", "expected"),
    [
        (Profile(), None, OTHERS, None),
        (Profile(), LOADED, OLLAMA, 4096),
        (Profile(context_length=8192), LOADED, OLLAMA, 8192),
        (Profile(options={"num_ctx": 8192}), LOADED, OLLAMA, 8192),
        (Profile(options={"options": {"num_ctx": 8192}}), LOADED, OLLAMA, 8192),
        (Profile(context_length=1_000_000), LOADED, OLLAMA, 131_072),
        (Profile(context_length=8192), None, OLLAMA, 8192),
        (Profile(context_length=8192), LOADED, OTHERS, 4096),
        (Profile(context_length=1024), LOADED, OTHERS, 1024),
        (Profile(context_length=1024), None, OTHERS, 1024),
        (Profile(options={"num_ctx": "junk"}), LOADED, OLLAMA, 4096),
    ],
)
def test_a_window_is_what_the_server_will_really_have(profile, info, rules, expected):
    assert window(profile, info, rules) == expected


def test_a_client_decides_the_length_only_where_its_alias_lets_it():
    told = request(options={"num_ctx": 512})
    assert asked_window(told, Profile(context_length=8192)) is None
    allowed = Profile(context_length=8192, client_options=frozenset({"num_ctx"}))
    assert asked_window(told, allowed) == 512
    assert window(allowed, LOADED, OLLAMA, asked=512) == 512


def test_an_answer_is_as_long_as_the_client_wants_and_the_alias_allows():
    assert answer_limit(request(), Profile(max_tokens=100)) is None
    assert answer_limit(request(-1), Profile(max_tokens=100)) is None
    assert answer_limit(request(50), Profile(max_tokens=100)) == 50
    assert answer_limit(request(500), Profile(max_tokens=100)) == 100
    assert answer_limit(request(500), Profile()) == 500
    assert answer_limit(replace(request(500), limit_is_formal=True), Profile()) is None


def need(prompt: int, answer: int | None = None, margin: float = 0.15) -> Need:
    return Need(prompt, prompt / (1 + margin), prompt * (1 + margin), answer)


def test_far_from_the_limit_an_estimate_decides():
    assert fits(need(500), 1000, OTHERS) is Fit.YES
    assert fits(need(1500), 1000, OTHERS) is Fit.NO


@pytest.mark.parametrize("prompt", [860, 950, 1050, 1130])
def test_within_15_percent_of_the_limit_it_does_not(prompt):
    assert fits(need(prompt - MIN_ANSWER, margin=0.01), 1000, OTHERS) is Fit.CLOSE


def test_an_estimate_that_may_be_far_off_refuses_nothing_by_itself():
    assert fits(need(3000, margin=3), 1000, OTHERS) is Fit.CLOSE
    assert fits(need(300, margin=3), 1000, OTHERS) is Fit.CLOSE


def test_the_output_limit_counts_except_where_the_backend_does_not_count_it():
    assert fits(need(100, answer=2000), 1000, OTHERS) is Fit.NO
    assert fits(need(100, answer=2000), 1000, CLAUDE) is Fit.YES


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(0, 5))
def test_what_fits_a_window_fits_every_larger_one(prompt, size, margin):
    asked = need(prompt, margin=margin)
    if fits(asked, size, OTHERS) is Fit.YES:
        assert fits(asked, size + 1, OTHERS) is Fit.YES
    if fits(asked, size + 1, OTHERS) is Fit.NO:
        assert fits(asked, size, OTHERS) is Fit.NO


def test_a_server_with_one_model_may_answer_to_any_name():
    health = Health(["a"])
    health.looked("a", Probe(models=(LOADED,)), now=0, latency_s=0)
    assert model_of(health["a"], "default", ContextRules(any_name=True)) is LOADED
    assert model_of(health["a"], "default", OTHERS) is None


def aliased(name: str, **profile) -> Alias:
    return Alias(name, (Target("desk", "m"),), profile=Profile(**profile))


def pins(*aliases: Alias) -> Pins:
    return Pins(Catalog(backends=("desk",), aliases={alias.name: alias for alias in aliases}))


def test_a_request_by_the_models_own_name_loads_it_as_its_alias_does():
    found = pins(aliased("a", context_length=8192, options={"num_gpu": 3, "shift": False, "temperature": 1}))
    completed = found.completed(Target("desk", "m:latest"), Profile())
    assert pinned_options(completed) == {"num_ctx": 8192, "num_gpu": 3, "shift": False}
    assert completed.options.get("temperature") is None


def test_an_alias_keeps_what_it_says_itself():
    small, large = aliased("a", context_length=1024), aliased("b", context_length=8192, options={"num_gpu": 1})
    found = pins(large, small)
    assert pinned_options(found.completed(Target("desk", "m"), small.profile)) == {"num_ctx": 1024, "num_gpu": 1}
    assert found.completed(Target("desk", "m"), large.profile) is large.profile


def test_where_nothing_is_pinned_nothing_changes():
    plain = Profile()
    assert pins(aliased("a")).completed(Target("desk", "m"), plain) is plain
    assert pins(aliased("a", context_length=1)).completed(Target("desk", "other"), plain) is plain
