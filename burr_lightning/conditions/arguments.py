"""What the arguments of conditions have to be, and how a call is written in names and errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..metric import Mode, checked_mode


def written(function: str, metrics: Sequence[str], mode: Mode | None = None, **options: Any) -> str:
    """A call as its name has it: the metrics, the options that are not ``None``, the mode.

    Example:
        >>> written("plateau", ["val_loss"], patience=5, min_delta=None)
        'plateau(val_loss, patience=5)'
    """
    named = {**options, "mode": mode}
    values = {
        name: f"{value:g}" if isinstance(value, float) else repr(value) for name, value in named.items()
    }
    listed = [f"{name}={text}" for name, text in values.items() if named[name] is not None]
    return f"{function}({', '.join([*metrics, *listed])})"


def check_metrics(call: str, *metrics: object) -> None:
    """See that metrics are named.

    Raises:
        ValueError: If one is not a text, or empty.
    """
    for metric in metrics:
        if not isinstance(metric, str) or not metric:
            raise ValueError(f"{call}: a metric is given by the name it is logged under, not {metric!r}.")


def check_mode(call: str, mode: object) -> None:
    """See that a mode is one, or ``None``.

    Raises:
        ValueError: If it is neither.
    """
    if mode is not None:
        checked_mode(mode, call)


def check_count(call: str, name: str, value: object, at_least: int, counts: str) -> None:
    """See that an argument is a whole number that is large enough.

    Raises:
        ValueError: If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ValueError(
            f"{call}: {name} counts {counts} and must be a whole number, {at_least} or more, not {value!r}."
        )


def check_number(call: str, name: str, value: object, *, at_least: float = -math.inf, rule: str) -> None:
    """See that an argument is a number that is large enough; NaN never is.

    Raises:
        ValueError: If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= at_least:
        raise ValueError(f"{call}: {name} must be {rule}, not {value!r}.")
