"""`burr-lightning delete`: what goes with a run, and then its deletion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from ..amounts import file_size
from .completing import run_ids as complete_run_ids
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
    return {
        "run_id": run.folder.run_id,
        "project": run.folder.project,
        "deleted": deleted,
        "half_deleted_before": run.begun,
        "unreadable": run.unreadable,
        "folder": run.folder.path,
        "files": run.files,
        "bytes": run.frees,
        "copy": run.info.copied_to,
        "rows": run.rows,
        "store": str(run.store) if run.store is not None else None,
        "trackers": list(run.trackers),
        "kept": {str(path): why for path, why in run.kept.items()},
        "forks": list(run.forks),
    }


def _print(to: Console, run: Doomed) -> None:
    print_whole(to, "run", f"{run.folder.run_id} (project {run.folder.project})")
    if run.begun:
        print_whole(to, "", "it is deleted in part already; this is the rest")
    print_whole(to, "folder", str(run.folder.path))
    if run.unreadable is not None:
        print_whole(to, "not readable", f"{run.unreadable}, so that where its rows are is not known:")
        print_whole(to, "", "those named below go, and none elsewhere; --persister names another store")
    for tracker in run.trackers:
        print_whole(to, "tracker's folder", str(tracker))
    print_whole(to, "files", f"{run.files}, which free {file_size(run.frees)}")
    if run.info.copied_to is not None:
        print_whole(to, "copy", run.info.copied_to)
    rows = f"{run.rows} in {run.store}" if run.store is not None else "stay where they are (--keep-rows)"
    print_whole(to, "rows", rows)
    for path, why in run.kept.items():
        print_whole(to, "stays", f"{path}, for {why}")
    if run.forks:
        print_whole(to, "forks", f"{', '.join(run.forks)}: they stay, whole without it")
