"""Runs and projects, for the shell to complete: it asks at a press of a key, so folders are all it reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from ..layout import LATEST, RunFolder, home, run_folders, study_run_folders


def run_ids(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The runs that begin as what was typed; their projects stand beside them where the shell shows that.

    Args:
        context: What was typed before: ``--root-dir`` and ``--project`` count.
        parameter: The argument.
        begun: The beginning of it.
    """
    return _ids(_folders(context, context.params.get("project")), begun)


def study_ids(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The studies that begin as what was typed.

    Args:
        context: What was typed before: ``--root-dir`` and ``--project`` count.
        parameter: The argument.
        begun: The beginning of it.
    """
    return _ids(_folders(context, context.params.get("project"), study_run_folders), begun)


def _ids(folders: list[RunFolder], begun: str) -> list[CompletionItem]:
    found = [CompletionItem(f.run_id, help=f.project) for f in folders if f.run_id.startswith(begun)]
    if folders and LATEST.startswith(begun):
        found.append(CompletionItem(LATEST, help="the newest"))
    return found


def projects(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The projects that begin as what was typed."""
    folders = [*_folders(context, None), *_folders(context, None, study_run_folders)]
    names = sorted({folder.project for folder in folders})
    return [CompletionItem(name) for name in names if name.startswith(begun)]


def _folders(
    context: click.Context,
    project: str | None,
    of: Callable[[Path, str | None], list[RunFolder]] = run_folders,
) -> list[RunFolder]:
    root_dir = context.params.get("root_dir")
    try:
        return of(home(Path(root_dir) if root_dir else None), project)
    except OSError:
        return []
