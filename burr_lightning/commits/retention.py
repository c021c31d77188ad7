"""Which files of a run a retention policy no longer wants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from burr.core import State

from ..state import monitored
from .checkpoints import Checkpoints, to_prune
from .run_files import RunFiles


def unwanted(files: RunFiles, keep: Checkpoints, state: State[Any]) -> list[Path]:
    """The checkpoints of a run that are not wanted any more; what its newest commit names always is.

    Args:
        files: The run's files.
        keep: The policy.
        state: The state of the newest commit.
    """
    history = state["history"]
    metric = monitored(history, state["monitor"])
    paths = files.checkpoints()
    values: dict[int, float] = {}
    if metric is not None and metric.name in history:
        column = history[metric.name]
        values = {name.epoch: column[name.epoch] for name in paths if name.epoch < len(column)}
    best, newest = state["best"], state["checkpoint"]
    named = {newest["path"]} if newest is not None else set()
    if keep.keep_best and best is not None:
        named.add(best["checkpoint"])
    found = (paths[name] for name in to_prune(paths, keep, metric, values))
    return [path for path in found if files.relative(path) not in named]
