"""Lightning calls hooks of every batch of this callback where there is something to do, and no others."""

from __future__ import annotations

from typing import Any

import pytest
from burr.lifecycle.base import PostRunStepHook
from lightning.pytorch import Callback
from lightning.pytorch.trainer import call

from burr_lightning import BurrCallback
from burr_lightning.actions import PhaseAction
from burr_lightning.lightning_hooks import leave_out
from burr_lightning.testing import ScriptedModule, scripted_loader


def fit(trainer: Any) -> None:
    trainer.fit(ScriptedModule(val_loss=[0.5]), scripted_loader(batches=4), scripted_loader(batches=1))


class Results(PostRunStepHook):
    def __init__(self) -> None:
        self.batches: list[tuple[str, int, int]] = []

    def post_run_step(self, *, action: Any, result: Any, **future_kwargs: Any) -> None:
        if isinstance(action, PhaseAction):
            self.batches.append((action.name, result["first_batch"], result["last_batch"]))


def test_lightning_calls_no_hook_that_is_none(make_trainer: Any) -> None:
    called = []

    class Counts(Callback):
        def on_before_backward(self, *_: Any) -> None:
            called.append("before")

        def on_after_backward(self, *_: Any) -> None:
            called.append("after")

    callback = Counts()
    leave_out(callback, "on_before_backward", Counts)
    trainer = make_trainer(callback, max_epochs=1)
    fit(trainer)
    assert called == ["after"] * 4
    call._call_callback_hooks(trainer, "on_before_backward", None)
    assert called == ["after"] * 4


@pytest.mark.parametrize("tracker", [True, False], ids=["tracked", "not tracked"])
def test_the_batches_are_known_whether_anybody_listens_or_not(make_trainer: Any, tracker: bool) -> None:
    results = Results()
    burr = BurrCallback("a", tracker=tracker, hooks=[results])
    fit(make_trainer(burr, max_epochs=2, val_check_interval=2))
    validated = ("validate", 0, 0)
    assert results.batches == [("train_epoch", 0, 1), validated, ("train_epoch", 2, 3), validated] * 2


def test_what_a_subclass_has_to_do_at_every_batch_is_done(make_trainer: Any) -> None:
    class Mine(BurrCallback):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            self.called: list[str] = []

        def on_train_batch_start(self, *given: Any) -> None:
            super().on_train_batch_start(*given)
            self.called.append("start")

        def on_train_batch_end(self, *given: Any) -> None:
            super().on_train_batch_end(*given)
            self.called.append("end")

        def on_after_backward(self, *given: Any) -> None:
            super().on_after_backward(*given)
            self.called.append("backward")

    burr = Mine("a", tracker=False)
    fit(make_trainer(burr, max_epochs=2))
    assert burr.called == ["start", "backward", "end"] * 8
