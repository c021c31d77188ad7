"""How fast a run is, and how long it may take yet: from what was recorded, and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..history import MetricHistory
    from ..step_log import LoggedStep
    from ..steps import Step
    from .following import Look

_CHECKS = 200
"""The newest checks of a history that are looked at."""
_EPOCHS = 5
"""The newest epochs that a mean is taken of."""


@dataclass(frozen=True)
class Pace:
    """How fast a run is; each number is ``None`` where it cannot be known."""

    batches_per_second: float | None = None
    counted_in: str | None = None
    """The action that these were counted in when it was over, ``None`` where it is the one that is open."""
    seconds_per_epoch: float | None = None
    """The mean of the newest epochs, with all that happens between them."""
    seconds_left: float | None = None
    """At most: a condition may end the run before."""
    limit: str | None = None
    """The limit of Lightning's that is reached then, as ``max_epochs=50``."""
    unknown: str | None = None
    """Why it cannot be said how long it takes yet, in words; ``None`` for a run that has ended."""


@dataclass(frozen=True)
class _Epoch:
    """What an epoch takes on average."""

    seconds: float
    steps: float
    """Optimizer steps, NaN where they were not recorded."""


def pace_of(look: Look, now: datetime) -> Pace:
    """How fast a run is.

    Args:
        look: What was found.
        now: When, local time.
    """
    mean = _mean_epoch(look.run.history)
    left, limit, unknown = (None, None, None) if look.has_ended else _time_left(look, mean, now)
    return Pace(*_batches(look), mean.seconds if mean is not None else None, left, limit, unknown)


def _batches(look: Look) -> tuple[float | None, str | None]:
    """Batches per second, of the open phase where its progress is known, else of the newest training."""
    if look.open_step is not None and look.progress is not None and look.progress.per_second is not None:
        return look.progress.per_second, None
    newest = next(reversed([*training_phases(look.steps)]), None)
    if newest is None or newest.batches is None or not newest.seconds:
        return None, None
    return newest.batches / newest.seconds, newest.action


def training_phases(steps: Sequence[LoggedStep]) -> Iterator[Step]:
    """The phases that are over in which optimizer steps were taken, in order."""
    before = 0
    for logged in steps:
        taken = logged.result.get("global_step") if logged.step.epoch is not None else None
        if isinstance(taken, int):
            if taken > before:
                yield logged.step
            before = taken


def _mean_epoch(history: MetricHistory) -> _Epoch | None:
    recording = history.since(history.checks - _CHECKS).recording()
    if recording.seconds is None:
        return None
    steps = recording.steps if recording.steps is not None else recording.seconds * math.nan
    newest = [
        (float(seconds), float(taken), int(epoch))
        for ended, seconds, taken, epoch in zip(
            recording.ends_epoch, recording.seconds, steps, recording.epochs, strict=True
        )
        if ended and math.isfinite(seconds)
    ][-_EPOCHS - 1 :]
    if newest and newest[0][2] == 0:
        newest.insert(0, (0.0, 0.0, -1))
    if len(newest) < 2:
        return None
    (began, steps_before, first), (ended, steps_after, last) = newest[0], newest[-1]
    epochs = max(last - first, 1)
    return _Epoch((ended - began) / epochs, (steps_after - steps_before) / epochs)


def _time_left(look: Look, mean: _Epoch | None, now: datetime) -> tuple[float | None, str | None, str | None]:
    """Seconds, the limit that is reached then, and where it cannot be said, why."""
    limits, state = look.info.limits, look.run.state
    if limits is None:
        return None, None, "the run does not say when Lightning would end it"
    known = {name: limit for name in ("max_epochs", "max_steps", "max_time") if (limit := limits.get(name))}
    if not known:
        return None, None, "Lightning has no limit here, and when a condition holds cannot be foreseen"
    if state is None or mean is None:
        return None, None, "no epoch has ended yet"
    so_far = _since_epoch_began(look, now)
    left = {
        "max_epochs": mean.seconds * (known.get("max_epochs", math.inf) - look.run.epoch - 1) - so_far,
        "max_steps": _by_steps(mean, known.get("max_steps"), state["global_step"]) - so_far,
        "max_time": known.get("max_time", math.inf) - state["seconds"] - so_far,
    }
    first = min(left, key=left.__getitem__)
    if not math.isfinite(left[first]):
        return None, None, "how long a step takes is not known"
    return max(left[first], 0.0), f"{first}={known[first]:g}", None


def _by_steps(mean: _Epoch, limit: float | None, taken: int) -> float:
    if limit is None or not mean.steps > 0:
        return math.inf
    return (limit - taken) * mean.seconds / mean.steps


def _since_epoch_began(look: Look, now: datetime) -> float:
    """Seconds since the newest epoch ended, 0 where that is not known; paused time does not count."""
    ends = [logged.step.ended for logged in look.steps if logged.result.get("ends_epoch")]
    if not ends or ends[-1] is None or look.status == "paused" or look.open_step is None:
        return 0.0
    return max((now - ends[-1]).total_seconds(), 0.0)
