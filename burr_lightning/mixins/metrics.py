"""`MetricsMixin`: metrics of torchmetrics that a module only has to name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from burr.lifecycle.base import LifecycleAdapter
from lightning.pytorch import Callback, LightningModule
from torchmetrics import Metric, MetricCollection

from ..callback import BurrCallback
from ..errors import MetricsError
from ..metric import Mode
from .bases import called, refuse_hidden_bases, refuse_wrong_order, see_that_it_is_called
from .epoch_metrics import EpochMetrics
from .metric_figures import MetricFigures
from .metrics_callback import MetricsCallback

if TYPE_CHECKING:
    _Base = LightningModule
else:
    _Base = object  # a second LightningModule among the bases would be in the way of the user's own

_KEY = "_epoch_metrics"

_Method = TypeVar("_Method", bound=Callable[..., None])


def _not_compiled(method: _Method) -> _Method:
    disable: Callable[[_Method], _Method] = torch.compiler.disable
    return disable(method)


class MetricsMixin(_Base):
    """Keeps the metrics that `configure_metrics` names: copied for each stage, moved, updated, logged, reset.

    They are given what a step returns under ``preds`` and ``target`` (beside the ``loss``, in training), or
    what it calls `update_metrics` with. When the epoch has ended they are computed over all of its batches
    and all ranks, and logged as ``train_acc``, ``val_acc``, ``test_acc``: what is a number is. What is none,
    as a confusion matrix, is in `metric_values`, and of the best epoch drawn into ``figures/`` in the run's
    folder, where a `BurrCallback` with a ``monitor`` drives a run. With several loaders each has its own,
    as ``val_acc/dataloader_idx_0``.

    The metrics are no parts of the module: neither its parameters nor its weights have anything of theirs.
    A commit inside an epoch keeps what they have counted.

    It goes before `LightningModule` among the bases.

    Raises:
        TypeError: If the class is put together so that Lightning would not call the mixin.
        MetricsError: In ``fit``, ``validate`` and ``test``, if the metrics cannot be kept.

    Example:
        >>> from torchmetrics.classification import MulticlassAccuracy
        >>> class Classifier(MetricsMixin, LightningModule):
        ...     def configure_metrics(self):
        ...         return MetricCollection({"acc": MulticlassAccuracy(10)})
        ...
        ...     def validation_step(self, batch, batch_idx):
        ...         return {"preds": self(batch[0]), "target": batch[1]}
        >>> Classifier().metric_values
        {}
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_wrong_order(cls, MetricsMixin)
        refuse_hidden_bases(cls, MetricsMixin, ["configure_metrics"])
        see_that_it_is_called(cls, MetricsMixin)

    # What a module says of its metrics

    def configure_metrics(self) -> MetricCollection | Mapping[str, MetricCollection]:
        """The metrics: for all stages, or for some of ``train``, ``val`` and ``test``, by these names.

        Called once, after ``setup`` and ``configure_model``. What is returned is copied and never updated.
        Metrics in it share a state, which saves time, only where it is told which:
        ``MetricCollection({...}, compute_groups=[["precision", "recall"]])``.
        """
        raise MetricsError(
            f"{type(self).__name__} has MetricsMixin among its bases and no configure_metrics: define "
            f"it, and return a torchmetrics MetricCollection."
        )

    @_not_compiled
    def update_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Give the metrics of the stage under way what a step has computed, in place of returning it.

        Args:
            args: What the metrics' ``update`` takes, as ``preds, target``.
            kwargs: More of it; each metric gets what it has a name for.

        Raises:
            MetricsError: If no step is under way.
        """
        self.burr_epoch_metrics().update(self.device, *args, **kwargs)

    @property
    def metric_values(self) -> dict[str, Any]:
        """The newest value of each metric, by the name it is logged under; also what is no number."""
        kept = self.__dict__.get(_KEY)
        return dict(kept.values) if kept is not None else {}

    # What sees to them

    def configure_callbacks(self) -> list[Callback]:
        """The module's other callbacks, and the one that sees to its metrics."""
        others = super().configure_callbacks()
        callbacks: list[Callback] = [others] if isinstance(others, Callback) else [*others]
        known = self.trainer.callbacks  # type: ignore[attr-defined]
        there = any(isinstance(callback, MetricsCallback) for callback in known)
        brought: list[Callback] = [] if there else [MetricsCallback()]
        called(self, MetricsMixin, brought)
        return [*callbacks, *brought]

    def burr_epoch_metrics(self) -> EpochMetrics:
        """The metrics as they stand; made when they are first asked for."""
        if _KEY not in self.__dict__:
            self.__dict__[_KEY] = EpochMetrics(self.configure_metrics(), type(self).__name__)
        kept: EpochMetrics = self.__dict__[_KEY]
        return kept

    def burr_running_metrics(self) -> dict[str, Metric]:
        """The metrics that a commit keeps the states of."""
        kept: EpochMetrics | None = self.__dict__.get(_KEY)
        return dict(kept.running()) if kept is not None else {}

    def burr_expect_metrics(self, names: Iterable[str]) -> None:
        """Make those that a commit keeps the states of."""
        self.burr_epoch_metrics().make(names)

    def burr_metric_directions(self) -> dict[str, Mode]:
        """The direction of each logged metric that declares one, for conditions and the best epoch."""
        kept: EpochMetrics | None = self.__dict__.get(_KEY)
        return dict(kept.directions) if kept is not None else {}

    def burr_hooks_of_run(self, run_id: str) -> list[LifecycleAdapter]:
        """The hook that draws the figures of a run."""
        return [MetricFigures(run_id, self._run_folder, lambda: self.burr_epoch_metrics().drawable)]

    def _run_folder(self) -> Path | None:
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        return next((burr.folder for burr in callbacks if isinstance(burr, BurrCallback)), None)
