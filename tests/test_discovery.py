"""Where model servers are looked for when nobody named any."""

import pytest

from router.discovery import ollama_url, places, with_backends, with_embedded
from router.settings import Settings


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:9999", "http://127.0.0.1:9999"),
        ("box", "http://box:11434"),
        ("box:1234", "http://box:1234"),
        ("http://box:1234/", "http://box:1234"),
        ("https://box", "https://box:443"),
        ("[::]:80", "http://[::1]:80"),
        ("box:notaport", "http://box:11434"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(given: str, url: str) -> None:
    assert ollama_url({"OLLAMA_HOST": given}) == url


def test_the_routers_own_port_is_not_looked_at() -> None:
    assert "llama_cpp" in places({}, own_ports={7070})
    assert "llama_cpp" not in places({}, own_ports={8080})
    assert "ollama" not in places({}, own_ports={7070, 11434})
    assert "ollama" in places({"OLLAMA_HOST": "box"}, own_ports={7070, 11434})


def test_what_is_found_joins_what_is_configured() -> None:
    settings = Settings.model_validate({"backends": {"mine": {"type": "openai", "url": "http://127.0.0.1:1"}}})
    assert {"mine", "ollama", "vllm"} <= with_backends(settings, places({}, own_ports={7070})).backends.keys()


def test_the_embedded_servers_become_backends_a_default_and_an_alias() -> None:
    settings = with_embedded(Settings(), [("chat", "http://127.0.0.1:1"), ("vectors", "http://127.0.0.1:2")])
    assert settings.routing.default_model == "chat/chat"
    assert settings.models["embed"].targets == ("vectors/vectors",)
    assert settings.models["embed"].tags == ("embedding",)
