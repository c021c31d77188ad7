"""A comparison as a table of rich's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .summaries import Quartiles, Summary

if TYPE_CHECKING:
    from rich.table import Table

    from .comparing import Comparison

_NONE = "–"


def table(comparison: Comparison) -> Table:
    """One row per condition and baseline; medians with quartiles where there are several histories.

    Raises:
        ModuleNotFoundError: Without rich, which the extra ``cli`` brings.
    """
    try:
        from rich.table import Table
        from rich.text import Text
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("The table needs rich: pip install 'burr-lightning[cli]'") from error
    several = len(comparison.histories) > 1
    made = Table(title=Text(_title(comparison)), title_justify="left", title_style="bold")
    made.add_column("condition", overflow="fold", max_width=44)
    if several:
        made.add_column("stops", justify="right")
    for heading in ("epochs", "regret", "saved"):
        made.add_column(heading, justify="right")
    timed = any(one.seconds_saved.median is not None for one in comparison.summaries)
    if timed:
        made.add_column("time saved", justify="right")
    if several:
        made.add_column("mean regret", justify="right")
        made.add_column("i-Epoch's", justify="right")
    for index, one in enumerate(comparison.summaries):
        made.add_row(*(Text(cell) for cell in _cells(one, several=several, timed=timed)))
        if index == len(comparison.summaries) - 3:
            made.add_section()
    return made


def _title(comparison: Comparison) -> str:
    metric = comparison.monitor
    better = "lower" if metric.mode == "min" else "higher"
    assumed = ", as nobody gave its direction" if comparison.mode_assumed else ""
    histories = len(comparison.histories)
    of = "medians [quartiles] of " if histories > 1 else ""
    which = f"{histories} histories" if histories > 1 else comparison.histories[0].name
    return f"{of}{which}, {metric.name} ({better} is better{assumed})"


def _cells(one: Summary, *, several: bool, timed: bool) -> list[str]:
    cells = [one.condition]
    cells += [f"{one.stopped}/{one.histories}"] if several else []
    cells += [_middle(one.epochs, several), _middle(one.regret, several), _middle(one.epochs_saved, several)]
    cells += [_middle(one.seconds_saved, several, "s")] if timed else []
    return [*cells, _number(one.mean_regret), _number(one.same_cost_regret)] if several else cells


def _middle(values: Quartiles, several: bool, unit: str = "") -> str:
    if values.median is None:
        return _NONE
    middle = _number(values.median)
    spread = f"\n[{_number(values.lower)}, {_number(values.upper)}]" if several else ""
    return f"{middle}{' ' if unit else ''}{unit}{spread}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3g}"
