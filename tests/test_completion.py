"""What a shell offers after a tab."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from router.cli import main

TURNOUT = [sys.executable, "-c", "import sys; sys.argv[0] = 'turnout'; from router.cli import main; main()"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_told_whom_to_ask(shell):
    done = CliRunner().invoke(main, ["completion", shell])
    assert (done.exit_code, f"_TURNOUT_COMPLETE={shell}_complete" in done.output) == (0, True)


def test_a_shell_that_nobody_knows_is_refused():
    done = CliRunner().invoke(main, ["completion", "csh"])
    assert (done.exit_code, "'fish'" in done.output) == (2, True)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("turnout us", {"users", "usage"}),
        ("turnout keys re", {"revoke"}),
        ("turnout usage --by m", {"model"}),
        ("turnout ollama p", {"pull", "pulls", "ps"}),
        ("turnout ollama pull --ca", {"--cancel"}),
    ],
)
def test_what_was_begun_is_completed(typed, offered):
    words = typed.split()
    asked = {"_TURNOUT_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    said = subprocess.run(TURNOUT, env={**os.environ, **asked}, capture_output=True, text=True, timeout=30, check=False)
    assert {line.partition(",")[2] for line in said.stdout.split()} == offered
