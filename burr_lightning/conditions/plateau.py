"""Patience: a metric has not improved for some checks."""

from __future__ import annotations

from typing import Any

from burr.core import State

from ..metric import Mode, checked_mode
from .base import StopCondition
from .direction import direction_of


def plateau(
    metric: str, patience: int = 3, min_delta: float = 0.0, mode: Mode | None = None
) -> StopCondition:
    """True once a metric has not improved for ``patience`` checks in a row.

    A check is a validation pass or the end of an epoch at which the metric was logged, so a metric
    that is validated every third epoch is checked every third epoch. Improvement, NaN and the count
    are those of Lightning's ``EarlyStopping`` (lightning.pytorch.callbacks.early_stopping, 2.6).

    Args:
        metric: The metric's name.
        patience: How many checks without improvement are borne, 1 or more.
        min_delta: By how much a value must beat the best one to count, in the metric's unit, 0 or more.
        mode: ``"min"`` or ``"max"``; ``None`` takes the direction that the metric itself declares
            (a torchmetrics metric that was logged as an object does), else ``"min"``.

    Returns:
        A Burr condition that reads ``history``.

    Raises:
        ValueError: If ``patience``, ``min_delta`` or ``mode`` is out of range.

    Example:
        >>> from burr.core import State
        >>> from burr_lightning import MetricHistory
        >>> history = MetricHistory()
        >>> for epoch, loss in enumerate([0.9, 0.5, 0.6, 0.7]):
        ...     history = history.append(epoch, {"val_loss": loss})
        >>> plateau("val_loss", patience=2).run(State({"history": history}))
        {'PROCEED': True}
    """
    written = f"plateau({metric}, patience={patience}"
    written += f", min_delta={min_delta:g}" if min_delta else ""
    written += f", mode={mode!r})" if mode else ")"
    if patience < 1:
        raise ValueError(f"{written}: patience counts checks and must be 1 or more.")
    if not min_delta >= 0:
        raise ValueError(f"{written}: min_delta must be 0 or more; the direction is mode's to say.")
    if mode is not None:
        checked_mode(mode, written)

    def check(state: State[Any]) -> tuple[bool | None, str]:
        if metric not in state["history"]:
            return None, f"{metric} was not logged yet"
        direction, _ = direction_of(state["history"], metric, mode)
        progress = state["history"].progress(metric, direction, min_delta)
        since = progress.checks_since_best
        text = (
            f"no improvement on {progress.best:.4g} (epoch {progress.best_epoch}) for {since} "
            f"check{'' if since == 1 else 's'}"
        )
        return since >= patience, text

    return StopCondition(written, ["history"], check, [metric])
