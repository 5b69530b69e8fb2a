"""Where `just clients` and `just clients-all` put clients, and which versions those are."""

import importlib.metadata
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

HERE = Path(__file__).parent
_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)


class Kit(Protocol):
    """One folder of clients."""

    def path(self) -> Path:
        """The folder of its commands."""
        ...

    def can_be_installed(self) -> bool:
        """Whether this machine has what such clients run on."""
        ...

    def installed(self, package: str) -> str | None:
        """The version that is there."""
        ...

    def pinned(self, package: str) -> str:
        """The version that is asked for; raises KeyError."""
        ...

    def lend(self, home: Path) -> None:
        """Lets programs in a home find its packages."""
        ...


@dataclass(frozen=True, slots=True)
class PythonKit:
    """`.venv` beside a `requirements.txt`."""

    folder: Path

    def path(self) -> Path:
        return self.folder / ".venv" / "bin"

    def can_be_installed(self) -> bool:
        return True

    def installed(self, package: str) -> str | None:
        sites = [str(site) for site in self.folder.glob(".venv/lib/python*/site-packages")]
        found = importlib.metadata.distributions(name=package, path=sites)
        return next((each.version for each in found), None) if sites else None

    def pinned(self, package: str) -> str:
        text = (self.folder / "requirements.txt").read_text(encoding="utf-8")
        return {found["name"]: found["version"] for found in _PINNED.finditer(text)}[package]

    def lend(self, home: Path) -> None:
        """Its own interpreter finds them."""


@dataclass(frozen=True, slots=True)
class NodeKit:
    """`node_modules` beside a `package.json`."""

    folder: Path

    def path(self) -> Path:
        return self.folder / "node_modules" / ".bin"

    def can_be_installed(self) -> bool:
        return shutil.which("node") is not None and shutil.which("npm") is not None

    def installed(self, package: str) -> str | None:
        about = self.folder / "node_modules" / package / "package.json"
        return json.loads(about.read_text(encoding="utf-8"))["version"] if about.exists() else None

    def pinned(self, package: str) -> str:
        return json.loads((self.folder / "package.json").read_text(encoding="utf-8"))["dependencies"][package]

    def lend(self, home: Path) -> None:
        (home / "node_modules").symlink_to(self.folder / "node_modules")


PYTHON = PythonKit(HERE / "python")
PYTHON_AIDER = PythonKit(HERE / "python-aider")
PYTHON_VIBE = PythonKit(HERE / "python-vibe")
OPENAI_2 = PythonKit(HERE / "python-openai2")
OPENAI_3 = PythonKit(HERE / "python-openai3")
NODE_SDKS = NodeKit(HERE.parent / "sdk" / "node")
NODE = NodeKit(HERE / "node")
NODE_ALL = NodeKit(HERE / "node_all")


def missing(kit: Kit, package: str) -> str | None:
    """Why a client cannot be tried here, if it cannot."""
    installed, pinned = kit.installed(package), kit.pinned(package)
    if installed is None:
        return f"{package} is not installed: run `just clients` or `just clients-all`"
    return None if installed == pinned else f"{package} is {installed}, and {pinned} is pinned: install it anew"


def must_be_there(kit: Kit, tier: int) -> bool:
    """Whether a client that is absent is a fault: what `.ci/run` installs must not be skipped there."""
    return tier == 1 and os.environ.get("CI") == "true" and kit.can_be_installed()
