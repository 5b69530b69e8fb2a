"""The official Node SDKs of OpenAI and Ollama over every kind of backend; see node/features.mjs and node/ollama.mjs."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sdk.stage import KEY
from tests.sdk.talk import Talk

FOLDER = Path(__file__).parent / "node"
INSTALL = ("install", "--no-audit", "--no-fund", "--no-package-lock")
RUN_S = 60
INSTALL_S = 240
FEATURES = {"features.mjs": 15, "ollama.mjs": 11}
ADDRESS = {"features.mjs": "/v1", "ollama.mjs": ""}


@pytest.fixture(scope="session")
def node() -> str:
    """Where Node.js is, with the SDK beside the script; CI installs that by itself if `.ci/run` has not."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None:
        pytest.skip("Node.js is not installed")
    if not all((FOLDER / "node_modules" / name).exists() for name in ("openai", "ollama")):
        if os.environ.get("CI") != "true":
            pytest.skip("the Node SDK is not installed: run `just clients`")
        if npm is None:
            pytest.skip("there is no npm to install the Node SDK with")
        subprocess.run([npm, *INSTALL], cwd=FOLDER, check=True, capture_output=True, timeout=INSTALL_S)
    return found


@pytest.mark.timeout(INSTALL_S + RUN_S)
@pytest.mark.parametrize("script", FEATURES)
def test_every_feature_of_the_node_sdk_works(node: str, talk: Talk, script: str) -> None:
    sort = "real" if talk.fake is None else "fake"
    embeds = "embeds" if talk.kind.embedding else "refuses"
    url = f"{talk.stage.url}{ADDRESS[script]}"
    command = [node, script, url, KEY, talk.model, talk.embedding_model, sort, embeds]
    ran = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=RUN_S, check=False)
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert not {feature["feature"]: feature["error"] for feature in told if not feature["ok"]}
    assert (len(told), ran.returncode) == (FEATURES[script], 0), ran.stderr


def test_the_versions_of_the_node_clients_are_exact() -> None:
    wanted = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert all(version[0].isdigit() for version in wanted.values())
