"""`turnout completion`: what a shell reads once to complete commands, options and their values."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import rich_click as click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_TURNOUT_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete `turnout` commands.

    bash: `turnout completion bash >> ~/.bashrc`; zsh: the same with ~/.zshrc; fish: `turnout completion fish >
    ~/.config/fish/completions/turnout.fish`.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "turnout", VARIABLE).source())
