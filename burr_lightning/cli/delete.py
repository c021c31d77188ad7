"""`burr-lightning delete`: what goes with a run, and then its deletion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from .completing import run_ids as complete_run_ids
from .doomed import facts_of, print_files, print_folders, print_rows
from .options import json_option, persister_option, refuse_beginning, where_options
from .output import console, print_json, print_whole

if TYPE_CHECKING:
    from ..storage.doomed import Doomed


@click.command()
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True, shell_complete=complete_run_ids)
@click.option("--yes", is_flag=True, help="Delete it. Without it nothing is deleted.")
@click.option(
    "--keep-rows", is_flag=True, help="Leave its rows where they are: in a store that is gone, say."
)
@where_options
@persister_option
@json_option
def delete(
    run_ids: tuple[str, ...],
    yes: bool,
    keep_rows: bool,
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
    as_json: bool,
) -> None:
    """Delete stored runs: the folder, the rows, and what Burr's tracker has of them.

    RUN is a run's id, a beginning of it that no other run has, or "latest". What goes is shown; --yes
    deletes it, and takes whole ids. A run that is being trained, or that a job of the queue is to start,
    is refused. Its forks stay as they are. A deletion that is cut off is ended by the same command. A run
    whose run.json is gone or cannot be read goes too, with its rows beside the runs, or those in the
    store that --persister names.
    """
    from ..layout import home
    from ..storage.deleting import delete as delete_run
    from ..storage.doomed import doomed, found
    from ..storage.sizes import Freed

    root = home(root_dir)
    meant = {}
    for run_id in run_ids:
        folder, info = found(run_id, root, project)
        if yes:
            refuse_beginning(run_id, folder.run_id)
        meant[folder.path] = folder, info
    freed = Freed()
    runs = [doomed(*run, persister, keep_rows=keep_rows, freed=freed) for run in meant.values()]
    out, gone = console(), set()
    try:
        for run in runs:
            if not as_json:
                _print(out, run)
            if yes:
                delete_run(run)
                gone.add(run.folder.path)
                _say(f"Run {run.folder.run_id} is deleted.", as_json)
    finally:  # where one cannot be deleted, it is told which were
        if as_json:
            print_json([run_facts(run, deleted=run.folder.path in gone) for run in runs])
    if not yes:
        _say("Nothing was deleted: --yes deletes it.", as_json)


def _say(text: str, as_json: bool) -> None:
    if not as_json:
        click.echo(text)


def run_facts(run: Doomed, *, deleted: bool) -> dict[str, Any]:
    """What `--json` tells of a run that goes; the keys are stable."""
    copied = {"run_id": run.folder.run_id, "copy": run.info.copied_to}
    return copied | facts_of(run, deleted=deleted)


def _print(to: Console, run: Doomed) -> None:
    unknown = (
        "where its rows are is not known",
        ("those named below go, and none elsewhere; --persister names another store"),
    )
    print_folders(to, "run", run.folder.run_id, run, unreadable=unknown)
    print_files(to, run.files, run.frees)
    if run.info.copied_to is not None:
        print_whole(to, "copy", run.info.copied_to)
    print_rows(to, run.rows, run)
