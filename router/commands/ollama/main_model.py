"""`turnout ollama set-main`: the model for requests that name no other."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import os
from pathlib import Path

import rich_click as click

from router.commands.ollama.naming import name_argument
from router.commands.people import json_option
from router.commands.shared import config_option, existing, fail


@click.command("set-main")
@name_argument
@click.option("--backend", help="An Ollama server of the settings file. Default: the only one.")
@click.option("--alias", help="The alias that is to lead there. Default: one that does, else the model's name.")
@click.option("--pull", "may_pull", is_flag=True, help="Pull the model first if it is not there.")
@click.option("--yes", "-y", is_flag=True, help="Replace what is there without asking.")
@config_option
@json_option
def set_main(
    name: str, backend: str | None, alias: str | None, config: Path | None, *, as_json: bool, **may: bool
) -> None:
    """Make NAME the model for requests that name no other: an alias and `routing.default_model` in the settings file.

    Needs no running router; one that runs takes the change up by itself.
    """
    from router.commands.ollama.making_main import Manner, Wish, make_main

    path = existing(config, os.environ)
    if path is None:
        fail("there is no settings file here: name one with --config, or write a turnout.yaml")
    manner = Manner(may_pull=may["may_pull"], yes=may["yes"], as_json=as_json)
    make_main(Wish(path, backend or "", name, backend), alias, manner)
