"""Runs in a client's own environment: driving.py DRIVER PROGRAM MODEL. Plays a scene for each line of JSON it reads.

The scene `chat` is the program itself, as a person pastes it. For the others, the driver has `ask`, `stream` and
`tools`: each is told what the program has made, with `MODEL` in it, and the prompt, and returns or yields text.
"""

import contextlib
import importlib.util
import io
import json
import runpy
import sys
from collections.abc import Callable, Iterable
from types import ModuleType, SimpleNamespace
from typing import Any

PLAYED_BY = {"stream": "stream", "tools": "tools", "long": "ask", "broken": "stream", "limited": "ask"}


def main() -> None:
    """Ends with its input."""
    driver, (program, model) = _loaded(sys.argv[1]), sys.argv[2:]
    made: SimpleNamespace | None = None
    answers = sys.stdout
    for line in sys.stdin:
        question = json.loads(line)
        said = io.StringIO()
        error = None
        with contextlib.redirect_stdout(said):
            try:
                if made is None or question["scene"] == "chat":
                    made = SimpleNamespace(**runpy.run_path(program), MODEL=model)
                if question["scene"] != "chat":
                    said.seek(0)
                    said.truncate()
                    _say(getattr(driver, PLAYED_BY[question["scene"]]), made, question["prompt"])
            except Exception as failure:  # noqa: BLE001
                error = f"{type(failure).__name__}: {failure}"
        answers.write(json.dumps({"text": said.getvalue(), "error": error}) + "\n")
        answers.flush()


def _say(play: Callable[[Any, str], str | Iterable[str]], made: SimpleNamespace, prompt: str) -> None:
    said = play(made, prompt)
    for piece in [said] if isinstance(said, str) else said:
        sys.stdout.write(piece)


def _loaded(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("driver", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
