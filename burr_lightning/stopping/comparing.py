"""Stop conditions held against each other on recorded histories."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from burr.core import Condition

from ..conditions import metrics_of
from ..errors import ArgumentError
from ..metric import Mode, MonitoredMetric, checked_mode
from ..persisters import Place
from ..recording import Recording
from .comparison import Comparison, ModeFrom
from .kinds import Call
from .sources import read
from .stops import Curve
from .summaries import TO_THE_END, FixedEpochs, Summary, summary_of

_SHOWN = 10
"""How many names an error lists."""


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
    up to then, the **regret** (by how much the best value of the whole history is better; infinite for a stop
    before the first finite value), and what is saved. A history whose best value is not finite counts in no
    regret. For each condition over all histories: medians and quartiles, beside two baselines. The first
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
            the histories say (that which the metric declares, or ``BurrCallback(mode=...)``), else ``"min"``.
        project: The runs' project; ``None`` looks through all of them.
        root_dir: Where runs are kept, as in `BurrCallback`.
        persister: The persister that the runs were trained with, as in `Run.open`.

    Returns:
        Numbers, a table, data frames and figures.

    Raises:
        ArgumentError: If there is no condition or no history, two conditions have one name, one is no
            Burr condition, or the histories say different directions and ``mode`` is ``None``.
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
    call = Call("compare_stopping", monitor, project, root_dir, persister)
    found = read(histories, _needed(named), call)
    direction, mode_from = _direction(found, monitor, mode)
    given = {monitor: direction} if mode_from == "given" else {}
    found = [replace(one, directions={monitor: direction, **one.directions, **given}) for one in found]
    metric = MonitoredMetric(monitor, direction)
    curves = [Curve(recording, metric) for recording in found]
    of_histories = [curve.stops(named) for curve in curves]
    fixed = FixedEpochs.of([curve.regrets_by_epoch() for curve in curves])
    of_conditions = zip(named, zip(*of_histories, strict=True), strict=True)
    summaries = [summary_of(name, stops, fixed) for name, stops in of_conditions]
    summaries += _baselines(curves, summaries, fixed)
    return Comparison(
        monitor=metric,
        mode_from=mode_from,
        stops=tuple(stop for stops in of_histories for stop in stops),
        summaries=tuple(summaries),
        fixed=fixed,
        histories=tuple(found),
    )


def _needed(conditions: Mapping[str, Condition]) -> dict[str, str]:
    """The metrics that conditions need, and how an error says which one does."""
    needed: dict[str, str] = {}
    for name, condition in conditions.items():
        shown = repr(name) if name == condition.name else f"{name!r}, {condition.name},"
        for metric in sorted(metrics_of(condition)):
            needed.setdefault(metric, f"): the condition {shown}")
    return needed


def _direction(histories: Sequence[Recording], monitor: str, mode: Mode | None) -> tuple[Mode, ModeFrom]:
    """In which direction the monitored metric gets better, and who says so.

    Raises:
        ArgumentError: If the histories say different things.
    """
    if mode is not None:
        return mode, "given"
    declared = {one.name: one.directions[monitor] for one in histories if monitor in one.directions}
    if not declared:
        return "min", "assumed"
    first, *others = dict.fromkeys(declared.values())
    if others:
        said = {way: [name for name in declared if declared[name] == way] for way in (first, *others)}
        listed = "; ".join(f"{way!r} in {_listed(names)}" for way, names in said.items())
        raise ArgumentError(
            f"compare_stopping(monitor={monitor!r}): the histories do not agree on its direction, which is "
            f"{listed}. Say it for all of them with mode= (on the command line: --mode), or compare them "
            f"apart."
        )
    return first, "declared"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _baselines(curves: Sequence[Curve], summaries: Sequence[Summary], fixed: FixedEpochs) -> list[Summary]:
    lowest = min((one.mean_regret for one in summaries if one.mean_regret is not None), default=np.inf)
    epochs = max(1, fixed.as_good_as(lowest))
    name = f"i-Epoch ({epochs} epoch{'' if epochs == 1 else 's'})"
    to_the_end = summary_of(TO_THE_END, [curve.to_the_end(TO_THE_END) for curve in curves], fixed)
    return [to_the_end, summary_of(name, [curve.after(name, epochs) for curve in curves], fixed)]


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
