"""How often the processor waits for the device: in a batch and in an epoch, with the callback and without.

Run it as ``python benchmarks/syncs.py``, and with ``--accelerator gpu`` where there is one. On the CPU it
counts the calls that would wait for a GPU: whatever asks for a tensor's numbers.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from burr.core import Condition
from burr.lifecycle.base import PostStreamItemHook
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.autograd import DeviceType
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError

from burr_lightning import BurrCallback
from burr_lightning.conditions import not_finite, plateau, reached
from burr_lightning.mixins import MetricsMixin

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
OPERATIONS = ("aten::item", "aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero")
RUNTIME = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
METHODS = ("item", "tolist", "numpy", "cpu", "__array__", "__bool__", "__float__", "__int__", "__index__")


class Asked(TorchFunctionMode):
    """Counts what Python code asks of a tensor that only its numbers can answer."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._names = {getattr(torch.Tensor, name): f"Tensor.{name}" for name in METHODS}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count a call, and make it."""
        if func in self._names:
            self.counts[self._names[func]] += 1
        return func(*args, **(kwargs or {}))


def waits(work: Callable[[], object]) -> Counter[str]:
    """What waits for a device while something is done in this thread, and how often."""
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiled, Asked() as asked:
        work()
    counts = asked.counts
    for event in profiled.events():
        if event.name in OPERATIONS or event.name in RUNTIME:
            counts[event.name] += 1
        elif event.device_type == DeviceType.CUDA and event.name.startswith("Memcpy DtoH"):
            counts["Memcpy DtoH"] += 1
    return counts


class Regression(MetricsMixin, LightningModule):
    """Logs in every way that there is, and has metrics that are seen to."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(0.1), torch.nn.Linear(8, 1))

    def configure_metrics(self) -> MetricCollection:
        """Two metrics that ask no tensor for its numbers."""
        return MetricCollection({"mae": MeanAbsoluteError(), "mse": MeanSquaredError()})

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        """The error, logged for the step and for the epoch."""
        found = self.layers(batch[0])
        loss = torch.nn.functional.mse_loss(found, batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        self.log("train_double", loss.double(), on_step=False, on_epoch=True)
        return {"loss": loss, "preds": found.detach(), "target": batch[1]}

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        """The error."""
        found = self.layers(batch[0])
        self.log("val_loss", torch.nn.functional.mse_loss(found, batch[1]))
        return {"preds": found, "target": batch[1]}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Momentum alone: Adam asks for its step count, and that would hide what we ask for."""
        return torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)


class Listener(PostStreamItemHook):
    """Looks at every item of a stream, and at no number in it."""

    def __init__(self) -> None:
        self.seen = 0

    def post_stream_item(self, *, item: Any, **future_kwargs: Any) -> None:
        """Count it."""
        self.seen += item.get("outputs") is not None


def burr(folder: Path, **options: Any) -> BurrCallback:
    """A callback with all that may look at a batch: conditions, shadows, a listener, a tracker."""
    stop: Condition = plateau("val_loss", 50) | reached("val_mae", -1.0)
    shadow = {"worse": plateau("train_loss", 1), "broken": not_finite("train_loss")}
    given = {"monitor": "val_loss", "stop_when": stop, "shadow": shadow, "hooks": [Listener()], **options}
    return BurrCallback(root_dir=folder / "runs", **given)


def fit(callbacks: list[Callback], batches: int, epochs: int, accelerator: str, **options: Any) -> None:
    """Train."""
    x = torch.randn(4 * batches, 8)
    loader = DataLoader(TensorDataset(x, x.sum(dim=1, keepdim=True)), batch_size=4)
    quiet = {**QUIET, "enable_checkpointing": bool(callbacks), "gradient_clip_val": 0.5}
    chosen: dict[str, Any] = {"accelerator": accelerator, "devices": 1, "max_epochs": epochs, **options}
    Trainer(callbacks=callbacks, **{**quiet, **chosen}).fit(Regression(), loader, loader)


def by_batch_and_epoch(
    callbacks: Callable[[], list[Callback]], accelerator: str = "cpu", batches: int = 3, **options: Any
) -> tuple[Counter[str], Counter[str]]:
    """What waits in each batch, one of training and one of validation, and in each epoch beside its batches.

    Of two trainings the longer one has all that happens once as well, so it drops out.
    """

    def count(batches: int, epochs: int) -> Counter[str]:
        return waits(partial(fit, callbacks(), batches, epochs, accelerator, **options))

    count(batches, 1)  # what is done once in a process
    once, longer, twice = count(batches, 1), count(2 * batches, 1), count(batches, 2)
    by_batch = _each(longer, once, batches)
    by_epoch = _each(twice, once, 1)
    for name, times in by_batch.items():
        by_epoch[name] -= times * batches
    return by_batch, +by_epoch


def _each(more: Counter[str], fewer: Counter[str], times: int) -> Counter[str]:
    each: Counter[str] = Counter()
    for name in more:
        whole, rest = divmod(more[name] - fewer[name], times)
        if rest:
            raise RuntimeError(f"{name}: {fewer[name]} and {more[name]} calls, which is not as often in each")
        each[name] = whole
    return +each


def main() -> None:
    """Print a line for each call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu")
    accelerator = parser.parse_args().accelerator
    with tempfile.TemporaryDirectory() as folder:
        ours = by_batch_and_epoch(lambda: [burr(Path(folder), tracker=False)], accelerator)
        without = by_batch_and_epoch(list, accelerator)
    print(
        "| on the "
        + accelerator
        + " | a batch, without | with | an epoch, without | with |\n|---|---|---|---|---|"
    )
    for name in sorted({*ours[0], *ours[1], *without[0], *without[1]}):
        print(f"| `{name}` | {without[0][name]} | {ours[0][name]} | {without[1][name]} | {ours[1][name]} |")


if __name__ == "__main__":
    main()
