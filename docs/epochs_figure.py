"""Makes ``docs/images/epochs.png`` again: the hooks of Lightning and the steps of Burr in one run, in time.

Run it as ``PYTHONPATH=examples python docs/epochs_figure.py``. The run is trained for it, in a temporary
folder; all that is drawn was measured in it. Look at the figure, in gray as well, before you commit it.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from burr.core import Condition
from burr.core.graph import GraphBuilder
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import Checkpoint
from matplotlib.figure import Figure
from PIL import Image
from quickstart import DigitClassifier, digit_loaders
from torch import nn

from burr_lightning import BurrCallback, Run
from burr_lightning.actions import BestModel, ProcessData, SetLearningRate, TrainEpoch, Validate
from burr_lightning.commit_times import read_commit_times
from burr_lightning.machines import FINISHED, VALIDATION_DUE
from burr_lightning.plots.style import BLUE, DOTS, GRAY, GREEN, ORANGE, PALE, SKY, SMALL, TEXT, WIDTH

PICTURE = Path(__file__).resolve().parent / "images" / "epochs.png"
BATCHES = 8
HOOKS = (
    "on_train_start",
    "on_train_epoch_start",
    "on_validation_start",
    "on_train_batch_start",
    "on_train_epoch_end",
    "on_fit_end",
)
"""Those that open or close an action, in the order in which a run comes to them."""
LOOKS = {"train": (BLUE, ""), "validate": (SKY, "////")}
LOOKS_OF_STEPS = {"train_epoch": LOOKS["train"], "validate": LOOKS["validate"]}
FIRST_EPOCH = Condition.expr("epoch == 0 and learning_rates is None")


class Wide(DigitClassifier):
    """The quickstart's network with a wider layer, so that a commit is long enough to be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.network[7], self.network[9] = nn.Linear(32 * 4 * 4, 1024), nn.Linear(1024, 10)


class Heard(Callback):
    """Writes down when Lightning calls the hooks of a callback, before those of `BurrCallback`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []
        self.batches: list[tuple[str, float, float]] = []

    def hear(self, hook: str) -> None:
        """Lightning has called a hook."""
        self.calls.append((hook, time.time()))

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """The machine starts after this."""
        self.hear("on_train_start")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """An epoch begins."""
        self.hear("on_train_epoch_start")

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Only the first after a validation closes and opens something."""
        if self.calls[-1][0] == "on_validation_start":
            self.hear("on_train_batch_start")
        self._began = time.time()

    def on_train_batch_end(self, *arguments: Any) -> None:
        """One more box."""
        self.batches.append(("train", self._began, time.time()))

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Training stops for a while."""
        if not trainer.sanity_checking:
            self.hear("on_validation_start")

    def on_validation_batch_start(self, *arguments: Any) -> None:
        """One more box begins."""
        self._began = time.time()

    def on_validation_batch_end(self, trainer: Trainer, *arguments: Any) -> None:
        """One more box."""
        if not trainer.sanity_checking:
            self.batches.append(("validate", self._began, time.time()))

    def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Lightning trains no more."""
        self.hear("on_fit_end")


class HeardLate(Checkpoint):
    """Hears the end of an epoch where `BurrCallback` does: after the module and all other callbacks."""

    def __init__(self, heard: Heard) -> None:
        self.heard = heard

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """An epoch is over."""
        self.heard.hear("on_train_epoch_end")


def machine() -> Any:
    """Train, validate in the middle and at the end, and lower the learning rate after the first epoch."""
    phases = ["train_epoch", "validate"]
    return (
        GraphBuilder()
        .with_actions(
            process_data=ProcessData(),
            train_epoch=TrainEpoch(),
            validate=Validate(),
            lower_rate=SetLearningRate(factor=0.5),
            best_model=BestModel(),
        )
        .with_transitions(
            ("process_data", "train_epoch"),
            ("train_epoch", "validate", VALIDATION_DUE),
            (phases, "best_model", FINISHED),
            ("validate", "lower_rate", FIRST_EPOCH),
            ("lower_rate", "train_epoch"),
            (phases, "train_epoch"),
        )
        .build()
    )


def train(run_id: str) -> tuple[Heard, Run]:
    """Two epochs of a few batches."""
    seed_everything(1, verbose=False)
    heard = Heard()
    burr = BurrCallback(run_id, "digits", monitor="val_loss", machine=machine())
    trainer = Trainer(
        max_epochs=2,
        callbacks=[heard, HeardLate(heard), burr],
        limit_train_batches=BATCHES,
        val_check_interval=BATCHES // 2,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Wide(), *digit_loaders())
    return heard, burr.run


def draw(heard: Heard, run: Run) -> Figure:
    """One panel per epoch: Lightning's batches and hooks above, the machine's steps and commits below."""
    figure = Figure(figsize=(WIDTH, 4.9), layout="constrained")
    panels = figure.subplots(2, 1)
    began = heard.calls[0][1]
    second = [when for hook, when in heard.calls if hook == "on_train_epoch_start"][1]
    spans = ((began, second), (second, heard.calls[-1][1]))
    for number, (axes, (start, end)) in enumerate(zip(panels, spans, strict=True)):
        margin = 0.02 * (end - start)
        axes.set_xlim(1000 * (start - began - margin), 1000 * (end - began + margin))
        axes.set_ylim(-0.7, 4.6)
        axes.set_yticks(range(5), ["commits", "ordinary\nactions", "phase actions", "batches", "hooks"])
        axes.tick_params(labelsize=SMALL)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.axhline(2.55, color=PALE, linewidth=0.8)
        axes.set_title(f"epoch {number}", loc="left", fontsize=TEXT)
        last = number == len(spans) - 1
        panel = Panel(axes, began, (start, end if last else end - 1e-6))
        panel.hooks(heard.calls)
        panel.batches(heard.batches)
        panel.steps(run)
        panel.commits(run)
    panels[-1].set_xlabel("milliseconds since the training started", fontsize=SMALL)
    names = "    ".join(f"{number} {hook}" for number, hook in enumerate(HOOKS, start=1))
    left, right = names.split("    4 ")
    figure.supxlabel(f"{left}\n4 {right}", fontsize=SMALL)
    return figure


class Panel:
    """The part of a run between two moments, on one axis.

    Args:
        axes: Where it is drawn.
        began: The moment that is 0 on the axis.
        span: The two moments.
    """

    def __init__(self, axes: Any, began: float, span: tuple[float, float]) -> None:
        self._axes, self._began, self._span = axes, began, span

    def hooks(self, calls: list[tuple[str, float]]) -> None:
        """A number for each hook, and a line down to what it opens and closes."""
        for hook, when in calls:
            if self._has(when):
                at = self._at(when)
                self._axes.plot([at, at], [-0.45, 3.75], color=GRAY, linewidth=0.6, linestyle=":", zorder=0)
                round_ = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": GRAY}
                number = str(HOOKS.index(hook) + 1)
                self._axes.text(at, 4, number, ha="center", va="center", fontsize=SMALL, bbox=round_)

    def batches(self, batches: list[tuple[str, float, float]]) -> None:
        """A box for each batch of Lightning's."""
        for kind, start, end in batches:
            if self._has(start):
                self._box(3, 0.44, start, end, *LOOKS[kind])

    def steps(self, run: Run) -> None:
        """A box for each phase action, and a mark for each ordinary one, which takes no time here."""
        for step in run.path:
            start, end = step.started.timestamp(), (step.ended or step.started).timestamp()
            if not self._has(start):
                continue
            if step.action in LOOKS_OF_STEPS:
                self._box(2, 0.7, start, end, *LOOKS_OF_STEPS[step.action])
                white = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
                middle = self._at((start + end) / 2)
                if end - start > 0.09 * (self._span[1] - self._span[0]):
                    self._text(middle, 2, step.action, ha="center", bbox=white)
            else:
                self._axes.plot(self._at(start), 1, "D", color=ORANGE, markersize=6, zorder=3)
                late = self._span[1] - start < 0.1 * (self._span[1] - self._span[0])
                side = {"ha": "right"} if late else {"ha": "left"}
                self._axes.annotate(
                    step.action,
                    (self._at(start), 1),
                    (-6 if late else 6, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=SMALL,
                    **side,
                )

    def commits(self, run: Run) -> None:
        """A box for each time in which the training waited for a commit."""
        for commit in read_commit_times(run.folder):
            if self._has(commit.began.timestamp()):
                self._box(0, 0.7, commit.began.timestamp(), commit.ended.timestamp(), GREEN, "")

    def _has(self, when: float) -> bool:
        return self._span[0] <= when <= self._span[1]

    def _at(self, when: float) -> float:
        return 1000 * (when - self._began)

    def _text(self, x: float, y: float, text: str, **look: Any) -> None:
        self._axes.text(x, y, text, va="center", fontsize=SMALL, **look)

    def _box(self, row: float, height: float, start: float, end: float, color: str, hatch: str) -> None:
        width = max(self._at(end) - self._at(start), 0.0)
        look = {"facecolor": color, "edgecolor": "white", "linewidth": 0.5, "hatch": hatch}
        self._axes.barh(row, width, height, left=self._at(start), **look)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"HOME": home, "BURR_LIGHTNING_HOME": f"{home}/runs"}
        train("warm-up")
        draw(*train("epochs")).savefig(PICTURE, dpi=DOTS)
    with Image.open(PICTURE) as drawn:
        fewer = drawn.convert("RGB").quantize(96)
    fewer.save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")
