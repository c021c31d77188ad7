"""Runs of many epochs as Burr's tracker records them, without training: a real machine and tracker."""

import time
from pathlib import Path

from burr.core import State

from burr_lightning.burr_access import OpenPhase, build_application, local_tracker
from burr_lightning.layout import RunFolder, RunInfo
from burr_lightning.machines import default_machine
from burr_lightning.state import PhaseReport, initial_state
from burr_lightning.tracked import tracker_folder

METRICS = [*(f"train_{name}" for name in "abcd"), "val_loss", *(f"val_{name}" for name in "abcde")]
"""Ten names of metrics."""


class LongRun:
    """A run whose machine goes through epochs of two batches, and waits in the training for more.

    Args:
        root: The folder of the runs.
        run_id: The run.
        epochs: How many epochs it goes through at first.
        project: Its project.
        fork_of: The run and the step that it was forked from.
    """

    def __init__(self, root, run_id, epochs, project="digits", fork_of=None):
        hparams = {"learning_rate": 1e-3, "width": 64, "dropout": 0.1, "optimizer": "adam"}
        state = State(initial_state(hparams, "val_loss", None))
        self.tracker = local_tracker(project)
        parent = {"run_id": fork_of[0], "sequence_id": fork_of[1]} if fork_of else None
        stands = ("validate", fork_of[1]) if fork_of else (None, None)
        self.app = build_application(
            default_machine(), run_id, project, state, *stands, self.tracker, [], parent
        )
        self.epochs = 0
        self.folder = tracker_folder(self.tracker, run_id)
        self.log = self.folder / "log.jsonl"
        if not fork_of:
            loaders = [{"samples": 60000, "first_samples": "813bb8f4ac6ce7a4", "batches": 2}]
            self.app.step(inputs={"fingerprint": {"train": loaders, "validation": loaders}})
        self.go_on(epochs)
        stored = RunFolder(Path(root), project, run_id)
        stored.create()
        stored.write_info(RunInfo(run_id, project, "val_loss", str(self.folder), time.time()))

    def go_on(self, epochs):
        """Go through more epochs."""
        for epoch in range(self.epochs, self.epochs + epochs):
            go_through(self.app, epoch)
        self.epochs += epochs


def go_through(app, epoch):
    """One epoch and its commit, as the driver takes a machine through it."""
    of_training, of_validation = METRICS[:4], METRICS[4:]
    phase(app, "train_epoch", epoch, [], is_check=False, validation_due=True)
    phase(app, "validate", epoch, of_training + of_validation, ends_epoch=True)
    path = f"checkpoints/epoch={epoch:05}-step={epoch * 2 + 2:08}-commit={epoch * 2 + 2:07}.ckpt"
    written = {"path": path, "epoch": epoch, "commit": epoch * 2 + 2, "sha256": f"{epoch:064x}"}
    app.update_state(app.state.update(checkpoint=written))


def phase(app, name, epoch, metrics, **facts):
    """One phase of two batches."""
    opened = OpenPhase(app, name)
    for batch in range(2):
        opened.streamed(batch, None)
    values = {metric: round(1 / (epoch + number + 1.7), 8) for number, metric in enumerate(metrics)}
    directions = {metric: "max" for metric in metrics if metric != "val_loss"}
    seconds = round(epoch * 1.37, 3)
    opened.close(PhaseReport(epoch, 0, 1, epoch * 2 + 2, values, directions, seconds=seconds, **facts))
