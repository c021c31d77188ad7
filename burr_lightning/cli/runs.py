"""`burr-lightning runs`: which runs there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .facts import summary
from .options import json_option, persister_option, where_options
from .output import console, print_json, print_table
from .run_table import run_table
from .to_type import to_type
from .tree import as_tree

if TYPE_CHECKING:
    from ..runs import Run


@click.command()
@where_options
@persister_option
@click.option("--tree", is_flag=True, help="Put each fork under the run that it has left.")
@json_option
def runs(
    project: str | None, root_dir: Path | None, persister: str | None, tree: bool, as_json: bool
) -> None:
    """List all stored runs, the newest first.

    Epochs are counted from 0, and only those that are safely stored count. Of the monitored metric
    the best value is shown, with its epoch in parentheses. In a narrow terminal, columns are left out
    rather than ids cut.
    """
    from ..runs import list_runs

    found = list_runs(project, root_dir=root_dir, persister=persister)
    if as_json:
        print_json([summary(run) for run in found])
    elif found:
        out = console()
        lines = list(as_tree(found)) if tree else [(run, "") for run in found]
        print_table(out, run_table(lines, out))
        _say_unread(found)
    else:
        _say_none(project, root_dir)
    _say_half_deleted(project, root_dir)
    _say_unreadable(project, root_dir)


def _say_unreadable(project: str | None, root_dir: Path | None) -> None:
    from ..known_runs import unreadable_runs
    from ..layout import home

    for folder, why in unreadable_runs(home(root_dir), project).items():
        command = to_type("delete", folder.run_id, folder.project, root_dir)
        click.echo(f"{folder.run_id} cannot be opened: {why}. {command}", err=True)


def _say_half_deleted(project: str | None, root_dir: Path | None) -> None:
    from ..layout import half_deleted_folders, home

    for folder in half_deleted_folders(home(root_dir), project):
        command = to_type("delete", folder.run_id, folder.project, root_dir, "--yes")
        click.echo(f"{folder.run_id} is deleted in part. To end that: {command}", err=True)


def _say_none(project: str | None, root_dir: Path | None) -> None:
    from ..layout import HOME_VARIABLE, home

    of_project = f" of project {project!r}" if project else ""
    click.echo(f"No runs{of_project} in {home(root_dir)}.")
    click.echo(f"Look elsewhere: --root-dir DIR, or {HOME_VARIABLE} in the environment.")


def _say_unread(found: list[Run]) -> None:
    unread = [run for run in found if run.rows_error is not None]
    if unread:
        of = f" (and {len(unread) - 1} more, see each with 'show')" if len(unread) > 1 else ""
        click.echo(f"Not all rows can be read: {unread[0].rows_error}{of}", err=True)
