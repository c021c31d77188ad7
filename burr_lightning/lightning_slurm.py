"""A SLURM job that is queued again before its time is over, as Lightning's auto-requeue asks for it.

Lightning saves a checkpoint of its own wherever the signal finds the process, though the others may be
saying something else, and prefers it to any other when the job starts again. Here it is kept until the
batch is done, and what the job goes on from is a commit.

Read off Lightning 2.6; `tests/test_lightning_access.py` fails loudly when a private name changes.
"""

from __future__ import annotations

import functools
import logging
import os
import subprocess
from collections.abc import Callable
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from lightning.pytorch import Trainer
from lightning.pytorch.trainer.connectors.checkpoint_connector import _CheckpointConnector

from .ranks import Ranks

log = logging.getLogger(__name__)

_chosen: WeakKeyDictionary[_CheckpointConnector, Any] = WeakKeyDictionary()
"""By connector, the checkpoint that it goes on from though nobody has asked it to."""


class Requeue:
    """Hears the signal that a SLURM job gets before its time is over, and has the job queued again.

    In a batch of training it waits for the end of the batch, so that the commit is made first. Anywhere
    else that could take longer than the job has, and it is asked for at once.

    Args:
        trainer: The trainer.
        ranks: Its processes: each may hear the signal, the first asks.
        in_batches: Tells whether the training is under way, so that a batch of it ends soon.
        commit: Makes a commit between two batches, or at the end of an epoch.
    """

    def __init__(
        self, trainer: Trainer, ranks: Ranks, in_batches: Callable[[], bool], commit: Callable[[], None]
    ) -> None:
        self._trainer, self._ranks, self._in_batches, self._commit = trainer, ranks, in_batches, commit
        self.heard = False
        """Whether this process has heard the signal; the others may not know of it yet."""
        self.is_known = False
        """Whether all of them know that one has heard it."""
        self._asked = False

    def begin(self) -> None:
        """Before Lightning sets its handlers, have it set this one where it would set its own."""
        self._trainer._signal_connector._slurm_sigusr_handler_fn = self._hear  # type: ignore[assignment, method-assign]

    def end(self) -> None:
        """Leave the next training its own handler."""
        self._trainer._signal_connector.__dict__.pop("_slurm_sigusr_handler_fn", None)

    @property
    def is_due(self) -> bool:
        """Whether all processes know that the job is to be queued again."""
        return self.is_known or (self.heard and self._ranks.size == 1)

    def between_batches(self) -> None:
        """Between two batches, or at the end of an epoch: commit, and have the job queued again."""
        if self.is_due:
            self._commit()
            self.ask()
            self.heard = self.is_known = False

    def ask(self) -> None:
        """Have the job queued again, where one has heard the signal and it was not queued already."""
        if self._asked or not self._ranks.leads or not (self.heard or self.is_known):
            return
        job = _job()
        if job is None:
            log.warning("SIGUSR1 was heard, and SLURM_JOB_ID is not set: no job is queued again.")
            return
        self._asked = True
        command = ["scontrol", "requeue", job]
        try:
            subprocess.run(command, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self._asked = False
            said = (getattr(error, "stderr", None) or str(error)).strip()
            log.warning("%s: %s. The job was not queued again.", " ".join(command), said)
        else:
            log.warning("%s: the job goes on from the last commit.", " ".join(command))

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.heard = True
        if not self._in_batches():
            self.ask()


def _job() -> str | None:
    """The job's number, as ``scontrol`` takes it; ``None`` where it is not known."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def leave_out_own_choice(trainer: Trainer) -> str | None:
    """Have Lightning go on from no checkpoint that nobody has asked it for.

    On SLURM it takes the newest that its auto-requeue has left, of whatever training; with an
    ``OnExceptionCheckpoint`` the one of that. It would do so after a callback's ``setup``.

    Returns:
        The checkpoint, ``None`` where there is none.
    """
    connector = trainer._checkpoint_connector
    chosen = _chosen.pop(connector, None)
    if chosen is None:
        return None

    def restore(path: Any = None, weights_only: bool | None = None) -> None:
        if path == chosen:
            del connector._restore_modules_and_callbacks
            path = None
        _CheckpointConnector._restore_modules_and_callbacks(connector, path, weights_only)

    connector._restore_modules_and_callbacks = restore  # type: ignore[assignment, method-assign]
    return str(chosen)


def end_leaving_out(trainer: Trainer) -> None:
    """Leave the trainer as it was, though it has not come to where it restores a checkpoint."""
    trainer._checkpoint_connector.__dict__.pop("_restore_modules_and_callbacks", None)


def note_own_choices() -> None:
    """Have it noted where Lightning goes on from a checkpoint that nobody has asked it for."""
    parse = _CheckpointConnector._parse_ckpt_path

    @functools.wraps(parse)
    def parse_and_note(connector: Any, state_fn: Any, ckpt_path: Any, **options: Any) -> Any:
        _chosen.pop(connector, None)
        path = parse(connector, state_fn, ckpt_path, **options)
        if ckpt_path is None and path is not None:
            _chosen[connector] = path
        return path

    _CheckpointConnector._parse_ckpt_path = parse_and_note  # type: ignore[assignment, method-assign]


note_own_choices()
