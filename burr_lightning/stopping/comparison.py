"""What comparing stop conditions has found, and how it is shown."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..conditions.replayed import reasons_at
from ..errors import MissingExtraError
from ..metric import MonitoredMetric
from ..recording import Recording
from .stops import Stop
from .summaries import FixedEpochs, Summary

if TYPE_CHECKING:
    from rich.table import Table

ModeFrom = Literal["given", "declared", "assumed"]
"""Who said in which direction the metric gets better: the call, the histories, or nobody."""


@dataclass(frozen=True)
class Comparison:
    """What stop conditions would have done to recorded histories.

    In rich's console it prints as a table.

    Example:
        >>> from burr_lightning import compare_stopping
        >>> from burr_lightning.conditions import plateau
        >>> history = [{"val_loss": loss} for loss in (0.9, 0.5, 0.6, 0.55, 0.4)]
        >>> comparison = compare_stopping(history, {"impatient": plateau("val_loss", 2)}, "val_loss")
        >>> [summary.condition for summary in comparison.summaries]
        ['impatient', 'train to the end', 'i-Epoch (2 epochs)']
        >>> comparison.monitor.name, comparison.mode_assumed
        ('val_loss', True)
    """

    monitor: MonitoredMetric
    """The metric that best values and regrets are those of."""
    mode_from: ModeFrom
    """Who gave its direction; where nobody did, ``"min"`` is assumed."""
    stops: tuple[Stop, ...]
    """Each condition on each history, histories in order, conditions within."""
    summaries: tuple[Summary, ...]
    """Each condition over all histories, in the order given; then the baselines `TO_THE_END` and i-Epoch."""
    fixed: FixedEpochs
    """i-Epoch for every number of epochs."""
    histories: tuple[Recording, ...]
    """The histories."""

    @property
    def mode_assumed(self) -> bool:
        """Whether nobody gave its direction, so that ``"min"`` was taken."""
        return self.mode_from == "assumed"

    @property
    def without_regret(self) -> list[str]:
        """The names of the histories whose best value is not finite: they count in no regret."""
        return list(dict.fromkeys(stop.history for stop in self.stops if stop.regret is None))

    def reasons(self) -> list[str | None]:
        """Why each condition stops each history, ``None`` where it does not, in the order of the stops.

        A history is gone through once, where `Stop.reason` goes through it for every stop.
        """
        each = len(self.stops) // len(self.histories)
        found: list[str | None] = []
        for number, recording in enumerate(self.histories):
            found += _reasons(recording, self.stops[number * each : (number + 1) * each])
        return found

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict for each condition and history."""
        return [stop.to_dict() for stop in self.stops]

    def to_pandas(self) -> Any:
        """A data frame, one row for each condition and history.

        Raises:
            MissingExtraError: Without pandas, which the extra ``pandas`` brings.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise MissingExtraError("comparison.to_pandas()", "pandas", "pandas") from error
        return pandas.DataFrame(self.to_dicts())

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the monitored metric of up to 12 histories, with the stop of every condition marked.

        Args:
            path: Where to write the picture, by its ending PNG, SVG or PDF; ``None`` writes none.

        Returns:
            A matplotlib figure.

        Raises:
            MissingExtraError: Without matplotlib, which the extra ``plot`` brings.
            ArgumentError: If ``path`` has another ending, or its folder is not there.
        """
        from .figures import plot_stops
        from .pictures import written

        return written(plot_stops, self, path, "comparison.plot")

    def plot_tradeoff(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw mean regret over mean epochs: the conditions, their Pareto front, and i-Epoch.

        Args:
            path: As in `plot`.

        Returns:
            A matplotlib figure.

        Raises:
            MissingExtraError: Without matplotlib, which the extra ``plot`` brings.
            ArgumentError: As in `plot`.
        """
        from .figures import plot_tradeoff
        from .pictures import written

        return written(plot_tradeoff, self, path, "comparison.plot_tradeoff")

    def pareto_front(self) -> list[Summary]:
        """The conditions that no other beats in mean epochs or mean regret and matches in the other.

        The cheapest comes first. Those that are the same in both are all there; one whose mean regret is
        infinite, or that has none, is not.
        """
        conditions = [one for one in self.summaries[:-2] if math.isfinite(_place(one)[1])]
        front: list[Summary] = []
        for one in sorted(conditions, key=_place):
            if not front or _place(one)[1] < _place(front[-1])[1] or _place(one) == _place(front[-1]):
                front.append(one)
        return front

    def __rich__(self) -> Table:
        from .printed import table

        return table(self)

    def __str__(self) -> str:
        count = len(self.histories)
        lines = [f"{count} histor{'y' if count == 1 else 'ies'}, {self.monitor.name} ({self.monitor.mode})"]
        for one in self.summaries:
            regret = "unknown" if one.mean_regret is None else f"{one.mean_regret:.4g}"
            lines.append(f"  {one.condition}: {one.mean_epochs:.4g} epochs, regret {regret} on average")
        return "\n".join(lines)


def _place(summary: Summary) -> tuple[float, float]:
    """Mean epochs and mean regret, infinite where there is none."""
    return summary.mean_epochs, math.inf if summary.mean_regret is None else summary.mean_regret


def _reasons(recording: Recording, stops: Sequence[Stop]) -> list[str | None]:
    """Why each stop of one history is made, ``None`` where it is not."""
    made = [(stop._replay[0], stop.check) for stop in stops]
    asked = [(condition, check) for condition, check in made if condition is not None and check is not None]
    found = iter(reasons_at(recording, asked))
    return [None if stop.check is None else next(found) for stop in stops]
