"""Which hyperparameters a member of a population trains with, whose optimizer comes from another one."""

import logging
from dataclasses import replace

import pytest
import torch
from optuna.distributions import FloatDistribution
from population_runs import SPACE, Line, fit, noted, study

from burr_lightning.tuning import TrialRecord
from burr_lightning.tuning.forked import changes

RATE = {"rate": FloatDistribution(-3.0, -1.0)}


def test_the_rate_may_have_any_name_in_the_space_where_the_module_saves_its_own():
    def by_exponent(trial):
        fit(trial, lambda rate: Line(10**rate))

    ran = study("exponents", by_exponent, space=RATE, n_trials=9).run()
    for trial in ran.trials:
        assert noted()[trial.number, 1]["lr"] == pytest.approx(10 ** trial.params["rate"])
    assert any(trial.params != ran.trials[trial.parent].params for trial in ran.trials[4:])


class Unsaved(Line):
    """Its hyperparameters are nowhere but in what it has built; its rate is halved every two epochs."""

    def __init__(self, lr):
        super().__init__(lr)
        self.rate = lr
        self.hparams.clear()

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.rate, momentum=0.5)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)]


def test_a_module_that_saves_nothing_has_the_rate_by_its_name_and_in_proportion():
    space = {"lr": SPACE["lr"]}
    ran = study("unsaved", lambda trial: fit(trial, Unsaved), space=space).run()
    for trial in ran.trials:
        halved = trial.params["lr"] / 2 ** (trial.segment.max_epochs // 2 - 1)
        assert noted()[trial.number, 1]["lr"] == pytest.approx(halved)
    explored = [trial for trial in ran.trials[4:] if trial.params != ran.trials[trial.parent].params]
    assert len(explored) == 2


def test_a_rate_that_nothing_leads_to_is_told_of(caplog):
    def lost(trial):
        fit(trial, lambda rate: Unsaved(10**rate))

    with caplog.at_level(logging.WARNING):
        ran = study("lost", lost, space=RATE, n_trials=8).run()
    explored = [trial for trial in ran.trials[4:] if trial.params != ran.trials[trial.parent].params]
    said = [record.message for record in caplog.records if "its module does not know" in record.message]
    assert len(said) == len(explored) == 1
    assert said[0].startswith(f"Trial {explored[0].number} has rate={explored[0].params['rate']!r}, and its")


def test_what_a_human_has_changed_goes_on_with_the_member():
    """A continued member is the same network, and not one that is told of its parameters again."""

    class Changed(Line):
        def on_train_epoch_end(self):
            self.trainer.optimizers[0].param_groups[0]["lr"] = 0.5

    ran = study("changed", lambda trial: fit(trial, Changed), n_trials=8).run()
    went_on = [each for each in ran.trials[4:] if each.params == ran.trials[each.parent].params]
    assert len(went_on) == 3
    assert {noted()[trial.number, 1]["lr"] for trial in went_on} == {0.5}


HUMAN = {"lr": 0.5, "momentum": 0.5, "net": "<object at 0x1>", "steps": [1, 2], "note": "a"}


@pytest.mark.parametrize(
    ("params", "of_parent", "of_module", "new", "known"),
    [
        pytest.param(
            {"lr": 0.1}, HUMAN, {"lr": 0.1}, {}, {}, id="who goes on keeps what a human has changed"
        ),
        pytest.param(
            {"lr": 0.2}, HUMAN, {"lr": 0.2, "momentum": 0.5}, {"lr": 0.2}, {}, id="who explores not"
        ),
        pytest.param(
            {"lr": 0.2}, HUMAN, {"lr": 0.2, "net": object()}, {"lr": 0.2}, {}, id="objects are left"
        ),
        pytest.param(
            {"lr": 0.2},
            HUMAN,
            {"lr": 0.2, "steps": (1, 3)},
            {"lr": 0.2, "steps": (1, 3)},
            {},
            id="lists are not",
        ),
        pytest.param(
            {"lr": 0.2}, HUMAN, {"lr": 0.2, "steps": (1, 2)}, {"lr": 0.2}, {}, id="tuples are lists"
        ),
        pytest.param({"lr": 0.2}, HUMAN, {"lr": 0.2, "more": 1}, {"lr": 0.2}, {}, id="what the parent lacks"),
        pytest.param({"lr": 0.2}, {}, {}, {"lr": 0.2}, {"lr": 0.1}, id="nothing saved"),
        pytest.param(
            {"lr": 0.2},
            {"learning_rate": 0.1},
            {"learning_rate": 0.2},
            {"learning_rate": 0.2},
            {},
            id="renamed",
        ),
        pytest.param({"lr": 0.1, "width": 3}, {}, {}, {}, {}, id="a parameter that the space did not have"),
    ],
)
def test_what_a_fork_is_told_to_have_otherwise(params, of_parent, of_module, new, known):
    parent = TrialRecord(0, {"lr": 0.1}, "base")
    task = replace(study("hand").settings.task(TrialRecord(1, params, "fork"), 0), parent=parent)
    assert changes(task, of_parent, of_module) == (new, known)
