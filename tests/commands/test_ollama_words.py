"""What is said of pulls, sizes and times, and which columns have room."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.commands.ollama.following import Wanted, explained
from router.commands.ollama.places import NoPlace, Place, meant
from router.commands.ollama.progress import Going, Lines
from router.commands.ollama.tables import fitting
from router.commands.ollama.updating import Updated, summary
from router.commands.ollama.words import size, span

BIG, SMALL = "sha256:" + "a" * 64, "sha256:" + "b" * 64
WORD = {"id": "pull_1", "digest": None, "total": None, "completed": None, "speed": None}


def word(status: str) -> dict:
    return {**WORD, "status": status}


def layer(completed: int, digest: str = BIG, total: int = 1000, speed: float | None = None) -> dict:
    status = f"pulling {digest[7:19]}"
    return {
        **WORD,
        "status": status,
        "digest": digest,
        "total": total,
        "completed": completed,
        "speed": speed,
    }


def told(*words: tuple[float, dict], every_s: float = 5.0) -> list[str]:
    going, lines = Going(), Lines(every_s=every_s)
    shown = []
    for at, said in words:
        going = going.told(said)
        shown += lines.new(going, at)
    return shown


def test_every_new_word_is_a_line_and_layers_are_only_now_and_then():
    assert told(
        (0, word("pulling manifest")),
        (0, layer(0)),
        (1, layer(100, speed=100.0)),
        (4.9, layer(500, speed=100.0)),
        (5, layer(510, speed=98.0)),
        (6, layer(1000, speed=98.0)),
        (6.1, word("verifying sha256 digest")),
        (6.2, word("verifying sha256 digest")),
        (6.3, word("success")),
    ) == [
        "pulling manifest",
        "pulling aaaaaaaaaaaa: 0% of 1.0 kB",
        "pulling aaaaaaaaaaaa: 51% of 1.0 kB, 98 B/s, 5 s left",
        "pulling aaaaaaaaaaaa: 100% of 1.0 kB",
        "verifying sha256 digest",
    ]


def test_the_record_of_a_pull_that_runs_is_where_one_who_joins_begins():
    layers = [{"digest": BIG, "total": 1000, "completed": 700}, {"digest": SMALL, "total": 10, "completed": 10}]
    going = Going().told({**WORD, "status": "pulling aaaaaaaaaaaa", "layers": layers, "speed": 10.0})
    assert [(each.name, each.percent) for each in going.layers.values()] == [("a" * 12, 70), ("b" * 12, 100)]
    assert going.told(layer(800)).layers[BIG].completed == 800
    assert going.told(layer(800)).layers[SMALL].completed == 10


def test_what_is_told_cannot_steer_a_terminal():
    assert told((0, word("\x1b[2Jhello\n"))) == ["?[2Jhello?"]


@given(st.lists(st.tuples(st.floats(0, 0.9), st.integers(0, 1000)), max_size=60))
def test_layers_are_never_told_more_often_than_they_should(steps):
    going, lines, now = Going(), Lines(every_s=5.0), 0.0
    times = []
    for gap, completed in steps:
        now += gap
        going = going.told(layer(completed))
        times += [now] * len(lines.new(going, now))
    assert all(later - earlier >= 5.0 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "-"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_940, "99.9 kB"), (99_960, "100 kB"),
        (999_960, "1.0 MB"), (274_302_450, "274 MB"), (2_019_393_189, "2.0 GB"), (10**18, "1000 PB"),
    ],
)  # fmt: skip
def test_sizes_are_as_ollama_says_them(count, shown):
    assert size(count) == shown


@given(st.floats(0, 1e17))
def test_a_size_is_short_and_no_unit_is_used_up(count):
    amount = float(size(count).split()[0])
    assert len(size(count)) <= 8
    assert amount <= 1000


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"), (0, "0 s"), (59.6, "1 min"), (111, "1 min 51 s"), (3600, "1 h"), (3661, "1 h 1 min"),
        (90_000, "1 d 1 h"), (9e9, "for ever"),
    ],
)  # fmt: skip
def test_times_are_told_in_two_units(seconds, shown):
    assert span(seconds) == shown


def test_columns_go_in_their_order_until_the_others_have_room():
    widths = {"name": 10, "size": 6, "family": 8}
    assert fitting(widths, ("family", "size"), room=30) == ("name", "size", "family")
    assert fitting(widths, ("family", "size"), room=29) == ("name", "size")
    assert fitting(widths, ("family", "size"), room=5) == ("name",)


def backend(name: str, kind: str = "ollama", state: str = "up", **more: str) -> dict:
    return {"id": name, "name": name, "type": kind, "state": state, **more}


def test_only_servers_in_use_are_meant_by_no_name():
    found = [backend("desk"), backend("lab", "openai"), backend("old", state="disabled"), backend("den", state="down")]
    assert [place.name for place in meant(found, None)] == ["desk", "den"]
    assert [place.name for place in meant(found, "old")] == ["old"]
    with pytest.raises(NoPlace, match="its type is openai"):
        meant(found, "lab")
    with pytest.raises(NoPlace, match="turnout backends add"):
        meant([backend("lab", "openai")], None)


def test_an_id_stands_for_one_whatever_others_are_called():
    found = [backend("desk"), backend("desk", id="backend_7", state="unusable")]
    assert [place.id for place in meant(found, "backend_7")] == ["backend_7"]
    assert [place.id for place in meant(found, "desk")] == ["desk"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("write /x: no space left on device", "makes room"),
        ("pull model manifest: 412: this model requires a newer version of Ollama", "too old"),
        ("dial tcp 1.2.3.4:443: connect: network is unreachable", "internet"),
        ("read: connection reset by peer", "internet"),
        ("pull model manifest: 401 unauthorized", "signed in"),
    ],
)
def test_what_ollama_says_is_told_with_what_can_be_done(words, hint):
    told = explained(words, Wanted(Place("desk", "desk"), "m"))
    assert told.startswith(f"m was not pulled to desk: {words}")
    assert hint in told


def test_what_nobody_can_mend_is_told_as_it_is():
    assert explained("EOF", Wanted(Place("desk", "desk"), "m")) == "m was not pulled to desk: EOF"


def test_an_update_is_summed_up():
    same, new = Updated("desk", "a", "1", "1"), Updated("desk", "b", "1" * 20, "2" * 20)
    failed = Updated("desk", "c", "1", "1", "c was not pulled")
    assert summary([same, new, failed, failed]) == "1 updated, 1 up to date, 2 failed"
    assert summary([]) == "there is no model to update"
    assert str(new) == f"b is updated: {'1' * 12} -> {'2' * 12}"
