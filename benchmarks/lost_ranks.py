"""How long the other ranks of a training are there after one was killed.

Run it as ``python benchmarks/lost_ranks.py``. For each place it trains ``--tries`` times on plain processes,
started as torchrun starts them, kills one there and waits for the end of the others.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import socket
import statistics
import tempfile
import time
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch
from burr.core import State, action
from burr.core.graph import Graph, GraphBuilder
from lightning.pytorch import Trainer

from burr_lightning import BurrCallback
from burr_lightning.actions import BestModel, TrainEpoch, Validate
from burr_lightning.machines import FINISHED, VALIDATION_DUE
from burr_lightning.testing import ScriptedModule, scripted_loader

PLACES = {
    "the last, in a training step": "training_step",
    "the last, in a validation": "validation_step",
    "the first, as it writes a commit": "commit",
    "the last, while the first is in an action of a second": "action",
}
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
PATIENCE = 120.0
"""Seconds after which a rank that is still there is killed, and told of."""


def die(trainer: Trainer, note: Path) -> None:
    """Write down when, and be no more."""
    if trainer.current_epoch == 1 and not trainer.sanity_checking:
        note.write_text(repr(time.monotonic()))
        os.kill(os.getpid(), signal.SIGKILL)


class Dies(ScriptedModule):
    """A module on a rank that is killed in a step."""

    def __init__(self, place: str, note: Path) -> None:
        super().__init__(val_loss=[1.0])
        self._place, self._note = place, note

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        """Dies, or trains."""
        if self._place == "training_step":
            die(self.trainer, self._note)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Dies, or does nothing."""
        if self._place == "validation_step":
            die(self.trainer, self._note)


def machine(place: str, note: Path) -> Graph:
    """After each epoch there is an action, which takes the first rank a second, and in which one dies."""

    @action(reads=[], writes=[])
    def works(state: State[Any], trainer: Trainer) -> State[Any]:
        if place == "action" and trainer.current_epoch == 1:
            if trainer.is_global_zero:
                time.sleep(1)
            elif trainer.global_rank == trainer.world_size - 1:
                die(trainer, note)
        return state

    phases = ["train_epoch", "validate"]
    return (
        GraphBuilder()
        .with_actions(works=works, train_epoch=TrainEpoch(), validate=Validate(), best_model=BestModel())
        .with_transitions(
            ("train_epoch", "validate", VALIDATION_DUE),
            (phases, "works"),
            ("works", "best_model", FINISHED),
            ("works", "train_epoch"),
        )
        .build()
    )


def train(rank: int, ranks: int, port: int, place: str, folder: Path) -> None:
    """Train on one rank, and die there if it is to."""
    local = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "GROUP_RANK": 0,
        "WORLD_SIZE": ranks,
        "LOCAL_WORLD_SIZE": ranks,
    }
    os.environ |= {name: str(value) for name, value in {**local, "MASTER_PORT": port}.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "benchmark"}
    log = os.open(folder / f"{rank}.log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    torch.set_num_threads(1)
    note = folder / "died"
    burr = BurrCallback("ranks", root_dir=folder, tracker=False, machine=machine(place, note))
    dies = place if rank == (0 if place == "commit" else ranks - 1) else ""
    trainer = Trainer(
        max_epochs=3, accelerator="cpu", devices=ranks, strategy="ddp", callbacks=[burr], **QUIET
    )
    if dies == "commit":
        flush = os.fsync

        def flush_or_die(descriptor: int) -> None:
            die(trainer, note)
            flush(descriptor)

        os.fsync = flush_or_die
    trainer.fit(Dies(dies, note), scripted_loader(8), scripted_loader(8))


def lasted(ranks: int, place: str) -> float:
    """Seconds from the end of the one that is killed to the end of the last of the others."""
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        given = [(rank, ranks, port, place, Path(folder)) for rank in range(ranks)]
        context = multiprocessing.get_context("forkserver")
        processes: list[Any] = [context.Process(target=train, args=arguments) for arguments in given]
        for process in processes:
            process.start()
        left = {process.sentinel for process in processes}
        while left and (ended := wait(left, PATIENCE)):
            left -= {*ended}  # type: ignore[arg-type]
        at_end = time.monotonic()
        if left:
            for process in processes:
                process.kill()
            raise SystemExit(f"A rank of {ranks} is still there: killed {place}.")
        statuses = sorted(process.exitcode for process in processes)
        if statuses != [-signal.SIGKILL, *[1] * (ranks - 1)]:
            raise SystemExit(f"{place}: {statuses}\n{(Path(folder) / '0.log').read_text()[-3000:]}")
        return at_end - float((Path(folder) / "died").read_text())


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=9)
    given = parser.parse_args()
    multiprocessing.set_forkserver_preload(["lost_ranks"])
    lasted(2, "training_step")  # the fork server imports
    print("| killed | ranks | s, median | least to most |\n|---|---|---|---|")
    for name, place in PLACES.items():
        for ranks in (2, 4):
            times = [lasted(ranks, place) for _ in range(given.tries)]
            least, median, most = min(times), statistics.median(times), max(times)
            print(f"| {name} | {ranks} | {median:.2f} | {least:.2f} to {most:.2f} |", flush=True)


if __name__ == "__main__":
    main()
