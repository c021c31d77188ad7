"""Whether an interrupted run ends as the uninterrupted one: scripts, interruptions, and what is compared."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import signal
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from torch.distributed.tensor import DTensor

from burr_lightning import BurrCallback

SEED = 7
_OF_ACTIONS = (
    *("rollback", "learning_rates", "changed_hparams", "frozen", "restarts", "data_settings", "evaluated"),
    "data",
)
"""The keys of the state that actions write, or that tell what they did."""
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}


@dataclass
class Script:
    """What a user's training script makes, each time it is run."""

    module: LightningModule
    data: dict[str, Any]
    """What `fit` is given beside the module."""
    callbacks: list[Callback] = field(default_factory=list)
    trainer: dict[str, Any] = field(default_factory=dict)
    burr: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A script with something in it that a resume can get wrong."""

    write: Callable[[], Script]
    draws_its_data: bool = False
    """Whether the script's seed says what its data is; it is then resumed with that seed only."""
    schedules: bool = False
    """Whether its learning rate changes."""
    scales: bool = False
    """Whether its gradients are scaled, up and down."""
    accelerator: str = "cpu"
    """What it trains on."""
    epochs: int = 4
    """How many epochs it trains."""
    apart_from: tuple[str, ...] = ()
    """What is not compared."""


class Interrupted(Exception):
    """What stands for a failure of the user's own code."""


class InterruptedAt(Callback):
    """Raises, or kills the process, the nth time that a hook is called in an epoch."""

    def __init__(self, epoch: int, how: str = "exception", hook: str = "on_train_batch_end", nth: int = 3):
        self._epoch, self._how, self._nth = epoch, how, nth
        self._called: Counter[int] = Counter()
        setattr(self, hook, self._interrupt)

    def _interrupt(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        if trainer.sanity_checking:
            return
        self._called[trainer.current_epoch] += 1
        if trainer.current_epoch == self._epoch and self._called[self._epoch] == self._nth:
            if self._how == "SIGKILL":
                os.kill(os.getpid(), signal.SIGKILL)
            raise Interrupted


class Notes(Callback):
    """Writes down every batch and its learning rates, in a file that outlives the process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(epoch=trainer.current_epoch)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int):
        rates = [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]
        scaler = trainer.precision_plugin.state_dict()
        self._write(
            epoch=trainer.current_epoch, batch=batch_idx, rates=rates, scaler=scaler, data=digest(batch)
        )

    def _write(self, **note: Any) -> None:
        with open(self._path, "a") as file:
            file.write(json.dumps(note) + "\n")

    @staticmethod
    def read(path: Path) -> dict[str, dict[str, Any]]:
        """Each batch's note by its epoch and number; an epoch that began again has only its last ones."""
        notes: dict[tuple[int, int], Any] = {}
        for line in path.read_text().splitlines():
            note = json.loads(line)
            if "batch" in note:
                notes[note["epoch"], note["batch"]] = note
            else:
                notes = {key: kept for key, kept in notes.items() if key[0] < note["epoch"]}
        return {f"epoch {epoch}, batch {batch}": note for (epoch, batch), note in notes.items()}


def digest(value: Any) -> str:
    """The beginning of the SHA-256 of tensors and numbers, however nested."""
    hashed = hashlib.sha256()
    _feed(hashed, value)
    return hashed.hexdigest()[:16]


def _feed(hashed: Any, value: Any) -> None:
    if isinstance(value, DTensor):
        _feed(hashed, value.to_local())
    elif isinstance(value, torch.Tensor):
        hashed.update(str((value.dtype, tuple(value.shape))).encode())
        hashed.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, np.ndarray):
        hashed.update(str((value.dtype, value.shape)).encode() + value.tobytes())
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):  # optimizers have states in the order in which they began
            hashed.update(repr(key).encode())
            _feed(hashed, value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            _feed(hashed, item)
    else:
        assert value is None or isinstance(value, (bool, int, float, str)), type(value)
        hashed.update(repr(value).encode())


def run(case: Case, run_id: str, *, seed: int = SEED, interrupted: Callback | None = None) -> dict[str, Any]:
    """Run a case's script once, to its end or to where it is interrupted, and tell how it ended."""
    seed_everything(seed, verbose=False)
    script = case.write()
    notes = Path(f"{run_id}.notes")
    burr = BurrCallback(**{"run_id": run_id, "monitor": None, **script.burr})
    callbacks = [*script.callbacks, Notes(notes), *([interrupted] if interrupted else []), burr]
    options = {**QUIET, "accelerator": case.accelerator, "max_epochs": case.epochs, **script.trainer}
    trainer = Trainer(callbacks=callbacks, **options)
    trainer.fit(script.module, **script.data)
    facts = {
        "machine path": [step.action for step in burr.run.path],
        "stop reason": burr.run.stop_reason,
        "state": {key: str(burr.state[key]) for key in _OF_ACTIONS},
        "optimizer steps": trainer.global_step,
        "batches": Notes.read(notes),
        "metrics": [
            {k: str(v) for k, v in row.items() if k != "seconds"} for row in burr.run.history.to_dicts()
        ],
        "schedulers": [_state_of(config.scheduler) for config in trainer.lr_scheduler_configs],
        "scaler": trainer.precision_plugin.state_dict(),
        "optimizers": [digest(optimizer.state_dict()) for optimizer in trainer.optimizers],
        "weights": digest(script.module.state_dict()),
    }
    return {what: fact for what, fact in facts.items() if what not in case.apart_from}


def _state_of(scheduler: Any) -> dict[str, str]:
    return {name: digest(value) for name, value in scheduler.state_dict().items()}


def interrupted_and_resumed(case: Case, epoch: int, run_id: str, **where: Any) -> dict[str, Any]:
    """Have a run fail in an epoch, run its script again, and tell how it ended."""
    with suppress(Interrupted):
        run(case, run_id, interrupted=InterruptedAt(epoch, **where))
        raise AssertionError(f"the run was not interrupted in epoch {epoch}")
    return resumed(case, epoch, run_id)


def resumed(case: Case, epoch: int, run_id: str) -> dict[str, Any]:
    """Run the script of a run that was interrupted in an epoch again.

    After an odd epoch it has another seed, as a script without `seed_everything` would: what a resumed
    run draws must come from its commit. A run that had no commit yet starts afresh, so its seed counts.
    """
    other_seed = epoch % 2 == 1 and not case.draws_its_data
    return run(case, run_id, seed=SEED + other_seed)


class Forked:
    """A function at work in a process of its own, which has nothing of this one's but its imports.

    Args:
        work: The function; what it gives can be pickled.
    """

    _TIME_LIMIT = 600

    def __init__(self, work: Callable[[], Any]) -> None:
        self._given = Path(tempfile.mkdtemp(dir=".")) / "given"
        with warnings.catch_warnings():
            # Python 3.12 warns of a fork beside threads: of those of torch, the child uses none.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process = os.fork()
        if self._process == 0:
            self._work_and_exit(work)

    def _work_and_exit(self, work: Callable[[], Any]) -> None:
        signal.alarm(self._TIME_LIMIT)
        torch.set_num_threads(1)
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        try:
            self._given.write_bytes(pickle.dumps((None, work())))
        except BaseException:
            self._given.write_bytes(pickle.dumps((traceback.format_exc(), None)))
        finally:
            os._exit(0)

    def ended_with(self) -> int:
        """The exit code, once it has ended; minus the signal that killed it."""
        return os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])

    def result(self) -> Any:
        """What the function gave, or the traceback of why it gave nothing."""
        code = self.ended_with()
        if code != 0:
            return f"its process ended with {code}"
        failure, given = pickle.loads(self._given.read_bytes())
        return given if failure is None else failure


def differences(whole: dict[str, Any], other: Any) -> list[str]:
    """Where two runs differ, in words; of what has several parts, the first."""
    if not isinstance(other, dict):
        return [str(other)]
    return [
        f"{what}: {_first_difference(whole[what], other[what])}"
        for what in whole
        if whole[what] != other[what]
    ]


def _first_difference(whole: Any, other: Any) -> str:
    if isinstance(whole, list) and isinstance(other, list):
        whole, other = dict(enumerate(whole)), dict(enumerate(other))
    if not isinstance(whole, dict) or not isinstance(other, dict):
        return f"{whole} is {other}"
    first = next(key for key in {**whole, **other} if whole.get(key) != other.get(key))
    return f"{first}, {_first_difference(whole.get(first), other.get(first))}"
