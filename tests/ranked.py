"""Processes that train one run together, started as torchrun starts them: for the tests."""

import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from digits import DigitNet, digit_loaders, weights_hash
from forks import Child, tell
from lightning.pytorch import Callback, Trainer, seed_everything
from pools import by_and_by
from ports import free_port
from torchdata.stateful_dataloader import StatefulDataLoader

from burr_lightning import BurrCallback

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}


@dataclass(frozen=True)
class Training:
    """What is trained, and what happens to it."""

    run_id: str = "ranked"
    epochs: int = 4
    callback: Callable | None = None
    """Gives arguments of the callback."""
    module: type = DigitNet
    trainer: dict | None = None
    """Arguments of the trainer."""
    stateful: bool = False
    """Whether the training data can be gone on with in the middle of an epoch."""
    event: tuple | None = None
    """Ranks, an epoch, a batch, and what happens: ``waits``, ``waits for go``, ``raises`` or a signal."""

    def but(self, **changes):
        return replace(self, **changes)


class Ranked:
    """The processes of one training."""

    def __init__(self, size, function, *arguments):
        port, self.size = free_port(), size
        self.children = [
            Child(_as_rank, (rank, size, port), function, arguments, log=f"rank-{rank}.log")
            for rank in range(size)
        ]

    def __getitem__(self, rank):
        return self.children[rank]

    def ended(self):
        """How each process has ended, and what it told at last."""
        told = [child.rest() for child in self.children]
        statuses = [child.ended() for child in self.children]
        return statuses, [messages[-1] if messages else None for messages in told]

    @property
    def printed(self):
        return "\n".join(child.printed for child in self.children)


def train(training):
    """Train on this rank, and tell how that ended."""
    seed_everything(5, verbose=False)
    configured = training.callback() if training.callback else {}
    burr = BurrCallback(training.run_id, **{"monitor": "val_loss", "tracker": False, **configured})
    callbacks = [burr, *([Happens(*training.event)] if training.event else [])]
    options = {"strategy": "ddp", "accelerator": "cpu", **QUIET, **(training.trainer or {})}
    size = os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or "1"
    options.setdefault("devices", int(size))
    trainer = Trainer(max_epochs=training.epochs, callbacks=callbacks, **options)
    tell("ended", ending(fitted(training, trainer), trainer, burr))


def fitted(training, trainer):
    """The module of a training, once it is trained."""
    module = training.module()
    loader, validation = digit_loaders(512)
    if training.stateful:
        loader = StatefulDataLoader(loader.dataset, batch_size=loader.batch_size, shuffle=True)
    trainer.fit(module, loader, validation)
    return module


def ending(module, trainer, burr):
    """How a training has ended on a rank, as far as an interrupted one must end like another."""
    return {
        "weights": weights_hash(module),
        "optimizer": hashlib.sha256(repr(trainer.optimizers[0].state_dict()).encode()).hexdigest(),
        "random": hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest(),
        "epoch": burr.state["epoch"],
        "stop_reason": burr.state["stop_reason"],
        "history": {name: [repr(value) for value in burr.history[name]] for name in burr.history.names},
        "paused": burr.paused,
        "measured": burr.state.get("measured"),
    }


class Happens(Callback):
    """Something that happens on some ranks, after one batch."""

    def __init__(self, ranks, epoch, batch, what):
        self._ranks, self._place, self._what = ranks, (epoch, batch), what

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_rank not in self._ranks or (trainer.current_epoch, batch_idx) != self._place:
            return
        if self._what == "waits":
            tell("there")
            signal.pause()
        if self._what == "waits for go":
            tell("there")
            by_and_by(Path("go").exists)
            return
        if self._what == "raises":
            raise ValueError("the disk of this one is full")
        os.kill(os.getpid(), getattr(signal, self._what))


def _as_rank(place, function, arguments):
    rank, size, port = place
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "tests",
    }
    function(*arguments)
