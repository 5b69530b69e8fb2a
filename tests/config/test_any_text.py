"""Whatever a file holds, it loads or is refused with lines: nothing else gets out."""

import json
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from router.config import ConfigError, Problem, parse

PIECES = [
    *"abc:-?[]{},#&*!|>'\"%@` \n\t\r=<\\0123456789.~$_\u0085\u2028\ufeff",
    *("server:", "auth:", "backends:", "models:", "routing:", "health:", "port", "targets", "headers", "api_keys"),
    *("---\n", "...", "%YAML 1.2\n", "%YAML 1.17\n", "%TAG ! x\n", "!!int ", "!!bool ", "!!set ", "!!str ", "!<x>"),
    *(
        "\\x",
        "\\ud800",
        '"\\U00110000"',
        "<<: ",
        "? ",
        ": ",
        "- ",
        "*a",
        "&a ",
        "|2\n",
        "\n  ",
        "\n    ",
        "\x00",
        "\ud800",
    ),
    *("${", "${A}", "${A:-b}", "$$", ".inf", ".nan", "0x", "0o", "1_", "2024-01-01", "null", "true", "desk/m"),
]

WORDS = (
    "server auth backends models routing health host port api_keys open desk type url headers timeouts targets options "
    "tasks default_model connect log_level [key]"
)

keys = st.text(max_size=4) | st.sampled_from(WORDS.split())
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["${A}", "desk/m"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        parse(text, source="turnout.yaml", environ={"A": "1"})
    except ConfigError as exc:
        return exc.problems or (Problem("", None, None, "", "a ConfigError without problems"),)
    return ()


def check(text: str) -> None:
    lines = len(re.split("[\n\r\x85\u2028\u2029]", text))
    for problem in problems_of(text):
        assert 1 <= (problem.line or 0) <= lines
        assert str(problem).isprintable()


@settings(max_examples=250, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
@example('a: "\\UFFFFFFFF"')
@example("%YAML 1.177")
@example("---\n%YAML 1.17\n")
@example("a\r\r<<: ")
@example("&a {a: *a}")
@example("!!int ''")
@example("!!bool x")
@example("!!float [x]")
@example("server: " + "[" * 2000)
@example("server: " + "{a: " * 45 + "1" + "}" * 45)
def test_any_text_like_yaml_loads_or_is_refused(text):
    check(text)


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_any_text_at_all_loads_or_is_refused(text):
    check(text)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(keys, values, max_size=6))
@example({"[key]": None})
@example({"backends": {"[key]": {"[key]": 1}}})
def test_any_json_loads_or_is_refused(document):
    check(json.dumps(document))
