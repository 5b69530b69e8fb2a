"""Claude Code."""

from tests.clients.client import Program
from tests.clients.kits import NODE_ALL
from tests.fakes import ToolUse

CLIENT = Program(
    name="claude-code",
    kit=NODE_ALL,
    package="@anthropic-ai/claude-code",
    tier=2,
    uses=ToolUse("Bash", {"command": "echo red$((40 + 2))fox", "description": "Says a word"}),
    proof="red42fox",
    asks_again=True,
    more={"tools": ("--dangerously-skip-permissions",), "real": ("--tools", "", "--system-prompt", "Be brief.")},
    environment={
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "IS_SANDBOX": "1",
    },
)
