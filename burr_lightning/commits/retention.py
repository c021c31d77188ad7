"""Which files of a run a retention policy no longer wants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from burr.core import State

from ..layout import RunFolder
from ..state import monitored
from .checkpoints import CheckpointName, Checkpoints, to_prune


def unwanted(folder: RunFolder, keep: Checkpoints, state: State[Any]) -> list[Path]:
    """The checkpoints of a run that are not wanted any more; what its newest commit names always is.

    Args:
        folder: The run's folder.
        keep: The policy.
        state: The state of the newest commit.
    """
    history = state["history"]
    metric = monitored(history, state["monitor"])
    paths = {CheckpointName.parse(path): path for path in folder.checkpoints.iterdir()}
    names = [name for name in paths if name is not None]
    values: dict[int, float] = {}
    if metric is not None and metric.name in history:
        column = history[metric.name]
        values = {name.epoch: column[name.epoch] for name in names if name.epoch < len(column)}
    best, newest = state["best"], state["checkpoint"]
    named = {newest["path"]} if newest is not None else set()
    if keep.keep_best and best is not None:
        named.add(best["checkpoint"])
    found = (paths[name] for name in to_prune(names, keep, metric, values))
    return [path for path in found if path.relative_to(folder.path).as_posix() not in named]
