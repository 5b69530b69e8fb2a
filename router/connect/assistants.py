"""Coding assistants."""

import json

from router.connect.guide import KEY, WRITTEN_KEY, File, Guide, Place, Snippet

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
_WINDOW = "Put in the context window of your model."


def _copilot(place: Place) -> Snippet:
    environment = {
        "COPILOT_OFFLINE": "true",
        "COPILOT_PROVIDER_BASE_URL": f"{place.url}/v1",
        "COPILOT_PROVIDER_API_KEY": KEY,
        "COPILOT_MODEL": place.model,
    }
    return Snippet(("copilot", "-p", "Say hello"), environment)


def _copilot_responses(place: Place) -> Snippet:
    chat = _copilot(place)
    return Snippet(chat.command, {**chat.environment, "COPILOT_PROVIDER_WIRE_API": "responses"})


def _copilot_messages(place: Place) -> Snippet:
    chat = _copilot(place)
    by_anthropic = {"COPILOT_PROVIDER_TYPE": "anthropic", "COPILOT_PROVIDER_BASE_URL": place.url}
    return Snippet(chat.command, {**chat.environment, **by_anthropic})


_CONTINUE = f"""
name: turnout
version: 1.0.0
schema: v1
models:
  - name: turnout
    provider: openai
    model: @MODEL@
    apiBase: @V1@
    apiKey: {WRITTEN_KEY}
    roles: [chat, edit, apply]
    capabilities: [tool_use]
"""


def _continue(place: Place) -> Snippet:
    file = File("turnout.yaml", place.fill(_CONTINUE).lstrip())
    return Snippet(("cn", "--config", "turnout.yaml", "-p", "Say hello"), files=(file,))


_PI = """
{
  "providers": {
    "turnout": {
      "baseUrl": @V1@,
      "api": "openai-completions",
      "apiKey": "TURNOUT_API_KEY",
      "models": [{"id": @MODEL@, "contextWindow": 32768, "maxTokens": 4096}]
    }
  }
}
"""


def _pi(place: Place) -> Snippet:
    command = ("pi", "--provider", "turnout", "--model", place.model, "-p", "Say hello")
    return Snippet(command, {"TURNOUT_API_KEY": KEY}, (File("~/.pi/agent/models.json", place.fill(_PI).lstrip()),))


def _claude_code(place: Place) -> Snippet:
    environment = {
        "ANTHROPIC_BASE_URL": place.url,
        "ANTHROPIC_AUTH_TOKEN": KEY,
        "ANTHROPIC_MODEL": place.model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": place.model,
    }
    return Snippet(("claude", "-p", "Say hello"), environment)


_CODEX = """
model = @MODEL@
model_provider = "turnout"

[model_providers.turnout]
name = "Turnout"
base_url = @V1@
env_key = "TURNOUT_API_KEY"
wire_api = "responses"
"""


def _codex(place: Place) -> Snippet:
    file = File("~/.codex/config.toml", place.fill(_CODEX).lstrip())
    return Snippet(("codex", "exec", "--skip-git-repo-check", "Say hello"), {"TURNOUT_API_KEY": KEY}, (file,))


def _opencode(place: Place) -> Snippet:
    settings = {
        "$schema": "https://opencode.ai/config.json",
        "provider": {
            "turnout": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Turnout",
                "options": {"baseURL": f"{place.url}/v1", "apiKey": "{env:TURNOUT_API_KEY}"},
                "models": {place.model: {"limit": {"context": 32768, "output": 4096}}},
            }
        },
        "model": f"turnout/{place.model}",
        "small_model": f"turnout/{place.model}",
    }
    file = File("~/.config/opencode/opencode.json", json.dumps(settings, indent=2) + "\n")
    return Snippet(("opencode", "run", "Say hello"), {"TURNOUT_API_KEY": KEY}, (file,))


def _qwen(place: Place) -> Snippet:
    environment = {"OPENAI_BASE_URL": f"{place.url}/v1", "OPENAI_API_KEY": KEY, "OPENAI_MODEL": place.model}
    return Snippet(("qwen", "--auth-type", "openai", "-p", "Say hello"), environment)


_CLINE = f"""
{{
  "version": 1,
  "lastUsedProvider": "openai-compatible",
  "modes": {{}},
  "providers": {{
    "openai-compatible": {{
      "settings": {{
        "provider": "openai-compatible",
        "apiKey": "{WRITTEN_KEY}",
        "model": @MODEL@,
        "baseUrl": @V1@
      }},
      "updatedAt": "2026-11-21T12:00:00.000Z",
      "tokenSource": "manual"
    }}
  }}
}}
"""


def _cline(place: Place) -> Snippet:
    file = File("~/.cline/data/settings/providers.json", place.fill(_CLINE).lstrip())
    return Snippet(("cline", "Say hello"), files=(file,))


def _aider(place: Place) -> Snippet:
    environment = {"OPENAI_API_BASE": f"{place.url}/v1", "OPENAI_API_KEY": KEY}
    return Snippet(("aider", "--model", f"openai/{place.model}", "--message", "Say hello"), environment)


_VIBE = """
active_model = "turnout"

[[providers]]
name = "turnout"
api_base = @V1@
api_key_env_var = "TURNOUT_API_KEY"

[[models]]
name = @MODEL@
provider = "turnout"
alias = "turnout"
max_context_length = 32768
"""


def _vibe(place: Place) -> Snippet:
    file = File("~/.vibe/config.toml", place.fill(_VIBE).lstrip())
    return Snippet(("vibe", "-p", "Say hello"), {"TURNOUT_API_KEY": KEY}, (file,))


GUIDES = (
    Guide("copilot", "GitHub Copilot CLI", CHAT, "npm install -g @github/copilot", _copilot),
    Guide(
        "copilot-responses",
        "GitHub Copilot CLI, Responses",
        RESPONSES,
        "npm install -g @github/copilot",
        _copilot_responses,
    ),
    Guide(
        "copilot-messages",
        "GitHub Copilot CLI, Messages",
        MESSAGES,
        "npm install -g @github/copilot",
        _copilot_messages,
    ),
    Guide("continue", "Continue (cn)", CHAT, "npm install -g @continuedev/cli", _continue),
    Guide("pi", "pi", CHAT, "npm install -g @mariozechner/pi-coding-agent", _pi, note=_WINDOW),
    Guide("claude-code", "Claude Code", MESSAGES, "npm install -g @anthropic-ai/claude-code", _claude_code),
    Guide("codex", "Codex", RESPONSES, "npm install -g @openai/codex", _codex),
    Guide("opencode", "opencode", CHAT, "npm install -g opencode-ai", _opencode, note=_WINDOW),
    Guide("qwen-code", "Qwen Code", CHAT, "npm install -g @qwen-code/qwen-code", _qwen),
    Guide("cline", "Cline CLI", CHAT, "npm install -g cline", _cline, note="`cline auth` writes this file too."),
    Guide("aider", "aider", CHAT, "pip install aider-chat", _aider),
    Guide("mistral-vibe", "Mistral Vibe", CHAT, "uv tool install mistral-vibe", _vibe, note=_WINDOW),
)
