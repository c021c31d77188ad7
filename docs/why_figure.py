"""Makes ``docs/images/why.png`` again: is a run that was killed and gone on with still the same run?

Run it as ``PYTHONPATH=examples python docs/why_figure.py``. A small network on digits is trained four times,
each in a process of its own, with the same seed: by plain Lightning and with `BurrCallback`, each once to the
end and once killed with SIGKILL in the middle of an epoch and gone on with. At the end of each epoch the
weights are kept, and the figure has the distance between the two runs of each way.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from quickstart import DigitClassifier, digit_loaders

from burr_lightning import BurrCallback, Run
from burr_lightning.plots.style import BLUE, GRAY, PALE, SKY, VERMILLION

PICTURE = Path(__file__).resolve().parent / "images" / "why.png"
EPOCHS, KILLED, BATCH = 10, 4, 20
"""Epochs of a run, the one that is killed, and the batch of it before which it is."""
BESIDE: dict[str, Any] = {"va": "center", "fontsize": 8.5}
STEPS: dict[str, dict[str, Any]] = {
    "process_data, best_model": {"facecolor": GRAY},
    "train_epoch": {"facecolor": PALE},
    "validate": {"facecolor": SKY},
    "lost": {"facecolor": "white", "hatch": "////"},
}


class Weights(Callback):
    """Keeps the weights of each epoch, and kills the process where it is told to."""

    def __init__(self, folder: Path, kill: bool) -> None:
        self.folder, self.kill = folder, kill

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Die in the middle of an epoch."""
        if self.kill and (trainer.current_epoch, batch_idx) == (KILLED, BATCH):
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep them."""
        weights = torch.cat([each.detach().flatten() for each in pl_module.parameters()])
        torch.save(weights, self.folder / f"{trainer.current_epoch}.pt")


def train(folder: Path, with_burr: bool, kill: bool) -> None:
    """One process: the script that a user starts, and starts again."""
    torch.set_num_threads(1)
    os.chdir(folder)
    os.environ["HOME"] = str(folder)
    seed_everything(1, verbose=False)
    commits: Callback = (
        BurrCallback("run", monitor="val_loss") if with_burr else ModelCheckpoint(save_last=True)
    )
    again = None if with_burr or not list(folder.rglob("last.ckpt")) else "last"
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(
        max_epochs=EPOCHS, callbacks=[commits, Weights(folder, kill)], accelerator="cpu", **quiet
    )
    trainer.fit(DigitClassifier(), *digit_loaders(), ckpt_path=again)


def started(folder: Path, with_burr: bool, kill: bool = False) -> int | None:
    """Train in a process of its own, and say how that ended."""
    process = multiprocessing.get_context("fork").Process(target=train, args=(folder, with_burr, kill))
    process.start()
    process.join()
    return process.exitcode


def distances(home: Path, with_burr: bool) -> list[float]:
    """The largest difference between weights of the whole run and of the interrupted one, per epoch."""
    name = "burr" if with_burr else "lightning"
    whole, cut = home / f"{name}-whole", home / f"{name}-cut"
    whole.mkdir()
    cut.mkdir()
    ends = [started(whole, with_burr), started(cut, with_burr, kill=True), started(cut, with_burr)]
    assert ends == [0, -signal.SIGKILL, 0], ends
    if with_burr:
        path = str(Run.open("run", root_dir=cut / "burr_runs").path)
        assert path == f"process_data -> (train_epoch -> validate) x {EPOCHS} -> best_model", path
    pairs = [(torch.load(whole / f"{epoch}.pt"), torch.load(cut / f"{epoch}.pt")) for epoch in range(EPOCHS)]
    return [float((one - other).abs().max()) for one, other in pairs]


def draw(plain: list[float], ours: list[float]) -> Figure:
    """The path of the machine above, the distances below it."""
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    path, axis = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1, 2.6]})
    draw_path(path)
    epochs = range(EPOCHS)
    axis.plot(epochs, plain, color=VERMILLION, marker="o", linestyle=(0, (5, 1.5)))
    axis.plot(epochs, ours, color=BLUE, marker="s", linewidth=2)
    last, above = EPOCHS - 1, max(plain)
    axis.text(last + 0.2, plain[-1], 'plain Lightning,\nckpt_path="last"', color=VERMILLION, **BESIDE)
    axis.text(last + 0.2, ours[-1], f"with BurrCallback:\n{largest(ours)}", color=BLUE, **BESIDE)
    axis.axvline(KILLED - 0.5, color=GRAY, linewidth=0.8, linestyle=":")
    axis.set(xlim=(-1.75, last + 2.6), ylim=(-0.08 * above, 1.12 * above), xticks=epochs)
    axis.set_ylabel("largest difference of a weight\nfrom the run that was not killed", fontsize=8.5)
    axis.set_xlabel("after epoch", fontsize=8.5)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines["bottom"].set_bounds(0, last)
    return figure


def largest(differences: list[float]) -> str:
    """What is written beside a line."""
    return f"{max(differences):.2g} at most" if any(differences) else "0 after each epoch"


def draw_path(axis: Axes) -> None:
    """The steps of the run that was killed: those of the process that died, and those of the one after it."""
    box(axis, -1.5, 0.5, 1, "process_data, best_model")
    for epoch in range(EPOCHS):
        row = int(epoch < KILLED)
        box(axis, epoch - 0.96, 0.66, row, "train_epoch")
        box(axis, epoch - 0.28, 0.24, row, "validate")
    box(axis, KILLED - 0.96, 0.46, 1, "lost")
    box(axis, EPOCHS - 0.96, 0.5, 0, "process_data, best_model")
    axis.plot(KILLED - 0.5, 1.35, marker="X", color=VERMILLION, markersize=11, markeredgecolor="white")
    axis.text(KILLED - 0.2, 1.35, "kill -9 in the middle of an epoch", color=VERMILLION, **BESIDE)
    axis.text(KILLED - 1.15, 0.35, "the same script, started again", color=BLUE, ha="right", **BESIDE)
    shown = {name: Rectangle((0, 0), 1, 1, edgecolor=GRAY, **look) for name, look in STEPS.items()}
    place = {"loc": "lower left", "bbox_to_anchor": (0, 0.95), "ncols": 4}
    axis.legend(shown.values(), shown, frameon=False, fontsize=8.5, **place)
    axis.set(ylim=(-0.1, 1.8))
    axis.axis("off")


def box(axis: Axes, left: float, width: float, row: int, step: str) -> None:
    """One step of the machine; it ends where the point of its epoch is."""
    axis.add_patch(Rectangle((left, row), width, 0.7, edgecolor=GRAY, linewidth=0.7, **STEPS[step]))


def main() -> None:
    """Train, draw, and say what was measured."""
    with tempfile.TemporaryDirectory() as home:
        plain, ours = distances(Path(home), with_burr=False), distances(Path(home), with_burr=True)
    print("plain Lightning:", plain, "BurrCallback:", ours, sep="\n")
    draw(plain, ours).savefig(PICTURE, dpi=150)
    with Image.open(PICTURE) as drawn:
        fewer = drawn.convert("RGB").quantize(96)
    fewer.save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
