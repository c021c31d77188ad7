"""The callback of a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from ..callback import BurrCallback
from ..settings import RunSettings
from .forked import see_to_fork
from .pruning import Scores, prunes, reports_to, with_pruning
from .trial import TrialTask


class TrialCallback(BurrCallback):
    """A callback whose run is a child of a study, and of a member of a population a fork as well.

    Args:
        task: The trial.
        options: Arguments of `BurrCallback`.
    """

    def __init__(self, task: TrialTask, **options: Any) -> None:
        self._task = task
        super().__init__(**options)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Open the run; that of a member which goes on from another trial is made here."""
        if stage == "fit" and self.drives(pl_module) and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            see_to_fork(self._task, pl_module)
        super().setup(trainer, pl_module, stage)

    def _settings(self) -> RunSettings:
        spawned = {"run_id": self._task.study_id, "sequence_id": self._task.sequence_id}
        return replace(super()._settings(), spawned_by=spawned)


def trial_callback(task: TrialTask, options: Mapping[str, Any]) -> BurrCallback:
    """The callback of a trial.

    Args:
        task: The trial.
        options: Arguments of `BurrCallback` that are not the study's.
    """
    given: dict[str, Any] = {"monitor": task.monitor, "tracker": task.tracker, **options}
    if task.monitor is not None and given["monitor"] == task.monitor:
        given.setdefault("mode", task.directions[0])
    callback = TrialCallback(
        task, run_id=task.run_id, project=task.project, persister=task.persister, root_dir=task.root, **given
    )
    if task.monitor is not None:
        scores = Scores(task.scores)
        callback._hooks = [*callback._hooks, reports_to(scores, task)]
        if task.pruner is not None:
            callback.machine = with_pruning(callback.machine, prunes(task, scores))
    return callback
