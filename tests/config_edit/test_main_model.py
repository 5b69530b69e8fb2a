"""The main model in a settings file that somebody has cared for: nothing else changes."""

from pathlib import Path

import pytest

from router.config_edit import EditRefused
from router.config_edit.file import draft
from router.config_edit.main_model import default_model, replaced, set_main
from router.config_edit.rewrite import plain
from tests.config_edit.test_rewrite import EXAMPLE, HOME, edited

CARED_FOR = """\
# yaml-language-server: $schema=turnout.schema.json
#
#   Our house. Ask Ada before you change anything here!

server: {host: 127.0.0.1,   port: 7070}   # behind the proxy

backends:
    desk:               # under the table, 24 GB
        type:  ollama
        url:   "http://desk:11434"
        # max_parallel: 2     # too slow

    # The big one; switched off at night.
    lab:
        type: openai
        url: 'http://lab:8000/v1'
        api_key: "${LAB_KEY:-}"   # in ~/.profile
        # headers: {X-Team: home}

models:
    # What the editors ask for.
    coder:
        targets:
            - lab/qwen3-coder   # best
            # - claude/claude-sonnet-5
            - desk/qwen2.5-coder:7b   # when lab sleeps
        tags: [code]   # see routing.tasks

    gpt-4o: {targets: [desk/llama3.2], tags: [chat]}   # for old scripts
    #embed: {targets: [desk/nomic-embed-text]}

# Tasks first, then the rest.
routing:
    # default_model: coder
    tasks: {code: coder}   # more to come
    # (research: lab)

health: {interval_s: 60}
# The end.
"""


@pytest.fixture
def told(tmp_path):
    """What the change of a file would be, without the first two lines and the spaces at the end of others."""
    file = tmp_path / "turnout.yaml"

    def told(text: str, *given: str, **more: str) -> str:
        file.write_text(text, encoding="utf-8")
        planned = draft(file, set_main(*given, **more), environ={})
        return "".join(f"{line.rstrip()}\n" for line in planned.diff.splitlines()[2:])

    return told


def test_a_model_that_nothing_leads_to_gets_an_alias_and_is_the_default(told):
    golden = """\
@@ -29,11 +29,17 @@
     gpt-4o: {targets: [desk/llama3.2], tags: [chat]}   # for old scripts
     #embed: {targets: [desk/nomic-embed-text]}

+    # added by `turnout ollama set-main`
+    qwen3:8b:
+        targets: [desk/qwen3:8b]
+
 # Tasks first, then the rest.
 routing:
     # default_model: coder
     tasks: {code: coder}   # more to come
     # (research: lab)
+    # where requests go that name no other model
+    default_model: qwen3:8b

 health: {interval_s: 60}
 # The end.
"""
    assert told(CARED_FOR, "desk", "qwen3:8b") == golden


def test_an_alias_that_leads_there_is_enough(told):
    golden = """\
@@ -34,6 +34,8 @@
     # default_model: coder
     tasks: {code: coder}   # more to come
     # (research: lab)
+    # where requests go that name no other model
+    default_model: gpt-4o

 health: {interval_s: 60}
 # The end.
"""
    assert told(CARED_FOR, "desk", "llama3.2:latest") == golden


def test_another_default_is_replaced_in_its_line(told):
    text = CARED_FOR.replace("    # default_model: coder", "    default_model:  'coder'   # was gpt-4o")
    golden = """\
@@ -31,7 +31,7 @@

 # Tasks first, then the rest.
 routing:
-    default_model:  'coder'   # was gpt-4o
+    default_model:  'gpt-4o'   # was gpt-4o
     tasks: {code: coder}   # more to come
     # (research: lab)

"""
    assert told(text, "desk", "llama3.2") == golden


def test_a_named_alias_gets_the_model_first_and_keeps_its_comments(told):
    golden = """\
@@ -21,6 +21,7 @@
     # What the editors ask for.
     coder:
         targets:
+            - desk/qwen3:8b
             - lab/qwen3-coder   # best
             # - claude/claude-sonnet-5
             - desk/qwen2.5-coder:7b   # when lab sleeps
@@ -34,6 +35,8 @@
     # default_model: coder
     tasks: {code: coder}   # more to come
     # (research: lab)
+    # where requests go that name no other model
+    default_model: coder

 health: {interval_s: 60}
 # The end.
"""
    assert told(CARED_FOR, "desk", "qwen3:8b", alias="coder") == golden


def test_a_file_without_the_sections_gets_them_at_its_end(told):
    text = "# Mine.\nbackends:\n  desk: {type: ollama, url: desk}  # here\n"
    golden = """\
@@ -1,3 +1,10 @@
 # Mine.
 backends:
   desk: {type: ollama, url: desk}  # here
+models:
+  # added by `turnout ollama set-main`
+  qwen3:8b:
+    targets: [desk/qwen3:8b]
+routing:
+  # where requests go that name no other model
+  default_model: qwen3:8b
"""
    assert told(text, "desk", "qwen3:8b") == golden


@pytest.mark.parametrize("text", [CARED_FOR, HOME, EXAMPLE, CARED_FOR.replace("\n", "\r\n")])
@pytest.mark.parametrize("model", ["qwen3:8b", "hf.co/unsloth/Qwen3-GGUF:Q4_K_M", "llama3.2:latest"])
def test_twice_is_once_and_every_line_stays(text, model):
    once = edited(text, set_main("desk", model))
    assert edited(once, set_main("desk", model)) == once
    left = iter(once.splitlines())
    assert all(line in left for line in text.splitlines())


def test_a_second_main_model_leaves_no_comment_that_is_not_true(told):
    once = edited(CARED_FOR, set_main("desk", "qwen3:8b"))
    again = edited(once, set_main("desk", "gemma3:4b"))
    assert default_model(plain(again)) == "gemma3:4b"
    assert again.count("where requests go") == 1
    assert again.index("where requests go") < again.index("default_model: gemma3:4b")


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("models: {llama3.2: {targets: [lab/x]}, chat: {targets: [desk/LLAMA3.2]}}", "chat"),
        ("models: {chat: {targets: [desk/llama3.2]}, llama3.2: {targets: [desk/llama3.2]}}", "llama3.2"),
        (
            "models: {a: {targets: [desk/llama3.2]}, b: {targets: [desk/llama3.2]}}\nrouting: {default_model: b}",
            "b",
        ),
        ("models: {pool: {targets: [desk/llama3.2, lab/x], strategy: score}}", "llama3.2"),
        ("models: {Llama3.2: {targets: [lab/x]}}", "Llama3.2"),
        ("models: {chat: {targets: [lab/x, desk/llama3.2]}}", "llama3.2"),
        ("models:", "llama3.2"),
    ],
)
def test_the_alias_that_leads_there_is_taken_or_the_one_called_so(written, taken):
    text = f"backends: {{desk: {{type: ollama, url: a}}, lab: {{type: openai, url: b}}}}\n{written}\n"
    after = plain(edited(text, set_main("desk", "llama3.2:latest")))
    assert default_model(after) == taken
    assert after["models"][taken]["targets"][0].lower() in {"desk/llama3.2", "desk/llama3.2:latest"}


def test_only_what_people_rely_on_counts_as_replaced():
    before = plain(CARED_FOR)
    assert replaced(before, set_main("desk", "qwen3:8b")(before).document) == []
    assert replaced(before, set_main("desk", "llama3.2")(before).document) == []
    told = replaced(before, set_main("desk", "qwen3:8b", alias="coder")(before).document)
    assert told == ["the alias coder leads to lab/qwen3-coder now"]
    main = set_main("desk", "llama3.2")(before).document
    assert replaced(main, set_main("desk", "qwen3:8b")(main).document) == ["routing.default_model is gpt-4o now"]
    assert replaced(main, main) == []


@pytest.mark.parametrize("text", ["backends: {lab: {type: openai, url: a}}", "models: [a]\nbackends: {desk: {}}", ""])
def test_a_file_that_cannot_have_it_stays(text):
    with pytest.raises(EditRefused):
        edited(text, set_main("desk", "m"))


def test_a_draft_writes_nothing_until_it_is_told_and_not_over_others(tmp_path):
    file = Path(tmp_path, "turnout.yaml")
    file.write_text(HOME)
    planned = draft(file, set_main("desk", "qwen3:8b"), environ={})
    assert file.read_text() == HOME
    file.write_text(HOME + "# me too\n")
    with pytest.raises(EditRefused, match="somebody else"):
        planned.write()
    file.write_text(HOME)
    assert planned.write().diff == planned.diff
    assert "default_model: qwen3:8b" in file.read_text()
