"""`burr-lightning diff`: where two runs differ."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..questions import shown
from .completing import run_ids
from .options import json_option, persister_option, where_options
from .output import NONE, console, number, print_field, print_json, print_table

if TYPE_CHECKING:
    from ..runs import Run
    from .differences import Comparison, Difference

_DIFFERS = 1


@click.command()
@click.argument("left", metavar="RUN", shell_complete=run_ids)
@click.argument("right", metavar="RUN", shell_complete=run_ids)
@click.option("--exit-code", is_flag=True, help="End with 1 where they differ.")
@where_options
@persister_option
@json_option
@click.pass_context
def diff(
    context: click.Context,
    left: str,
    right: str,
    exit_code: bool,
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
    as_json: bool,
) -> None:
    """Show where two runs differ: hyperparameters, data, machine, conditions, and what came of them.

    RUN is a run's id, a beginning of it that no other run has, or "latest". Of each metric the last value is
    compared, and the best where it is known which way it gets better. What is the same is only named.

    \b
    Exit codes:
        0  they were compared; with --exit-code, they are the same
        1  with --exit-code, they differ; there is no such run
    """  # noqa: D301 (click reads the backspace as: do not wrap what follows)
    from ..runs import find_run
    from .differences import compared

    where: dict[str, Any] = {"root_dir": root_dir, "persister": persister}
    one, other = find_run(left, project, **where), find_run(right, project, **where)
    found = compared(one, other)
    if as_json:
        print_json(_facts(one, other, found))
    else:
        _print(console(), one, other, found)
    context.exit(_DIFFERS if exit_code and found.differences else 0)


def _facts(left: Run, right: Run, found: Comparison) -> dict[str, Any]:
    runs = {
        side: {"run_id": run.run_id, "project": run.project}
        for side, run in (("left", left), ("right", right))
    }
    differences = [difference.as_json() for difference in found.differences]
    return {**runs, "differences": differences, "same": found.same, "not_compared": found.not_compared}


def _print(to: Console, left: Run, right: Run, found: Comparison) -> None:
    if found.differences:
        print_table(to, _table(left, right, found.differences))
    for section, why in found.not_compared.items():
        print_field(to, section, f"not compared: {why}")
    if found.same:
        print_field(to, "the same", ", ".join(found.same))


def _table(left: Run, right: Run, differences: list[Difference]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("", overflow="fold", ratio=2)
    table.add_column(shown(left.run_id), overflow="fold", ratio=3)
    table.add_column(shown(right.run_id), overflow="fold", ratio=3)
    for section, own in groupby(differences, lambda difference: difference.section):
        table.add_row(Text(section, style="bold"))
        for difference in own:
            sides = _texts(difference)
            table.add_row(f"  {shown(difference.name)}", *map(shown, sides))
    return table


def _texts(difference: Difference) -> list[str]:
    from .differences import MISSING

    sides = (difference.left, difference.right)
    return [NONE if value is MISSING or value is None else _text(value) for value in sides]


def _text(value: Any) -> str:
    if isinstance(value, Mapping) and value.keys() == {"value", "epoch"}:
        return f"{number(value['value'])} (epoch {value['epoch']})"
    return str(value)
