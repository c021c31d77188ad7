"""The options that several commands have."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .completing import projects, run_ids

_Command = TypeVar("_Command", bound=Callable[..., Any])


def root_dir_option(command: _Command) -> _Command:
    """``--root-dir``: where runs are kept."""
    return click.option(
        "--root-dir",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where runs are kept. Without it: BURR_LIGHTNING_HOME of the environment, else ./burr_runs.",
    )(command)


def run_argument(command: _Command) -> _Command:
    """``RUN``: a run, as `find_run` takes it."""
    return click.argument("run_id", metavar="RUN", shell_complete=run_ids)(command)


def where_options(command: _Command) -> _Command:
    """``--project`` and ``--root-dir``: which runs are looked through."""
    project = click.option(
        "--project",
        metavar="P",
        shell_complete=projects,
        help="Look at the runs of this project only, not at those of all projects.",
    )
    return project(root_dir_option(command))


def persister_option(command: _Command) -> _Command:
    """``--persister``: for runs whose rows are on a server that asks for a password."""
    return click.option(
        "--persister",
        metavar="URL",
        envvar="BURR_LIGHTNING_PERSISTER",
        help="The URL that the runs were trained with, password included; each run knows the rest of it. "
        "Better given in BURR_LIGHTNING_PERSISTER of the environment than where others see it.",
    )(command)


def json_option(command: _Command) -> _Command:
    """``--json``: for other programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")(command)


def refuse_beginning(wanted: str, meant: str) -> None:
    """See that what is to be deleted was called by its whole name.

    Raises:
        NameNotWholeError: If it was not.
    """
    from ..errors import NameNotWholeError

    if wanted not in (meant, "latest"):
        raise NameNotWholeError(wanted, meant)


def finite(context: click.Context, option: click.Parameter, value: float) -> float:
    """A number of an option, unless it is infinite or none: click takes both for floats."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not finite.")
    return value


def look_options(command: _Command) -> _Command:
    """``--once`` and ``--every``: how often to look at what runs."""
    every = click.option(
        "--every",
        metavar="SECONDS",
        type=click.FloatRange(min=0.1),
        callback=finite,
        default=1.0,
        show_default=True,
        help="How often to look.",
    )
    return click.option("--once", is_flag=True, help="Show how it stands now, and end.")(every(command))
