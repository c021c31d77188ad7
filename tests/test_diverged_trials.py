"""Trials whose loss becomes NaN: they are pruned as Optuna itself prunes them, and are never the best."""

import json
import math
from pathlib import Path

import optuna
import pytest
from click.testing import CliRunner
from test_pruning import DIVERGED, PRUNERS, SPACE, TRIALS, pruned, training
from test_study import study

from burr_lightning.cli import main
from burr_lightning.testing import ScriptedModule, scripted_loader
from burr_lightning.tuning import Study


@pytest.fixture
def objective(make_trainer):
    return training(make_trainer)


def test_a_trial_that_has_diverged_is_pruned_and_its_value_is_nan(objective):
    ran = pruned(objective, PRUNERS["threshold"]()).run()
    assert repr(Study.open("pruned").trials) == repr(ran.trials)
    for number in DIVERGED:
        trial = ran.trials[number]
        assert (trial.status, repr(trial.values), trial.step) == ("pruned", "(nan,)", 2)
        assert f"epoch 2: val_loss nan, against {number} other trials" in trial.reason
        assert repr(trial.last_score) == "{2: nan}"
        assert ran.to_optuna().trials[number].values is None
    assert ran.best.number not in DIVERGED
    for kind in ("history", "parallel", "slices"):
        ran.plot(kind)


def test_nothing_that_is_stored_or_tracked_holds_what_json_does_not_know(objective, postgresql):
    """NaN is no JSON: PostgreSQL refuses it, and Burr's page does not show it."""

    def train(trial):
        return math.inf if trial.number == 2 else objective(trial)

    options = {"n_trials": 6, "tracker": True, "persister": postgresql.url}
    ran = pruned(train, PRUNERS["threshold"](), **options).run()
    assert repr(ran.trials[5].values) == "(nan,)"
    assert repr(Study.open("pruned", persister=postgresql.url).trials) == repr(ran.trials)
    log = Path.home() / ".burr" / "lightning" / "pruned" / "log.jsonl"
    told = [json.loads(line, parse_constant=pytest.fail) for line in log.read_text().splitlines()]
    values = [each["result"]["outcome"]["values"] for each in told if "outcome" in (each.get("result") or {})]
    assert (values[2], values[5]) == (["inf"], ["nan"])


def test_a_trial_that_never_was_a_number_has_diverged(objective):
    ran = pruned(objective, None, n_trials=6).run()
    assert ran.trials[5].status == "failed"
    assert "nothing, and val_loss is nan after epoch 8, and was no number before: the trial has div" in (
        ran.trials[5].reason
    )


def test_an_epoch_that_logged_nothing_is_not_asked_about_and_one_that_logged_nan_is(make_trainer):
    """A validation in every second epoch only, that is NaN from the second one on."""
    asked = []

    class Noted(optuna.pruners.NopPruner):
        def prune(self, study, trial):
            asked.append(repr(trial.intermediate_values))
            return False

    def train(trial):
        module = ScriptedModule(val_loss=[0.5, math.nan, math.nan])
        trainer = make_trainer(trial.callback(), max_epochs=6, check_val_every_n_epoch=2)
        trainer.fit(module, scripted_loader(batches=1), scripted_loader(batches=1))

    options = {"space": SPACE, "pruner": Noted(), "monitor": "val_loss", "n_trials": 1, "tracker": False}
    ran = study("rarely", None, train, **options).run()
    assert asked == ["{1: 0.5}", "{1: 0.5, 3: nan}", "{1: 0.5, 3: nan, 5: nan}"]
    assert repr(ran.to_optuna().trials[0].intermediate_values) == asked[-1]
    assert (ran.trials[0].status, ran.best.value) == ("finished", 0.5)


def test_scores_of_a_diverged_trial_that_were_lost_are_made_again(objective):
    ran = pruned(objective, PRUNERS["asha"]()).run()
    before = [fact for fact in ran.scores.newer() if "value" in fact]
    ran.settings.folder.scores.unlink()
    pruned(objective, PRUNERS["asha"](), n_trials=TRIALS + 1).run()
    again = [fact for fact in ran.scores.newer() if "value" in fact and fact["trial"] < TRIALS]
    assert sorted(map(repr, again)) == sorted(map(repr, before))
    assert sum(fact["value"] == "nan" for fact in again) >= 2


def test_the_commands_show_a_nan_as_nan(objective):
    pruned(objective, PRUNERS["threshold"](), n_trials=6).run()
    shown = CliRunner().invoke(main, ["study", "show", "pruned"]).stdout
    [row] = [line for line in shown.splitlines() if line.startswith("    5  ")]
    assert row.split()[1:3] == ["pruned", "nan"]
    told = json.loads(
        CliRunner().invoke(main, ["study", "show", "pruned", "--json"]).stdout, parse_constant=pytest.fail
    )
    assert (told["shown"][5]["values"], told["shown"][5]["newest_score"]) == (["nan"], "nan")
    best = CliRunner().invoke(main, ["study", "show", "pruned", "--best", "9"]).stdout
    assert "nan" not in best
