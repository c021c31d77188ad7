"""Everything this library asks of torch's DistributedDataParallel, as Lightning wraps a module in it.

Read off torch 2.13 and Lightning 2.6; `tests/test_ranks.py` fails loudly when a private name changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch.nn.parallel import DistributedDataParallel


class Wrapping:
    """The wrapped module of a training of several processes; nothing to do where there is none.

    Args:
        trainer: The trainer.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._trains: frozenset[str] = frozenset()
        self._may_differ = False

    def training_started(self) -> None:
        """What trains now is what it was wrapped with."""
        model = self._model
        self._trains = _trains(model) if model is not None else frozenset()

    def fit(self) -> None:
        """Have gradients exchanged of the parameters that train now.

        It is settled where a module is wrapped, which comes before any action: what is frozen later would be
        waited for, and what is made to train later would go its own way on each rank.
        """
        model = self._model
        trains = _trains(model) if model is not None else frozenset()
        if not trains or self._trains == trains:
            return  # with nothing to train there is nothing to wrap: that may be between two actions
        strategy: Any = self._trainer.strategy
        self._trains = trains
        strategy.model = self._trainer.lightning_module
        del model  # its hooks on the parameters go with it
        strategy.configure_ddp()

    def may_differ(self) -> None:
        """Actions, or the hooks of an epoch that begins, may freeze something until the next batch."""
        self._may_differ = True

    def batch_started(self) -> None:
        """Before the first batch after that, do what `fit` does."""
        if self._may_differ:
            self._may_differ = False
            self.fit()

    @property
    def bucket_order(self) -> list[int] | None:
        """In which order gradients are put together to be summed over ranks, ``None`` if that is not known.

        The order of a sum is in its last bits. It is found out in the first batches of a process; until then
        it is another.
        """
        if self._model is None or self._trains != _trains(self._model):
            return None
        facts: dict[str, str] = self._model._get_ddp_logging_data()  # type: ignore[no-untyped-call]
        order = facts.get("rebuilt_per_bucket_param_indices")
        order = order or facts.get("prev_iteration_grad_ready_order_indices")
        return [int(index) for index in re.findall(r"\d+", order)] if order else None

    def go_on(self, order: list[int] | None) -> None:
        """Have gradients put together from the first batch on as in a process of before.

        Args:
            order: What `bucket_order` was there.
        """
        self.fit()
        model = self._model
        if model is None or not order or not _can_rehearse(model):
            return
        parameters, _ = model._build_params_for_reducer()  # type: ignore[no-untyped-call]
        if sorted(order) != list(range(len(parameters))):
            return
        with _gradients_kept(parameters):
            model.reducer.prepare_for_backward([])
            _in_order([parameters[index] for index in order]).backward()  # type: ignore[no-untyped-call]
            model._has_rebuilt_buckets = model.reducer._rebuild_buckets()

    @property
    def _model(self) -> DistributedDataParallel | None:
        model = self._trainer.strategy.model
        return model if isinstance(model, DistributedDataParallel) else None


class _Arrives(torch.autograd.Function):
    """Gives one parameter a gradient of zeros, and goes on to the one before it."""

    @staticmethod
    def forward(context: Any, before: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(parameter)
        return before.clone()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        (parameter,) = context.saved_tensors
        return gradient, torch.zeros_like(parameter)


def _in_order(parameters: list[torch.nn.Parameter]) -> torch.Tensor:
    """What gives parameters their gradients one after the other, the first one first."""
    value = torch.zeros((), device=parameters[0].device, requires_grad=True)
    for parameter in reversed(parameters):
        value = _Arrives.apply(value, parameter)  # type: ignore[no-untyped-call]
    return value


@contextmanager
def _gradients_kept(parameters: list[torch.nn.Parameter]) -> Iterator[None]:
    kept = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in zip(parameters, kept, strict=True):
            parameter.grad = gradient


def _can_rehearse(model: DistributedDataParallel) -> bool:
    """Whether a pass backward means nothing to anybody but the buckets."""
    if model.find_unused_parameters or model.static_graph or model._comm_hooks:
        return False
    hooks = ("_backward_hooks", "_post_accumulate_grad_hooks")
    return not any(getattr(each, hook, None) for each in model.parameters() for hook in hooks)


def _trains(model: DistributedDataParallel) -> frozenset[str]:
    return frozenset(name for name, each in model.module.named_parameters() if each.requires_grad)
