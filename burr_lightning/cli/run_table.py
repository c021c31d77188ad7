"""The table of runs: as much of it as the terminal has room for, and the ids whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .output import NONE, number, status_text

if TYPE_CHECKING:
    from ..runs import Run

_ROOMY = 100
"""Columns of a terminal from which on dates are written in full."""
_OTHERS = {True: 71, False: 58}
"""Columns that what is not a name is well served with, where there is room and where not."""
_LEAST, _LONGEST_WHOLE = 20, 40
"""Characters of a name: so many it gets in any case, and one of so many is still kept in one piece."""
_FOLDED = 12
"""Characters that a column which can be folded needs."""


@dataclass(frozen=True)
class _Column:
    title: str
    cells: list[str | Text]
    folds: bool = False
    to_the_right: bool = False

    @property
    def needs(self) -> int:
        """The characters with which it can still be read."""
        longest = max(cell_len(str(text)) for text in (self.title, *self.cells))
        return min(longest, _FOLDED) if self.folds else longest


def run_table(lines: Sequence[tuple[Run, str]], to: Console) -> Table:
    """A line for each run.

    Args:
        lines: The runs, each with what is drawn before its name.
        to: Where the table will be shown.
    """
    roomy = to.width >= _ROOMY
    gap = 2 if roomy else 1
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")
    names = [before + (_name(run) if before else run.run_id) for run, before in lines]
    width = _width_of_names(names, to.width, roomy)
    columns = _fitting(_columns([run for run, _ in lines], roomy), to.width - width, gap)
    # With a width of its own the id stays in one piece, and the columns that can be wrapped give way.
    table.add_column("run", width=width, overflow="fold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.to_the_right else "left"
        table.add_column(column.title, justify=justify, no_wrap=not column.folds, overflow="fold")
    for name, *cells in zip(names, *(column.cells for column in columns), strict=True):
        table.add_row(name, *cells)
    return table


def _width_of_names(names: list[str], width: int, roomy: bool) -> int:
    lengths = [cell_len(name) for name in ("run", *names)]
    whole = max(_LEAST, *(length for length in lengths if length <= _LONGEST_WHOLE))
    return min(max(lengths), width, max(whole, width - _OTHERS[roomy]))


def _columns(runs: list[Run], roomy: bool) -> list[_Column]:
    from ..runs.words import status_in_words

    epochs: list[str | Text] = [str(run.epoch) if run.epoch >= 0 else NONE for run in runs]
    return [
        _Column("project", [run.project for run in runs], folds=True),
        _Column("status", [status_text(status_in_words(run)) for run in runs]),
        _Column("epoch", epochs, to_the_right=True),
        _Column("best (epoch)", [_best(run) for run in runs], folds=True),
        _Column("created", [_when(run.created, roomy) for run in runs]),
    ]


def _fitting(columns: list[_Column], room: int, gap: int) -> list[_Column]:
    """The columns for which there is room; the project is needed least where all runs have the same."""
    project = columns[0]
    first = ["project"] if len(set(map(str, project.cells))) == 1 else []
    left_out = [*first, "created", "project", "best (epoch)", "epoch", "status"]
    kept = list(columns)
    for title in left_out:
        if sum(gap + column.needs for column in kept) <= room:
            break
        kept = [column for column in kept if column.title != title]
    return kept


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
