"""A run that asks a human: it pauses, is answered, and goes on."""

import json
import logging
import os
import pty
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Literal

import pytest
from at_work import DEADLINE
from burr.core import Condition, State, action, when
from burr.core.graph import GraphBuilder
from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.utilities.exceptions import SIGTERMException
from looks import CountsBatches, walked
from pools import by_and_by
from torchdata.stateful_dataloader import StatefulDataLoader

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.actions import BestModel, Call, Review, SetLearningRate, TrainEpoch, Validate
from burr_lightning.conditions import max_epochs, max_steps, max_time, plateau, reached
from burr_lightning.errors import (
    AnswerError,
    ArgumentError,
    MachineError,
    NotAskedError,
    PersisterError,
    RunNotFoundError,
)
from burr_lightning.machines import CAN_PAUSE, FINISHED, VALIDATION_DUE, answered, since_review
from burr_lightning.pausing import Block, post_to
from burr_lightning.testing import ScriptedModule, scripted_loader

LOSSES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]


class Data(LightningDataModule):
    """Counts how often Lightning has touched it."""

    def __init__(self):
        super().__init__()
        self.touched = []

    def prepare_data(self):
        self.touched.append("prepare_data")

    def setup(self, stage):
        self.touched.append("setup")

    def train_dataloader(self):
        self.touched.append("train_dataloader")
        return scripted_loader()

    def val_dataloader(self):
        return scripted_loader()


@pytest.fixture
def fit(make_trainer):
    """Run the script once: `fit(machine=...)` gives the callback."""

    def run(*, epochs=6, module=None, data=None, trainer=None, callbacks=(), **options):
        burr = BurrCallback(**{"run_id": "a", "monitor": "val_loss", **options})
        fitting = make_trainer(*callbacks, burr, max_epochs=epochs, **(trainer or {}))
        module = module or ScriptedModule(val_loss=LOSSES)
        fitting.fit(module, datamodule=data) if data else fitting.fit(
            module, scripted_loader(), scripted_loader()
        )
        return burr

    return run


def asks(review, *, when_=None, first=False, last=False):
    """A machine that goes to one waiting action: in the middle, before the training, or at its end."""
    when_ = CAN_PAUSE & since_review(max_epochs(2)) if when_ is None else when_
    phases = ["train_epoch", "validate"]
    middle = [] if first or last else [(phases, "ask", when_)]
    end = [(phases, "ask", FINISHED), ("ask", "best_model")] if last else [(phases, "best_model", FINISHED)]
    actions = {"ask": review} if first else {}
    actions |= {"train_epoch": TrainEpoch(), "validate": Validate(), "best_model": BestModel()}
    return (
        GraphBuilder()
        .with_actions(**actions, **({} if first else {"ask": review}))
        .with_transitions(
            ("train_epoch", "validate", VALIDATION_DUE),
            *end,
            *middle,
            *([] if last else [("ask", "train_epoch")]),
            (phases, "train_epoch"),
        )
        .build()
    )


# Pausing


def test_a_run_pauses_where_its_review_condition_holds(fit, caplog):
    with caplog.at_level(logging.INFO):
        burr = fit(review_when=max_epochs(2))
    assert burr.paused
    assert burr.state["epoch"] == 1
    assert burr.state["review"]["question"] == "Go on with the training?"
    assert "2 epochs are over" in burr.state["review"]["reason"]
    run = Run.open("a")
    assert (run.status, run.epoch) == ("paused", 1)
    assert run.question.text == "Go on with the training?"
    assert run.state["review"] == burr.state["review"]
    assert run.last_checkpoint.exists()
    assert walked(burr)[-1] == "validate"
    assert "waits for an answer, after epoch 1: Go on with the training?" in caplog.text
    command = f"burr-lightning review a --project lightning --root-dir {run.folder.parents[1]} --verdict go"
    assert command in caplog.text


def test_it_is_left_alone_until_it_is_answered(fit, caplog):
    fit(review_when=max_epochs(2))
    asked = Run.open("a").question
    data, module = Data(), CountsBatches(val_loss=LOSSES)
    with caplog.at_level(logging.INFO):
        burr = fit(review_when=max_epochs(2), data=data, module=module)
    assert burr.paused
    assert data.touched == []
    assert module.seen == []
    assert burr.state["review"]["question"] == asked.text
    assert Run.open("a").status == "paused"
    assert Run.open("a").question == asked
    assert "nobody has answered yet" in caplog.text


def test_it_goes_on_with_the_answer(fit):
    fit(review_when=max_epochs(2))
    Run.open("a").answer("go", lr=0.005, comment="The loss still falls.", by="ada")
    assert Run.open("a").status == "paused"
    assert Run.open("a").is_answered
    burr = fit(review_when=max_epochs(2))
    assert burr.state["epoch"] == 3
    assert burr.state["verdict"] == "go"
    assert burr.state["learning_rates"] == [0.005]
    assert not Run.open("a").is_answered
    Run.open("a").answer("no-go", by="bob")
    burr = fit(review_when=max_epochs(2))
    assert not burr.paused
    assert burr.run.status == "finished"
    assert burr.run.stop_reason == "answered no-go: by bob"
    reviews = Run.open("a").reviews
    assert [(asked.answer.by, asked.answer.values) for asked in reviews] == [
        ("ada", {"verdict": "go", "lr": 0.005}),
        ("bob", {"verdict": "no-go"}),
    ]
    assert reviews[0].answer.comment == "The loss still falls."
    assert reviews[0].answer.answered >= reviews[0].question.asked
    assert Run.open("a").state["review"]["by"] == "bob"
    assert Run.open("a").state["review"]["asked"] == reviews[1].question.asked


def test_weights_are_tested_and_validated_after_a_run_was_gone_on_with(make_trainer):
    class Tests(ScriptedModule):
        def test_step(self, batch, batch_idx):
            self.log("test_loss", 0.25)

    def script():
        burr = BurrCallback(run_id="a", monitor="val_loss", review_when=max_epochs(1))
        trainer = make_trainer(burr, max_epochs=2)
        trainer.fit(Tests(val_loss=LOSSES), scripted_loader(), scripted_loader())
        return burr, trainer.test(ckpt_path="best", dataloaders=scripted_loader())

    burr, tested = script()
    burr.run.answer("go")
    burr, again = script()
    assert burr.run.status == "finished"
    assert tested == again == [{"test_loss": 0.25}]


@pytest.mark.parametrize(
    ("condition", "asked_after"),
    [(max_steps(8), [1, 3]), (max_time(timedelta(days=1)), []), (max_epochs(3), [2])],
)
def test_steps_seconds_and_epochs_are_counted_from_the_last_answer(fit, condition, asked_after):
    options = {"review_when": condition, "epochs": 5, "wait": Block(timeout=0.001, default="go")}
    burr = fit(**options)
    assert [asked.question.epoch for asked in burr.run.reviews] == asked_after


def test_the_review_condition_is_asked_about_what_followed_the_last_answer(fit):
    worse_twice = [0.9, 1.0, 1.1, 1.2, 0.5, 0.4]
    burr = fit(review_when=plateau("val_loss", 1), module=ScriptedModule(val_loss=worse_twice))
    asked = []
    while burr.paused:
        asked.append(burr.state["epoch"])
        burr.run.answer("go")
        burr = fit(review_when=plateau("val_loss", 1), module=ScriptedModule(val_loss=worse_twice))
    assert asked == [1, 3]
    assert burr.run.status == "finished"


def test_a_question_that_was_passed_over_does_not_stand_for_the_one_that_is_due(fit):
    """As where another machine went on without it, and a process was killed before it wrote the new one."""
    run = fit(review_when=max_epochs(2)).run
    due = run.question
    [written] = (run.folder / "reviews").glob("*.question.json")
    older = {**due.as_json(), "number": due.number - 1, "text": "Is this still asked?"}
    written.with_name(f"{due.number - 1:08d}.question.json").write_text(json.dumps(older))
    written.unlink()
    assert Run.open("a").question is None
    burr = fit(review_when=max_epochs(2))
    assert burr.paused
    assert burr.state["review"]["question"] == due.text
    assert Run.open("a").question.number == due.number


def test_a_stop_and_a_limit_come_before_a_question(fit):
    assert fit(review_when=max_epochs(2), stop_when=max_epochs(2)).run.status == "finished"
    burr = fit(run_id="b", review_when=max_epochs(6))
    assert burr.run.status == "finished"
    assert burr.state["review"] is None


def test_min_epochs_are_trained_before_anyone_is_asked(fit):
    burr = fit(review_when=max_epochs(1), trainer={"min_epochs": 3})
    assert burr.paused
    assert burr.state["epoch"] == 2


def test_a_machine_of_ones_own_pauses_before_min_epochs_too(fit):
    burr = fit(machine=asks(Review()), trainer={"min_epochs": 4, "min_steps": 30})
    assert burr.paused
    assert burr.state["epoch"] == 1
    burr.run.answer("go")
    assert fit(machine=asks(Review()), trainer={"min_epochs": 4, "min_steps": 30}).state["epoch"] == 3


def test_commits_that_are_made_seldom_are_made_for_a_pause(fit):
    checkpoints = Checkpoints(every_n_epochs=100, keep_best=0)
    burr = fit(review_when=max_epochs(3), checkpoints=checkpoints)
    assert burr.run.state["checkpoint"]["epoch"] == 2
    burr.run.answer("go")
    module = CountsBatches(val_loss=LOSSES)
    fit(review_when=max_epochs(3), checkpoints=checkpoints, module=module)
    assert module.seen[0] == (3, 0)


def test_commits_in_the_background_are_whole_before_a_pause(fit):
    burr = fit(review_when=max_epochs(2), checkpoints=Checkpoints(asynchronous=True))
    assert burr.run.verify().sound
    assert burr.run.state["checkpoint"]["epoch"] == 1


def test_the_same_trainer_goes_on_once_it_is_answered(make_trainer):
    burr = BurrCallback(run_id="a", review_when=max_epochs(2))
    trainer = make_trainer(burr, max_epochs=3, min_epochs=2)
    module = ScriptedModule(val_loss=LOSSES)
    trainer.fit(module, scripted_loader(), scripted_loader())
    assert burr.paused
    assert (trainer.fit_loop.min_epochs, trainer.fit_loop.epoch_loop.min_steps) == (2, None)
    burr.run.answer("go")
    trainer.fit(module, scripted_loader(), scripted_loader())
    assert not burr.paused
    assert burr.run.status == "finished"


def test_a_run_can_ask_before_its_first_epoch(fit):
    data, module = Data(), CountsBatches(val_loss=LOSSES)
    burr = fit(machine=asks(Review("Begin?"), first=True), module=module)
    assert burr.paused
    assert module.seen == []
    assert fit(machine=asks(Review("Begin?"), first=True), data=data).paused
    assert data.touched == []
    burr.run.answer("go")
    burr = fit(machine=asks(Review("Begin?"), first=True))
    assert walked(burr)[:2] == ["ask", "train_epoch"]
    assert burr.run.status == "finished"


def test_a_run_can_ask_when_its_training_is_over(fit):
    machine = partial(asks, Review("Publish?", options=("yes", "no")), last=True)
    burr = fit(machine=machine, epochs=2)
    assert burr.paused
    assert burr.run.status == "paused"
    burr.run.answer("yes")
    burr = fit(machine=machine, epochs=2)
    assert burr.run.status == "finished"
    assert walked(burr)[-2:] == ["ask", "best_model"]


def test_a_pause_in_the_middle_of_an_epoch_that_cannot_be_gone_on_with_says_what_to_do(fit):
    machine = asks(Review(), when_=reached("val_loss", 0.95))
    with pytest.raises(MachineError, match=r"middle of an epoch.*StatefulDataLoader.*CAN_PAUSE") as raised:
        fit(machine=machine, trainer={"val_check_interval": 2})
    assert "wait='block'" in str(raised.value)
    assert Run.open("a").status == "failed"
    assert Run.open("a").question is None


def test_the_default_machine_waits_for_the_end_of_such_an_epoch(fit):
    burr = fit(review_when=reached("val_loss", 0.95), trainer={"val_check_interval": 2})
    assert burr.paused
    assert burr.state["epoch"] == 0
    assert burr.run.question.epoch == 0


def test_a_run_can_pause_after_a_validation_that_the_machine_asked_for(fit):
    machine = (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), validate=Validate(), ask=Review(), best_model=BestModel())
        .with_transitions(
            ("train_epoch", "validate"),
            ("validate", "ask", CAN_PAUSE & since_review(max_epochs(1))),
            ("validate", "best_model", FINISHED),
            ("validate", "train_epoch"),
            ("ask", "best_model", FINISHED),
            ("ask", "train_epoch"),
        )
        .build()
    )
    burr = fit(machine=machine, trainer={"check_val_every_n_epoch": 10})
    assert burr.paused
    assert walked(burr) == ["train_epoch", "validate"]


class ReadOn(Data):
    """Data that is read on from the middle of an epoch."""

    def train_dataloader(self):
        return StatefulDataLoader(scripted_loader(6).dataset, batch_size=2)


@pytest.mark.parametrize("review", ["in a machine of one's own", "in the default machine"])
def test_a_run_pauses_in_the_middle_of_an_epoch_where_its_loader_can_go_on(fit, review):
    condition = reached("val_loss", 0.85)
    own = asks(Review(), when_=condition & Condition.expr("review is None"))
    options = {"machine": own} if "own" in review else {"review_when": condition}
    options |= {"epochs": 1, "trainer": {"val_check_interval": 2}}
    module = CountsBatches(val_loss=[0.9, 0.8, 0.9])
    burr = fit(**options, data=ReadOn(), module=module)
    assert burr.paused
    assert module.seen == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert burr.run.state["checkpoint"]["batch"] == 4
    assert not burr.run.history.recording().ends_epoch.any()
    assert burr.run.verify().sound
    data = ReadOn()
    assert fit(**options, data=data).paused
    assert data.touched == []
    burr.run.answer("go")
    module = CountsBatches(val_loss=[0.9, 0.8, 0.9])
    burr = fit(**options, data=ReadOn(), module=module)
    assert module.seen == [(0, 4), (0, 5)]
    assert burr.run.status == "finished"
    assert len(burr.run.history) == 1


def test_a_no_go_in_the_middle_of_an_epoch_ends_the_run_there(fit):
    options = {"review_when": reached("val_loss", 0.85), "epochs": 2, "trainer": {"val_check_interval": 2}}
    for wait in ("exit", Block(timeout=0.01, default="no-go")):
        run_id = "exits" if wait == "exit" else "blocks"
        module = CountsBatches(val_loss=[0.9, 0.8, 0.9])
        burr = fit(**options, wait=wait, data=ReadOn(), module=module, run_id=run_id)
        if burr.paused:
            burr.run.answer("no-go")
            burr = fit(**options, data=ReadOn(), run_id=run_id)
        assert module.seen == [(0, 0), (0, 1), (0, 2), (0, 3)]
        assert burr.run.status == "finished"
        assert burr.run.stop_reason.startswith("answered no-go")
        assert fit(**options, data=ReadOn(), run_id=run_id).run.status == "finished"


def test_a_run_that_leaves_nothing_on_disk_says_that_it_would_wait(fit, caplog, tmp_path):
    with caplog.at_level(logging.INFO):
        assert fit(machine=asks(Review("Publish?"), last=True), trainer={"fast_dev_run": True}).paused
    assert "would wait here, and leaves nothing on disk: Publish?" in caplog.text
    assert not (tmp_path / "runs").exists()


# Any action with an input of its own


@action(reads=[], writes=["tempo"])
def choose_tempo(
    state: State, tempo: Literal["slow", "fast"], scale: float = 1.0, note: str | None = None
) -> tuple:
    """How fast shall it go on?

    More about it.
    """
    return {"tempo": tempo}, state.update(tempo=[tempo, scale, note])


def test_an_action_with_an_input_of_its_own_pauses_the_run(fit):
    burr = fit(machine=asks(choose_tempo), initial_state={"tempo": None})
    question = burr.run.question
    assert question.text == "How fast shall it go on?"
    assert [(f.name, f.kind, f.required, f.options) for f in question.fields] == [
        ("tempo", "str", True, ("slow", "fast")),
        ("note", "str", False, None),
        ("scale", "float", False, None),
    ]
    with pytest.raises(AnswerError, match="tempo is missing"):
        burr.run.answer()
    with pytest.raises(AnswerError, match="'medium' is none of its options"):
        burr.run.answer(tempo="medium")
    burr.run.answer(tempo="slow", scale=2)
    burr = fit(machine=asks(choose_tempo), initial_state={"tempo": None})
    assert burr.state["tempo"] == ["slow", 2.0, None]


def test_a_function_that_is_called_can_ask_for_the_trainer_and_for_a_human_s_value(fit):
    def set_rate(state, trainer, rate: float):
        trainer.optimizers[0].param_groups[0]["lr"] = rate
        return {"rate": rate}

    machine = asks(Call(set_rate, writes=["rate"]))
    burr = fit(machine=machine)
    assert burr.run.question.text == "ask needs rate."
    burr.run.answer(rate=0.25)
    module = ScriptedModule(val_loss=LOSSES)
    burr = fit(machine=machine, module=module)
    assert burr.state["rate"] == 0.25
    assert module.trainer.optimizers[0].param_groups[0]["lr"] == 0.25


def test_an_input_that_looks_mistyped_is_refused():
    def touch(state, trianer):
        return None

    with pytest.raises(MachineError, match=r"'ask' asks for the input trianer.*trainer"):
        BurrCallback(machine=asks(Call(touch)))


def test_transitions_read_the_answer_and_later_actions_its_values(fit):
    review = Review("More?", options=("go", "no-go"), fields={"epochs_more": int, "careful": bool})
    after = [
        ("ask", "best_model", when(verdict="no-go")),
        ("ask", "slower", when(careful=True)),
        ("slower", "train_epoch"),
    ]
    phases = ["train_epoch", "validate"]
    machine = (
        GraphBuilder()
        .with_actions(
            train_epoch=TrainEpoch(),
            validate=Validate(),
            ask=review,
            slower=SetLearningRate(factor=0.5),
            best_model=BestModel(),
        )
        .with_transitions(
            ("train_epoch", "validate", VALIDATION_DUE),
            (phases, "best_model", FINISHED),
            (phases, "ask", CAN_PAUSE & since_review(max_epochs(2))),
            *after,
            ("ask", "train_epoch"),
            (phases, "train_epoch"),
        )
        .build()
    )
    fit(machine=machine).run.answer("go", epochs_more=3, careful=True)
    burr = fit(machine=machine)
    assert (burr.state["epochs_more"], burr.state["careful"]) == (3, True)
    assert burr.state["learning_rates"] == [0.005]
    burr.run.answer("no-go")
    burr = fit(machine=machine)
    assert burr.state["epochs_more"] is None
    assert burr.run.stop_reason == "verdict=no-go is true"


# Answers


def test_an_answer_must_fit_the_question(fit):
    run = fit(review_when=max_epochs(2)).run
    wrong = [
        ({"verdict": "maybe"}, "verdict='maybe' is none of its options"),
        ({}, "verdict is missing"),
        ({"verdict": "go", "lr": "0.1"}, "lr='0.1' is no float"),
        ({"verdict": "go", "lr": True}, "lr=True is no float"),
        ({"verdict": "go", "lr": float("nan")}, "lr=nan is not finite"),
        ({"verdict": "go", "lr": 10**400}, "is not finite"),
        ({"verdict": "go", "lr": -1e-4}, "lr=-0.0001 is less than 0"),
        ({"verdict": "go", "rate": 1.0}, "it does not ask for rate"),
    ]
    for given, why in wrong:
        with pytest.raises(AnswerError) as raised:
            run.answer(**given)
        assert why in str(raised.value)
        assert "verdict ('go' or 'no-go'); lr (float, 0 or more, may be left out)" in str(raised.value)
    for note, why in [
        ({"comment": "x" * 1001}, "comment has 1001 characters"),
        ({"by": "x" * 101}, "by has 101 characters"),
        ({"by": 3}, "by=3"),
        ({"comment": "\x1b[2J"}, "comment has signs in it that cannot be shown"),
        ({"by": "\ud800"}, "by has signs in it that cannot be shown"),
    ]:
        with pytest.raises(AnswerError, match=why):
            run.answer("go", **note)
    assert Run.open("a").question is not None


def test_a_second_answer_is_refused_and_the_first_stands(fit):
    run = fit(review_when=max_epochs(2)).run
    again = Run.open("a")
    run.answer("go", by="ada")
    for late in (run, again, Run.open("a")):
        with pytest.raises(NotAskedError, match=r"answered by ada .*used once"):
            late.answer("no-go", by="bob")
    assert Run.open("a").reviews[0].answer.values == {"verdict": "go"}


def test_an_answer_to_a_question_that_is_asked_no_more_is_refused(fit):
    read = fit(review_when=max_epochs(2)).run.question
    Run.open("a").answer("go")
    fit(review_when=max_epochs(2))
    with pytest.raises(NotAskedError, match=r"asks something else now: 'Go on"):
        Run.open("a").give_answer({"verdict": "no-go"}, via="python", to=read)
    assert Run.open("a").question is not None


def test_of_many_who_answer_at_once_one_is_taken(fit):
    fit(review_when=max_epochs(2))
    runs = [Run.open("a") for _ in range(16)]
    together, taken, refused = threading.Barrier(16), [], []

    def answer(number):
        together.wait()
        try:
            runs[number].answer("go", by=str(number))
            taken.append(str(number))
        except NotAskedError:
            refused.append(number)

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), len(refused)) == (1, 15)
    assert Run.open("a").reviews[0].answer.by == taken[0]


def test_a_run_that_does_not_ask_takes_no_answer(fit):
    run = fit(epochs=1).run
    with pytest.raises(NotAskedError, match="'a' is finished and waits for no answer"):
        run.answer("go")


def test_an_answer_that_the_run_failed_with_may_be_given_anew(fit):
    def use(state, rate: float):
        if rate < 0:
            raise ValueError("a negative rate")

    machine = asks(Call(use))
    fit(machine=machine).run.answer(rate=-1.0)
    with pytest.raises(ValueError, match="a negative rate"):
        fit(machine=machine)
    run = Run.open("a")
    assert (run.status, run.is_answered) == ("paused", False)
    assert "a negative rate" in run.error
    run.answer(rate=1.0)
    with pytest.raises(NotAskedError, match="used once"):
        run.answer(rate=2.0)
    burr = fit(machine=machine)
    assert burr.state["epoch"] == 3
    assert burr.run.reviews[0].answer.values == {"rate": 1.0}


def test_an_answer_that_was_not_read_before_a_failure_stands(fit):
    fit(review_when=max_epochs(2)).run.answer("go", by="ada")

    class Before(Callback):
        def on_train_start(self, trainer, pl_module):
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        fit(review_when=max_epochs(2), callbacks=[Before()])
    run = Run.open("a")
    assert (run.status, run.is_answered) == ("failed", True)
    with pytest.raises(NotAskedError, match="answered by ada"):
        run.answer("no-go", by="bob")
    assert fit(review_when=max_epochs(2)).run.reviews[0].answer.by == "ada"


class FailsAtOnce(ScriptedModule):
    def training_step(self, batch, batch_idx):
        raise RuntimeError("out of memory")


def test_an_answer_that_is_in_the_state_is_used_up(fit):
    fit(review_when=max_epochs(2)).run.answer("go")
    with pytest.raises(RuntimeError, match="out of memory"):
        fit(review_when=max_epochs(2), module=FailsAtOnce(val_loss=LOSSES))
    run = Run.open("a")
    assert (run.status, run.position, run.is_answered) == ("failed", "review", False)
    with pytest.raises(NotAskedError, match="'a' is failed and waits for no answer"):
        run.answer("no-go")
    assert fit(review_when=max_epochs(2)).state["epoch"] == 3


@pytest.mark.parametrize(
    "today",
    [
        Review("Go on?", options=("yes", "no")),
        Review("Go on with ten times the rate?"),
        Review("Go on?", fields={"rate": float}),
    ],
)
def test_an_answer_to_another_question_is_not_used(fit, today):
    fit(machine=asks(Review("Go on?"))).run.answer("go")
    burr = fit(machine=asks(today))
    assert burr.paused
    assert burr.run.question.text == today.question
    burr.run.answer(today.options[0])
    assert fit(machine=asks(today)).state["verdict"] == today.options[0]


def test_a_question_that_was_changed_before_anyone_answered_is_asked_as_it_is_today(fit):
    fit(machine=asks(Review("Go on?")))
    burr = fit(machine=asks(Review("Go on, with another rate?", fields={"rate": float})))
    assert burr.paused
    assert burr.run.question.text == "Go on, with another rate?"
    assert len(burr.run.reviews) == 1


def test_an_answer_of_before_does_not_answer_the_same_question_of_a_run_that_went_another_way(fit):
    """The newest commit is lost, and the run asks again from the one before it, earlier than then."""
    machine = asks(Review(), when_=CAN_PAUSE & max_epochs(3) & Condition.expr("review is None"))
    run = fit(machine=machine, checkpoints=Checkpoints(keep_last=3)).run
    run.answer("no-go", by="ada")
    run.last_checkpoint.write_bytes(b"damaged")
    earlier = asks(Review(), when_=CAN_PAUSE & max_epochs(2) & Condition.expr("review is None"))
    burr = fit(machine=earlier, checkpoints=Checkpoints(keep_last=3))
    assert burr.paused
    assert burr.run.question.epoch == 1
    assert burr.run.question.number > 0


def test_a_question_that_nobody_asks_any_more_takes_no_answer(fit):
    asked = fit(review_when=max_epochs(2)).run
    burr = fit(stop_when=max_epochs(9), epochs=3)
    assert burr.run.status == "finished"
    assert burr.run.reviews == []
    with pytest.raises(NotAskedError, match="is finished"):
        Run.open(asked.run_id).answer("go")


def test_a_question_is_due_where_it_is_asked_today(fit):
    """Before the first commit, an action before the question was taken away: it has another number now."""

    def touch(state, trainer):
        return None

    phases = ["train_epoch", "validate"]

    def machine(*, touched):
        first = {"touch": Call(touch)} if touched else {}
        return (
            GraphBuilder()
            .with_actions(
                **first, ask=Review(), train_epoch=TrainEpoch(), validate=Validate(), best_model=BestModel()
            )
            .with_transitions(
                *([("touch", "ask")] if touched else []),
                ("ask", "train_epoch"),
                ("train_epoch", "validate", VALIDATION_DUE),
                (phases, "best_model", FINISHED),
                (phases, "train_epoch"),
            )
            .build()
        )

    data, told = Data(), []
    assert fit(machine=machine(touched=True), on_pause=told.append).paused
    assert fit(machine=machine(touched=True), on_pause=told.append, data=data).paused
    assert (len(told), data.touched) == (1, [])
    assert Run.open("a").question.number == 1
    assert fit(machine=machine(touched=False)).paused
    assert Run.open("a").question.number == 0
    Run.open("a").answer("go")
    assert fit(machine=machine(touched=False)).run.status == "finished"


# Waiting within the process


def test_a_process_that_blocks_goes_on_when_it_is_answered(fit):
    told = []

    def answer(pause):
        told.append((pause.run_id, pause.question.text, Run.open("a").status))
        Run.open("a").answer("no-go")

    burr = fit(review_when=max_epochs(2), wait="block", on_pause=answer)
    assert told == [("a", "Go on with the training?", "paused")]
    assert not burr.paused
    assert burr.run.status == "finished"
    assert burr.state["epoch"] == 1


def test_a_process_that_blocks_answers_by_itself_when_the_time_is_over(fit):
    burr = fit(review_when=max_epochs(2), wait=Block(timeout=0.01, default={"verdict": "go", "lr": 0.5}))
    assert burr.run.status == "finished"
    assert burr.state["learning_rates"] == [0.5]
    assert {(asked.answer.by, asked.answer.via) for asked in burr.run.reviews} == {("nobody", "time-out")}
    assert [asked.question.epoch for asked in burr.run.reviews] == [1, 3]


def test_without_a_default_it_pauses_when_the_time_is_over(fit):
    assert fit(review_when=max_epochs(2), wait=Block(timeout=0.01)).paused


def test_the_time_that_is_waited_is_no_time_of_training(fit):
    took = []

    def slow(pause):
        began = time.monotonic()
        threading.Event().wait(0.3)
        took.append(time.monotonic() - began)
        Run.open("a").answer("go")

    began = time.monotonic()
    burr = fit(review_when=max_epochs(2), wait="block", on_pause=slow, epochs=3)
    assert burr.state["epoch"] == 2
    assert burr.state["seconds"] <= time.monotonic() - began - took[0]


def test_a_default_must_fit_every_question_of_the_machine():
    with pytest.raises(ArgumentError, match=r"'review' does not take this default.*'maybe' is none"):
        BurrCallback(review_when=max_epochs(1), wait=Block(timeout=1, default="maybe"))
    with pytest.raises(ArgumentError, match="without a timeout"):
        Block(default="go")
    with pytest.raises(ArgumentError, match="seconds, more than 0"):
        Block(timeout=0)
    with pytest.raises(ArgumentError, match="must be 'exit', 'block', 'prompt'"):
        BurrCallback(wait="later")


@pytest.fixture
def terminal(monkeypatch):
    """A terminal at which lines are typed: `terminal("go", "")`; it is closed when they are read."""
    opened = []

    def at(*lines, closed=False):
        ours, theirs = pty.openpty()
        os.write(ours, "".join(f"{line}\n" for line in lines).encode())
        file = os.fdopen(theirs, "r")
        opened.append((ours, file))
        monkeypatch.setattr(sys, "stdin", file)
        if closed:
            os.write(ours, b"\x04")  # Ctrl-D
        return ours

    yield at
    for ours, file in opened:
        file.close()
        os.close(ours)


def test_a_process_can_ask_at_its_terminal(fit, terminal, capsys):
    terminal("maybe", "", "no-go", "", "I see.")
    burr = fit(review_when=max_epochs(2), wait="prompt")
    assert burr.run.status == "finished"
    answer = burr.run.reviews[0].answer
    assert (answer.values, answer.comment, answer.via) == ({"verdict": "no-go"}, "I see.", "terminal")
    said = capsys.readouterr().out
    assert "Go on with the training?" in said
    assert "'maybe' is none of its options" in said


def test_an_answer_from_elsewhere_ends_the_waiting_at_the_terminal(fit, terminal):
    terminal()
    asked = threading.Thread(target=answers_when_asked, args=("no-go",))
    asked.start()
    burr = fit(review_when=max_epochs(2), wait="prompt")
    asked.join()
    assert burr.run.stop_reason == "answered no-go: by ada"


def answers_when_asked(verdict):
    """From elsewhere: answer the run as soon as it asks."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            if Run.open("a").question is not None:
                Run.open("a").answer(verdict, by="ada")
                return
        except (RunNotFoundError, PersisterError):
            pass
        threading.Event().wait(0.01)


def test_a_terminal_that_is_closed_pauses_the_run(fit, terminal):
    terminal("go", closed=True)
    assert fit(review_when=max_epochs(2), wait="prompt").paused
    assert Run.open("a").question is not None


def test_without_a_terminal_it_pauses_and_stays_so(fit, caplog):
    told, data = [], Data()
    with caplog.at_level(logging.WARNING):
        assert fit(review_when=max_epochs(2), wait="prompt", on_pause=told.append).paused
    assert "there is no terminal to ask at" in caplog.text
    assert fit(review_when=max_epochs(2), wait="prompt", on_pause=told.append, data=data).paused
    assert (len(told), data.touched) == (1, [])


@pytest.mark.parametrize("wait", ["block", "prompt"])
def test_a_wish_to_end_the_process_ends_the_waiting(fit, terminal, wait):
    """As a scheduler sends it: SIGTERM, to a process that waits."""
    terminal()

    class SendsSigterm(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            if trainer.current_epoch == 1:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SIGTERMException):
        fit(review_when=max_epochs(2), wait=wait, callbacks=[SendsSigterm()])
    assert Run.open("a").status == "paused"
    Run.open("a").answer("no-go")
    assert fit(review_when=max_epochs(2), wait=wait).run.status == "finished"


def test_a_wish_to_end_a_process_that_waits_inside_an_epoch_is_no_failure(fit):
    """Nothing can be committed there: the epoch is trained again, and asks the same."""
    options = {"machine": asks(Review(), when_=reached("val_loss", 0.95) & Condition.expr("review is None"))}
    options |= {"wait": "block", "trainer": {"val_check_interval": 2, "num_sanity_val_steps": 0}, "epochs": 1}
    with pytest.raises(SIGTERMException):
        fit(**options, on_pause=lambda pause: os.kill(os.getpid(), signal.SIGTERM))
    assert Run.open("a").status == "paused"
    Run.open("a").answer("go", by="ada")
    burr = fit(**options)
    assert burr.run.status == "finished"
    assert [asked.answer.by for asked in burr.run.reviews] == ["ada"]


def test_a_process_that_blocks_again_waits_for_what_was_asked_before(fit):
    told = []
    assert fit(review_when=max_epochs(2), wait=Block(timeout=0.01), on_pause=told.append).paused
    asked = Run.open("a").question
    waiting = threading.Thread(target=answers_when_asked, args=("no-go",))
    waiting.start()
    burr = fit(review_when=max_epochs(2), wait="block", on_pause=told.append)
    waiting.join()
    assert burr.run.status == "finished"
    assert burr.run.reviews[0].question == asked
    assert len(told) == 1


def test_the_time_that_earlier_processes_waited_counts(fit):
    wait = Block(timeout=3600, default="no-go")
    fit(review_when=max_epochs(2))
    [written] = [path for path in Run.open("a").folder.glob("reviews/*") if "question" in path.name]
    asked_long_ago = {**json.loads(written.read_text()), "asked": time.time() - 3601}
    written.write_text(json.dumps(asked_long_ago))
    assert fit(review_when=max_epochs(2), wait=wait).run.status == "finished"


# Who is told


_MOST_BYTES = 400
"""It takes twenty seconds to send them all."""


class Hook(HTTPServer):
    """A web address that keeps what is posted to it; it answers with a code, or never."""

    def __init__(self, code=200):
        self.posted, self.code, self.release, self.sent = [], code, threading.Event(), 0
        super().__init__(("127.0.0.1", 0), Posted)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook/secret"


class Posted(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if self.server.code is None:
            self.server.release.wait()
            return
        if self.server.code == "a byte now and then":
            while not self.server.release.wait(0.05) and self.server.sent < _MOST_BYTES:
                self.wfile.write(b"x")
                self.server.sent += 1
            return
        self.send_response(self.server.code)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def hook():
    started = []

    def start(code=200):
        server = Hook(code)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_pause_is_posted_to_a_web_address_once(fit, hook):
    server = hook()
    options = {"review_when": max_epochs(2), "on_pause": post_to(server.url)}
    fit(**options)
    fit(**options)
    [posted] = server.posted
    assert posted["run_id"] == "a"
    assert posted["question"]["text"] == "Go on with the training?"
    assert "burr-lightning review a" in posted["text"]


# http.client of Python 3.11 lets go of a socket that has timed out without closing it.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("code", [500, None, "a byte now and then"])
def test_an_address_that_fails_or_never_answers_breaks_nothing(fit, hook, caplog, code):
    server = hook(code)
    patience = DEADLINE if code == 500 else 0.5  # a busy machine may answer late
    with caplog.at_level(logging.WARNING):
        assert fit(review_when=max_epochs(2), on_pause=post_to(server.url, timeout=patience)).paused
    by_and_by(lambda: server.posted)
    assert len(server.posted) == 1
    assert "127.0.0.1" in caplog.text
    assert "secret" not in caplog.text
    assert server.sent < _MOST_BYTES


def test_the_answer_of_an_address_that_refuses_is_closed(fit, hook, monkeypatch):
    refusals, opens = [], urllib.request.urlopen

    def opened(*given, **options):
        try:
            return opens(*given, **options)
        except urllib.error.HTTPError as refusal:
            refusals.append(refusal)
            raise

    monkeypatch.setattr(urllib.request, "urlopen", opened)
    assert fit(review_when=max_epochs(2), on_pause=post_to(hook(500).url, timeout=DEADLINE)).paused
    assert [refusal.closed for refusal in refusals] == [True]


def test_an_address_that_nobody_listens_at_breaks_nothing(fit, caplog):
    with caplog.at_level(logging.WARNING):
        assert fit(review_when=max_epochs(2), on_pause=post_to("http://127.0.0.1:9/secret")).paused
    assert "could not be told that run 'a' waits" in caplog.text
    assert "secret" not in caplog.text


def test_a_function_that_fails_breaks_nothing(fit, caplog):
    def fails(pause):
        raise RuntimeError("no network")

    assert fit(review_when=max_epochs(2), on_pause=fails).paused
    assert Run.open("a").status == "paused"
    assert "no network" in caplog.text


def test_what_cannot_be_told_is_refused():
    with pytest.raises(ArgumentError, match="http://"):
        post_to("ftp://example.org")
    with pytest.raises(ArgumentError, match="more than 0"):
        post_to("https://example.org", timeout=0)
    with pytest.raises(ArgumentError, match="on_pause='later'"):
        BurrCallback(on_pause="later")


# Arguments


def test_a_review_is_refused_that_nobody_could_answer():
    for given, why in [
        ({"options": ("go",)}, "two or more"),
        ({"options": ("go", "go")}, "different"),
        ({"options": "go"}, "two or more"),
        ({"fields": {"epoch": int}}, "cannot name a field"),
        ({"fields": {"lr": complex}}, "must be bool, int, float or str"),
        ({"question": ""}, "1 to 1000"),
        ({"options": ("go ", "no-go")}, "not blank at an end"),
        ({"fields": {"state": float}}, "cannot name a field"),
        ({"fields": {"trainer": float}}, "cannot name a field"),
        ({"fields": {"note": str}, "at_least": {"note": 0}}, "must name fields that are int or float"),
    ]:
        with pytest.raises(ArgumentError, match=why):
            Review(**given)


def test_a_review_belongs_to_the_default_machine():
    with pytest.raises(MachineError, match="review_when=3"):
        BurrCallback(review_when=3)
    with pytest.raises(MachineError, match="since_review"):
        BurrCallback(machine=asks(Review()), review_when=max_epochs(1))


def test_the_verdict_says_who_gave_it():
    state = State({"verdict": "go", "review": {"by": "ada", "comment": ""}})
    assert answered("go").explain(state).text == "by ada"
    assert not answered("no-go").explain(state).holds
