"""Rules of the models themselves: addresses, keys, and what holds between sections."""

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from router.declared import declared_at
from router.settings import Settings
from router.settings.address import normalise_url
from router.settings.backends import BackendSettings
from router.settings.checks import Conflict, cross_check, nearest
from router.settings.models import AliasSettings
from router.settings.serving import AuthSettings, HealthSettings, ServerSettings

DESK = BackendSettings(type="ollama", url="http://127.0.0.1:11434")


@pytest.mark.parametrize(
    ("written", "root"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("http://127.0.0.1:11434/", "http://127.0.0.1:11434"),
        ("http://127.0.0.1:11434//", "http://127.0.0.1:11434"),
        (" http://127.0.0.1:11434\n", "http://127.0.0.1:11434"),
        ("127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("localhost", "http://localhost"),
        ("HTTP://Host:1", "http://Host:1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080"),
        ("http://h/v1", "http://h"),
        ("http://h/v1/", "http://h"),
        ("http://h/v1/chat/completions", "http://h"),
        ("http://h/v1/completions", "http://h"),
        ("http://h/v1/embeddings", "http://h"),
        ("http://h/v1/models", "http://h"),
        ("http://h/api", "http://h"),
        ("http://h/api/chat", "http://h"),
        ("http://h/api/generate/", "http://h"),
        ("https://h/prefix", "https://h/prefix"),
        ("https://h/prefix/api/chat", "https://h/prefix"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api"),
        ("https://h/a/b/v1/chat/completions", "https://h/a/b"),
        ("http://api", "http://api"),
        ("http://v1:80/v1", "http://v1:80"),
        ("https://h/apiary", "https://h/apiary"),
        ("https://h/@team/v1", "https://h/@team"),
    ],
)
def test_an_address_is_brought_to_its_root(written, root):
    assert normalise_url(written) == root
    assert BackendSettings(type="openai", url=written).url == root


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "/v1",
        "http://",
        "http:///v1",
        "https:/host",
        "ftp://h",
        "unix:///run/ollama.sock",
        "http://h:port",
        "http://h:99999",
        "http://h:0",
        "http://h:",
        "http://[::1",
        "http://a b",
        "http://h/a b",
        "http://h\n1",
        "http://h/\x00",
    ],
)
def test_what_is_no_address_is_refused(written):
    with pytest.raises(ValueError, match=r"^must be an http or https address, such as http://127\.0\.0\.1:11434$"):
        normalise_url(written)


@pytest.mark.parametrize("written", ["http://me@h", "http://me:word@h/v1", "me:word@h", "http://:word@h", "http://@h"])
def test_credentials_in_an_address_are_refused(written):
    with pytest.raises(ValueError, match="does not belong in a URL: use api_key or headers"):
        normalise_url(written)


@pytest.mark.parametrize("written", ["http://h?key=1", "http://h/v1?key=1", "http://h/#top", "h?x"])
def test_a_query_or_fragment_in_an_address_is_refused(written):
    with pytest.raises(ValueError, match="no query and no fragment"):
        normalise_url(written)


@bounded(max_examples=200, deadline=None)
@given(st.text(alphabet="htps:/@?#[]1.vapi chat\n%", max_size=30) | st.text(max_size=20))
def test_any_address_is_brought_to_a_root_that_stays_or_is_refused(written):
    try:
        root = normalise_url(written)
    except ValueError:
        return
    assert root.startswith(("http://", "https://"))
    assert not root.endswith("/")
    assert normalise_url(f"{root}/v1") == root


def test_true_is_no_number():
    for section, field in ((ServerSettings, "port"), (HealthSettings, "stale_s"), (BackendSettings, "max_parallel")):
        with pytest.raises(ValidationError, match=rf"{field}\n  Input should be a valid"):
            section.model_validate(
                {field: True, "type": "ollama", "url": "h"} if section is BackendSettings else {field: True}
            )


def test_an_empty_backend_key_is_none():
    assert BackendSettings(type="openai", url="h", api_key=SecretStr("")).api_key is None


@pytest.mark.parametrize("key", ["with space", "line-break\n", "ümlaut-key", "tab\tkey-key"])
def test_a_key_that_no_header_can_carry_is_refused(key):
    with pytest.raises(ValidationError, match="visible ASCII"):
        BackendSettings.model_validate({"type": "openai", "url": "h", "api_key": key})
    with pytest.raises(ValidationError, match="visible ASCII"):
        AuthSettings.model_validate({"api_keys": [key]})


@pytest.mark.parametrize("name", ["", "X Y", "X:", "X\n", "Ümlaut"])
def test_a_header_name_that_cannot_be_sent_is_refused(name):
    with pytest.raises(ValidationError, match="a header name has letters"):
        BackendSettings.model_validate({"type": "openai", "url": "h", "headers": {name: "v"}})


def test_a_header_value_is_one_line():
    with pytest.raises(ValidationError, match="one line"):
        BackendSettings.model_validate({"type": "openai", "url": "h", "headers": {"X": "a\r\nY: b"}})
    assert BackendSettings.model_validate({"type": "openai", "url": "h", "headers": {"X": "a\tb c", "Y": ""}})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_key(host):
    assert Settings(server=ServerSettings(host=host)).server.host == host


@pytest.mark.parametrize("auth", [{"open": True}, {"open": "true"}, {"api_keys": ["12345678"]}])
def test_another_address_needs_a_key_or_an_explicit_yes(auth):
    assert Settings.model_validate({"server": {"host": "0.0.0.0"}, "auth": auth})
    for too_little in ({}, {"open": False}, {"open": "false"}, {"api_keys": []}):
        with pytest.raises(ValidationError, match="reachable from other machines"):
            Settings.model_validate({"server": {"host": "0.0.0.0"}, "auth": too_little})


@pytest.mark.parametrize(
    "contradiction",
    [
        {"stream": False, "stream_only": ["m"]},
        {"whole_only": ["m"], "stream_only": ["m"]},
        {"whole_only": ["*"], "stream_only": ["m"]},
        {"whole_only": ["m"], "stream_only": ["*"]},
    ],
)
def test_a_model_cannot_be_in_streams_only_and_unable_to_stream(contradiction):
    with pytest.raises(ValidationError, match="unable to stream"):
        BackendSettings(type="openai", url="http://h", **contradiction)


def test_some_models_may_stream_only_and_others_not_at_all():
    BackendSettings(type="openai", url="http://h", whole_only=("a",), stream_only=("b",))


def test_conflicts_reach_pydantic_with_their_places():
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(
            {
                "server": {"host": "0.0.0.0"},
                "backends": {"desk": DESK},
                "models": {"a": AliasSettings(targets=("desk/m", "dsk/m"))},
                "routing": {"tasks": {"code": "b"}, "default_model": "a"},
            }
        )
    assert [(error["type"], error["loc"]) for error in caught.value.errors()] == [
        ("conflict", ("server", "host")),
        ("conflict", ("models", "a", "targets", 1)),
        ("conflict", ("routing", "tasks", "code")),
    ]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"models": {"a": {"targets": "x/y"}}},
        {"models": {"a": None, "b": {"targets": [1, None, {}]}}},
        {"models": [], "routing": {"default_model": "x"}},
        {"backends": None, "models": {"a": {"targets": ["x/y"]}}},
        {"routing": {"tasks": [], "default_model": 3}},
        {"server": {"host": 3}, "auth": []},
        {"server": {"host": "h"}, "auth": {"open": {}}},
    ],
)
def test_what_has_the_wrong_shape_is_not_cross_checked(document):
    assert cross_check(document) == []


def test_a_target_is_never_another_alias():
    document = {"backends": {"desk": {}}, "models": {"a": {"targets": ["desk/m"]}, "b": {"targets": ["a"]}}}
    assert cross_check(document) == [
        Conflict(("models", "b", "targets", 0), '"a" is not written as backend/model', "backends: desk")
    ]


def test_the_nearest_choice_is_none_when_nothing_is_near():
    assert nearest("vllm", ["ollama", "llama_cpp", "openai"]) is None
    assert nearest("Llama-CPP", ["ollama", "llama_cpp", "openai"]) == "llama_cpp"


def test_the_declared_type_of_a_place_is_known():
    assert declared_at(()) is Settings
    assert declared_at(("backends", "any", "timeouts", "idle")) is float
    assert declared_at(("models", "any", "targets", 3)) is str
    assert declared_at(("server", "nowhere", "deeper")) is None


@pytest.mark.parametrize(
    ("written", "seconds"), [(3, 3), ("3", 3), ("3s", 3), ("1.5 s", 1.5), ("500ms", 0.5), ("15m", 900), ("2h", 7200)]
)
def test_a_time_may_carry_its_unit(written, seconds):
    assert HealthSettings.model_validate({"interval_s": written}).interval_s == seconds


@pytest.mark.parametrize("written", ["3d", "s", "-3s", "0s", "1e3s", "3 s s"])
def test_what_is_no_time_is_refused(written):
    with pytest.raises(ValidationError):
        HealthSettings.model_validate({"interval_s": written})


def test_a_key_is_a_text_or_a_section():
    plain, named = AuthSettings.model_validate(
        {"api_keys": ["sk-12345678", {"key": "sk-87654321", "name": "night", "priority": "batch"}]}
    ).api_keys
    assert (plain.key.get_secret_value(), plain.name, plain.priority) == ("sk-12345678", "", None)
    assert (named.key.get_secret_value(), named.name, named.priority) == ("sk-87654321", "night", "batch")


def test_a_backend_is_in_one_group_at_most():
    groups = {"one": {"members": ["desk"]}, "two": {"members": ["desk", "dask"]}}
    assert cross_check({"backends": {"desk": {}}, "groups": groups}) == [
        Conflict(("groups", "two", "members", 0), '"desk" is in a group already'),
        Conflict(("groups", "two", "members", 1), '"dask" is not in backends', 'did you mean "desk"?'),
    ]


@pytest.mark.parametrize(
    ("backend", "is_conflict"),
    [
        ({"type": "claude"}, True),
        ({"type": "claude", "local": True}, False),
        ({"type": "openai", "url": "https://api.example.com/v1"}, True),
        ({"type": "openai", "url": "https://api.example.com/v1", "local": True}, False),
        ({"type": "ollama", "url": "desk:11434"}, False),
        ({"type": "ollama", "url": "http://127.0.0.1", "local": False}, True),
        ({"type": "ollama", "url": "not an address at all"}, False),
    ],
)
def test_an_alias_that_must_stay_local_and_cannot_is_a_conflict(backend, is_conflict):
    models = {"mine": {"targets": ["there/m"], "local_only": True}}
    hint = "add a local target, or set local: true on a backend that is your own"
    found = Conflict(("models", "mine", "local_only"), "no target of it is local", hint)
    assert cross_check({"backends": {"there": {**backend, "api_key": "k"}}, "models": models}) == [found] * is_conflict


@pytest.mark.parametrize("url", ["http://127.0.0.1:11434", "http://localhost:11434/api/chat", "http://[::1]:11434"])
def test_a_backend_at_the_routers_own_second_port_is_a_conflict(url):
    document = {"server": {"ollama_port": 11434}, "backends": {"desk": {"type": "ollama", "url": url}}}
    (conflict,) = cross_check(document)
    assert conflict.loc == ("backends", "desk", "url")
    assert "itself" in conflict.message


@pytest.mark.parametrize("url", ["http://127.0.0.1:11435", "http://box:11434", "http://127.0.0.1:port", 5])
def test_any_other_backend_may_stand_beside_the_second_port(url):
    assert cross_check({"server": {"ollama_port": 11434}, "backends": {"desk": {"type": "ollama", "url": url}}}) == []


def test_both_ports_cannot_be_one():
    (conflict,) = cross_check({"server": {"port": 7070, "ollama_port": 7070}})
    assert conflict.loc == ("server", "ollama_port")
