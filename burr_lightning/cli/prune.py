"""`burr-lightning prune`: what runs do not need, and then its deletion."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from ..amounts import file_size
from .completing import run_ids as complete_run_ids
from .options import json_option, persister_option, where_options
from .output import NONE, console, print_json, print_table

if TYPE_CHECKING:
    from ..runs import Run
    from ..storage.pruning import Pruning


@click.command()
@click.argument("run_ids", metavar="[RUN]...", nargs=-1, shell_complete=complete_run_ids)
@click.option("--all-runs", is_flag=True, help="All runs, or with --project all of that project.")
@click.option(
    "--keep-last", metavar="N", type=click.IntRange(min=1), default=2, show_default=True,
    help="Keep the checkpoints of so many of the newest epochs.",
)  # fmt: skip
@click.option(
    "--keep-best", metavar="N", type=click.IntRange(min=1), default=1, show_default=True,
    help="Keep the checkpoints of so many epochs with the best monitored value.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Delete it. Without it nothing is deleted.")
@where_options
@persister_option
@json_option
def prune(
    run_ids: tuple[str, ...],
    all_runs: bool,
    keep_last: int,
    keep_best: int,
    yes: bool,
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
    as_json: bool,
) -> None:
    """Free what stored runs do not need: older checkpoints, torn files, and what was set aside.

    RUN is a run's id, a beginning of it that no other run has, or "latest". What would be deleted is
    listed, with the bytes that it frees: a file that a fork shares frees none. --yes deletes it. What a
    resume would use and the best epoch's checkpoint stay in any case, and so do all history and all that a
    human was asked and has answered. A run that another process trains is left out.
    """
    if bool(run_ids) == all_runs:
        raise click.UsageError("Name the runs, or give --all-runs.")
    from ..commits import Checkpoints
    from ..runs import Run, find_run, list_runs
    from ..storage.pruning import prunable
    from ..storage.pruning import prune as delete

    where: dict[str, Any] = {"root_dir": root_dir, "persister": persister}
    named = [find_run(run_id, project, **where) for run_id in run_ids]
    runs = list_runs(project, **where) if all_runs else _once(named)
    keep = Checkpoints(keep_last=keep_last, keep_best=keep_best)
    found = [] if yes else prunable(runs, keep)
    try:
        for run in runs if yes else ():
            found.append(delete(partial(Run.open, run.run_id, run.project, **where), run, keep))
    finally:  # where one cannot be gone through, it is told what was deleted of those before it
        if as_json:
            print_json(_facts(found, deleted=yes))
        elif found or not runs:
            _print(console(), found, deleted=yes)


def _once(runs: Sequence[Run]) -> list[Run]:
    return list({(run.project, run.run_id): run for run in runs}.values())


def _facts(found: list[Pruning], *, deleted: bool) -> dict[str, Any]:
    runs = [
        {
            "run_id": run.run_id,
            "project": run.project,
            "skipped": run.skipped,
            "bytes": run.frees,
            "files": [{"file": file.path, "why": file.why, "bytes": file.frees} for file in run.files],
        }
        for run in found
    ]
    return {"deleted": deleted, "bytes": sum(run.frees for run in found), "runs": runs}


def _print(to: Console, found: list[Pruning], *, deleted: bool) -> None:
    for run in found:
        if run.skipped is not None:
            click.echo(f"Run {run.run_id}: {run.skipped}", err=True)
    files = sum(len(run.files) for run in found)
    if not files:
        click.echo("There is nothing to free.")
        return
    print_table(to, _table(found))
    if not all(file.frees for run in found for file in run.files):
        click.echo(f"{NONE} frees nothing: another run has the same file, it is empty, or only in a copy.")
    size = file_size(sum(run.frees for run in found))
    count = f"{files} file{'' if files == 1 else 's'}"
    if deleted:
        click.echo(f"{count} deleted, which freed {size}.")
    else:
        click.echo(f"{count} to delete, which would free {size}. Nothing was deleted: --yes deletes them.")


def _table(found: list[Pruning]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("run", overflow="fold")
    table.add_column("file", overflow="fold")
    table.add_column("frees", justify="right", no_wrap=True)
    table.add_column("what it is", overflow="fold")
    for run in found:
        for file in run.files:
            frees = file_size(file.frees) if file.frees else NONE
            table.add_row(run.run_id, file.path.name, frees, file.why)
    return table
