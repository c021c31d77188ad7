"""Which checkpoints of a run are made and kept, and what they are called."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..metric import MonitoredMetric

_NAME = re.compile(r"epoch=(\d+)-step=(\d+)-commit=(\d+)(?:-batch=(\d+)|(-weights)|(-acted))?\.ckpt")

_SCHEME = re.compile(r"[a-zA-Z][\w+.-]*")


@dataclass(frozen=True)
class Checkpoints:
    """When commits are made, and which of their checkpoints are kept.

    Args:
        keep_last: Those of how many of the newest epochs to keep, 1 or more. The older ones among them
            are what a resume falls back to if the newest is damaged. Where actions changed the training
            after an epoch, that from before them and that from after them.
        keep_best: How many of those with the best monitored value to keep as well, 0 or more.
        every_n_epochs: A commit at the end of every n-th epoch, 1 or more. Whatever n is, the last
            epoch of a run is committed, and so is an epoch that is the best so far, unless
            ``keep_best`` is 0.
        every_n_steps: A commit inside an epoch as well, each time that this many optimizer steps were
            taken, 1 or more; ``None`` for none. It needs a training loader that has a ``state_dict``,
            as torchdata's ``StatefulDataLoader`` does.
        save_weights_only_best: Whether the best are kept as checkpoints of the weights alone, without
            the optimizers. They are written beside the full ones.
        asynchronous: Whether training goes on while a checkpoint is written, from a copy in memory.
            Its commit counts when the file is whole on the disk: a kill before that costs one epoch
            more.
        copy_to: A URL that fsspec opens, as ``s3://bucket/runs`` or ``file:///mnt/share/runs``, to which
            each checkpoint is copied, below the project's and the run's name; its commit counts when the
            copy is there as well. Another machine that reaches the rows, as ``postgresql://`` is reached,
            can go on with the run. ``None`` for no copy.
        storage_options: What fsspec is given beside the URL, as ``{"endpoint_url": ...}``; ``None`` leaves
            it to the environment. It is written down nowhere.

    Raises:
        ValueError: If a number is out of range, or ``copy_to`` is no URL.

    Example:
        >>> Checkpoints(keep_last=1, keep_best=3).every_n_epochs
        1
    """

    keep_last: int = 2
    keep_best: int = 1
    every_n_epochs: int = 1
    every_n_steps: int | None = None
    save_weights_only_best: bool = False
    asynchronous: bool = False
    copy_to: str | None = field(default=None, repr=False)
    storage_options: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)

    def __post_init__(self) -> None:
        if self.keep_last < 1:
            raise ValueError(f"{self}: keep_last must be 1 or more, or a run could not be resumed.")
        if self.keep_best < 0:
            raise ValueError(f"{self}: keep_best must be 0 or more.")
        if self.every_n_epochs < 1:
            raise ValueError(f"{self}: every_n_epochs must be 1 or more.")
        if self.every_n_steps is not None and self.every_n_steps < 1:
            raise ValueError(f"{self}: every_n_steps must be 1 or more, or None for no commits in an epoch.")
        if self.copy_to is not None:
            _refuse_other_urls(self.copy_to)
        if self.storage_options is not None and self.copy_to is None:
            raise ValueError("Checkpoints(storage_options=...): they are for copy_to, which is not given.")
        if self.save_weights_only_best and not self.keep_best:
            raise ValueError(
                f"{self}: save_weights_only_best keeps the best, so keep_best must be 1 or more."
            )


@dataclass(frozen=True, order=True)
class CheckpointName:
    """What a checkpoint's file name says; they sort by age."""

    commit: int
    """The step of the machine that it was written after."""
    epoch: int
    """The epoch that had ended, 0-based; the one that it was written in the middle of."""
    step: int
    """Optimizer steps taken."""
    batch: int | None = None
    """How many batches of the epoch it was written after; ``None`` at the end of an epoch."""
    weights: bool = False
    """Whether it holds the weights alone."""
    acted: bool = False
    """Whether actions had changed the training since the epoch had ended."""

    def __str__(self) -> str:
        inside = f"-batch={self.batch:07d}" if self.batch is not None else ""
        kind = "-weights" if self.weights else "-acted" if self.acted else inside
        return f"epoch={self.epoch:05d}-step={self.step:08d}-commit={self.commit:07d}{kind}.ckpt"

    def of_weights(self) -> CheckpointName:
        """The name of the checkpoint beside this one that holds the weights alone."""
        return replace(self, weights=True)

    @staticmethod
    def parse(path: Path) -> CheckpointName | None:
        """What a file's name says, ``None`` for a file that is no checkpoint of ours."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        batch = int(match[4]) if match[4] else None
        weights, acted = match[5] is not None, match[6] is not None
        return CheckpointName(int(match[3]), int(match[1]), int(match[2]), batch, weights, acted)


def _refuse_other_urls(url: str) -> None:
    scheme, _, place = url.partition("://")
    if not _SCHEME.fullmatch(scheme) or "://" not in url:
        # One without a scheme holds no password; of a chain, one of the others may.
        given = repr(url) if "://" not in url else "..."
        raise ValueError(
            f"Checkpoints(copy_to={given}): it must be a URL that fsspec opens, as s3://bucket/runs or "
            f"file:///mnt/share/runs, and no chain of them."
        )
    from ..persisters.url import without_password  # here, for most runs have no copy

    if without_password(url).endswith("://***"):
        raise ValueError(
            f"Checkpoints(copy_to={without_password(url)!r}): what stands before its first / is no bucket or "
            f"host. What opens the store is given with storage_options=..., or in the environment."
        )
    if scheme in ("file", "local") and not place.startswith("/"):
        raise ValueError(
            f"Checkpoints(copy_to={url!r}): this would be a folder of the working folder, which goes with "
            f"the machine. A folder from the root has three slashes: {scheme}:///{place}"
        )


def of_epoch(names: Iterable[CheckpointName], epoch: int) -> CheckpointName | None:
    """The checkpoint of an epoch: the newest from its end, else one that actions had changed since."""
    found = [name for name in names if name.epoch == epoch and name.batch is None]
    return max(found, key=lambda name: (not name.acted, name), default=None)


def to_prune(
    names: Iterable[CheckpointName],
    keep: Checkpoints,
    metric: MonitoredMetric | None,
    values: Mapping[int, float],
) -> list[CheckpointName]:
    """The checkpoints that a retention policy no longer wants.

    A checkpoint from inside an epoch is wanted until a newer one is there. Where actions were committed
    after an epoch, its own is wanted beside the newest, which a resume goes on from.

    Args:
        names: Those on disk.
        keep: The policy.
        metric: The monitored metric, ``None`` where none is monitored.
        values: Its value by epoch; an epoch without one is never among the best.
    """
    newest = sorted(names, key=lambda name: (name.commit, name.step), reverse=True)
    wanted = {name for name in newest[:1] if name.batch is not None}
    ended = [name for name in newest if name.batch is None]
    whole = [name for name in ended if not name.weights]
    for epoch in list(dict.fromkeys(name.epoch for name in whole))[: keep.keep_last]:
        newest_of_epoch = next(name for name in whole if name.epoch == epoch)
        wanted |= {newest_of_epoch, of_epoch(whole, epoch) or newest_of_epoch}
    for epoch in _best_epochs({name.epoch for name in ended}, metric, values)[: keep.keep_best]:
        preferred = of_epoch([n for n in ended if n.weights == keep.save_weights_only_best], epoch)
        own = preferred or of_epoch(ended, epoch)
        wanted |= {own} if own is not None else set()
    return [name for name in newest if name not in wanted]


def _best_epochs(
    epochs: Iterable[int], metric: MonitoredMetric | None, values: Mapping[int, float]
) -> list[int]:
    if metric is None:
        return []
    known = [epoch for epoch in epochs if epoch in values and not math.isnan(values[epoch])]
    sign = 1 if metric.mode == "min" else -1
    return sorted(known, key=lambda epoch: (sign * values[epoch], epoch))
