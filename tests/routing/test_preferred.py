"""What a user prefers, where no name decides."""

from dataclasses import replace

import pytest

from router.canonical.caller import CODING_TOOL, Caller, Preferences
from router.canonical.models import ModelInfo
from router.errors import ModelNotAllowed, NoBackend, NotLocal, UnknownModel
from router.routing.catalog import Catalog, Terms
from router.routing.health import Health
from router.routing.plan import Plan
from tests.routing.scene import NOW, alias, catalog, down, everything_up, planned, targets

SONNET = "claude/claude-sonnet"
LOCALS = ("desk", "coder", "lab")


def with_claude(book: Catalog | None = None) -> Catalog:
    book = book or catalog(default="coder")
    return replace(book, backends=(*book.backends, "claude"), terms={"claude": Terms(hosted=True, kind="claude")})


def health_of(*down_ones: str) -> Health:
    health = down(*down_ones) if down_ones else everything_up()
    health.add("claude")
    health.told("claude", (ModelInfo(name="claude-sonnet", capabilities=frozenset({"chat", "vision"})),), now=NOW)
    return health


def asked(model: str = "auto", *, off: tuple[str, ...] = (), book: Catalog | None = None, **how: object) -> Plan:
    """A plan for a caller; `how` is split between the preferences, the caller and what is wanted."""
    wishes = {name: how.pop(name) for name in Preferences.__struct_fields__ if name in how}
    about = {name: how.pop(name) for name in Caller.__struct_fields__ if name in how}
    caller = Caller(**about, preferences=Preferences(**wishes))
    return planned(model, with_claude(book), health_of(*off), caller=caller, **how)


@pytest.mark.parametrize(
    ("wishes", "target", "reason"),
    [
        ({"default_model": "writer"}, "coder/smollm2", "preferred model writer"),
        ({"default_model": "lab/llava"}, "lab/llava", "preferred model lab/llava"),
        ({"default_model": "llava", "default_backend": "lab"}, "lab/llava", "preferred model lab/llava"),
        ({"default_backend": "desk"}, "desk/qwen2.5-coder:32b", "preferred backend desk"),
        ({"default_backend": "gone"}, "desk/qwen2.5-coder:32b", "default model coder"),
        ({"default_model": "gone"}, "desk/qwen2.5-coder:32b", "default model coder"),
        ({}, "desk/qwen2.5-coder:32b", "default model coder"),
    ],
)
@pytest.mark.parametrize("model", ["auto", "no-such-model"])
def test_where_no_name_decides_what_is_preferred_comes_first(model, wishes, target, reason):
    found = asked(model, **wishes)
    assert (targets(found)[0], found.reason) == (target, reason)


@pytest.mark.parametrize("model", ["gpt-4o", "desk/llama3.2", "smollm2", "task:prose"])
def test_a_name_that_leads_somewhere_decides(model):
    all_wishes = asked(model, default_model="lab/llava", fallback_to_claude=True, use_local_for_code=True)
    assert targets(all_wishes) == targets(planned(model))


@pytest.mark.parametrize(
    ("selected", "target", "reason"),
    [
        ("llama3.2:latest", "desk/llama3.2:latest", "preferred backend desk, its selected model"),
        ("llama3.2", "desk/llama3.2:latest", "preferred backend desk, its selected model"),
        ("nomic-embed-text:latest", "desk/qwen2.5-coder:32b", "preferred backend desk"),
        ("gone", "desk/qwen2.5-coder:32b", "preferred backend desk"),
    ],
)
@pytest.mark.parametrize("model", ["auto", "no-such-model"])
def test_the_selected_model_of_a_preferred_backend_comes_before_a_loaded_one(model, selected, target, reason):
    book = replace(catalog(default="writer"), selected={"desk": selected, "lab": "llava"})
    found = asked(model, book=book, default_backend="desk")
    assert (targets(found), found.reason) == ([target], reason)


def test_a_selected_model_counts_for_nobody_who_prefers_something_else():
    book = replace(catalog(default="writer"), selected={"desk": "llama3.2"})
    assert targets(asked(book=book)) == ["coder/smollm2"]
    assert targets(asked(book=book, default_backend="lab")) == ["lab/llava"]
    assert targets(asked(book=book, default_backend="desk", default_model="qwen2.5-coder:32b")) == [
        "desk/qwen2.5-coder:32b"
    ]


def test_a_preference_makes_an_unknown_name_known_without_a_default():
    with pytest.raises(UnknownModel):
        asked("no-such-model", book=catalog())
    assert targets(asked("no-such-model", book=catalog(), default_model="writer")) == ["coder/smollm2"]


@pytest.mark.parametrize("mode", ["error", "pull"])
def test_a_preference_serves_no_unknown_name_where_the_settings_refuse_it(mode):
    book = replace(catalog(), on_missing=mode)
    with pytest.raises(UnknownModel):
        asked("no-such-model", book=book, default_model="writer", fallback_to_claude=True)
    assert targets(asked("auto", book=book, default_model="writer")) == ["coder/smollm2"]


def test_a_task_that_is_named_comes_before_a_default():
    assert asked(task="prose", default_model="lab/llava").reason == "task prose by tag"


def test_embeddings_and_pictures_go_where_they_can_be_served():
    assert targets(asked(embedding=True, default_model="writer")) == ["desk/nomic-embed-text:latest"]
    assert targets(asked(images=True, default_model="writer")) == ["lab/llava"]
    assert asked(images=True, default_model="lab/llava").reason == "preferred model lab/llava"


def test_what_is_down_is_not_preferred():
    found = asked(default_model="writer", off=("coder",))
    assert found.reason == "default model coder"


CODE_ALIAS = catalog(alias("coding", SONNET, "lab/big", tags=["code"]), default=SONNET)
NO_ALIAS = catalog(alias("big", SONNET), default=SONNET)


@pytest.mark.parametrize(
    ("book", "wishes", "target"),
    [
        (CODE_ALIAS, {}, "lab/big"),
        (NO_ALIAS, {"default_model": "smollm2"}, "coder/smollm2"),
        (NO_ALIAS, {"default_model": SONNET}, "desk/qwen2.5-coder:32b"),
        (NO_ALIAS, {}, "desk/qwen2.5-coder:32b"),
    ],
)
@pytest.mark.parametrize("how", [{"task": "code"}, {"source": CODING_TOOL}])
def test_code_stays_local_if_the_user_wants_that(book, wishes, target, how):
    found = asked(book=book, use_local_for_code=True, **wishes, **how)
    assert (targets(found), found.reason) == ([target], "local for code")


def test_what_is_no_code_goes_its_way():
    assert targets(asked(book=NO_ALIAS, use_local_for_code=True)) == [SONNET]


def test_code_for_local_models_leaves_for_claude_only_if_the_user_wants_that():
    off = LOCALS
    alone = asked(task="code", use_local_for_code=True, off=off)
    assert targets(alone) == ["desk/qwen2.5-coder:32b", "lab/big"]
    both = asked(task="code", use_local_for_code=True, fallback_to_claude=True, off=off)
    assert (targets(both)[0], both.reason) == (SONNET, "local for code, Claude while local is down")


def test_claude_is_the_last_while_anything_is_up():
    found = asked(default_model="writer", fallback_to_claude=True)
    assert (targets(found), found.reason) == (["coder/smollm2", SONNET], "preferred model writer")
    half = asked(fallback_to_claude=True, off=("desk",))
    assert targets(half) == ["lab/big", SONNET, "desk/qwen2.5-coder:32b"]


def test_claude_answers_while_local_is_down():
    found = asked(fallback_to_claude=True, off=LOCALS)
    assert targets(found)[0] == SONNET
    assert found.reason == "default model coder, Claude while local is down"


def test_claude_answers_when_nobody_local_was_ever_seen():
    book, health = with_claude(catalog(alias("sonnet", SONNET))), Health((*LOCALS, "claude"))
    for name in LOCALS:
        health.look_failed(name, "refused", now=NOW, models_s=1.0)
    wants = Caller(preferences=Preferences(fallback_to_claude=True))
    assert targets(planned("no-such-model", book, health, caller=wants)) == [SONNET]
    with pytest.raises((UnknownModel, NoBackend)):
        planned("no-such-model", book, health)


def test_an_alias_says_which_claude():
    book = catalog(alias("opus", "claude/claude-opus"), default="desk/llama3.2")
    assert targets(asked(book=book, fallback_to_claude=True))[-1] == "claude/claude-opus"


def test_what_may_not_leave_does_not_fall_back():
    assert SONNET not in targets(asked(fallback_to_claude=True, local_only=True, off=LOCALS))
    kept = replace(alias("kept", "desk/llama3.2"), local_only=True)
    assert targets(asked(book=catalog(kept, default="kept"), fallback_to_claude=True)) == ["desk/llama3.2"]
    with pytest.raises(NotLocal):
        asked(default_model=SONNET, local_only=True)


def test_a_key_that_may_not_use_claude_does_not_fall_back():
    assert targets(asked(fallback_to_claude=True, models=("coder",))) == ["desk/qwen2.5-coder:32b", "lab/big"]
    with pytest.raises(ModelNotAllowed):
        asked(default_model="writer", models=("coder",))
