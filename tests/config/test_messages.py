"""The exact lines that a person sees."""

import pytest

from router.config import Problem, parse
from tests.config.reading import BACKEND, complaints, problems

ALIAS_KEYS = (
    "targets, strategy, priority, local_only, tags, options, context_length, max_tokens, thinking_tokens, truncate, "
    "client_options, resume, hedge_after, split_thinking"
)
BACKEND_KEYS = (
    "type, url, launch, api_key, enabled, max_parallel, weight, local, timeouts, headers, models, responses, "
    "embedding_batch, stream, whole_only, stream_only"
)
EXPOSED = (
    "0.0.0.0 is reachable from other machines but no key is asked "
    "(set auth.api_keys, auth.required: true for keys of the database, or auth.open: true to accept everybody)"
)
SECTIONS = "server, auth, backends, groups, models, routing, queue, database, health"


def only(text: str, **environ: str) -> str:
    (complaint,) = complaints(text, **environ)
    return complaint


def test_an_unknown_key_names_the_nearest_valid_key():
    text = f"{BACKEND}models:\n  coder:\n    target: [desk/m]\n"
    assert only(text) == 'turnout.yaml:4: models.coder: unknown key "target" (did you mean "targets"?)'


def test_an_unknown_key_far_from_all_others_lists_them():
    assert only("bananas: 1") == f'turnout.yaml:1: unknown key "bananas" (valid keys: {SECTIONS})'
    assert only("server:\n  bananas: 1") == (
        'turnout.yaml:2: server: unknown key "bananas" (valid keys: '
        "host, port, ollama_port, max_body_bytes, cors_origins, kept_responses_bytes, keepalive_s, drain_s, "
        "log_level, log_requests, data_dir, capture, otel)"
    )


def test_a_key_one_level_too_high_names_its_section():
    assert only("port: 7070") == 'turnout.yaml:1: unknown key "port" (did you mean "server.port"?)'


def test_hyphens_and_capitals_are_near_enough():
    assert only("server: {Max-Body-Bytes: 1}").endswith('unknown key "Max-Body-Bytes" (did you mean "max_body_bytes"?)')


def test_a_forgotten_space_after_a_colon_is_seen():
    assert only("server: {port:7070}") == (
        'turnout.yaml:1: server: unknown key "port" (write "port: ", with a space after the colon)'
    )


def test_a_missing_key_is_named():
    assert only("backends:\n  desk: {type: ollama}") == 'turnout.yaml:2: backends.desk: missing key "url"'
    assert only("models:\n\n  a: {tags: [x]}") == 'turnout.yaml:3: models.a: missing key "targets"'


def test_a_misspelt_required_key_is_one_problem():
    assert only("backends: {desk: {type: ollama, ulr: h}}").endswith('unknown key "ulr" (did you mean "url"?)')


def test_a_backend_type_that_does_not_exist_lists_those_that_do():
    text = "backends:\n  lab: {type: gemini, url: 'https://example.org'}"
    assert only(text) == "turnout.yaml:2: backends.lab.type: must be one of: ollama, llama_cpp, openai, claude"


def test_claude_needs_a_key_unless_it_is_elsewhere():
    assert only("backends:\n  me: {type: claude}").startswith('turnout.yaml:2: backends.me: missing key "api_key"')
    for rest in ("url: 'http://127.0.0.1:1'", "enabled: false", "headers: {X-Api-Key: k}"):
        parse(f"backends: {{me: {{type: claude, {rest}}}}}", source="turnout.yaml", environ={})


def test_a_backend_type_nearly_right_names_the_right_one():
    assert only("backends: {a: {type: llamacpp, url: h}}").endswith(
        'must be one of: ollama, llama_cpp, openai, claude (did you mean "llama_cpp"?)'
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("server: {port: abc}", "server.port: must be a whole number, got text"),
        ("server: {port: [1]}", "server.port: must be a whole number, got a list"),
        ("server: {port: true}", "server.port: must be a whole number, got true or false"),
        ("server: {port: 1.5}", "server.port: must be a whole number, got a fraction"),
        ("server: {port: }", "server.port: must be a whole number, got nothing"),
        ("server: {port: ''}", "server.port: must be a whole number, got empty text"),
        ("server: {port: 65536}", "server.port: must be at most 65535"),
        ("server: {port: -1}", "server.port: must be at least 0"),
        (f"server: {{port: {'9' * 5000}}}", "server.port: must be a smaller number"),
        ("server: {max_body_bytes: 0}", "server.max_body_bytes: must be more than 0"),
        ("health: {stale_s: soon}", "health.stale_s: must be a number, got text"),
        ("health: {stale_s: {}}", "health.stale_s: must be a number, got a mapping"),
        ("health: {stale_s: false}", "health.stale_s: must be a number, got true or false"),
        ("health: {stale_s: .inf}", "health.stale_s: must be a finite number"),
        ("auth: {open: perhaps}", "auth.open: must be true or false, got text"),
        ("server: {host: 127}", "server.host: must be text, got a number (put it in quotes)"),
        ("server: {host: true}", "server.host: must be text, got true or false (put it in quotes)"),
        ("server: {host: [a]}", "server.host: must be text, got a list"),
        ("server: {cors_origins: '*'}", "server.cors_origins: must be a list, got text (put it in [ ])"),
        ("server: {cors_origins: {}}", "server.cors_origins: must be a list, got a mapping"),
        ("server: {cors_origins: [a, 1]}", "server.cors_origins: item 2 must be text, got a number (put it in quotes)"),
        (
            "server: {log_level: INFO}",
            'server.log_level: must be one of: debug, info, warning, error (did you mean "info"?)',
        ),
        ("server: {log_level: 3}", "server.log_level: must be one of: debug, info, warning, error"),
        ("health: 5", "health: must be a mapping, got a number (valid keys: interval_s, timeout_s, stale_s, models_s)"),
        ("models: []", "models: must be a mapping, got a list"),
        ("models: {a: desk/m}", f"models.a: must be a mapping, got text (valid keys: {ALIAS_KEYS})"),
        ("models: {a: {targets: desk/m}}", "models.a.targets: must be a list, got text (put it in [ ])"),
        ("models: {a: {targets: []}}", "models.a.targets: must have at least 1 item"),
        ("backends: {a: }", f"backends.a: must be a mapping, got nothing (valid keys: {BACKEND_KEYS})"),
        (
            "backends: {a b: {type: ollama, url: h}}",
            "backends.a b: a name has only letters, digits, _ . and -, and begins with a letter or digit",
        ),
        (
            "backends: {a: {type: ollama, url: 'ftp://h'}}",
            "backends.a.url: must be an http or https address, such as http://127.0.0.1:11434",
        ),
        ("auth: {api_keys: [short]}", "auth.api_keys.key: item 1: an API key needs at least 8 characters"),
        ("- a", f"must be a mapping, got a list (valid keys: {SECTIONS})"),
        ("hello", f"must be a mapping, got text (valid keys: {SECTIONS})"),
        ("5", f"must be a mapping, got a number (valid keys: {SECTIONS})"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(text, complaint):
    assert only(text) == f"turnout.yaml:1: {complaint}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("server:\n\tport: 1", "2: not valid YAML: a tab in the indentation (use spaces)"),
        ("a: b: c", "1: not valid YAML: mapping values are not allowed here"),
        (
            "server:\n  host: 'x\n  port: 1\n",
            "4: not valid YAML: found unexpected end of stream (while scanning a quoted scalar from line 2)",
        ),
        (
            "server: {port: ${P}}",
            "1: not valid YAML: expected ',' or '}', but got '{' (inside { } or [ ] write \"${VAR}\", in quotes)",
        ),
        ("a: 1\n---\nb: 1", "2: not valid YAML: expected a single document in the stream, but found another document"),
        ("server:\n  host: a\x01b", "2: not valid YAML: the character U+0001 is not allowed"),
        ('a: "\\UFFFFFFFF"', "1: not valid YAML: an escape beyond Unicode, or an unknown %YAML version"),
        ("%YAML 1.9\n---\na: 1", "1: not valid YAML: an escape beyond Unicode, or an unknown %YAML version"),
        ("[" * 5000, "1: not valid YAML: too many values, or nested too deeply"),
        ("server: {host: &x}", "1: server.host: an anchor for nothing (a value that starts with & goes in quotes)"),
        ("server: !vault x", "1: server: an unknown tag (a value that starts with ! goes in quotes)"),
        ("server: !vault {port: 1}", "1: server: an unknown tag (a value that starts with ! goes in quotes)"),
        ("server: &a {host: *a}", "1: server.host: contains itself"),
        ("server:\n  ? [a]\n  : 1", "2: server: a key must be plain text"),
        ("server: {<<: {port: 1}}", "1: server: merging with << is not supported (write the keys out)"),
    ],
)
def test_bad_yaml_names_its_line(text, complaint):
    assert only(text) == f"turnout.yaml:{complaint}"


def test_a_sign_that_begins_no_value_goes_in_quotes():
    assert only("server:\n  host: @x\n") == (
        "turnout.yaml:2: not valid YAML: found character '@' that cannot start any token "
        "(a value that starts with @ goes in quotes)"
    )


def test_bad_yaml_names_its_column():
    (problem,) = problems("server:\n  host: a: b\n")
    assert (problem.line, problem.column) == (2, 10)


def test_duplicate_keys_are_named_with_both_lines():
    assert complaints("server:\n  port: 1\n  host: ::1\n  port: 2\nserver: {}\n") == [
        'turnout.yaml:4: server: duplicate key "port" (first in line 2)',
        'turnout.yaml:5: duplicate key "server" (first in line 1)',
    ]


def test_a_variable_that_is_not_set_is_named():
    text = "backends:\n  lab:\n    type: openai\n    url: h\n    api_key: ${LAB_KEY}\n"
    assert only(text) == (
        "turnout.yaml:5: backends.lab.api_key: the environment variable LAB_KEY is not set "
        "(set it, or write ${LAB_KEY:-default})"
    )


@pytest.mark.parametrize("written", ["${}", "${1A}", "${A", "${A-b}", "${A:?b}", "${A:b}", "${ A }", "${a.b}"])
def test_something_like_a_variable_is_refused(written):
    assert only(f"server: {{host: '{written}'}}", A="x") == (
        "turnout.yaml:1: server.host: ${ begins no variable (write ${NAME} or ${NAME:-default}; $${ is a plain ${)"
    )


def test_a_value_that_could_not_be_filled_in_is_not_judged():
    text = "server: {port: '${P}', host: '${H}'}\nbackends: {a: {type: '${T}', url: '${U}'}}\n"
    text += "models: {m: {targets: ['${M}']}}\n"
    assert [problem.where for problem in problems(text)] == [
        "server.port",
        "server.host",
        "backends.a.type",
        "backends.a.url",
        "models.m.targets",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "models: {a: {targets: [dsk/m]}}",
            'models.a.targets: "dsk/m" names the backend "dsk", which is not in backends (did you mean "desk"?)',
        ),
        (
            "models: {a: {targets: [remote/m]}}",
            'models.a.targets: "remote/m" names the backend "remote", which is not in backends (backends: desk)',
        ),
        (
            "models: {a: {targets: [llama3.2]}}",
            'models.a.targets: "llama3.2" is not written as backend/model (backends: desk)',
        ),
        (
            "models: {a: {targets: [desk/]}}",
            'models.a.targets: "desk/" is not written as backend/model (backends: desk)',
        ),
        ("models: {a: {targets: [/m]}}", 'models.a.targets: "/m" is not written as backend/model (backends: desk)'),
        (
            "models: {coder: {targets: [desk/m]}}\nrouting: {default_model: codr}",
            'routing.default_model: "codr" is neither an alias nor backend/model (did you mean "coder"?)',
        ),
        (
            "routing: {default_model: dsk/m}",
            'routing.default_model: "dsk/m" names the backend "dsk", which is not in backends (did you mean "desk"?)',
        ),
        (
            "routing: {tasks: {code: nowhere}}",
            'routing.tasks.code: "nowhere" is neither an alias nor backend/model (backends: desk)',
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_told(text, complaint):
    *_, last = problems(BACKEND + text)
    assert str(last) == f"turnout.yaml:{len(text.splitlines()) + 1}: {complaint}"


def test_a_target_without_any_backend_says_so():
    assert only("models: {a: {targets: [x/m]}}").endswith("(backends: none)")


def test_targets_over_several_lines_name_their_own_line():
    text = f"{BACKEND}models:\n  a:\n    targets:\n      - desk/m\n      - dsk/m\n      - plain\n"
    assert [(problem.line, problem.column, problem.where) for problem in problems(text)] == [
        (6, 9, "models.a.targets"),
        (7, 9, "models.a.targets"),
    ]


def test_an_open_address_without_keys_is_refused():
    assert only("auth: {}\nserver:\n  host: 0.0.0.0\n") == f"turnout.yaml:3: server.host: {EXPOSED}"


def test_all_problems_are_told_at_once_in_the_order_of_their_lines():
    text = """\
server:
  host: 0.0.0.0
  prot: 1
  port: abc
backends:
  desk: {type: gemini, url: h}
  lab: {type: openai, api_key: "${K}"}
  lab: {}
models:
  coder: {targets: [dsk/m, plain]}
routing: {default_model: codr}
extra: 1
"""
    expected = f"""\
turnout.yaml:2: server.host: {EXPOSED}
turnout.yaml:3: server: unknown key "prot" (did you mean "port"?)
turnout.yaml:4: server.port: must be a whole number, got text
turnout.yaml:6: backends.desk.type: must be one of: ollama, llama_cpp, openai, claude
turnout.yaml:7: backends.lab: missing key "url"
turnout.yaml:7: backends.lab.api_key: the environment variable K is not set (set it, or write ${{K:-default}})
turnout.yaml:8: backends: duplicate key "lab" (first in line 7)
turnout.yaml:10: models.coder.targets: "dsk/m" names the backend "dsk", which is not in backends (did you mean "desk"?)
turnout.yaml:10: models.coder.targets: "plain" is not written as backend/model (backends: desk, lab)
turnout.yaml:11: routing.default_model: "codr" is neither an alias nor backend/model (did you mean "coder"?)
turnout.yaml:12: unknown key "extra" (valid keys: {SECTIONS})
"""
    assert complaints(text) == expected.splitlines()


def test_targets_are_not_blamed_for_backends_of_the_wrong_shape():
    assert complaints("backends: [desk]\nmodels: {a: {targets: [desk/m]}}") == [
        "turnout.yaml:1: backends: must be a mapping, got a list"
    ]


def test_a_problem_is_one_line_whatever_the_name_holds():
    line = only('models: {"a\\nb\\e[31m": {targets: 1}}')
    assert line == "turnout.yaml:1: models.a\ufffdb\ufffd[31m.targets: must be a list, got a number"


def test_a_problem_without_a_line_leaves_it_out():
    assert str(Problem("turnout.yaml", None, None, "", "no such file")) == "turnout.yaml: no such file"


def test_values_that_multiply_through_aliases_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (complaint,) = complaints("\n".join(lines))
    assert complaint.endswith("too many values, or nested too deeply")
