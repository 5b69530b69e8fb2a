"""The example, the schema and the reference say what the settings say."""

import json
import re

import pytest
from pydantic import BaseModel

from router import config_docs
from router.config import load, parse
from router.config_docs import CONFIG_FOLDER, reference_text, schema_text, stale
from router.settings import Settings
from tests.config.reading import complaints

EXAMPLE = CONFIG_FOLDER / "turnout.example.yaml"


def everything() -> Settings:
    """The example with all that is switched off switched on."""
    text = re.sub(r"(?m)^( *)#(?=\w)", r"\1", EXAMPLE.read_text(encoding="utf-8"))
    return parse(text, source=EXAMPLE.name, environ={"TURNOUT_KEY": "12345678", "NIGHT_KEY": "87654321"})


def sections(value: object) -> list[BaseModel]:
    if isinstance(value, tuple):
        return [section for part in value for section in sections(part)]
    inner = value.values() if isinstance(value, dict) else [getattr(value, name) for name in _fields(value)]
    own = [value] if isinstance(value, BaseModel) else []
    return own + [section for part in inner for section in sections(part)]


def _fields(value: object) -> list[str]:
    return list(type(value).model_fields) if isinstance(value, BaseModel) else []


def test_the_generated_files_are_up_to_date():
    assert not stale(CONFIG_FOLDER), "run: python -m router.config_docs --write"


def test_the_example_loads_without_any_environment():
    assert load(EXAMPLE, environ={}).backends.keys() == {"desk", "coder", "vision", "lab", "claude"}


def test_the_example_shows_every_setting():
    shown, known = {}, {}
    for section in sections(everything()):
        shown.setdefault(type(section), set()).update(section.model_fields_set)
        known[type(section)] = set(type(section).model_fields)
    assert len(known) == 14
    assert shown == known


@pytest.mark.parametrize("section", ["server", "queue", "health"])
def test_what_the_example_calls_defaults_are_the_defaults(section):
    assert getattr(everything(), section) == getattr(Settings(), section)
    assert everything().auth.open is Settings().auth.open
    assert {backend.timeouts for backend in everything().backends.values()} == {
        type(everything().backends["lab"].timeouts)()
    }


def test_the_schema_is_json_with_a_title_and_a_description_for_every_setting():
    schema = json.loads(schema_text())
    assert schema["title"] == "turnout.yaml"
    for definition in [schema, *schema["$defs"].values()]:
        for field in definition.get("properties", {}).values():
            assert field["description"]
    assert schema["$defs"]["BackendSettings"]["properties"]["type"]["enum"] == [
        "ollama",
        "llama_cpp",
        "openai",
        "claude",
    ]
    assert schema["additionalProperties"] is False


def test_the_schema_lets_numbers_and_switches_be_variables():
    server = json.loads(schema_text())["$defs"]["ServerSettings"]["properties"]
    number, variable = server["port"]["anyOf"]
    assert number == {"type": "integer", "minimum": 0, "maximum": 65535}
    assert re.search(variable["pattern"], "${PORT:-7070}")


def test_the_reference_has_a_row_for_every_setting():
    text = reference_text()
    for section in {type(section) for section in sections(everything())} - {Settings}:
        for name, field in section.model_fields.items():
            assert re.search(rf"(?m)^\| `{name}` \| .+ \| .+ \| {re.escape(field.description or '')} \|$", text)


def test_the_reference_says_types_limits_and_defaults_in_plain_words():
    text = reference_text()
    assert "| `port` | whole number; at least 0; at most 65535 | `7070` |" in text
    assert "| `type` | `ollama` or `llama_cpp` or `openai` or `claude` | required |" in text
    assert "| `api_keys` | list of text or section | `[]` |" in text
    assert "| `targets` | list of text; at least 1 item | required |" in text
    assert "| `timeouts` | section | see below |" in text


def test_the_errors_in_the_reference_are_real():
    text = (
        "server: {port: 1}\nbackends:\n\n  desk: {type: ollama}\n  lab:\n    type: openai\n    url: h\n"
        "    api_key: ${LAB}\n\nmodels:\n  coder:\n    target: [desk/m]\n"
    )
    assert "\n".join(complaints(text)) in reference_text()


def test_the_command_writes_what_is_stale_and_names_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(config_docs, "CONFIG_FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["config_docs"])
    assert config_docs.main() == 1
    assert capsys.readouterr().out == "README.md: out of date\nturnout.schema.json: out of date\n"
    monkeypatch.setattr("sys.argv", ["config_docs", "--write"])
    assert config_docs.main() == 0
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == reference_text()
    monkeypatch.setattr("sys.argv", ["config_docs"])
    assert config_docs.main() == 0
