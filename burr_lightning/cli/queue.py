"""`burr-lightning queue` and `burr-lightning cancel`: what is in the queue, and taking it out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from .options import json_option, root_dir_option
from .output import NONE, console, print_json, print_table, status_text

if TYPE_CHECKING:
    from ..scheduling.listing import Listed


@click.command()
@click.option("--all", "everything", is_flag=True, help="Show all jobs that are over, not the newest ten.")
@root_dir_option
@json_option
def queue(everything: bool, root_dir: Path | None, as_json: bool) -> None:
    """List the jobs of the queue, the oldest first, and those that are over after them."""
    from ..layout import home
    from ..scheduling.listing import listed

    root = home(root_dir)
    found = listed(root, over=None if everything else 10)
    if as_json:
        print_json([_facts(job) for job in found.jobs])
        return
    for (project, run_id), why in found.left_alone.items():
        click.echo(f"{project}/{run_id} was started by hand, and no worker goes on with it: {why}", err=True)
    if not found.jobs:
        click.echo(
            f"Nothing is in the queue of {root}. Put something there: burr-lightning submit -- COMMAND"
        )
        return
    out = console()
    print_table(out, _table(found.jobs, out))
    click.echo(f"The commands' output: {root}/.queue/JOB/log.txt")
    if found.left_out:
        click.echo(f"{found.left_out} more are over; --all shows them.")


@click.command()
@click.argument("job", metavar="JOB")
@root_dir_option
def cancel(job: str, root_dir: Path | None) -> None:
    """Take a job out of the queue that is not running: nothing starts it any more.

    JOB is a job's id, or a beginning of it that no other job has; or the id of a run that was started by hand
    and that no worker is to go on with, PROJECT/RUN where several have it. Its record and its runs stay, and
    'burr-lightning resume' goes on with them.
    """
    from ..layout import home
    from ..scheduling.submitting import cancel as take_out

    click.echo(f"{take_out(job, home(root_dir)).id} is out of the queue.")


def _facts(job: Listed) -> dict[str, Any]:
    from ..scheduling.shown import shown_words

    last = job.last
    return {
        "job": job.id,
        "state": job.standing.state,
        "reason": job.standing.reason,
        "again": _when(job.standing.at),
        "run_id": job.job.run_id,
        "command": shown_words(job.job.command),
        "folder": job.job.folder,
        "submitted": _when(job.job.submitted),
        "attempts": job.attempts,
        "started": _when(last.started) if last else None,
        "ended": _when(last.ended) if last else None,
        "code": last.code if last else None,
        "log": job.log,
    }


def _when(seconds: float | None) -> str | None:
    return datetime.fromtimestamp(seconds).astimezone().isoformat() if seconds is not None else None


def _table(jobs: list[Listed], to: Console) -> Table:
    from ..scheduling.shown import shown_command

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("job", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("attempts", justify="right", no_wrap=True)
    table.add_column("ended", no_wrap=True)
    table.add_column("why", overflow="fold")
    table.add_column("command", overflow="ellipsis", no_wrap=True, max_width=max(20, to.width // 3))
    for job in jobs:
        ended = job.last.ended if job.last else None
        table.add_row(
            job.id,
            status_text(job.standing.state),
            str(job.attempts),
            f"{datetime.fromtimestamp(ended):%Y-%m-%d %H:%M}" if ended is not None else NONE,
            job.standing.reason,
            shown_command(job.job.command),
        )
    return table
