"""A run that goes on from a commit: when Lightning restores it, and what is taken out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from . import lightning_access as access
from .commits import KeptCheckpoints
from .commits.run_files import RunFiles
from .errors import ResumeError
from .going_on import holds_enough, refuse_other_module
from .lightning_data import take_loader_states
from .lightning_sharding import LateRestore, restores_late, room_for_states
from .opening import OpenRun
from .parameter_groups import lay_out
from .rank_buffers import put_buffers
from .running_metrics import set_logged
from .training_state import KEY, kept_of, ranks_of


class Restoring:
    """Has Lightning restore a commit, from a callback's ``setup`` on.

    Most strategies restore a checkpoint before they set the module up, and any time between is the same to
    them. Those that shard a module load it in place, once that is set up: what is ours is needed before.

    Args:
        trainer: The trainer.
        module: The module in training.
        run: The run.
        checkpoint: What to restore.

    Raises:
        ResumeError: If the module is another, or the checkpoint is in a form that the strategy cannot load.
    """

    def __init__(self, trainer: Trainer, module: LightningModule, run: OpenRun, checkpoint: Path) -> None:
        self._trainer, self._module, self._run, self._path = trainer, module, run, checkpoint
        self.kept: dict[str, Any] | None = None
        """What the checkpoint holds of ours, of this rank; ``None`` until it is known."""
        self._late = LateRestore(trainer) if restores_late(trainer) else None
        self._is_next = self._late is None
        """Whether what Lightning restores next is what ``fit`` begins from, and not a finder's own."""
        if self._late is None:
            self._refuse_folder()
            access.preload_checkpoint(trainer, checkpoint)
            refuse_other_module(trainer, module, run.settings.run_id)
        else:
            assert run.folder is not None
            self._take(KeptCheckpoints(RunFiles(run.folder)).load_rest(checkpoint)[KEY])

    def fit_starts(self) -> None:
        """The optimizers are there: have them fit the checkpoint, and load it where that was too early.

        A finder of learning rates or batch sizes has dropped one that was loaded, for one of its own.
        """
        self._is_next = self._late is not None
        if self._late is None and not access.waits_to_be_restored(self._trainer):
            self._load()
        if self.kept is not None:
            lay_out(self._trainer, self._module, self.kept.get("groups", []), self._run.settings.run_id)
        if self._late is not None:
            self._late.prepare(self._load)

    def loaded(self, checkpoint: dict[str, Any]) -> None:
        """Lightning is about to restore a checkpoint: take what is ours out of it.

        Raises:
            ResumeError: If it is one that ``fit`` was given.
            OlderCheckpointError: If it lacks what the run needs to go on.
        """
        if not self._is_next:
            return
        self._is_next = False
        path, run_id = self._trainer.ckpt_path, self._run.settings.run_id
        if path is not None:
            raise ResumeError(
                f"trainer.fit(ckpt_path={str(path)!r}): the run {run_id!r} exists and "
                f"goes on from its own last commit. Leave ckpt_path out, or give the callback a new "
                f"run_id to start a run from that checkpoint."
            )
        if self.kept is None:
            self._take(checkpoint[KEY])
        if self.kept is not None and self.kept["ranks"] > 1:
            take_loader_states(checkpoint, self.kept.get("loader_states", []))

    def nothing_was_left(self) -> None:
        """Nothing had to be trained: what follows ``fit`` sees the metrics that it would have seen."""
        if self.kept is not None:
            set_logged(self._trainer, self.kept["logged"])

    def end(self) -> None:
        """Leave the trainer as it was."""
        if self._late is not None:
            self._late.end()

    def _load(self) -> None:
        states = self.kept.get("with_states") if self.kept is not None else None
        with room_for_states(self._trainer, self._module, states):
            access.preload_checkpoint(self._trainer, self._path)
        if self._late is not None and self.kept is not None:
            put_buffers(self._module, self.kept.get("buffers", {}))

    def _take(self, kept: dict[str, Any]) -> None:
        if holds_enough(kept, self._run.settings.run_id, goes_on=not self._run.standing.finished):
            self.kept = kept_of(kept, self._trainer.global_rank) | {"ranks": ranks_of(kept)}
            self._run.driver.loaders_made.make_again(self.kept)

    def _refuse_folder(self) -> None:
        if self._path.is_dir():
            raise ResumeError(
                f"Run {self._run.settings.run_id!r} was trained by a strategy that writes its checkpoints in "
                f"parts, and Trainer(strategy={type(self._trainer.strategy).__name__}) cannot load "
                f"{self._path.name}. Give it the strategy of before, or start a new run with another run_id."
            )
