"""`turnout ollama`: the models of Ollama servers, over the API of a running router; its main model, in the file."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import rich_click as click

from router.commands.ollama.library import list_models, list_running, load, remove, show_model, unload
from router.commands.ollama.main_model import set_main
from router.commands.ollama.pulling import list_pulls, pull
from router.commands.ollama.updating import update


@click.group()
def ollama() -> None:
    """Models of Ollama servers: list, pull, load and remove them; choose the main one."""


for command in (list_models, pull, list_pulls, show_model, remove, list_running, load, unload, update, set_main):
    ollama.add_command(command)
