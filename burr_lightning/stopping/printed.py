"""A comparison as a table of rich's, and what stands around it in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..errors import MissingExtraError
from .summaries import Quartiles, Summary

if TYPE_CHECKING:
    from rich.table import Table

    from .comparison import Comparison

_NONE = "–"
_DIRECTION_FROM = {
    "given": "as was asked for",
    "declared": "as the histories say",
    "assumed": "as nobody gave its direction",
}
_NAMED = 5
"""How many histories a line of text names."""


def table(comparison: Comparison) -> Table:
    """One row per condition and baseline; medians with quartiles where there are several histories.

    Numbers are never cut and never broken: in a narrow window it is the conditions that take more lines.

    Raises:
        MissingExtraError: Without rich, which the extra ``cli`` brings.
    """
    try:
        from rich import box
        from rich.table import Table
        from rich.text import Text
    except ModuleNotFoundError as error:
        raise MissingExtraError("The table of a comparison", "rich", "cli") from error
    several = len(comparison.histories) > 1
    made = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        title=Text(title(comparison)),
        title_justify="left",
        title_style="bold",
        caption=Text(without_regret(comparison)),
        caption_justify="left",
    )
    made.add_column("condition", overflow="fold", min_width=16, max_width=44)
    headings = ["epochs", "regret", "saved", *(["mean regret\n(i-Epoch's)"] if several else [])]
    for heading in headings:
        made.add_column(heading, justify="right", no_wrap=True)
    for index, one in enumerate(comparison.summaries):
        if index == len(comparison.summaries) - 2:
            made.add_section()
        made.add_row(*(Text(cell) for cell in _cells(one, several=several)))
    return made


def title(comparison: Comparison) -> str:
    """What is compared, and in which direction it gets better, on whose word."""
    metric = comparison.monitor
    better = "lower" if metric.mode == "min" else "higher"
    histories = len(comparison.histories)
    of = "medians [quartiles] of " if histories > 1 else ""
    which = f"{histories} histories" if histories > 1 else comparison.histories[0].name
    return f"{of}{which}, {metric.name} ({better} is better, {_DIRECTION_FROM[comparison.mode_from]})"


def without_regret(comparison: Comparison) -> str:
    """Which histories count in no regret; empty where all do."""
    names = comparison.without_regret
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"in no regret, for want of a finite best value: {', '.join(names[:_NAMED])}{more}"


def _cells(one: Summary, *, several: bool) -> list[str]:
    stops = f"\nstops {one.stopped} of {one.histories}" if several else ""
    saved = f"{_number(one.epochs_saved.median)} epoch{'' if one.epochs_saved.median == 1 else 's'}"
    if one.seconds_saved.median is not None:
        saved += f"\n{_number(one.seconds_saved.median)} s"
    cells = [f"{one.condition}{stops}", _middle(one.epochs, several), _middle(one.regret, several), saved]
    means = f"{_number(one.mean_regret)}\n({_number(one.same_cost_regret)})"
    return [*cells, means] if several else cells


def _middle(values: Quartiles, several: bool) -> str:
    spread = f"\n[{_number(values.lower)}, {_number(values.upper)}]" if several else ""
    return _NONE if values.median is None else f"{_number(values.median)}{spread}"


def _number(value: float | None) -> str:
    """Three digits; whole numbers of up to six as they are."""
    if value is None:
        return _NONE
    if math.isfinite(value) and 1000 <= abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.3g}"
