"""`burr-lightning completion`: what a shell runs to complete commands, options, run ids and projects."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_PROGRAM = "burr-lightning"
_VARIABLE = "_BURR_LIGHTNING_COMPLETE"
"""Where click looks, when a shell asks it to complete: of the program's name, by its own rule."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes this command in a shell; it goes into the shell's own file.

    \b
        bash  eval "$(burr-lightning completion bash)"           in ~/.bashrc
        zsh   eval "$(burr-lightning completion zsh)"            in ~/.zshrc, after compinit
        fish  burr-lightning completion fish | source            in ~/.config/fish/config.fish

    Commands, options, and the ids of runs and studies are completed; those where --root-dir and --project
    before them say, or BURR_LIGHTNING_HOME of the environment.
    """  # noqa: D301 (click reads the backspace as: do not wrap what follows)
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())
