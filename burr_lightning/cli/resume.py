"""`burr-lightning resume`: go on with one run, now."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from .completing import run_ids
from .options import where_options


@click.command()
@click.argument("run", metavar="RUN", shell_complete=run_ids)
@where_options
def resume(run: str, project: str | None, root_dir: Path | None) -> None:
    """Go on with one run, now and in this terminal, with the command that started it.

    RUN is a run's id, a beginning of it that no other run has, or "latest"; or the id of a job in the queue.
    The exit code is the command's, 128 and the signal's number where a signal ended it.
    """
    from ..layout import home
    from ..scheduling.resuming import resume as go_on

    attempt = go_on(run, home(root_dir), project)
    if attempt.code is None:  # asked to end before there was a process
        raise SystemExit(128 + signal.Signals[attempt.stopped or "SIGTERM"])
    if attempt.code < 0:
        raise SystemExit(128 - attempt.code)
    raise SystemExit(attempt.code)
