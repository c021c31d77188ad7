"""Runs and projects, for the shell to complete: it asks at a press of a key, so folders are all it reads."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from ..layout import LATEST, RunFolder, home, run_folders


def run_ids(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The runs that begin as what was typed; their projects stand beside them where the shell shows that.

    Args:
        context: What was typed before: ``--root-dir`` and ``--project`` count.
        parameter: The argument.
        begun: The beginning of it.
    """
    folders = _folders(context, context.params.get("project"))
    found = [CompletionItem(f.run_id, help=f.project) for f in folders if f.run_id.startswith(begun)]
    if folders and LATEST.startswith(begun):
        found.append(CompletionItem(LATEST, help="the newest"))
    return found


def projects(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The projects that begin as what was typed."""
    names = sorted({folder.project for folder in _folders(context, None)})
    return [CompletionItem(name) for name in names if name.startswith(begun)]


def _folders(context: click.Context, project: str | None) -> list[RunFolder]:
    root_dir = context.params.get("root_dir")
    try:
        return run_folders(home(Path(root_dir) if root_dir else None), project)
    except OSError:
        return []
