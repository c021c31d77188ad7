"""`burr-lightning work`: run what is ready."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .options import finite, root_dir_option


@click.command()
@click.option("--once", is_flag=True, help="End when nothing is ready any more, as a cron job should.")
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many commands to run at the same time.",
)
@click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    default=60.0,
    show_default=True,
    help="How often to look for new jobs and answers while nothing happens.",
)
@click.option(
    "--only-submitted", is_flag=True, help="Leave runs alone that were not started through the queue."
)
@root_dir_option
def work(once: bool, jobs: int, every: float, only_submitted: bool, root_dir: Path | None) -> None:
    """Run what is ready: queued commands, answered runs, interrupted runs.

    Any number of workers can share a root: none starts what another one runs. On SIGTERM, SIGHUP or Ctrl-C
    the commands are asked to end with SIGTERM, and go on with the next worker. A second one does not wait
    for that.

    With --once, the exit code is 1 if something that it ran failed, and is 0 otherwise.
    """
    from ..layout import home
    from ..scheduling.worker import Plan, Worker

    plan = Plan(jobs=jobs, every=every, once=once, adopts=not only_submitted)
    well = Worker(home(root_dir), plan, _say).run()
    if once and not well:
        raise SystemExit(1)


def _say(line: str) -> None:
    click.echo(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}")
