"""What was logged in a phase, and the report that its action ends with."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Trainer

from . import lightning_access as access
from . import lightning_limits as limits
from .actions import PhaseFeed
from .lightning_data import goes_on_inside_epoch
from .state import PhaseReport


def detached(outputs: Any) -> Any:
    """What a step returned, without the graph that led to it; tensors stay where they are."""
    if isinstance(outputs, torch.Tensor):
        return outputs.detach()
    if isinstance(outputs, Mapping):
        return {name: detached(value) for name, value in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return [detached(value) for value in outputs]
    return outputs


def as_numbers(logged: Mapping[str, Any]) -> dict[str, float]:
    """Logged values as Python's numbers.

    A device is waited for once for all that lie on it in one type, not once for each: float64, which could
    hold them all, is a type that not every device has.
    """
    alike: dict[tuple[torch.device, torch.dtype], dict[str, torch.Tensor]] = {}
    for name, value in logged.items():
        if isinstance(value, torch.Tensor):
            alike.setdefault((value.device, value.dtype), {})[name] = value.detach().reshape(())
    numbers: dict[str, Any] = dict(logged)
    for values in alike.values():
        numbers.update(zip(values, torch.stack(list(values.values())).tolist(), strict=True))
    return {name: float(number) for name, number in numbers.items()}


class LoggedMetrics:
    """Tells what was logged since it was last asked: Lightning keeps the newest value of everything.

    Args:
        trainer: The trainer.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._recorded: dict[str, Any] = {}
        self._before_validation: dict[str, Any] = {}
        self.of_validation: dict[str, Any] = {}
        """What the newest validation logged."""
        self.inside_validation = False
        """Whether a validation has begun and not ended; one that an exception ends never does."""

    def epoch_started(self) -> None:
        """All that was logged before belongs to other epochs."""
        self._recorded = access.logged_metrics(self._trainer)

    def validation_started(self) -> None:
        """What is logged from here on is the validation's."""
        self._before_validation = access.logged_metrics(self._trainer)
        self.inside_validation = True

    def validation_ended(self) -> None:
        """What was logged up to here is the validation's."""
        self.inside_validation = False
        logged = access.logged_metrics(self._trainer)
        self.of_validation = {n: v for n, v in logged.items() if self._before_validation.get(n) is not v}

    def validation_recorded(self) -> None:
        """The newest validation is in the state."""
        self._recorded.update(self.of_validation)

    def unrecorded(self, *, but: dict[str, Any] | None = None) -> dict[str, Any]:
        """What was logged in the epoch and is not in the state.

        Args:
            but: What is not asked for.
        """
        known = [self._recorded, but or {}]
        logged = access.logged_metrics(self._trainer)
        return {n: v for n, v in logged.items() if all(values.get(n) is not v for values in known)}

    def recorded(self) -> list[str]:
        """The metrics whose newest value is in the state."""
        logged = access.logged_metrics(self._trainer)
        return [name for name, value in self._recorded.items() if logged.get(name) is value]

    def go_on(self, recorded: list[str]) -> None:
        """Take up in the middle of an epoch what `recorded` gave there."""
        logged = access.logged_metrics(self._trainer)
        self._recorded = {name: logged[name] for name in recorded if name in logged}


class TrainingClock:
    """How long a run has been in training, over all of its processes.

    Args:
        before: The seconds that earlier processes took up to the commit that is gone on from.
    """

    def __init__(self, before: float) -> None:
        self._before = before
        self._started: float | None = None

    def start(self) -> None:
        """The training begins, or goes on."""
        self._started = time.monotonic()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Leave the time out that the ``with`` block takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            if self._started is not None:
                self._started += time.monotonic() - began

    @property
    def seconds(self) -> float:
        """Seconds of training so far, to the millisecond."""
        now = 0.0 if self._started is None else time.monotonic() - self._started
        return round(self._before + now, 3)


def phase_report(
    trainer: Trainer,
    feed: PhaseFeed,
    logged: dict[str, Any],
    seconds: float,
    *,
    checked: dict[str, Any] | None = None,
    is_check: bool = True,
    ends_epoch: bool = False,
    validation_due: bool = False,
    limit: str | None = None,
) -> PhaseReport:
    """What Lightning did during a phase; see `PhaseReport` for what the arguments become."""
    epochs = trainer.current_epoch + (1 if ends_epoch else 0)
    return PhaseReport(
        epoch=trainer.current_epoch,
        first_batch=feed.first_batch,
        last_batch=feed.last_batch,
        global_step=trainer.global_step,
        seconds=seconds,
        metrics=as_numbers(logged),
        directions=access.declared_directions(trainer) if is_check else {},
        checked=as_numbers(checked or {}),
        is_check=is_check,
        ends_epoch=ends_epoch,
        validation_due=validation_due,
        can_stop=limits.can_stop(trainer, epochs, trainer.global_step),
        can_pause=ends_epoch or goes_on_inside_epoch(trainer),
        limit=limit,
    )
