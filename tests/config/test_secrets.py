"""No message shows a key, a header or a password, however the file went wrong."""

import traceback

import pytest
from pydantic import ValidationError

from router.config import ConfigError
from router.settings import Settings
from router.settings.backends import BackendSettings
from router.settings.serving import AuthSettings
from tests.config.reading import read

SECRET = "sk-Secret0123456789"
LAB = "backends:\n  lab:\n    type: openai\n    url: http://h\n"


@pytest.mark.parametrize(
    "text",
    [
        f"auth: {{api_keys: {SECRET}}}",
        f"auth: {{{SECRET}}}",
        f"auth: {{api_keys:{SECRET}}}",
        f"auth: {{{SECRET}: 1, {SECRET}: 2}}",
        f"auth: {SECRET}",
        f"auth:\n  - {SECRET}",
        f"auth: {{api_keys: [{{k: {SECRET}}}]}}",
        f"auth: {{api_keys: ['{SECRET} ']}}",
        f"auth: {{api_keys: [{SECRET}], oopn: 1}}",
        f"{LAB}    api_key:{SECRET}\n",
        f"{LAB}    api_key: [{SECRET}]\n",
        f"{LAB}    api_key: '{SECRET}\n",
        f"{LAB}    api_key: *{SECRET}\n",
        f"{LAB}    api_key: !{SECRET} x\n",
        f"{LAB}    api_key: !{SECRET}!x x\n",
        f"{LAB}    api_key: &{SECRET}\n",
        f"{LAB}    api_key: @{SECRET}\n",
        f"{LAB}    api_key: %{SECRET}\n",
        f"{LAB}    api_key: {SECRET}: x\n",
        f"{LAB}    api_key: '${{UNSET:?{SECRET}}}'\n",
        f'{LAB}    api_key: "{SECRET}\\n"\n',
        f'{LAB}    api_key: "\\q{SECRET}"\n',
        f"{LAB}    api_key: '{SECRET} ü'\n",
        f"{LAB}    {SECRET}: 1\n",
        f"{LAB}    headers: {SECRET}\n",
        f"{LAB}    headers: [{SECRET}]\n",
        f"{LAB}    headers: {{'Authorization: Bearer {SECRET}'}}\n",
        f"{LAB}    headers: {{'Authorization: Bearer {SECRET}': x}}\n",
        f"{LAB}    headers: {{Authorization: [{SECRET}]}}\n",
        f'{LAB}    headers: {{Authorization: "{SECRET}\\n"}}\n',
        f"{LAB}    headers: {{{SECRET}: 1, {SECRET}: 2}}\n",
        f"{LAB}    timeouts: {SECRET}\n",
        f"backends: {{lab: {{type: openai, url: 'http://me:{SECRET}@h'}}}}",
        f"backends: {{lab: {{type: openai, url: 'ftp://me:{SECRET}@h'}}}}",
        f"backends: {{lab: {{type: openai, url: 'http://me:{SECRET}/@h'}}}}",
        f"backends: {{lab: {{type: openai, url: 'http://h/?key={SECRET}'}}}}",
        f"backends: {{lab: {{type: openai, url: 'http://[{SECRET}]'}}}}",
        f"backends: {{lab: {{type: '{SECRET}', url: h}}}}",
        f"server: {{port: {SECRET}}}",
        f"server: {{log_level: {SECRET}}}",
        f"server:\n  host: x\n {SECRET}",
        SECRET,
        f"- {SECRET}",
    ],
)
def test_a_secret_in_the_file_is_not_repeated(text):
    _refused_without(SECRET, text)


@pytest.mark.parametrize(
    "text",
    [
        "server: {port: '${KEY}'}",
        "auth: {open: '${KEY}'}",
        "auth: {api_keys: ['${KEY}!\\n', \"${KEY}\\n\"]}",
        f'{LAB}    api_key: "${{KEY}}\\n"\n',
        f'{LAB}    headers: {{X: "${{KEY}}\\n"}}\n',
        "backends: {lab: {type: '${KEY}', url: 'ftp://${KEY}'}}",
    ],
)
def test_a_secret_from_the_environment_is_not_repeated(text):
    _refused_without(SECRET, text, KEY=SECRET)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (AuthSettings, {"api_keys": SECRET}),
        (AuthSettings, {"api_keys": [SECRET + "\n"]}),
        (BackendSettings, {"type": "openai", "url": f"http://a:{SECRET}@h", "api_key": [SECRET]}),
        (Settings, {"auth": {"api_keys": [[SECRET]]}}),
    ],
)
def test_a_model_used_directly_does_not_repeat_its_input(section, values):
    with pytest.raises(ValidationError) as caught:
        section.model_validate(values)
    assert SECRET not in str(caught.value)


def _refused_without(secret, text, **environ):
    with pytest.raises(ConfigError) as caught:
        read(text, **environ)
    shown = "".join(traceback.format_exception(caught.value)).split("tests/config/")[0]
    said = [f"{problem} {problem.where} {problem.message} {problem.hint}" for problem in caught.value.problems]
    assert secret not in " ".join([str(caught.value), shown, *said])
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
