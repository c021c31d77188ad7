"""Stop conditions held against each other on recorded histories."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from burr.core import Condition

from ..conditions import max_epochs, metrics_of
from ..errors import ArgumentError
from ..metric import Mode, MonitoredMetric, checked_mode
from ..persisters import Place
from ..recording import Recording
from .sources import recordings
from .stops import Curve, Stop
from .summaries import TO_THE_END, FixedEpochs, Summary, summary_of

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Comparison:
    """What stop conditions would have done to recorded histories.

    In rich's console it prints as a table.
    """

    monitor: MonitoredMetric
    """The metric that best values and regrets are those of."""
    mode_assumed: bool
    """Whether nobody gave its direction, so that ``"min"`` was taken."""
    stops: tuple[Stop, ...]
    """Each condition on each history, histories in order, conditions within."""
    summaries: tuple[Summary, ...]
    """Each condition over all histories, in the order given; then the baselines `TO_THE_END` and i-Epoch."""
    fixed: FixedEpochs
    """i-Epoch for every number of epochs."""
    histories: tuple[Recording, ...]
    """The histories."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict for each condition and history."""
        return [stop.to_dict() for stop in self.stops]

    def to_pandas(self) -> Any:
        """A data frame, one row for each condition and history.

        Raises:
            ModuleNotFoundError: Without pandas, which the extra ``pandas`` brings.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "comparison.to_pandas() needs pandas: pip install 'burr-lightning[pandas]'"
            ) from error
        return pandas.DataFrame(self.to_dicts())

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the monitored metric of up to 12 histories, with the stop of every condition marked.

        Args:
            path: Where to write the picture, by its ending PNG, SVG or PDF; ``None`` writes none.

        Returns:
            A matplotlib figure.

        Raises:
            ModuleNotFoundError: Without matplotlib, which the extra ``plot`` brings.
        """
        from .figures import plot_stops

        return _written(plot_stops(self), path)

    def plot_tradeoff(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw mean regret over mean epochs: the conditions, their Pareto front, and i-Epoch.

        Args:
            path: As in `plot`.

        Returns:
            A matplotlib figure.

        Raises:
            ModuleNotFoundError: Without matplotlib, which the extra ``plot`` brings.
        """
        from .figures import plot_tradeoff

        return _written(plot_tradeoff(self), path)

    def pareto_front(self) -> list[Summary]:
        """The conditions that no other beats in both mean epochs and mean regret, the cheapest first."""
        conditions = [one for one in self.summaries[:-2] if one.mean_regret is not None]
        front: list[Summary] = []
        for one in sorted(conditions, key=lambda one: (one.mean_epochs, one.mean_regret)):
            if not front or _regret(one) < _regret(front[-1]):
                front.append(one)
        return front

    def __rich__(self) -> Table:
        from .printed import table

        return table(self)

    def __str__(self) -> str:
        lines = [f"{len(self.histories)} histories, {self.monitor.name} ({self.monitor.mode})"]
        for one in self.summaries:
            regret = "unknown" if one.mean_regret is None else f"{one.mean_regret:.4g}"
            lines.append(f"  {one.condition}: {one.mean_epochs:.4g} epochs, regret {regret} on average")
        return "\n".join(lines)


def _regret(summary: Summary) -> float:
    assert summary.mean_regret is not None
    return summary.mean_regret


def compare_stopping(
    histories: Any,
    conditions: Mapping[str, Condition] | Sequence[Condition] | Condition,
    monitor: str,
    mode: Mode | None = None,
    *,
    project: str | None = None,
    root_dir: str | os.PathLike[str] | None = None,
    persister: str | Place | None = None,
) -> Comparison:
    """Compare stop conditions on recorded histories: what each would have cost, and lost.

    For each condition and history: the epoch after which it stops, the best value of the monitored metric
    up to then, the **regret** (by how much the best value of the whole history is better), and what is
    saved. For each condition over all histories: medians and quartiles, beside two baselines. The first
    trains to the end. The second, "i-Epoch" of arXiv 2404.04111, trains every history for the same number of
    epochs, chosen afterwards: the fewest whose mean regret is no higher than that of the best condition.
    `Summary.same_cost_regret` compares a condition with i-Epoch at its own cost: a condition that does
    not beat it has learned nothing from the metrics.

    Args:
        histories: One or several: runs by id, logs of Lightning, lists of dicts, data frames, ...; see
            `burr_lightning.stopping.recordings`.
        conditions: Burr conditions by name; without names they are called what they print as.
        monitor: The metric that best values and regrets are those of.
        mode: Its direction, also for conditions on it that were given none; ``None`` takes the direction that
            the metric declares, else ``"min"``.
        project: The runs' project; ``None`` looks through all of them.
        root_dir: Where runs are kept, as in `BurrCallback`.
        persister: The persister that the runs were trained with, as in `Run.open`.

    Returns:
        Numbers, a table, data frames and figures.

    Raises:
        ArgumentError: If there is no condition or no history, two conditions have one name, or one is no
            Burr condition.
        UnknownMetricError: If a history lacks the monitored metric, or one that a condition needs.
        ValueError: If ``mode`` is neither ``"min"`` nor ``"max"``.

    Example:
        >>> from burr_lightning.conditions import plateau
        >>> losses = [{"val_loss": loss} for loss in [0.9, 0.5, 0.6, 0.7, 0.4, 0.5]]
        >>> found = compare_stopping(losses, {"hasty": plateau("val_loss", 2)}, monitor="val_loss")
        >>> [stop] = found.stops
        >>> stop.epoch, stop.best, round(stop.regret, 3), stop.epochs_saved
        (3, 0.5, 0.1, 2)
    """
    named = _named(conditions)
    if mode is not None:
        checked_mode(mode, "compare_stopping(mode=...)")
    needed = sorted(frozenset[str]().union(*map(metrics_of, named.values())))
    where: dict[str, Any] = {"project": project, "root_dir": root_dir, "persister": persister}
    found = recordings(histories, monitor, needed, **where)
    declared = {one.directions[monitor] for one in found if monitor in one.directions}
    direction: Mode = mode or (min(declared) if len(declared) == 1 else "min")
    given = {monitor: mode} if mode is not None else {}
    found = [replace(one, directions={monitor: direction, **one.directions, **given}) for one in found]
    metric = MonitoredMetric(monitor, direction)
    curves = [Curve(recording, metric) for recording in found]
    stops = {name: [curve.stop(name, condition) for curve in curves] for name, condition in named.items()}
    fixed = FixedEpochs.of([curve.regrets_by_epoch() for curve in curves])
    summaries = [summary_of(name, of_one, fixed) for name, of_one in stops.items()]
    summaries += _baselines(curves, summaries, fixed)
    return Comparison(
        monitor=metric,
        mode_assumed=mode is None and not declared,
        stops=tuple(stop for of_history in zip(*stops.values(), strict=True) for stop in of_history),
        summaries=tuple(summaries),
        fixed=fixed,
        histories=tuple(found),
    )


def _baselines(curves: Sequence[Curve], summaries: Sequence[Summary], fixed: FixedEpochs) -> list[Summary]:
    lowest = min((one.mean_regret for one in summaries if one.mean_regret is not None), default=np.inf)
    epochs = max(1, fixed.as_good_as(lowest))
    name = f"i-Epoch ({epochs} epoch{'' if epochs == 1 else 's'})"
    to_the_end = summary_of(TO_THE_END, [curve.stop(TO_THE_END, None) for curve in curves], fixed)
    limit = max_epochs(epochs)
    return [to_the_end, summary_of(name, [curve.stop(name, limit) for curve in curves], fixed)]


def _named(conditions: object) -> dict[str, Condition]:
    if isinstance(conditions, Condition):
        conditions = [conditions]
    if isinstance(conditions, Mapping):
        pairs = [(str(name), condition) for name, condition in conditions.items()]
    elif isinstance(conditions, Sequence) and not isinstance(conditions, str):
        pairs = [(getattr(condition, "name", ""), condition) for condition in conditions]
    else:
        pairs = [("", conditions)]
    for _, condition in pairs:
        if not isinstance(condition, Condition):
            raise ArgumentError(
                f"compare_stopping(conditions=...): {condition!r} is no Burr condition. Give conditions as "
                f"plateau('val_loss', 3), by name in a dict or in a list."
            )
    named = dict(pairs)
    if not named or len(named) < len(pairs):
        rule = "two conditions have the same name; name them in a dict" if named else "there is none"
        raise ArgumentError(f"compare_stopping(conditions=...): {rule}.")
    taken = [name for name in named if name == TO_THE_END or name.startswith("i-Epoch (")]
    if taken:
        raise ArgumentError(f"compare_stopping(conditions=...): {taken[0]!r} is the name of a baseline.")
    return named


def _written(figure: Any, path: str | os.PathLike[str] | None) -> Any:
    if path is not None:
        figure.savefig(os.fspath(path), dpi=150)
    return figure
