"""What kind of program calls, by what real ones send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.surfaces.source import CHAT_UI, CODING_TOOL, DIRECT_API, source_of

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.mark.parametrize(
    ("agent", "source"),
    [
        ("claude-cli/2.1.329 (external, cli)", CODING_TOOL),
        ("codex_exec/0.169.0 (Debian 12; x86_64) unknown", CODING_TOOL),
        ("opencode/1.18.33 ai-sdk/provider-utils/4.0.0", CODING_TOOL),
        ("QwenCode/0.24.4 (linux; x64)", CODING_TOOL),
        ("ls/JS 5.0.0", CODING_TOOL),
        ("GitHubCopilotChat/0.40.0", CODING_TOOL),
        ("Zed/0.210.0 (linux; x86_64)", CODING_TOOL),
        ("Cline/3.0.65", CODING_TOOL),
        (BROWSER, CHAT_UI),
        ("SillyTavern/1.13", CHAT_UI),
        ("OpenAI/Python 3.52.0", DIRECT_API),
        ("OpenAI/JS 7.55.0", DIRECT_API),
        ("AsyncOpenAI/Python 3.52.0", DIRECT_API),
        ("pydantic-ai/2.68.0", DIRECT_API),
        ("ai-sdk/openai-compatible/3.0.92", DIRECT_API),
        ("python-httpx/0.28.1", DIRECT_API),
        ("curl/8.5.0", DIRECT_API),
        ("", DIRECT_API),
    ],
)
def test_a_program_is_known_by_its_user_agent(agent, source):
    assert source_of([(b"user-agent", agent.encode())], "") == source


@pytest.mark.parametrize(
    ("header", "source"),
    [
        ((b"x-affinity", b"abc"), CODING_TOOL),
        ((b"x-claude-code-session-id", b"abc"), CODING_TOOL),
        ((b"x-openwebui-user-id", b"1"), CHAT_UI),
        ((b"x-title", b"Open WebUI"), CHAT_UI),
        ((b"x-title", b"Roo Code"), CODING_TOOL),
    ],
)
def test_a_header_that_only_one_program_sends_tells_more_than_its_http_library(header, source):
    assert source_of([(b"user-agent", b"python-httpx/0.28.1"), header], "") == source


@pytest.mark.parametrize(
    ("key", "source"),
    [("open-webui", CHAT_UI), ("Open WebUI", CHAT_UI), ("continue laptop", CODING_TOOL), ("ann", DIRECT_API)],
)
def test_the_name_of_the_key_helps_where_the_program_says_nothing(key, source):
    assert source_of([(b"user-agent", b"OpenAI/Python 3.52.0")], key) == source


def test_the_program_counts_more_than_the_key():
    assert source_of([(b"user-agent", b"opencode/1.18")], "open-webui") == CODING_TOOL


@given(st.binary(max_size=400), st.text(max_size=40))
def test_whatever_is_sent_has_a_source(agent, key):
    assert source_of([(b"user-agent", agent)], key) in {CODING_TOOL, CHAT_UI, DIRECT_API}
