"""Lightning calls hooks of every batch of this callback where there is something to do, and no others."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from burr.core import Condition, Graph, GraphBuilder, State, action
from burr.lifecycle.base import PostRunStepHook
from digits import DigitNet
from lightning.pytorch import Callback
from lightning.pytorch.trainer import call
from ranked import Ranked, Training, train

from burr_lightning import BurrCallback
from burr_lightning.actions import BestModel, PhaseAction, TrainEpoch, Validate
from burr_lightning.lightning_hooks import leave_out
from burr_lightning.machines import FINISHED, VALIDATION_DUE
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


class FailsAtOnce(ScriptedModule):
    def on_before_zero_grad(self, optimizer: Any) -> None:
        raise ValueError("the disk is full")


@pytest.mark.parametrize("module", [ScriptedModule, FailsAtOnce])
def test_after_the_training_all_hooks_can_be_called(make_trainer: Any, module: type[ScriptedModule]) -> None:
    burr = BurrCallback("a", tracker=False)
    with suppress(ValueError):
        make_trainer(burr, max_epochs=1).fit(module(), scripted_loader())
    assert burr.state["global_step"] == (4 if module is ScriptedModule else 0)
    assert [
        hook for hook in dir(Callback) if hook.startswith("on_") and not callable(getattr(burr, hook))
    ] == []


def test_what_somebody_has_put_on_the_callback_is_called_and_stays(make_trainer: Any) -> None:
    burr, called = BurrCallback("a", tracker=False), []

    def noted(hook: str) -> Any:
        otherwise = getattr(burr, hook)

        def note(*given: Any) -> None:
            otherwise(*given)
            called.append(hook)

        return note

    for hook in ("on_train_batch_start", "on_train_batch_end", "on_after_backward"):
        setattr(burr, hook, noted(hook))
    fit(make_trainer(burr, max_epochs=2))
    assert called == ["on_train_batch_start", "on_after_backward", "on_train_batch_end"] * 8


class TakesTwoAtOnce(ScriptedModule):
    """Fetches its batches by itself, two for each step."""

    def training_step(self, dataloader_iter: Any) -> Any:
        next(dataloader_iter)
        return super().training_step(*next(dataloader_iter)[:2])


def test_the_batches_of_a_step_that_fetches_them_by_itself_have_the_numbers_of_its_hooks(
    make_trainer: Any,
) -> None:
    results = Results()
    burr = BurrCallback("a", tracker=False, hooks=[results])
    make_trainer(burr, max_epochs=1).fit(TakesTwoAtOnce(), scripted_loader(batches=4))
    assert results.batches == [("train_epoch", 1, 3)]


@action(reads=[], writes=["thawed"])
def thaw(state: State[Any], pl_module: Any) -> State[Any]:
    """Train all layers from here on."""
    pl_module.requires_grad_(True)
    return state.update(thawed=True)


def thaws_between_batches() -> dict[str, Any]:
    due = VALIDATION_DUE & ~Condition.expr("thawed")
    machine: Graph = (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), thaw=thaw, validate=Validate(), best_model=BestModel())
        .with_transitions(
            ("train_epoch", "thaw", due),
            (["train_epoch", "validate"], "best_model", FINISHED),
            ("thaw", "validate", ~Condition.expr("thawed")),
            (["thaw", "train_epoch", "validate"], "train_epoch"),
        )
        .build()
    )
    return {"machine": machine, "initial_state": {"thawed": False}}


class Frozen(DigitNet):
    """All but its last layer does not train, until an action has it trained."""

    def __init__(self) -> None:
        super().__init__()
        for each in [*self.parameters()][:-2]:
            each.requires_grad_(False)


def test_what_an_action_has_trained_between_two_batches_is_exchanged_from_the_next_one_on() -> None:
    training = Training(
        epochs=1, module=Frozen, callback=thaws_between_batches, trainer={"val_check_interval": 2}
    )
    ranks = Ranked(2, train, training)
    statuses, told = ranks.ended()
    assert statuses == [0, 0], ranks.printed
    assert told[0][1]["weights"] == told[1][1]["weights"]
