"""The metrics of an epoch that has not ended: kept in a commit inside it, and gone on with.

Lightning keeps the running means of ``self.log`` in no checkpoint, nor the states of torchmetrics. Private
names of both, read off Lightning 2.6 and torchmetrics 1.9, are used here and in no other place;
`tests/test_lightning_access.py` fails loudly when one changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.connectors.logger_connector.result import _Metadata, _ResultMetric, _Sync
from torchmetrics import Metric
from torchmetrics.wrappers import MinMaxMetric, Running

from .module_metrics import expect_metrics, metrics_of

_BESIDE: dict[type[Metric], tuple[str, ...]] = {
    Running: ("_num_vals_seen",),
    MinMaxMetric: ("min_val", "max_val"),  # over all epochs: its reset leaves them
}

_FACTS = ("fx", "name", "prog_bar", "logger", "on_step", "on_epoch", "add_dataloader_idx", "metric_attribute")


def logged_so_far(trainer: Trainer) -> dict[str, torch.Tensor]:
    """The newest value of each metric, as callbacks see them."""
    return {n: v.detach() for n, v in trainer.callback_metrics.items() if isinstance(v, torch.Tensor)}


def set_logged(trainer: Trainer, metrics: dict[str, torch.Tensor]) -> None:
    """Let callbacks see metrics that an earlier process logged."""
    trainer._logger_connector._callback_metrics = dict(metrics)


def running_means(trainer: Trainer) -> dict[str, dict[str, Any]]:
    """What ``self.log`` has accumulated in the epoch under way."""
    kept: dict[str, dict[str, Any]] = {}
    for key, result in trainer.fit_loop.epoch_loop._results.items():
        if result.has_reset or not result.meta.on_epoch:
            continue
        kept[key] = {fact: getattr(result.meta, fact) for fact in _FACTS}
        kept[key]["reduce"] = result.meta.reduce_fx.__name__
        if result.is_tensor:
            kept[key]["value"] = result.value
            kept[key]["weight"] = getattr(result, "cumulated_batch_size", None)
    return kept


class RunningMeans:
    """What an earlier process had accumulated, folded into what this one accumulates.

    Args:
        trainer: The trainer, which goes on inside the epoch.
        kept: What `running_means` gave.
    """

    def __init__(self, trainer: Trainer, kept: dict[str, dict[str, Any]]) -> None:
        self._results = trainer.fit_loop.epoch_loop._results
        self._kept = dict(kept)
        self._registered: list[str] = []
        # Lightning resets what it finds at the first batch that it sees of an epoch.
        trainer._logger_connector._first_loop_iter = False

    def fold(self) -> None:
        """Call it after each batch: a value that was logged again is gone on with."""
        for key in [key for key in self._kept if key in self._results]:
            self._fold(key, self._kept.pop(key))

    def fold_rest(self, module: LightningModule) -> None:
        """Call it after the last batch: what was not logged again counts with what it had."""
        self.fold()
        for key, kept in self._kept.items():
            facts = {fact: kept[fact] for fact in _FACTS}
            meta = _Metadata(**facts, reduce_fx=kept["reduce"])
            meta.sync = _Sync()
            result = _ResultMetric(meta, "value" in kept)
            result._update_count = 1
            if "value" not in kept:
                result.value = module.get_submodule(kept["metric_attribute"])
            self._results[key] = result.to(module.device)
            self._registered.append(key)
            self._fold(key, kept)
        self._kept = {}

    def end(self) -> None:
        """Call it before the next epoch: Lightning takes no value for what it has not registered itself."""
        for key in self._registered:
            del self._results[key]

    def _fold(self, key: str, kept: dict[str, Any]) -> None:
        result = self._results[key]
        if "value" not in kept:
            return
        value = kept["value"].to(result.value.device)
        if kept["reduce"] in ("min", "max"):
            result.value = result.meta.reduce_fx(value, result.value)
        else:
            result.value = value + result.value
        if kept["weight"] is not None:
            result.cumulated_batch_size = kept["weight"].to(result.value.device) + result.cumulated_batch_size
        result._computed = None


def logged_elsewhere(trainer: Trainer, names: Iterable[str]) -> dict[str, str]:
    """Which of these names are logged in the epoch under way, and in which hook."""
    asked, results = set(names), trainer._results
    valid = [result.meta for _, result in results.valid_items()] if results is not None else []
    return {meta.name: meta.fx.split(".")[0] for meta in valid if meta.name in asked}


def metric_states(trainer: Trainer, module: LightningModule, *, inside_epoch: bool) -> dict[str, Any]:
    """The states of the module's torchmetrics that are in no checkpoint and still count.

    At the end of an epoch those that were logged do not: Lightning is about to reset them.
    """
    reset: set[int] = set()
    if not inside_epoch:
        logged = [r.value for r in trainer.fit_loop.epoch_loop._results.values() if not r.is_tensor]
        reset = {id(part) for metric in logged for part in metric.modules()}
    kept = {
        name: {
            "updates": metric._update_count,
            "states": {state: getattr(metric, state) for state in metric._defaults},
            "beside": {fact: getattr(metric, fact) for fact in _beside(metric)},
        }
        for name, metric in metrics_of(module).items()
        if id(metric) not in reset
    }
    return {name: facts for name, facts in kept.items() if facts["updates"] or facts["beside"]}


def set_metric_states(module: LightningModule, kept: dict[str, Any]) -> None:
    """Put the states of torchmetrics back."""
    expect_metrics(module, kept)
    metrics = metrics_of(module)
    for name, metric in kept.items():
        if name not in metrics:
            continue
        for state, value in {**metric["states"], **metric.get("beside", {})}.items():
            setattr(metrics[name], state, _moved(value, module.device))
        metrics[name]._update_count = metric["updates"]
        metrics[name]._computed = None


def _beside(metric: Metric) -> tuple[str, ...]:
    """What a metric counts and has in no state: such wrappers do not count their updates either."""
    return next((facts for kind, facts in _BESIDE.items() if isinstance(metric, kind)), ())


def _moved(value: Any, device: torch.device) -> Any:
    """A state of its own: in a commit, metrics may share one, which each of them would add to."""
    if isinstance(value, list):
        return [_moved(item, device) for item in value]
    return value.to(device, copy=True) if isinstance(value, torch.Tensor) else value
