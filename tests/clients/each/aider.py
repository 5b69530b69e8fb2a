"""aider."""

from tests.clients.client import Program
from tests.clients.kits import PYTHON_AIDER
from tests.clients.scenes import SCENES

ALONE = (
    *("--yes-always", "--no-git", "--no-gitignore", "--no-pretty"),
    *("--analytics-disable", "--no-check-update", "--no-show-release-notes", "--no-show-model-warnings"),
)

CLIENT = Program(
    name="aider",
    kit=PYTHON_AIDER,
    package="aider-chat",
    tier=2,
    asks_again=True,
    cannot={"tools": "it changes files by what the text says, and calls no tools"},
    more=dict.fromkeys(("real", *(scene.name for scene in SCENES)), ALONE),
    deadline_s=150,
    environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    everywhere=("chat", "broken"),
)
