"""A snippet as a person reads it, and the page of all of them."""

import shlex
from collections.abc import Iterable, Iterator

from router.connect.guide import KEY, Guide, Place, Snippet

EXAMPLE = Place("http://127.0.0.1:7070", "coder")
_PROGRAMS = (".py", ".mjs", ".js", ".ts")

HEAD = """# Connecting clients

Written by `just docs`, with the address of a router on this machine and a model `coder`: `turnout connect CLIENT`
prints the same with your own. The tests run every one of these, as the table in the [README](../README.md) says. Where
the router asks for a key, put it into `TURNOUT_API_KEY`.
"""


def lines(snippet: Snippet) -> Iterator[str]:
    """What to set, write and run, as comments and a shell's lines."""
    for name, value in snippet.environment.items():
        yield f"export {name}={_quoted(value)}"
    for file in snippet.files:
        yield from ("", f"# {file.path}", *file.text.rstrip().splitlines(), "")
    yield from ("# then", shlex.join(snippet.command)) if snippet.files else (shlex.join(snippet.command),)


def page(guides: Iterable[Guide], place: Place = EXAMPLE) -> str:
    """Markdown."""
    return "\n".join([HEAD, *(_section(each, place) for each in guides)])


def _section(guide: Guide, place: Place) -> str:
    snippet = guide.write(place)
    note = f"\n{guide.note}\n" if guide.note else ""
    blocks = [
        f"## {guide.title}\n",
        f"`turnout connect {guide.name}`, over `{guide.surface}`. `{guide.install}`\n{note}",
    ]
    for file in snippet.files:
        language = "python" if file.path.endswith(".py") else "js" if file.path.endswith(_PROGRAMS) else ""
        blocks.append(f"`{file.path}`:\n\n```{language}\n{file.text.rstrip()}\n```\n")
    exports = [f"export {name}={_quoted(value)}" for name, value in snippet.environment.items()]
    blocks.append("\n".join(["```sh", *exports, shlex.join(snippet.command), "```\n"]))
    return "\n".join(blocks)


def _quoted(value: str) -> str:
    return f'"{value}"' if value == KEY else shlex.quote(value)
