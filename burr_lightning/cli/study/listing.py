"""`burr-lightning study list`: which studies there are."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from ..options import json_option, persister_option, where_options
from ..output import console, print_json, print_table, status_text
from ..to_type import to_type
from .facts import summary
from .finding import needs_tuning
from .words import best_text, value_names

if TYPE_CHECKING:
    from ...tuning.looking import StudyLook


@click.command("list")
@where_options
@persister_option
@json_option
def listing(project: str | None, root_dir: Path | None, persister: str | None, as_json: bool) -> None:
    """List all stored studies, the newest first."""
    with needs_tuning("study list"):
        from ...tuning.looking import all_studies

    found, unread = all_studies(project, root_dir=root_dir, persister=persister)
    if as_json:
        print_json([summary(look) for look in found])
    elif found:
        print_table(console(), _table(found))
    elif not unread:
        _say_none(project, root_dir)
    for name, why in unread.items():
        click.echo(f"{name} cannot be read: {why}", err=True)
    _say_half_deleted(project, root_dir)


def _say_half_deleted(project: str | None, root_dir: Path | None) -> None:
    from ...layout import half_deleted_study_folders, home

    for folder in half_deleted_study_folders(home(root_dir), project):
        command = to_type("study delete", folder.run_id, folder.project, root_dir, "--yes")
        click.echo(f"{folder.run_id} is deleted in part. To end that: {command}", err=True)


def _say_none(project: str | None, root_dir: Path | None) -> None:
    from ...layout import HOME_VARIABLE, home

    of_project = f" of project {project!r}" if project else ""
    click.echo(f"No studies{of_project} in {home(root_dir)}.")
    click.echo(f"Look elsewhere: --root-dir DIR, or {HOME_VARIABLE} in the environment.")


def _table(found: list[StudyLook]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in ("study", "project"):
        table.add_column(name, overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("over", justify="right", no_wrap=True)
    for name in ("looks for", "best (trial)"):
        table.add_column(name, overflow="fold")
    table.add_column("created", no_wrap=True)
    for look in found:
        wanted = look.study.state["n_trials"]
        table.add_row(
            look.info.run_id,
            look.info.project,
            status_text(look.status),
            f"{look.study.ledger.over}/{wanted}" if wanted is not None else str(look.study.ledger.over),
            value_names(look),
            best_text(look),
            f"{datetime.fromtimestamp(look.info.created):%Y-%m-%d %H:%M}",
        )
    return table
