"""Which hooks of a callback Lightning calls: by itself all of them, and each costs more than a microsecond.

Read off Lightning 2.6, which calls no hook that is ``None``; `tests/test_hooks_of_batches.py` fails loudly
when that changes.
"""

from __future__ import annotations

from lightning.pytorch import Callback

_OF_EVERY_BATCH = (
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
    "on_validation_batch_start",
)


def leave_out(callback: Callback, hook: str, kind: type[Callback]) -> None:
    """Have a hook not called, until `call` has it called again.

    Args:
        callback: The callback.
        hook: The name of the hook.
        kind: The class that defines what is left out; where a subclass has defined another, or somebody has
            put another on the callback, that is called.
    """
    if hook not in callback.__dict__ and getattr(type(callback), hook) is getattr(kind, hook):
        callback.__dict__[hook] = None


def leave_out_unused(callback: Callback) -> None:
    """Have those hooks of every batch not called that do nothing."""
    for hook in _OF_EVERY_BATCH:
        leave_out(callback, hook, Callback)


def call(callback: Callback, hook: str) -> None:
    """Have a hook called that was left out."""
    if callback.__dict__.get(hook, callback) is None:
        del callback.__dict__[hook]


def call_all(callback: Callback) -> None:
    """Have all hooks called again, as before the training."""
    for hook in [hook for hook in callback.__dict__ if hasattr(Callback, hook)]:
        call(callback, hook)
