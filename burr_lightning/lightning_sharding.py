"""Everything this library asks of Lightning's strategies that shard a module over processes.

Read off Lightning 2.6 and torch 2.13; `tests/test_lightning_access.py` fails loudly when a private name
changes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy


def shards(trainer: Trainer) -> bool:
    """Whether each process has a part of the module's parameters only."""
    return isinstance(trainer.strategy, (FSDPStrategy, ModelParallelStrategy))


def writes_folders(trainer: Trainer) -> bool:
    """Whether its checkpoints are folders, into which each process writes its part."""
    strategy = trainer.strategy
    if isinstance(strategy, ModelParallelStrategy):
        return strategy._save_distributed_checkpoint
    return isinstance(strategy, FSDPStrategy) and strategy._state_dict_type == "sharded"


def part_of_checkpoint(trainer: Trainer) -> dict[str, Any]:
    """What this process has of a full checkpoint; all have to ask."""
    return trainer._checkpoint_connector.dump_checkpoint(weights_only=False)


def write_folder(trainer: Trainer, part: dict[str, Any], folder: Path) -> None:
    """Write a checkpoint into a folder that is there; all have to, each with its part.

    What is neither weights nor optimizers is written by the first process, of its part.
    """
    trainer.strategy.save_checkpoint(part, folder)


def load_in_place(trainer: Trainer, path: Path, *, weights_only: bool = True) -> dict[str, Any]:
    """Load weights and optimizers from a checkpoint, on all processes; tell the rest of it."""
    return trainer.strategy.load_checkpoint(path, weights_only=weights_only)


def restores_late(trainer: Trainer) -> bool:
    """Whether a checkpoint is loaded only after the module and its optimizers are set up."""
    return bool(trainer.strategy.restore_checkpoint_after_setup)


class LateRestore:
    """A checkpoint that can be loaded only once the strategy has set the module up.

    Args:
        trainer: The trainer.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._connector: Any = trainer._checkpoint_connector

    def prepare(self, load: Callable[[], None]) -> None:
        """Have a checkpoint loaded where Lightning loads the one that ``fit`` is given.

        Args:
            load: Loads it. It is not called where ``fit`` is given one.
        """
        resume_start = self._connector.resume_start

        def load_ours(checkpoint_path: Any = None, weights_only: bool | None = None) -> None:
            self.end()
            if checkpoint_path is None:
                load()
            resume_start(checkpoint_path, weights_only=weights_only)

        self._connector.resume_start = load_ours

    def end(self) -> None:
        """Leave the trainer as it was."""
        self._connector.__dict__.pop("resume_start", None)
