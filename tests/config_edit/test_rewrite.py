"""Editing a settings file: what is said changes, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.config_edit import EditRefused
from router.config_edit.changes import (
    add_backend,
    literal,
    remove_alias,
    remove_backend,
    select_model,
    set_alias,
    set_default_model,
    update_backend,
)
from router.config_edit.rewrite import plain, rewritten

EXAMPLE = (Path(__file__).parents[2] / "config" / "turnout.example.yaml").read_text(encoding="utf-8")

HOME = """\
# My models.

backends:
  desk:          # under the table
    type: ollama
    url: "http://desk:11434"
    # weight: 2

  # The big one.
  lab:
    type: openai
    url:  'http://lab:8000'   # vLLM
    api_key: "${LAB_KEY:-}"

models:
  chat: {targets: [desk/llama3.2,  "lab/qwen3"], tags: [code]}
  # The end.
"""


def edited(text: str, change: Any) -> str:
    edit = change(plain(text))
    return rewritten(text, edit.document, comments=edit.comments)


def diff(before: str, after: str) -> list[str]:
    """The lines that went and came, in order."""
    from difflib import ndiff

    return [line for line in ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


def test_a_new_backend_comes_after_the_last_and_stands_as_they_do():
    change = add_backend("den", {"type": "llama_cpp", "url": "http://den:8080"}, comment="In the den.")
    new = "\n  # In the den.\n  den:\n    type: llama_cpp\n    url: http://den:8080\n"
    assert edited(HOME, change) == HOME.replace("\n\nmodels:", f"\n{new}\nmodels:")


def test_a_change_of_a_setting_keeps_quotes_spaces_and_comment():
    assert diff(HOME, edited(HOME, update_backend("lab", {"url": "http://lab:9000"}))) == [
        "-     url:  'http://lab:8000'   # vLLM",
        "+     url:  'http://lab:9000'   # vLLM",
    ]


def test_a_new_setting_comes_after_the_others_and_their_comments():
    after = edited(HOME, update_backend("desk", {"max_parallel": 2, "headers": {"X-Team": "home: a"}}))
    assert diff(HOME, after) == ["+     max_parallel: 2", "+     headers:", "+       X-Team: 'home: a'"]
    assert after.index("max_parallel") < after.index("# weight: 2") or "# weight: 2\n    max_parallel" in after


def test_a_setting_that_is_none_goes():
    assert diff(HOME, edited(HOME, update_backend("lab", {"api_key": None}))) == ['-     api_key: "${LAB_KEY:-}"']


def test_a_removed_backend_takes_its_own_comments_and_leaves_the_others():
    start, end = HOME.index("  desk:"), HOME.index("\n  # The big one.")
    assert edited(HOME, remove_backend("desk")) == HOME[:start] + HOME[end:]


def test_an_alias_gets_another_target_in_the_same_line():
    targets = ["lab/qwen3", "desk/llama3.2", "desk/new"]
    assert diff(HOME, edited(HOME, set_alias("chat", {"targets": targets}))) == [
        '-   chat: {targets: [desk/llama3.2,  "lab/qwen3"], tags: [code]}',
        '+   chat: {targets: ["lab/qwen3", desk/llama3.2, "desk/new"], tags: [code]}',
    ]


def test_the_default_model_gets_its_section_at_the_end():
    after = edited(HOME, set_default_model("chat"))
    assert after == HOME.replace("  # The end.\n", "  # The end.\n\nrouting:\n  default_model: chat\n")
    assert edited(after, set_default_model(None)).count("routing: {}") == 1
    assert plain(edited(after, select_model("desk", "m:7b")))["routing"] == {"default_model": "desk/m:7b"}


def test_the_last_entry_leaves_an_empty_section():
    text = "backends:\n  a:  # one\n    type: ollama\n    url: a\nserver: {port: 1}\n"
    assert edited(text, remove_backend("a")) == "backends: {}\nserver: {port: 1}\n"


@pytest.mark.parametrize("empty", ["backends:\n", "backends: {}\n", "backends: ~  # none\n", "", "# nothing yet\n"])
def test_the_first_entry_is_written_on_lines_of_its_own(empty):
    after = edited(empty, add_backend("a", {"type": "ollama", "url": "a"}))
    assert after.endswith("  a:\n    type: ollama\n    url: a\n")
    assert after.count("backends:") == 1
    assert ("#" in after) == ("#" in empty)


def test_windows_line_ends_stay():
    text = HOME.replace("\n", "\r\n")
    after = edited(text, add_backend("den", {"type": "ollama", "url": "den"}))
    assert after.replace("\r\n", "\n") == edited(HOME, add_backend("den", {"type": "ollama", "url": "den"}))
    assert after.count("\n") == after.count("\r\n")


def test_a_file_without_a_last_line_end_stays_so():
    text = "backends:\n  a: {type: ollama, url: a}"
    after = edited(text, add_backend("b", {"type": "ollama", "url": "b"}))
    assert after == text + "\n  b:\n    type: ollama\n    url: b"


def test_json_stays_json():
    import json

    text = '{\n  "backends": {\n    "a": {"type": "ollama", "url": "a"}\n  }\n}\n'
    after = edited(text, add_backend("b", {"type": "ollama", "url": "b"}))
    assert list(json.loads(after)["backends"]) == ["a", "b"]
    assert after.splitlines()[2] == '    "a": {"type": "ollama", "url": "a"},'
    assert json.loads(edited(after, remove_backend("b"))) == json.loads(text)


def test_shared_values_stay_shared_where_they_are_not_concerned():
    text = (
        "backends:\n  a: &a {type: ollama, url: a, timeouts: &t {idle: 5}}\n  b: {type: ollama, url: b, timeouts: *t}\n"
    )
    after = edited(text, update_backend("b", {"url": "c"}))
    assert after == text.replace("url: b", "url: c")
    assert "timeouts: {idle: 6}" in edited(text, update_backend("b", {"timeouts": {"idle": 6}}))


def test_what_would_change_a_shared_value_elsewhere_is_refused():
    text = "backends:\n  a: {url: a, timeouts: &t {idle: 5}}\n  b: {url: b, timeouts: *t}\n"
    for change in (update_backend("a", {"timeouts": {"idle": 6}}), remove_backend("a")):
        with pytest.raises(EditRefused, match=r"shares values|not valid"):
            edited(text, change)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n---\nb: 2\n",
        "- a\n",
        "backends: !include x.yaml\n",
        "x: &x {a: 1}\ny: {<<: *x}\n",
        "a: [\n",
        "a: 1\na: 2\n",
    ],
)
def test_what_cannot_be_kept_is_refused(text):
    with pytest.raises(EditRefused):
        edited(text, set_default_model("m"))


def test_comments_inside_what_is_replaced_are_not_lost():
    text = "models:\n  a:\n    targets: [x/y, # first\n      x/z]\n"
    with pytest.raises(EditRefused, match="comment"):
        edited(text, set_alias("a", {"targets": ["x/new"]}))


def test_a_block_list_keeps_the_comments_of_items_that_stay():
    text = "models:\n  a:\n    targets:\n      - x/one  # fast\n      - x/two\n      # slow\n      - x/three\n"
    after = edited(text, set_alias("a", {"targets": ["x/one", "x/three", "x/four"]}))
    assert after == text.replace("      - x/two\n", "").replace(
        "      - x/three\n", "      - x/three\n      - x/four\n"
    )


def test_a_dollar_that_means_itself_is_doubled():
    assert literal("pa${ss}") == "pa$${ss}"


def test_a_backend_that_is_there_is_not_added_and_one_that_is_not_is_not_changed():
    for change in (add_backend("desk", {}), update_backend("nobody", {}), remove_backend("nobody"), remove_alias("x")):
        with pytest.raises(EditRefused):
            change(plain(HOME))


NAMES = st.sampled_from(["desk", "coder", "lab", "claude", "fourth", "5", "yes", "no: way", "#6"])
SCALARS = st.one_of(
    st.text(max_size=12), st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["${KEY}", "null", "~", "1e3", "0x1f", "- a", "a: b", "a #b", "", " x", "|", "2026-11-21"])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
TEXTS = st.sampled_from([HOME, HOME.replace("\n", "\r\n"), HOME.rstrip()])


def outside(text: str, section: str, name: str) -> list[str]:
    """The lines of a text but for an entry, its deeper comments, and empty lines."""
    kept, inside, is_in = [], False, False
    for line in text.splitlines(keepends=True):
        body = line.strip()
        if not body:
            continue
        indent = len(line) - len(line.lstrip(" "))
        if indent == 0 and not body.startswith("#"):
            is_in, inside = body.startswith(f"{section}:"), False
        elif indent <= 2:
            inside = is_in and body.startswith(f"{name}:")
        if not inside:
            kept.append(line.rstrip("\r\n"))
    return kept


@settings(deadline=None, max_examples=40)
@given(TEXTS, NAMES, st.dictionaries(st.sampled_from(["type", "url", "weight", "headers"]), VALUES, max_size=4))
def test_any_settings_of_a_new_or_known_backend_are_read_back(text, name, wanted_settings):
    document = plain(text)
    wanted = {**document, "backends": {**document["backends"], name: wanted_settings}}
    after = rewritten(text, wanted)
    assert plain(after) == wanted
    if name in document["backends"]:
        assert outside(after, "backends", name) == outside(text, "backends", name)
    else:
        before = iter(after.splitlines(keepends=True))
        kept = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        assert all(line in before for line in kept)


@settings(deadline=None, max_examples=40)
@given(TEXTS, st.data())
def test_a_removed_entry_touches_no_other_line(text, data):
    document = plain(text)
    section = data.draw(st.sampled_from(["backends", "models"]))
    name = data.draw(st.sampled_from(sorted(document[section])))
    wanted = {**document, section: {key: value for key, value in document[section].items() if key != name}}
    after = rewritten(text, wanted)
    assert plain(after) == wanted
    if wanted[section]:
        assert outside(after, section, name) == outside(text, section, name)


@pytest.mark.parametrize("odd", ["?0", "? a", "?"])
def test_a_text_that_begins_like_a_key_of_yaml_is_read_back(odd):
    for after in ({"desk": [odd]}, {"desk": [{"": odd}]}, {"desk": odd}, {"desk": {"url": odd}}):
        assert plain(rewritten("{}", after)) == plain(rewritten("", after)) == after


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(NAMES, VALUES, max_size=5), st.dictionaries(NAMES, VALUES, max_size=5), st.data())
def test_any_mapping_becomes_any_other(before, after, data):
    import json

    from router.config_edit.render import block

    text = "".join(f"{line}\n" for name in before for line in block(name, before[name], indent=0, step=2))
    if data.draw(st.booleans()):
        text = json.dumps(before, indent=data.draw(st.sampled_from([None, 2])))
    try:
        assert plain(rewritten(text, after)) == after
    except EditRefused as refused:
        assert "comment" in str(refused)  # noqa: PT017 (or it is done)
        assert "#" in text
