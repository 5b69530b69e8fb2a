"""Qwen Code."""

from tests.clients.client import Program
from tests.clients.kits import NODE_ALL
from tests.fakes import ToolUse

CLIENT = Program(
    name="qwen-code",
    kit=NODE_ALL,
    package="@qwen-code/qwen-code",
    tier=2,
    uses=ToolUse("run_shell_command", {"command": "echo red$((40 + 2))fox", "is_background": False}),
    proof="red42fox",
    asks_again=True,
    cannot={
        "long": "at times it shortens by itself what is refused, and asks again",
        "real": "its tools cannot be left out, and the template of the real model knows none",
    },
    more={"tools": ("--approval-mode", "yolo")},
    files={".qwen/settings.json": '{"privacy": {"usageStatisticsEnabled": false}}'},
    everywhere=("chat", "tools", "broken"),
)
