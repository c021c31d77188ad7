"""Lightning's own limits and wishes to stop, as they stand in a trainer and its callbacks.

Read off Lightning 2.6; `tests/test_lightning_access.py` fails loudly when a private name changes.
"""

from __future__ import annotations

from datetime import timedelta

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping, StochasticWeightAveraging, Timer

_EARLY_STOPPING = "EarlyStopping stopped it"


def reached_limit(trainer: Trainer, epochs: int, steps: int, *, asked_by_us: bool = False) -> str | None:
    """Which of Lightning's own limits is reached, in words; ``None`` while it goes on.

    Args:
        trainer: The trainer.
        epochs: How many epochs have ended.
        steps: How many optimizer steps were taken.
        asked_by_us: Whether it was us who set ``trainer.should_stop``.
    """
    if trainer.max_steps != -1 and steps >= trainer.max_steps:
        return f"max_steps={trainer.max_steps} was reached"
    if trainer.max_epochs not in (None, -1) and epochs >= trainer.max_epochs + _epochs_to_be_added(trainer):
        return f"max_epochs={trainer.max_epochs} was reached"
    if trainer.should_stop and not asked_by_us and can_stop(trainer, epochs, steps):
        return _who_asked_to_stop(trainer)
    return None


def limits_of(trainer: Trainer) -> dict[str, float | None]:
    """Lightning's own limits, for those who look on; ``None`` for each that there is not.

    Returns:
        ``max_epochs``, ``max_steps``, and ``max_time`` in seconds.
    """
    epochs = trainer.max_epochs if trainer.max_epochs not in (None, -1) else None
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
    times = [left + timer.time_elapsed() for timer in timers if (left := timer.time_remaining()) is not None]
    return {
        "max_epochs": epochs + _epochs_to_be_added(trainer) if epochs is not None else None,
        "max_steps": trainer.max_steps if trainer.max_steps != -1 else None,
        "max_time": round(min(times), 3) if times else None,
    }


def _epochs_to_be_added(trainer: Trainer) -> int:
    """How many epochs callbacks will add to ``max_epochs`` in ``on_fit_start``, and have not yet."""
    return sum(
        isinstance(callback, StochasticWeightAveraging)
        and not hasattr(callback, "_max_epochs")
        and callback.pl_module_contains_batch_norm(trainer.lightning_module)
        for callback in trainer.callbacks  # type: ignore[attr-defined]
    )


def can_stop(trainer: Trainer, epochs: int, steps: int) -> bool:
    """Whether Lightning's ``min_epochs`` and ``min_steps`` are met."""
    return epochs >= (trainer.min_epochs or 0) and steps >= (trainer.min_steps or 0)


def stays_stopped(trainer: Trainer, reason: str | None) -> bool:
    """Whether what stopped an earlier process stops this one too, though its limits do not tell.

    A wish to stop is in no checkpoint. It stands while whoever had it is still there: a time limit
    with the same time, an EarlyStopping; and always where nobody knows who it was.
    """
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    if reason is None or reason.startswith(("max_epochs=", "max_steps=")):
        return False
    if reason.startswith("max_time="):
        return any(reason == _time_limit(timer) for timer in callbacks if isinstance(timer, Timer))
    if reason.startswith(_EARLY_STOPPING):
        return any(isinstance(callback, EarlyStopping) for callback in callbacks)
    return True


def _time_limit(timer: Timer) -> str:
    seconds = timer.time_elapsed() + (timer.time_remaining() or 0.0)
    return f"max_time={timedelta(seconds=round(seconds, 3))} was reached"


def _who_asked_to_stop(trainer: Trainer) -> str:
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, EarlyStopping) and callback.stopping_reason_message:
            return f"{_EARLY_STOPPING}: {callback.stopping_reason_message.rstrip('.')}"
        if isinstance(callback, Timer):
            remaining = callback.time_remaining()
            if remaining is not None and remaining <= 0:
                return _time_limit(callback)
    return "trainer.should_stop was set by another callback or by the module"
