"""`burr-lightning runs`: which runs there are."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from .facts import summary
from .options import json_option, persister_option, where_options
from .output import NONE, console, number, print_json, print_table, status_text
from .to_type import to_type
from .tree import as_tree

if TYPE_CHECKING:
    from ..runs import Run

_ROOMY = 100
"""Columns of a terminal from which on dates are written in full."""


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
    the best value is shown, with its epoch in parentheses.
    """
    from ..runs import list_runs

    found = list_runs(project, root_dir=root_dir, persister=persister)
    if as_json:
        print_json([summary(run) for run in found])
    elif found:
        out = console()
        lines = list(as_tree(found)) if tree else [(run, "") for run in found]
        print_table(out, _table(lines, out))
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


def _table(found: list[tuple[Run, str]], to: Console) -> Table:
    roomy = to.width >= _ROOMY
    table = Table(box=None, padding=(0, 2 if roomy else 1, 0, 0), pad_edge=False, header_style="bold")
    longest = max(len("run"), *(len(before + _name(run)) for run, before in found))
    # With a width of its own the id stays in one piece, and the columns that can be wrapped give way.
    others = 71 if roomy else 58
    table.add_column("run", width=min(longest, max(20, to.width - others)), overflow="fold")
    table.add_column("project", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column("best (epoch)", overflow="fold")
    table.add_column("created", no_wrap=True)
    for run, before in found:
        epoch = str(run.epoch) if run.epoch >= 0 else NONE
        name = before + (_name(run) if before else run.run_id)
        row = name, run.project, status_text(run.status), epoch, _best(run), _when(run.created, roomy)
        table.add_row(*row)
    return table


def _name(run: Run) -> str:
    """A fork's name in a tree: with the epoch after which it has left its parent."""
    return f"{run.run_id} (from epoch {run.parent.epoch})" if run.parent else run.run_id


def _best(run: Run) -> str:
    best, monitor = run.best, run.state["monitor"] if run.state else None
    if monitor is None:
        return NONE
    if best is None or best["value"] is None:
        return f"{monitor['metric']} {NONE}"
    return f"{monitor['metric']} {number(best['value'])} ({best['epoch']})"


def _when(created: datetime, roomy: bool) -> str:
    """The date and time; in a narrow terminal the part of it that tells most."""
    now = datetime.now()
    if roomy:
        return f"{created:%Y-%m-%d %H:%M}"
    if created.date() == now.date():
        return f"{created:%H:%M}"
    return f"{created:%b %d}" if created.year == now.year else f"{created:%b %Y}"
