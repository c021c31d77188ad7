"""`burr-lightning compare`: what stop conditions would have done to recorded runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .completing import run_ids
from .options import json_option, persister_option, where_options
from .output import console, print_field, print_json, print_table

if TYPE_CHECKING:
    from ..stopping import Comparison


@click.command(
    epilog="Example: burr-lightning compare digits-1 digits-2 --stop 'plateau(\"val_loss\", patience=3)' "
    "--stop 'generalization_loss(\"val_loss\", 5) | max_epochs(40)'"
)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=run_ids)
@click.option(
    "--stop",
    "stops",
    metavar="CONDITION",
    multiple=True,
    required=True,
    help="A condition, as 'plateau(\"val_loss\", patience=3)', or several combined with & | ~ and brackets. "
    "Give it again for each one.",
)
@click.option("--monitor", metavar="METRIC", help="What is compared. Without it: the runs' monitored metric.")
@click.option("--mode", type=click.Choice(["min", "max"]), help="Whether lower or higher is better.")
@click.option(
    "--plot", metavar="FILE", type=click.Path(dir_okay=False), help="Draw the curves and the stops."
)
@click.option("--tradeoff", metavar="FILE", type=click.Path(dir_okay=False), help="Draw regret over epochs.")
@where_options
@persister_option
@json_option
def compare(
    runs: tuple[str, ...],
    stops: tuple[str, ...],
    monitor: str | None,
    mode: str | None,
    plot: str | None,
    tradeoff: str | None,
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
    as_json: bool,
) -> None:
    """Compare stop conditions on recorded runs: when each would have stopped, and what that loses.

    RUN is a run's id, a beginning of it that no other run has, "latest", or the path of a log of
    Lightning's: a metrics.csv, an event file, or the folder of one.
    """
    from ..conditions import parse_condition
    from ..stopping import compare_stopping
    from ..stopping.pictures import check_place

    where: dict[str, Any] = {"project": project, "root_dir": root_dir, "persister": persister}
    conditions = {text: parse_condition(text) for text in stops}
    for option, path in (("--plot", plot), ("--tradeoff", tradeoff)):
        if path is not None:
            check_place(path, f"{option} {path}")
    monitor = monitor or _monitored(runs, where)
    comparison = compare_stopping(list(runs), conditions, monitor, mode, **where)  # type: ignore[arg-type]
    if as_json:
        print_json(_facts(comparison))
    else:
        _print(comparison)
    for path, draw in ((plot, comparison.plot), (tradeoff, comparison.plot_tradeoff)):
        if path is not None:
            _draw(draw, path)
            click.echo(f"Drawn: {path}", err=as_json)


def _draw(draw: Callable[[str], Any], path: str) -> None:
    try:
        draw(path)
    except OSError as error:
        raise click.ClickException(f"The figure cannot be written to {path} ({error}).") from error


def _monitored(runs: tuple[str, ...], where: dict[str, Any]) -> str:
    """The metric that all runs monitor."""
    from ..runs import find_run

    states = [find_run(run, **where).state for run in runs if not Path(run).exists()]
    monitors = [state["monitor"] for state in states if state is not None and state["monitor"]]
    names: list[str] = sorted({monitor["metric"] for monitor in monitors})
    if len(names) != 1:
        found = f"the runs monitor {', '.join(names)}" if names else "no run says what it monitors"
        raise click.UsageError(f"Which metric is compared? Here {found}: give --monitor METRIC.")
    return names[0]


def _facts(comparison: Comparison) -> dict[str, Any]:
    reasons = zip(comparison.stops, comparison.reasons(), strict=True)
    return {
        "monitor": comparison.monitor.name,
        "mode": comparison.monitor.mode,
        "mode_from": comparison.mode_from,
        "without_regret": comparison.without_regret,
        "summaries": [summary.to_dict() for summary in comparison.summaries],
        "stops": [{**stop.to_dict(), "reason": reason} for stop, reason in reasons],
    }


def _print(comparison: Comparison) -> None:
    from ..stopping.printed import table

    to = console()
    print_table(to, table(comparison))
    if len(comparison.histories) == 1:
        for stop, reason in zip(comparison.stops, comparison.reasons(), strict=True):
            where = f"epoch {stop.epoch}" if stop.epoch is not None else "never"
            print_field(to, where, reason or stop.condition)
