"""The command `llm` with its plugin for Ollama, over every kind of backend; `just clients` installs it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.clients.kits import PYTHON
from tests.sdk.mirrored import scripted
from tests.sdk.stage import KEY
from tests.sdk.talk import HELLO, Talk

COMMAND = PYTHON.path() / "llm"
RUN_S = 50

pytestmark = pytest.mark.skipif(not COMMAND.exists(), reason="llm is not installed: run `just clients`")


def llm(talk: Talk, folder: Path, *arguments: str) -> str:
    """What it prints; a failure of it is one of the test."""
    environment = {**os.environ, "OLLAMA_HOST": talk.stage.url, "OLLAMA_API_KEY": KEY, "LLM_USER_PATH": str(folder)}
    ran = subprocess.run(
        [COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_models_are_listed(talk: Talk, tmp_path: Path) -> None:
    assert f"{talk.model}:latest" in llm(talk, tmp_path, "ollama", "models")


@pytest.mark.parametrize("streams", [True, False])
def test_a_question_is_answered(talk: Talk, tmp_path: Path, streams: bool) -> None:
    how = () if streams else ("--no-stream",)
    model = f"ollama/{talk.model}"
    assert llm(talk, tmp_path, "-m", model, HELLO, "-o", "num_predict", "16", *how).strip()


def test_an_answer_in_a_shape(talk: Talk, tmp_path: Path) -> None:
    scripted(talk).says('{"ok": true}')
    said = llm(talk, tmp_path, "-m", f"ollama/{talk.model}", "--schema", "ok bool", HELLO)
    assert json.loads(said) == {"ok": True}


def test_embeddings(talk: Talk, tmp_path: Path) -> None:
    if talk.kind.embedding is None:
        pytest.skip("it makes no embeddings")
    assert len(json.loads(llm(talk, tmp_path, "embed", "-m", f"ollama/{talk.embedding_model}", "-c", "a cat"))) > 1
