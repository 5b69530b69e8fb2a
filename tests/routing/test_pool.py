"""Targets that are equals: which may serve, and which is the best."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.canonical.caller import Caller
from router.canonical.models import Glance, ModelInfo, Probe
from router.canonical.request import Message, TextPart
from router.errors import NotLocal
from router.routing.catalog import Alias, Catalog, Target, Terms
from router.routing.health import Health, Readiness
from router.routing.plan import Experience, Plan, Wanted, plan
from tests.routing.scene import NOW, targets

CHAT = frozenset({"chat"})
NAMES = ("desk", "lab", "cloud")
ASIDE = Caller(local_only=True)


def pool(*names: str, **more: object) -> Alias:
    return Alias("pool", tuple(Target(name, "m") for name in names or NAMES), scored=True, **more)


def book(*aliases: Alias, default: str | None = None, **terms: Terms) -> Catalog:
    known = {"desk": Terms(max_parallel=1), "lab": Terms(max_parallel=1), "cloud": Terms(hosted=True)}
    return Catalog(NAMES, {each.name: each for each in aliases or (pool(),)}, default_model=default,
                   terms={**known, **terms})  # fmt: skip


def up(**models: ModelInfo) -> Health:
    """Everything up, with one model each; unless said otherwise nobody says what is loaded."""
    health = Health(NAMES)
    for name in NAMES:
        model = models.get(name, ModelInfo(name="m"))
        health.looked(name, Probe(models=(model,)), now=NOW, latency_s=0.01)
    return health


def planned(model: str = "pool", catalog: Catalog | None = None, health: Health | None = None, **more: object) -> Plan:
    experience = more.pop("experience", Experience())
    now = more.pop("now", NOW)
    wanted = Wanted(model, **more)  # pyright: ignore[reportArgumentType]
    draws = iter([0.1, 0.2, 0.3] * 3)
    return plan(wanted, catalog or book(), health or up(), now=now, random=lambda: next(draws), experience=experience)


def loaded(*, on: bool, **more: object) -> ModelInfo:
    return ModelInfo(name="m", loaded=on, **more)


def test_the_one_that_has_the_model_loaded_comes_first_and_says_so():
    found = planned(health=up(desk=loaded(on=False), lab=loaded(on=True)))
    assert targets(found) == ["lab/m", "cloud/m", "desk/m"]
    assert (found.reason, found.chosen_by) == ("alias pool, loaded", "alias pool")
    assert [candidate.resident for candidate in found.candidates] == [True, None, False]
    assert found.pooled


def test_a_model_that_goes_by_itself_is_no_longer_loaded():
    health = up(desk=loaded(on=True, loaded_s=5.0), lab=loaded(on=False))
    assert targets(planned(health=health))[0] == "desk/m"
    assert targets(planned(health=health, now=NOW + 6))[0] == "cloud/m"


def test_a_model_that_has_just_answered_is_loaded_before_anybody_looks():
    health = up(desk=loaded(on=False), lab=loaded(on=False))
    health.succeeded("lab", model="M:latest", now=NOW)
    assert targets(planned(health=health))[0] == "lab/m"


def test_a_glance_takes_back_what_was_unloaded_for_another():
    health = up(desk=loaded(on=True), lab=loaded(on=False))
    health.glanced("desk", Glance(loaded={"other": None}), now=NOW)
    assert planned(health=health).candidates[-1].resident is False


def test_the_backend_that_knows_the_conversation_comes_first():
    experience = Experience()
    turn = Message("user", (TextPart("a"),))
    first = planned(messages=(turn,), experience=experience)
    experience.affinity.remember(first.conversation, Target("lab", "m"))
    found = planned(messages=(turn, turn, turn), experience=experience)
    assert (targets(found)[0], found.reason) == ("lab/m", "alias pool, knows conversation")


def test_requests_that_run_or_wait_there_count_against_a_backend():
    health = up()
    health.started("desk", now=NOW)
    waiting = Experience(waiting={"desk": 0, "lab": 3, "cloud": 40}.__getitem__)
    assert targets(planned(health=health, experience=waiting)) == ["desk/m", "cloud/m", "lab/m"]


def test_slots_that_others_have_taken_count_too():
    health = up()
    for name, idle in (("desk", 0), ("lab", 4)):
        health.glanced(name, Glance(slots=4, idle_slots=idle), now=NOW)
    catalog = book(pool("desk", "lab"), desk=Terms(), lab=Terms())
    assert targets(planned(catalog=catalog, health=health)) == ["lab/m", "desk/m"]


def test_our_own_requests_are_not_counted_twice():
    health = up()
    health.started("desk", now=NOW)
    health.glanced("desk", Glance(slots=4, idle_slots=3), now=NOW)
    assert health["desk"].others == 0
    health.ended("desk", was_trial=False)
    health.glanced("desk", Glance(slots=4, idle_slots=3), now=NOW, ours=1)
    assert health["desk"].others == 0


def test_a_weight_prefers_a_backend():
    catalog = book(pool("desk", "lab"), lab=Terms(max_parallel=1, weight=3))
    found = planned(catalog=catalog)
    assert (targets(found)[0], found.reason) == ("lab/m", "alias pool, preferred")


def test_the_faster_comes_first():
    experience = Experience()
    for name, rate in (("desk", 10.0), ("lab", 90.0)):
        experience.speeds.ended(Target(name, "m"), rate, now=NOW)
    found = planned(catalog=book(pool("desk", "lab")), experience=experience)
    assert (targets(found)[0], found.reason) == ("lab/m", "alias pool, fastest")


def test_ties_are_drawn_for():
    assert planned(catalog=book(pool("desk", "lab"))).reason == "alias pool, by chance"


def test_a_backend_that_loads_its_only_model_comes_after_those_that_are_ready_and_before_those_that_are_down():
    health = up(desk=loaded(on=True))
    health.look_found_loading("desk", now=NOW)
    health.failed("lab", "broke", now=NOW)
    found = planned(health=health)
    assert targets(found) == ["cloud/m", "desk/m", "lab/m"]
    assert (found.candidates[1].readiness, found.candidates[1].note) == (Readiness.LOADING, "loading its model")


def test_a_name_that_several_backends_have_is_a_pool():
    found = planned("m", health=up(lab=loaded(on=True)))
    assert (targets(found)[0], found.pooled, found.reason) == ("lab/m", True, "model by name, loaded")


def test_an_ordered_alias_keeps_its_order_whatever_is_loaded():
    plain = Alias("pool", tuple(Target(name, "m") for name in NAMES))
    found = planned(catalog=book(plain), health=up(desk=loaded(on=False), lab=loaded(on=True)))
    assert (targets(found), found.pooled) == (["desk/m", "lab/m", "cloud/m"], False)
    assert found.candidates[0].score is None


def test_what_a_model_cannot_do_rules_it_out():
    health = up(desk=ModelInfo(name="m", capabilities=CHAT), lab=ModelInfo(name="m", capabilities=CHAT | {"tools"}))
    found = planned(health=health, tools=True)
    assert set(targets(found)) == {"lab/m", "cloud/m"}
    assert [(str(gone.target), gone.why) for gone in found.rejected] == [("desk/m", "cannot do tools")]


@pytest.mark.parametrize(
    ("needs", "missing"),
    [({"tools": True}, "tools"), ({"images": True}, "vision"), ({"embedding": True}, "embedding"),
     ({"thinking": True}, "thinking")],
)  # fmt: skip
def test_when_nobody_can_everybody_is_tried(needs, missing):
    health = up(**{name: ModelInfo(name="m", capabilities=CHAT) for name in NAMES})
    assert len(planned(health=health, **needs).candidates) == 3
    able = up(**{name: ModelInfo(name="m", capabilities=CHAT) for name in NAMES[:2]},
              cloud=ModelInfo(name="m", capabilities=CHAT | {missing}))  # fmt: skip
    assert targets(planned(health=able, **needs)) == ["cloud/m"]


def test_what_a_backend_never_says_rules_nothing_out():
    health = up(desk=ModelInfo(name="m", capabilities=CHAT, untold=frozenset({"embedding"})),
                lab=ModelInfo(name="m", capabilities=frozenset({"embedding"})))  # fmt: skip
    assert len(planned(health=health, embedding=True).candidates) == 3


def test_effort_does_not_change_an_order_that_a_person_wrote():
    plain = Alias("pool", tuple(Target(name, "m") for name in NAMES))
    health = up(desk=ModelInfo(name="m", capabilities=CHAT))
    assert targets(planned(catalog=book(plain), health=health, thinking=True))[0] == "desk/m"


@pytest.mark.parametrize("scored", [True, False])
@pytest.mark.parametrize("by", ["alias", "caller"])
def test_local_only_leaves_hosted_targets_out(scored, by):
    alias = Alias("pool", tuple(Target(name, "m") for name in NAMES), scored=scored, local_only=by == "alias")
    found = planned(catalog=book(alias), caller=ASIDE if by == "caller" else Caller())
    assert set(targets(found)) == {"desk/m", "lab/m"}
    assert [(str(gone.target), gone.why) for gone in found.rejected] == [
        ("cloud/m", "hosted, and the request is local_only")
    ]


@given(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)), st.booleans(), st.randoms())
def test_local_only_never_leaves_whatever_fails(down, missing, scored, random):
    health = up()
    for name in down:
        health.failed(name, "broke", now=NOW)
    for name in missing:
        health.model_missing(name, "m")
    alias = Alias("pool", tuple(Target(name, "m") for name in NAMES), scored=scored, local_only=True)
    for model in ("pool", "other"):
        catalog = book(alias, default="pool")
        found = plan(Wanted(model), catalog, health, now=NOW, random=random.random)
        assert {candidate.target.backend for candidate in found.candidates} == {"desk", "lab"}


@pytest.mark.parametrize("model", ["cloud/m", "hosted", "m:cloud"])
def test_a_request_that_could_only_leave_is_refused_and_says_why(model):
    alias = Alias("hosted", (Target("cloud", "m"), Target("desk", "big:120b-cloud")))
    health = up()
    health.looked("lab", Probe(models=(ModelInfo(name="m:cloud"),)), now=NOW, latency_s=0.01)
    with pytest.raises(NotLocal) as caught:
        planned(model, book(alias), health, caller=ASIDE)
    assert (caught.value.status, caught.value.code, caught.value.param) == (403, "local_only", "model")
    assert "local_only" in caught.value.message


def test_a_model_that_a_local_backend_passes_on_is_hosted():
    health = up(desk=ModelInfo(name="m", hosted=True))
    assert targets(planned(catalog=book(pool(local_only=True)), health=health)) == ["lab/m"]


def test_auto_finds_a_local_model_for_whoever_may_not_leave():
    health = up(desk=ModelInfo(name="blind", capabilities=CHAT), cloud=ModelInfo(name="seer", capabilities=CHAT))
    assert targets(planned("auto", book(pool("lab")), health, caller=ASIDE)) == ["desk/blind"]


def test_a_tag_leads_to_an_alias_that_may_be_used():
    far = Alias("far", (Target("cloud", "m"),), frozenset({"code"}))
    near = Alias("near", (Target("lab", "m"),), frozenset({"code"}))
    assert targets(planned("task:code", book(far, near), caller=ASIDE)) == ["lab/m"]
