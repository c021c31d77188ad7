"""Which checkpoints of a run are kept, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..metric import MonitoredMetric

_NAME = re.compile(r"epoch=(\d+)-step=(\d+)-commit=(\d+)\.ckpt")


@dataclass(frozen=True)
class Checkpoints:
    """Which checkpoints to keep. One is written at the end of every epoch.

    Args:
        keep_last: How many of the newest to keep, 1 or more. The older ones among them are what a
            resume falls back to if the newest is damaged.
        keep_best: How many of those with the best monitored value to keep as well, 0 or more.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> Checkpoints(keep_last=1, keep_best=3)
        Checkpoints(keep_last=1, keep_best=3)
    """

    keep_last: int = 2
    keep_best: int = 1

    def __post_init__(self) -> None:
        if self.keep_last < 1:
            raise ValueError(f"{self}: keep_last must be 1 or more, or a run could not be resumed.")
        if self.keep_best < 0:
            raise ValueError(f"{self}: keep_best must be 0 or more.")


@dataclass(frozen=True, order=True)
class CheckpointName:
    """What a checkpoint's file name says; they sort by age."""

    commit: int
    """The step of the machine that it was written after."""
    epoch: int
    """The epoch that had ended, 0-based."""
    step: int
    """Optimizer steps taken."""

    def __str__(self) -> str:
        return f"epoch={self.epoch:05d}-step={self.step:08d}-commit={self.commit:07d}.ckpt"

    @staticmethod
    def parse(path: Path) -> CheckpointName | None:
        """What a file's name says, ``None`` for a file that is no checkpoint of ours."""
        match = _NAME.fullmatch(path.name)
        return CheckpointName(int(match[3]), int(match[1]), int(match[2])) if match else None


def to_prune(
    names: Iterable[CheckpointName],
    keep: Checkpoints,
    metric: MonitoredMetric | None,
    values: Mapping[int, float],
) -> list[CheckpointName]:
    """The checkpoints that a retention policy no longer wants.

    Args:
        names: Those on disk.
        keep: The policy.
        metric: The monitored metric, ``None`` where none is monitored.
        values: Its value by epoch; an epoch without one is never among the best.
    """
    newest = sorted(names, reverse=True)
    wanted = set(newest[: keep.keep_last])
    if metric is not None:
        scored = [name for name in newest if values.get(name.epoch) == values.get(name.epoch, 0.0)]
        sign = 1 if metric.mode == "min" else -1
        best = sorted(scored, key=lambda name: (sign * values[name.epoch], name.epoch))
        wanted |= set(best[: keep.keep_best])
    return [name for name in newest if name not in wanted]
