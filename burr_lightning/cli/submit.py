"""`burr-lightning submit`: put a command into the queue."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from .options import finite, root_dir_option


@click.command(
    context_settings={"allow_interspersed_args": False},  # what follows the program is its own
    epilog="Example: burr-lightning submit --run-id digits-1 -- python train.py --lr 0.1",
)
@click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--run-id", metavar="ID", help="The run that it trains. Without it: a new id, from the date and time."
)
@click.option(
    "--retries",
    metavar="N",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="How often it is started again after failures in a row that brought no new commit.",
)
@click.option(
    "--backoff",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    callback=finite,
    default=10.0,
    show_default=True,
    help="The wait before the first of these starts. It doubles each time, up to ten minutes.",
)
@root_dir_option
def submit(
    command: tuple[str, ...], run_id: str | None, retries: int, backoff: float, root_dir: Path | None
) -> None:
    """Put a command into the queue, to be started in this folder by 'burr-lightning work'.

    The command finds the run's id in BURR_LIGHTNING_RUN_ID, where BurrCallback() takes it from. It is started
    again until it ends well: after a crash, after a worker was asked to end, and when a question of its run
    was answered.
    """
    from ..layout import home
    from ..scheduling.submitting import submit as put

    folder = put(command, home(root_dir), run_id=run_id, retries=retries, backoff=backoff)
    where = f" --root-dir {shlex.quote(str(root_dir))}" if root_dir is not None else ""
    click.echo(folder.id)
    click.echo(f"It is in the queue. What is there is run by: burr-lightning work{where}", err=True)
