"""Texts that load, and what they become."""

import json

import pytest

from router.config import parse
from router.settings import Settings
from tests.config.reading import BACKEND, read


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n", "---\n", "null\n", "server:\n", "{}", "\ufeff"])
def test_a_text_that_says_nothing_means_the_defaults(text):
    assert read(text) == Settings()


def test_the_example_of_the_issue_loads():
    settings = read(
        """
        server: {host: 127.0.0.1, port: 7070}
        backends:
          desk:  {type: ollama, url: "http://127.0.0.1:11434"}
          coder: {type: llama_cpp, url: "http://127.0.0.1:8080"}
          lab:   {type: openai, url: "http://127.0.0.1:8000/v1", api_key: "${LAB_KEY:-}"}
        models:
          coder:
            targets: [desk/qwen2.5-coder:32b, lab/big]
            tags: [code]
          gpt-4o: {targets: [desk/llama3.2]}
        routing:
          default_model: coder
          tasks: {code: coder, research: lab/big}
        """
    )
    assert settings.models["coder"].targets == ("desk/qwen2.5-coder:32b", "lab/big")
    assert settings.backends["lab"].url == "http://127.0.0.1:8000"
    assert settings.backends["lab"].api_key is None


def test_json_reads_as_yaml_does():
    document = {
        "server": {"port": 1234, "cors_origins": ["*"], "keepalive_s": 1.5},
        "auth": {"open": True},
        "backends": {"desk": {"type": "ollama", "url": "http://h:1/", "api_key": None}},
        "models": {"\U0001f600": {"targets": ["desk/é/\\ \t"], "options": {"stop": ["\n", "\U0001f600"], "x": None}}},
    }
    for text in (json.dumps(document), json.dumps(document, indent="\t"), json.dumps(document, ensure_ascii=False)):
        assert parse(text, source="turnout.json", environ={}) == Settings.model_validate(document)


def test_windows_line_ends_do_not_matter():
    assert read("server:\r\n  port: 1\r\n  host: localhost\r\n").server.port == 1


def test_yaml_is_version_1_2():
    settings = read("auth: {open: false}\nmodels: {no: {targets: [desk/on], tags: [off, 2024-01-01]}}\n" + BACKEND)
    assert settings.models["no"].targets == ("desk/on",)
    assert settings.models["no"].tags == ("off", "2024-01-01")


def test_numbers_are_read_as_yaml_writes_them():
    server = read("server: {port: 0x1F90, max_body_bytes: 1_000, keepalive_s: 1e1, drain_s: 0o17}").server
    assert (server.port, server.max_body_bytes, server.keepalive_s, server.drain_s) == (8080, 1000, 10.0, 15)


def test_a_key_is_text_whatever_it_looks_like():
    text = "models:\n  3: {targets: [desk/m]}\n  1.50: {targets: [desk/m]}\n  null: {targets: [desk/m]}\n" + BACKEND
    assert list(read(text).models) == ["3", "1.50", "null"]


def test_options_keep_their_types():
    text = "models: {a: {targets: [desk/m], options: {n: 1, x: 0.5, t: true, z: null, '7': [a, {b: c}]}}}\n" + BACKEND
    assert read(text).models["a"].options == {"n": 1, "x": 0.5, "t": True, "z": None, "7": ["a", {"b": "c"}]}


def test_an_anchor_can_be_used_again():
    settings = read(
        """
        backends:
          a: {type: ollama, url: h1, timeouts: &slow {total: 900}}
          b: {type: ollama, url: h2, timeouts: *slow}
        """
    )
    assert settings.backends["b"].timeouts.total == 900


def test_anchors_may_be_defined_twice():
    assert read("server: &a {port: 1}\nhealth: &a {stale_s: 5}").health.stale_s == 5


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("${NAME}", "text"),
        ("a-${NAME}-${NAME}", "a-text-text"),
        ("${NAME:-other}", "text"),
        ("${UNSET:-other}", "other"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a:-b $c}", "a:-b $c"),
        ("${EMPTY}", ""),
        ("${EMPTY:-other}", "other"),
        ("$${NAME}", "${NAME}"),
        ("$$$${NAME}", "$${NAME}"),
        ("$$${NAME}", "$text"),
        ("$NAME", "$NAME"),
        ("costs 5$", "costs 5$"),
        ("${NESTED}", "${NAME}"),
    ],
)
def test_variables_are_filled_in(written, becomes):
    text = f"models: {{a: {{targets: [desk/m], options: {{x: '{written}'}}}}}}\n{BACKEND}"
    options = read(text, NAME="text", EMPTY="", NESTED="${NAME}").models["a"].options
    assert options == {"x": becomes}


def test_a_variable_is_filled_in_however_the_text_is_quoted():
    text = f"models: {{a: {{targets: [desk/m], tags: ['${{V}}', \"${{V}}\", $V]}}}}\n{BACKEND}health: {{stale_s: 1}}"
    assert read(text, V="v").models["a"].tags == ("v", "v", "$V")
    assert read("server:\n  host: ${H}\n", H="::1").server.host == "::1"


def test_a_variable_in_a_key_stays():
    assert list(read(f"models: {{'${{V}}': {{targets: [desk/m]}}}}\n{BACKEND}", V="v").models) == ["${V}"]


def test_a_variable_can_be_a_number_or_a_switch():
    settings = read("server: {port: '${P}', drain_s: '${D:-2.5}'}\nauth: {open: '${O}'}", P="99", O="true")
    assert (settings.server.port, settings.server.drain_s, settings.auth.open) == (99, 2.5, True)


def test_a_variable_cannot_add_structure():
    text = f"models: {{a: {{targets: [desk/m], tags: ['${{V}}']}}}}\n{BACKEND}"
    assert read(text, V="x, y]\n- z").models["a"].tags == ("x, y]\n- z",)


def test_secrets_do_not_show_in_the_settings():
    text = (
        "auth: {api_keys: ['${K}']}\nbackends: {b: {type: openai, url: h, api_key: '${K}', headers: {X-Key: '${K}'}}}"
    )
    settings = read(text, K="sk-12345678")
    assert "12345678" not in repr(settings)
    assert settings.auth.api_keys[0].key.get_secret_value() == "sk-12345678"
