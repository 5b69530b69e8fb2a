"""The NAME of a model, as an argument of a command."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import rich_click as click

_ELSEWHERE = {".", ".."}
"""Parts with which a path leads somewhere else by the time it is sent."""


def model_name(value: str) -> str:
    """The same, if it stays a name in a path; raises BadParameter, which click tells as wrong usage."""
    if not value.strip("/ "):
        raise click.BadParameter("the name of a model is missing")
    if not _ELSEWHERE.isdisjoint(value.split("/")):
        raise click.BadParameter("no part of a model's name is '.' or '..'")
    return value


name_argument = click.argument("name", type=model_name)
