"""Everything this library asks of Lightning's loops: where they stand, and what no hook tells.

Read off Lightning 2.6; `tests/test_lightning_access.py` fails loudly when a private name changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loops.fetchers import _DataLoaderIterDataFetcher
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.trainer import call

from .lightning_sharding import local_part


class BetweenHooks:
    """The two instants of the training loop that a commit needs and that no hook is called at.

    One is right before an epoch begins, where the one before it has ended in every respect; the other
    is after a batch, where its validation, its schedulers and all hooks have run.

    Args:
        trainer: The trainer, whose loops are changed until `remove`.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._fit_loop, self._epoch_loop = trainer.fit_loop, trainer.fit_loop.epoch_loop
        self._batch_ends = False

    def before_next_epoch(self, act: Callable[[], None]) -> None:
        """Have something done once, right before the next epoch begins or goes on."""
        begin = self._fit_loop.on_advance_start

        def act_and_begin() -> None:
            del self._fit_loop.on_advance_start
            act()
            begin()

        self._fit_loop.on_advance_start = act_and_begin  # type: ignore[method-assign]

    def at_every_batch(self, ended: Callable[[int], None], completed: Callable[[], None]) -> None:
        """Have something done when a batch of training has ended, and when all that follows it is done.

        Args:
            ended: Called with the batch's number in the epoch; its hooks have run, its validation has not.
            completed: Called after that.
        """
        loop = self._epoch_loop
        end = loop.on_advance_end

        def end_and_act(data_fetcher: Any) -> None:
            if loop._skip_next_val:
                # Resumed after a batch whose end had come: Lightning would come to it again.
                loop._skip_next_val = False
                return
            ended(_number_of_batch(loop, data_fetcher))
            self._batch_ends = True
            try:
                end(data_fetcher)
            finally:
                self._batch_ends = False
            completed()

        loop.on_advance_end = end_and_act  # type: ignore[method-assign]

    def before_validation(self, wanted: Callable[[], bool]) -> None:
        """Have it asked whether a validation that Lightning is about to begin is wanted."""
        loop = self._epoch_loop
        is_due = loop._should_check_val_fx

        def is_due_and_wanted(data_fetcher: Any) -> bool:
            # Lightning asks at the start of a resumed epoch too, and begins none there.
            return bool(is_due(data_fetcher)) and (not self._batch_ends or wanted())

        loop._should_check_val_fx = is_due_and_wanted  # type: ignore[method-assign]

    def remove(self) -> None:
        """Leave the loops as they were."""
        self._fit_loop.__dict__.pop("on_advance_start", None)
        self._epoch_loop.__dict__.pop("on_advance_end", None)
        self._epoch_loop.__dict__.pop("_should_check_val_fx", None)
        self._epoch_loop.__dict__.pop("update_lr_schedulers", None)


def _number_of_batch(loop: Any, data_fetcher: Any) -> int:
    """As the hooks are given it: a training step that fetches its batches by itself may fetch several."""
    fetches_by_itself = isinstance(data_fetcher, _DataLoaderIterDataFetcher)
    number: int = data_fetcher._batch_idx if fetches_by_itself else loop.batch_idx
    return number


def validates(trainer: Trainer) -> bool:
    """Whether there is something to validate, and on."""
    return trainer.enable_validation


def validate_now(trainer: Trainer) -> None:
    """Run the validation loop, while the training waits at a boundary."""
    loop: Any = trainer.fit_loop.epoch_loop
    connector: Any = trainer._logger_connector
    place = connector._first_loop_iter, connector._current_fx
    trainer.validating = True
    loop.val_loop.restarting = False
    if not is_inside_epoch(trainer) or not loop._should_accumulate():
        call._call_lightning_module_hook(trainer, "on_validation_model_zero_grad")
    try:
        loop.val_loop.run()
    finally:
        trainer.training = True
        connector._first_loop_iter, connector._current_fx = place


def begin_next_epoch(trainer: Trainer) -> None:
    """After a resume from the end of an epoch, let Lightning begin the next one as it always does.

    By itself it would reuse the iterator that it made before any hook was called; and with
    ``max_steps`` set, it would enter the finished epoch again: it trains one batch too many where no
    validation came last, and ends the epoch a second time.
    """
    loop = trainer.fit_loop
    if loop.restarted_on_epoch_end:
        loop.epoch_progress.increment_completed()
        loop.reset_restart_stage()
        _Loop.__dict__["restarting"].fset(loop, False)
    loop._resuming_from_checkpoint = False


def continue_epoch(trainer: Trainer) -> None:
    """After a resume from inside an epoch, let that epoch end as any other.

    By itself Lightning would step no scheduler at its end.
    """
    trainer.fit_loop._restarting = False


def is_inside_epoch(trainer: Trainer) -> bool:
    """Whether an epoch has begun and not ended."""
    progress: Any = trainer.fit_loop.epoch_progress.total
    return bool(progress.processed < progress.started)


def epoch_goes_on(trainer: Trainer) -> bool:
    """Whether another batch of the epoch follows the one that is done."""
    return not trainer.fit_loop.epoch_loop.done


def batches_done(trainer: Trainer) -> int | None:
    """How many batches of the epoch are done in every respect, ``None`` in the middle of one."""
    progress = trainer.fit_loop.epoch_loop.batch_progress.current
    return progress.completed if progress.completed == progress.ready else None


def steps_to_come(trainer: Trainer) -> list[list[Any]]:
    """The schedulers that monitor a metric and are stepped after an epoch's last hook, with its value.

    At the end of an epoch they have not been stepped yet, and a checkpoint does not tell.
    """
    loop = trainer.fit_loop.epoch_loop
    if not _makes_steps_at_the_end(trainer) or "update_lr_schedulers" in loop.__dict__:
        return []
    if not trainer.lightning_module.automatic_optimization:
        return []
    epochs = trainer.current_epoch + 1
    return [
        [index, trainer.callback_metrics.get(config.monitor or "")]
        for index, config in enumerate(trainer.lr_scheduler_configs)
        if config.reduce_on_plateau and config.interval == "epoch" and epochs % config.frequency == 0
    ]


def leave_out_steps_to_come(trainer: Trainer) -> None:
    """Have the end of the epoch make none of the steps that `steps_to_come` tells of."""
    loop: Any = trainer.fit_loop.epoch_loop
    if not _makes_steps_at_the_end(trainer) or "update_lr_schedulers" in loop.__dict__:
        return
    update = loop.update_lr_schedulers

    def update_others(interval: str, update_plateau_schedulers: bool) -> None:
        if interval == "epoch" and update_plateau_schedulers:
            del loop.update_lr_schedulers
        else:
            update(interval, update_plateau_schedulers)

    loop.update_lr_schedulers = update_others


def _makes_steps_at_the_end(trainer: Trainer) -> bool:
    """Whether Lightning steps schedulers after the epoch's last hook: not where it was cut short."""
    return not trainer.fit_loop.restarting and trainer.fit_loop.epoch_loop._num_ready_batches_reached()


def step_schedulers(trainer: Trainer, due: list[list[Any]]) -> None:
    """Make the steps that `steps_to_come` told of."""
    progress = trainer.fit_loop.epoch_loop.scheduler_progress
    for index, value in due:
        if value is None or index >= len(trainer.lr_scheduler_configs):
            continue
        progress.increment_ready()
        scheduler = trainer.lr_scheduler_configs[index].scheduler
        call._call_lightning_module_hook(trainer, "lr_scheduler_step", scheduler, value)
        progress.increment_completed()


def accumulated_gradients(trainer: Trainer, module: LightningModule) -> dict[str, torch.Tensor]:
    """The gradients that a coming optimizer step still needs, by parameter."""
    if module.automatic_optimization and not trainer.fit_loop.epoch_loop._should_accumulate():
        return {}
    return {name: local_part(p.grad) for name, p in module.named_parameters() if p.grad is not None}
