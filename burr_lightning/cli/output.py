"""How the commands print: tables and fields for people, JSON for programs."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ..amounts import duration as duration
from ..amounts import number as number
from ..questions import shown

if TYPE_CHECKING:
    from ..runs import Run

NONE = "–"
"""What stands where there is nothing to say."""

LABEL_WIDTH = 16
_NO_LIMIT = 100_000
_STYLES = {
    "running": "cyan",
    "paused": "magenta",
    "finished": "green",
    "failed": "bold red",
    "interrupted": "yellow",
    "waiting": "magenta",
    "retrying": "yellow",
    "given up": "bold red",
    "done": "green",
}


def console() -> Console:
    """A console for text that is not ours: metric names and errors may look like markup.

    What goes into a pipe or a file is not cut or wrapped, unless COLUMNS asks for a width.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    made = Console(markup=False, emoji=False, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _NO_LIMIT
    return made


def print_json(value: Any) -> None:
    """Print strict JSON: infinities, NaN and unknown types as strings."""
    from ..state import json_value

    click.echo(json.dumps(json_value(value), indent=2, allow_nan=False))


def print_table(to: Console, table: RenderableType) -> None:
    """Print a table without the blanks that fill up its lines."""
    with to.capture() as captured:
        to.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip(), color=True)  # whether there is colour in it, the console has decided


def print_field(to: Console, label: str, value: str | Text) -> None:
    """Print a label and its value, which goes on under itself where it is long."""
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=LABEL_WIDTH, style="bold")
    row.add_column(overflow="fold")
    row.add_row(label, shown(value) if isinstance(value, str) else value)
    print_table(to, row)


def print_whole(to: Console, label: str, value: str) -> None:
    """Print a label and a value that stays in one piece, so that it can be copied: a file's path."""
    to.print(Text.assemble((label.ljust(LABEL_WIDTH + 1), "bold"), shown(value)), soft_wrap=True)


def status_text(status: str) -> Text:
    """A run's status in its colour."""
    return Text(status, style=_STYLES.get(status, ""))


def pairs(values: dict[str, Any]) -> str:
    """Names and values on one line.

    Example:
        >>> pairs({"lr": 0.01, "layers": [64, 10]})
        'lr=0.01, layers=[64, 10]'
    """
    return ", ".join(f"{name}={value}" for name, value in values.items()) or NONE


def with_changes(fork: Run) -> str:
    """What a fork has otherwise than its parent, to be put behind that; empty where it is nothing."""
    from ..state import changed_by_fork

    changed = changed_by_fork(fork.state) if fork.state is not None else {}
    return f", with {pairs({name: new for name, (_, new) in changed.items()})}" if changed else ""
