"""The metrics of a module: a copy of them for each loader, given its batches, until its epoch ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from lightning.fabric.utilities import move_data_to_device
from torchmetrics import Metric, MetricCollection

from ..errors import MetricsError
from ..metric import Mode
from ..reports import detached
from .configured_metrics import by_stage, copied

Stage = Literal["train", "val", "test", "check"]
"""``check`` is Lightning's sanity check, which leaves nothing behind."""


_OWN = "epoch_metrics:"
"""What the names of these metrics begin with: a module has others."""


@dataclass(frozen=True)
class Place:
    """Where a step runs."""

    stage: Stage
    loader: int | None = None
    """Which of several loaders gave its batch, ``None`` where there is one."""

    def written(self) -> str:
        """As it is in the names of metrics."""
        return self.stage if self.loader is None else f"{self.stage}.{self.loader}"

    @classmethod
    def read(cls, name: str) -> Place:
        """The place that a metric's name begins with."""
        stage, _, rest = name.partition(".")
        loader = rest.partition(".")[0]
        return cls(cast("Stage", stage), int(loader) if loader.isdecimal() else None)


@dataclass(frozen=True)
class Computed:
    """A value of a whole epoch that is no number, and the metric that can draw it."""

    metric: Metric
    value: Any
    epoch: int


class EpochMetrics:
    """The metrics of one module.

    Args:
        configured: What ``configure_metrics`` returned.
        asked: Whose it is, for errors.

    Raises:
        MetricsError: If it is no `MetricCollection`, nor one for each of some stages.
    """

    def __init__(self, configured: object, asked: str) -> None:
        self._given, self._asked = by_stage(configured, asked), asked
        self._stages_named = not isinstance(configured, MetricCollection)
        self._running: dict[Place, MetricCollection] = {}
        self._place: Place | None = None
        self._updated_in_step = False
        self._had_data = False
        self._fed: set[Place] = set()
        self.values: dict[str, Any] = {}
        """The newest value of each metric, by the name it is logged under."""
        self.directions: dict[str, Mode] = {}
        """The direction of each logged metric that declares one."""
        self.drawable: dict[str, Computed] = {}
        """What the newest validation gave that is no number."""

    def takes(self, stage: Stage) -> bool:
        """Whether a stage has metrics."""
        return _source(stage) in self._given

    # A stage

    def begin(self, stage: Stage) -> None:
        """A stage begins: nothing counts that an earlier one left behind."""
        self._place = None
        if stage == "val":
            self.drawable = {}
        for place, collection in self._running.items():
            if place.stage == stage:
                collection.reset()
                self._fed.discard(place)
        if stage == "train" and self.takes(stage):
            self._collection(Place(stage))  # whose state a commit inside an epoch is put back into

    def places(self, stage: Stage) -> list[Place]:
        """Where the stage's steps have run."""
        return [place for place in self._running if place.stage == stage]

    def to(self, device: torch.device | str) -> None:
        """Move all that runs."""
        for collection in self._running.values():
            collection.to(device)

    def running(self) -> Iterator[tuple[str, Metric]]:
        """Every metric that has a state, the parts of others included, by name."""
        for place, collection in self._running.items():
            for name, part in collection.named_modules():
                if isinstance(part, Metric):
                    yield f"{_OWN}{place.written()}.{name}", part

    def make(self, names: Iterable[str]) -> None:
        """Have the metrics of all places that such names are from."""
        own = {name.removeprefix(_OWN) for name in names if name.startswith(_OWN)}
        for place in {Place.read(name) for name in own}:
            if self.takes(place.stage):
                self._collection(place)

    def forget(self) -> None:
        """A training begins: some metrics, as `MinMaxMetric`, go on over their resets."""
        self._running.clear()
        self._fed.clear()

    # A step

    def step_begins(self, place: Place) -> None:
        """A step begins."""
        self._place, self._updated_in_step = place, False

    def update(self, device: torch.device, *args: Any, **kwargs: Any) -> None:
        """Give the metrics of the step under way what it has computed.

        Raises:
            MetricsError: If none is.
        """
        place = self._place
        if place is None:
            raise MetricsError(
                "self.update_metrics(...): no step is under way. Call it in training_step, validation_step "
                "or test_step, or in what they call."
            )
        self._updated_in_step = True
        if not self.takes(place.stage):
            return
        collection = self._collection(place)
        if any(metric.device != device for metric in collection.values(copy_state=False)):
            collection.to(device)
        collection.update(*detached(args), **detached(kwargs))
        self._fed.add(place)

    def step_ends(self, device: torch.device, outputs: Any) -> None:
        """A step has ended.

        Args:
            device: Where the metrics are to be.
            outputs: What it returned: with ``preds`` and ``target``, these are what the metrics are given.

        Raises:
            MetricsError: If it has one of them only, or the step has called ``update_metrics`` too.
        """
        keys = [key for key in ("preds", "target") if isinstance(outputs, Mapping) and key in outputs]
        if keys:
            step = STEPS[self._place.stage] if self._place is not None else "the step"
            if len(keys) == 1:
                raise MetricsError(
                    f"{step} returned {keys[0]!r} without {'target' if keys == ['preds'] else 'preds'!r}: "
                    f"the metrics take both. Return both, or call self.update_metrics(...) in the step."
                )
            if self._updated_in_step:
                raise MetricsError(
                    f"{step} returned 'preds' and 'target', and called self.update_metrics(...) too: the "
                    f"batch would count twice. Leave one of them out."
                )
            self.update(device, outputs["preds"], outputs["target"])
        self._place = None

    # The end of an epoch

    def has_data(self, place: Place) -> bool:
        """Whether a step there has given its metrics anything."""
        collection = self._running.get(place)
        if collection is None:
            return False
        # A wrapper may call itself updated when it was not, and the other way round: its parts know, and we.
        parts = [part for part in collection.modules() if isinstance(part, Metric)]
        wrapped = [part for part in parts if sum(isinstance(each, Metric) for each in part.modules()) == 1]
        return place in self._fed or any(part.update_called for part in wrapped)

    def lacks_data(self, stage: Stage) -> bool:
        """Whether an epoch of a stage that has metrics for certain has ended without a batch for them."""
        return not self._had_data and stage != "check" and (stage != "train" or self._stages_named)

    def end(self, place: Place, epoch: int, *, by_loader: bool = False) -> dict[str, torch.Tensor]:
        """The numbers of an epoch that has ended, over all ranks; what is none is only kept.

        Args:
            place: Where it has ended.
            epoch: Which it is.
            by_loader: Whether Lightning adds the loader to their names.

        Raises:
            MetricsError: If two of them have one name.
        """
        self._had_data = True
        collection = self._collection(place)
        computed = collection.compute()
        owners = _owners(collection, computed)
        numbers: dict[str, torch.Tensor] = {}
        for own_name, value in computed.items():
            short, metric = _logged_name(own_name, place.stage), owners.get(own_name)
            name = short if place.loader is None else f"{short}/dataloader_idx_{place.loader}"
            if _is_number(value):
                logged = short if by_loader else name
                if logged in numbers:
                    raise MetricsError(
                        f"{self._asked}.configure_metrics(): two of its metrics would be logged as "
                        f"{logged!r}, one of them is {own_name!r}. Give one of the two another name."
                    )
                numbers[logged] = _float(value)
            if place.stage == "check":
                continue
            self.values[name] = value
            if _is_number(value):
                if metric is not None and isinstance(metric.higher_is_better, bool):
                    self.directions[name] = "max" if metric.higher_is_better else "min"
            elif metric is not None and place.stage == "val":
                self.drawable[name] = Computed(metric, move_data_to_device(value, "cpu"), epoch)
        collection.reset()
        self._fed.discard(place)
        return numbers

    def end_stage(self, stage: Stage) -> None:
        """All epochs of a stage's loaders have ended."""
        self._place, self._had_data = None, False
        if stage == "check":
            for place in self.places(stage):
                del self._running[place]

    def _collection(self, place: Place) -> MetricCollection:
        if place not in self._running:
            self._running[place] = copied(self._given[_source(place.stage)])
        return self._running[place]


STEPS: dict[Stage, str] = {
    "train": "training_step",
    "val": "validation_step",
    "test": "test_step",
    "check": "validation_step",
}


def _source(stage: Stage) -> str:
    return "val" if stage == "check" else stage


def _owners(collection: MetricCollection, computed: Mapping[str, Any]) -> dict[str, Metric]:
    """Which metric gave each value: one that gives several has them under names of its own."""
    owners: dict[str, Metric] = {}
    before, after = collection.prefix or "", collection.postfix or ""
    for key, metric in collection.items(keep_base=True, copy_state=False):
        name = f"{before}{key}{after}"
        if name in computed:
            owners[name] = metric
        elif isinstance(metric.higher_is_better, bool):
            own = [name for part in metric.compute() for name in (part, f"{key}_{part}")]
            owners |= {name: metric for part in own if (name := f"{before}{part}{after}") in computed}
    return owners


def _logged_name(name: str, stage: Stage) -> str:
    prefix = _source(stage)
    return name if name.startswith((f"{prefix}_", f"{prefix}/")) else f"{prefix}_{name}"


def _is_number(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.numel() == 1 and not value.is_complex()
    return isinstance(value, (int, float))


def _float(value: Any) -> torch.Tensor:
    tensor = torch.as_tensor(value).detach().reshape(())
    return tensor if tensor.is_floating_point() else tensor.float()
