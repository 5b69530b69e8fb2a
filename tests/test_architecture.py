"""The rules of the house that a machine can hold."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("router", "adapters", "bench", "tests")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_PARAMETERS = 6
MAX_POSITIONAL = 2

INSTALLED = {".venv", "node_modules"}
SOURCES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if INSTALLED.isdisjoint(path.parts)
)
PRODUCT = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in {"router", "adapters"}]


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=_named)
def test_no_file_is_longer_than_four_hundred_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@pytest.mark.parametrize("path", SOURCES, ids=_named)
def test_no_function_is_longer_than_fifty_lines(path: Path) -> None:
    too_long = {
        function.name: function.end_lineno - function.lineno + 1
        for function in _functions(path)
        if function.end_lineno is not None and function.end_lineno - function.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert not too_long


@pytest.mark.parametrize("path", PRODUCT, ids=_named)
def test_no_function_takes_more_than_six_parameters(path: Path) -> None:
    too_many = {
        function.name: len(names)
        for function in _functions(path)
        if len(names := _parameters(function)) > MAX_PARAMETERS
    }
    assert not too_many


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in {"self", "cls"}]


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.name != "__main__.py"], ids=_named)
def test_every_module_says_in_one_line_what_lives_in_it(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":", "?"))


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=20).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name]


def test_no_lock_file_with_download_addresses_is_in_the_repository() -> None:
    assert not {"uv.lock", "package-lock.json"} & {path.name for path in _tracked()}
    locks = [ROOT / "requirements.lock", *(ROOT / "tests" / "clients").glob("*/requirements.txt")]
    for text in (lock.read_text(encoding="utf-8") for lock in locks):
        assert "://" not in text
        assert "--hash=sha256:" in text


def test_every_direct_dependency_is_pinned() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").lower().replace("_", "-").replace(".", "-")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for line in project.splitlines():
        if line.startswith('    "') and ">=" in line:
            name = line.strip().strip('",').split(">=")[0].split("[")[0].lower().replace("_", "-").replace(".", "-")
            assert f"\n{name}==" in f"\n{lock}", name


def test_the_readme_names_only_files_that_exist() -> None:
    for document in (*ROOT.glob("*.md"), *(ROOT / "router").glob("*.md"), *(ROOT / "adapters").glob("*.md")):
        text = document.read_text(encoding="utf-8")
        for target in (part.split(")")[0] for part in text.split("](")[1:]):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"
