"""What the tests here share: reading a text and seeing what is wrong with it."""

from textwrap import dedent

import pytest

from router.config import ConfigError, Problem, parse
from router.settings import Settings

BACKEND = "backends: {desk: {type: ollama, url: 'http://127.0.0.1:11434'}}\n"


def read(text: str, **environ: str) -> Settings:
    return parse(dedent(text), source="turnout.yaml", environ=environ)


def problems(text: str, **environ: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        read(text, **environ)
    assert str(caught.value) == "\n".join(str(problem) for problem in caught.value.problems)
    return caught.value.problems


def complaints(text: str, **environ: str) -> list[str]:
    """Each problem as the one line that a person sees."""
    return [str(problem) for problem in problems(text, **environ)]
