"""Figures of what a module's metrics gave for the best epoch, drawn by the metrics themselves."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from burr.core import State
from burr.lifecycle.base import PostRunStepHook, PreRunStepHook

from ..errors import MissingExtraError
from .epoch_metrics import Computed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

_WITH_TEXT = 30 * 30
"""The largest matrix into whose cells numbers are written: each takes its time."""


class MetricFigures(PreRunStepHook, PostRunStepHook):
    """Draws what the newest validation gave, when its epoch turns out to be the best.

    Args:
        run_id: The run: a module may train another one within its own.
        folder: Tells the run's folder, ``None`` where it leaves none.
        drawable: Tells what there is to draw, by name.
    """

    def __init__(
        self, run_id: str, folder: Callable[[], Path | None], drawable: Callable[[], dict[str, Computed]]
    ) -> None:
        self._run_id, self._folder, self._drawable = run_id, folder, drawable
        self._epoch: int | None = None
        self._told = False

    def pre_run_step(self, *, app_id: str, state: State[Any], **future_kwargs: Any) -> None:
        """Called by Burr before every step."""
        if app_id == self._run_id:
            self._epoch = state["epoch"]

    def post_run_step(
        self, *, app_id: str, state: State[Any], exception: Exception | None, **future_kwargs: Any
    ) -> None:
        """Called by Burr after every step: before the epoch's commit, so that a kill loses no figure."""
        if app_id != self._run_id or exception is not None:
            return
        epoch, best = state["epoch"], state["best"]
        if epoch == self._epoch or best is None or best["epoch"] != epoch:
            return
        found = {name: computed for name, computed in self._drawable().items() if computed.epoch == epoch}
        folder = self._folder()
        if found and folder is not None:
            self._save(found, folder / "figures")

    def _save(self, found: dict[str, Computed], folder: Path) -> None:
        try:
            import matplotlib  # noqa: F401
        except ModuleNotFoundError:
            if not self._told:
                log.warning("%s", MissingExtraError(f"figures of {', '.join(found)}", "matplotlib", "plot"))
            self._told = True
            return
        for name, computed in found.items():
            save_figure(name, computed, folder, f"{name} of {self._run_id}, epoch {computed.epoch}")


def save_figure(name: str, computed: Computed, folder: Path, title: str) -> None:
    """Have a metric draw its value, and say so where it cannot."""
    try:
        _save_figure(computed, title, folder / f"{name.replace('/', '-')}.png")
    except Exception as error:
        log.warning("The figure of %s could not be made: %s: %s", name, type(error).__name__, error)


def _save_figure(computed: Computed, title: str, path: Path) -> None:
    from matplotlib import pyplot as plt

    metric, value = computed.metric, computed.value
    options: dict[str, Any] = {}
    large = isinstance(value, torch.Tensor) and value.numel() > _WITH_TEXT
    if large and "add_text" in inspect.signature(metric.plot).parameters:
        options["add_text"] = False
    before = set(plt.get_fignums())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how the metric draws
            figure, _ = metric.plot(value, **options)
            _tidy(figure, title)
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_suffix(".tmp")
        figure.savefig(temporary, format="png", bbox_inches="tight")
        temporary.replace(path)  # in one step
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


def _tidy(figure: Figure, title: str) -> None:
    """Say what is drawn, and put the legend beside the axes: torchmetrics puts it over values and title."""
    figure.suptitle(title)
    for axes in figure.axes:
        if axes.get_legend() is not None:
            handles, labels = axes.get_legend_handles_labels()
            axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.02, 1.0), fontsize="small")
