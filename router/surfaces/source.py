"""What kind of program calls, from what it says of itself and from its key's name. Pure."""

import re
from functools import lru_cache

from router.canonical.caller import CODING_TOOL

CHAT_UI = "chat UI"
DIRECT_API = "direct API"

_CODING = (
    "aider|amp|avante|claude-cli|claude-code|cline|codecompanion|codex|codex_cli_rs|codex_exec|continue|copilot|"
    "copilotcli|crush|cursor|emacs|geminicli|githubcopilotchat|goose|gptel|ide|intellij|jetbrains|kilo|kilocode|"
    "kilo-code|ls/js|neovim|nvim|opencode|openhands|pi-coding-agent|qwencode|qwen-code|roo|roocode|roo-code|tabby|"
    "twinny|vibe|vscode|visualstudiocode|windsurf|zed"
)
_CHAT = (
    "anythingllm|big-agi|chatbox|chatgpt-next-web|cherrystudio|enchanted|hollama|janhq|librechat|lobechat|lobe-chat|"
    "msty|mozilla|nextchat|open-webui|openwebui|sillytavern|typingmind"
)
_AS_WORDS = "(?<![a-z0-9])(?:{})(?![a-z0-9])"
_IS_CODING = re.compile(_AS_WORDS.format(_CODING))
_IS_CHAT = re.compile(_AS_WORDS.format(_CHAT))
_SESSIONS = {
    b"x-affinity": CODING_TOOL,  # vibe, whose user agent is its HTTP library's
    b"x-claude-code-session-id": CODING_TOOL,
    b"originator": CODING_TOOL,  # codex
    b"x-openwebui-chat-id": CHAT_UI,
    b"x-openwebui-user-id": CHAT_UI,
}
_TOLD_BY = {b"user-agent", b"x-title"}
MAX_TOLD = 300


def source_of(headers: list[tuple[bytes, bytes]], key_name: str) -> str:
    """`coding tool`, `chat UI` or `direct API`.

    A session header that only one kind sends decides, then the program's name, then the key's.
    """
    told = b""
    for name, value in headers:
        if name in _SESSIONS:
            return _SESSIONS[name]
        if name in _TOLD_BY:
            told += b" " + value[:MAX_TOLD]
    return _named(told, key_name)


@lru_cache(maxsize=512)
def _named(told: bytes, key_name: str) -> str:
    return _kind(told.decode("latin-1")) or _kind(key_name) or DIRECT_API


def _kind(text: str) -> str:
    spelled = text.lower().replace(" ", "-")
    if _IS_CODING.search(spelled):
        return CODING_TOOL
    return CHAT_UI if _IS_CHAT.search(spelled) else ""
