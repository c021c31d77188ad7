"""What the arguments of conditions have to be, and how a call is written in names and errors."""

from __future__ import annotations

import keyword
import math
import numbers
from collections.abc import Sequence
from typing import Any

from ..metric import Mode, checked_mode


def written(
    function: str,
    metrics: Sequence[str],
    mode: Mode | None = None,
    *,
    limits: Sequence[object] = (),
    **options: Any,
) -> str:
    """A call as its name has it: the metrics, its limits, the options that are not ``None``, the mode.

    Example:
        >>> written("plateau", ["val_loss"], patience=5, min_delta=None)
        'plateau(val_loss, patience=5)'
    """
    named = {**options, "mode": mode}
    listed = [f"{name}={shown(value)}" for name, value in named.items() if value is not None]
    return f"{function}({', '.join([*map(shown_metric, metrics), *map(shown, limits), *listed])})"


def shown(value: object) -> str:
    """A value as a call has it: read again, it is the same.

    Example:
        >>> shown(0.5), shown(1.0), shown(0.9999999), shown("max")
        ('0.5', '1', '0.9999999', "'max'")
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return repr(value)
    if isinstance(value, numbers.Integral):
        return str(int(value))
    number = float(value)
    short = f"{number:g}"
    return short if float(short) == number or math.isnan(number) else repr(number)


def shown_metric(metric: object) -> str:
    """A metric as a call has it: in quotes, unless it is a word."""
    name = str(metric)
    is_word = name.isidentifier() and not keyword.iskeyword(name) and name not in ("inf", "nan")
    return name if is_word else repr(name)


def apart(value: float, other: float) -> tuple[str, str]:
    """Two numbers with four digits, or as many more as it takes to tell them apart.

    Example:
        >>> apart(0.5, 0.98), apart(0.97999, 0.98), apart(0.3, 0.3)
        (('0.5', '0.98'), ('0.97999', '0.98'), ('0.3', '0.3'))
    """
    for digits in range(4, 18):
        one, two = f"{value:.{digits}g}", f"{other:.{digits}g}"
        if one != two or value == other:
            return one, two
    return repr(value), repr(other)


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
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < at_least:
        raise ValueError(
            f"{call}: {name} counts {counts} and must be a whole number, {at_least} or more, not {value!r}."
        )


def checked_number(call: str, name: str, value: object, *, at_least: float = -math.inf, rule: str) -> float:
    """An argument as a number, when it is one that is large enough; NaN never is.

    One of NumPy's would bring its precision along: a Python number is compared with 32 bits in 32 bits.

    Raises:
        ValueError: If it is not.
    """
    number = _as_float(value)
    if not number >= at_least:
        how = ": give its .item()" if hasattr(value, "item") and not isinstance(value, numbers.Real) else ""
        raise ValueError(f"{call}: {name} must be {rule}, not {shown(value)}{how}.")
    return number


def _as_float(value: object) -> float:
    """A number; NaN for what is none, or is larger than any."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan
