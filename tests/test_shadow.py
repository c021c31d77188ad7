"""Shadow conditions are watched and never obeyed; seconds of training are counted over processes."""

import logging
import subprocess
import sys

import pytest
from burr.core import Condition
from lightning.pytorch.callbacks import EarlyStopping

from burr_lightning import BurrCallback, MetricHistory, Run
from burr_lightning.conditions import generalization_loss, max_epochs, max_time, plateau, reached
from burr_lightning.conditions.replayed import first_stop
from burr_lightning.errors import ArgumentError
from burr_lightning.stopping import compare_stopping
from burr_lightning.testing import ScriptedModule, scripted_loader

LOSSES = [0.9, 0.5, 0.6, 0.7, 0.8, 0.4, 0.3, 0.2]


def fit(trainer, losses=LOSSES):
    trainer.fit(ScriptedModule(val_loss=losses), scripted_loader(), scripted_loader())


def epochs_of(burr_or_run):
    return {name: entry["epoch"] for name, entry in burr_or_run.state["shadow"].items()}


def test_a_shadow_records_where_it_would_have_stopped_first_and_stops_nothing(make_trainer):
    shadow = {
        "hasty": plateau("val_loss", 1),
        "patient": plateau("val_loss", 3),
        "never": plateau("val_loss", 5),
    }
    burr = BurrCallback("r", shadow=shadow)
    fit(make_trainer(burr, max_epochs=8))
    assert burr.state["epoch"] == 7
    assert epochs_of(burr) == {"hasty": 2, "patient": 4, "never": None}
    assert burr.state["shadow"]["patient"]["reason"] == (
        "plateau(val_loss, patience=3): no improvement on 0.5 (epoch 1) for 3 checks"
    )
    assert burr.state["stop_reason"] == "max_epochs=8 was reached"
    assert Run.open("r").state["shadow"] == burr.state["shadow"]


def test_the_console_and_show_say_what_the_shadows_would_have_done(make_trainer, caplog):
    burr = BurrCallback("r", shadow={"hasty": plateau("val_loss", 1), "never": plateau("val_loss", 9)})
    with caplog.at_level(logging.INFO):
        fit(make_trainer(burr, max_epochs=4))
    hasty = "would have stopped it after epoch 2: plateau(val_loss, patience=1): no improvement on 0.5"
    never = "would not have stopped it: plateau(val_loss, patience=9)"
    assert f"Shadow condition 'hasty' {hasty}" in caplog.text
    assert f"Shadow condition 'never' {never}" in caplog.text
    command = [sys.executable, "-c", "from burr_lightning.cli import main; main()", "show", "r"]
    shown = " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert f"hasty {hasty}" in shown
    assert f"never {never}" in shown


def test_a_shadow_honours_min_epochs_as_stop_when_does(make_trainer):
    burr = BurrCallback("r", shadow={"hasty": plateau("val_loss", 1)})
    fit(make_trainer(burr, min_epochs=5, max_epochs=8))
    assert epochs_of(burr) == {"hasty": 4}


def test_a_shadow_stops_where_the_same_condition_would(make_trainer):
    condition = plateau("val_loss", 2) | reached("val_loss", 0.45)
    watched = BurrCallback("watched", shadow={"it": condition})
    fit(make_trainer(watched, max_epochs=8))
    obeyed = BurrCallback("obeyed", stop_when=condition)
    fit(make_trainer(obeyed, max_epochs=8))
    entry = watched.state["shadow"]["it"]
    assert (entry["epoch"], entry["reason"]) == (obeyed.state["epoch"], obeyed.state["stop_reason"])


def test_shadows_inside_an_epoch_name_the_epoch_that_is_under_way(make_trainer):
    burr = BurrCallback("r", shadow={"hasty": plateau("val_loss", 1)})
    fit(make_trainer(burr, max_epochs=3, val_check_interval=0.5))
    assert epochs_of(burr) == {"hasty": 1}


def test_after_a_resume_the_known_stay_and_the_new_and_changed_are_replayed(make_trainer):
    first = BurrCallback("r", shadow={"kept": plateau("val_loss", 1), "changed": plateau("val_loss", 1)})
    fit(make_trainer(first, max_epochs=4))
    today = {"kept": plateau("val_loss", 1), "changed": plateau("val_loss", 2), "new": plateau("val_loss", 3)}
    again = BurrCallback("r", shadow={**today, "never": plateau("val_loss", 9)})
    fit(make_trainer(again, max_epochs=8))
    assert epochs_of(again) == {"kept": 2, "changed": 3, "new": 4, "never": None}
    assert again.state["shadow"]["kept"] == first.state["shadow"]["kept"]
    assert again.state["shadow"]["changed"]["reason"].startswith("plateau(val_loss, patience=2): no improve")


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (plateau("val_los", 1), "'it' needs the metric 'val_los', and nothing logged it"),
        (Condition.expr("metrics['nothing'] > 1"), "'it' could not be asked"),
    ],
)
def test_a_shadow_that_fails_is_told_of_and_the_run_goes_on(make_trainer, caplog, condition, message):
    burr = BurrCallback("r", shadow={"it": condition})
    fit(make_trainer(burr, max_epochs=3))
    assert message in caplog.text
    assert (burr.state["epoch"], epochs_of(burr)) == (2, {"it": None})


@pytest.mark.parametrize("shadow", [[plateau("a")], {"a": "plateau(a)"}, {1: plateau("a")}, plateau("a")])
def test_shadows_are_conditions_by_name(shadow):
    with pytest.raises(ArgumentError, match=r"BurrCallback\(shadow=.*a dict from names to Burr conditions"):
        BurrCallback(shadow=shadow)


def test_a_direction_comes_from_the_monitored_metric_where_the_user_gave_it(make_trainer):
    burr = BurrCallback("r", monitor="val_loss", mode="max", shadow={"it": plateau("val_loss", 2)})
    fit(make_trainer(burr, max_epochs=6), [0.1, 0.2, 0.3, 0.4, 0.3, 0.3])
    assert epochs_of(burr) == {"it": 5}


def test_a_loss_criterion_on_a_score_stops_nothing_in_the_shadow_and_fails_in_the_open(make_trainer, caplog):
    burr = BurrCallback("r", monitor="val_loss", mode="max", shadow={"gl": generalization_loss("val_loss")})
    fit(make_trainer(burr, max_epochs=2))
    assert "val_loss is better when it is higher" in caplog.text
    assert burr.state["epoch"] == 1


def test_seconds_of_training_rise_with_every_check_and_go_on_after_a_resume(make_trainer):
    first = BurrCallback("r")
    fit(make_trainer(first, max_epochs=2))
    again = BurrCallback("r")
    fit(make_trainer(again, max_epochs=4))
    seconds = again.history.recording().seconds
    assert len(seconds) == 4
    assert all(seconds[1:] >= seconds[:-1])
    assert seconds[1] == first.state["seconds"] == first.history.seconds
    assert again.state["seconds"] == seconds[-1] > first.state["seconds"]
    assert [row["step"] for row in again.history.to_dicts()] == [4, 8, 12, 16]


@pytest.mark.parametrize(("seconds", "epoch"), [(1e-9, 0), (3600, 2)])
def test_max_time_stops_a_run_after_its_time(make_trainer, seconds, epoch):
    burr = BurrCallback("r", stop_when=max_time(seconds))
    fit(make_trainer(burr, max_epochs=3))
    assert burr.state["epoch"] == epoch


def test_beside_early_stopping_a_shadow_of_the_same_rule_names_the_same_epoch(make_trainer):
    burr = BurrCallback("r", shadow={"same": plateau("val_loss", 3)})
    fit(make_trainer(burr, EarlyStopping("val_loss", patience=3), max_epochs=8))
    assert epochs_of(burr) == {"same": burr.state["epoch"]} == {"same": 4}


def test_a_shadow_condition_that_is_new_reads_its_metric_as_the_run_does(make_trainer):
    accuracy = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    for epochs, shadow in (
        (4, {"a": plateau("acc", 2)}),
        (6, {"a": plateau("acc", 2), "new": plateau("acc", 2)}),
    ):
        burr = BurrCallback("sh", monitor="acc", mode="max", shadow=shadow)
        make_trainer(burr, max_epochs=epochs).fit(
            ScriptedModule(acc=accuracy), scripted_loader(), scripted_loader()
        )
    assert [entry["epoch"] for entry in burr.state["shadow"].values()] == [None, None]
    comparison = compare_stopping("sh", plateau("acc", 2), monitor="acc")
    assert (comparison.monitor.mode, comparison.mode_assumed) == ("max", False)


def test_a_direction_that_is_given_today_counts_for_what_was_found_before(make_trainer):
    rising = ScriptedModule(acc=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    for mode, epochs, stop in ((None, 4, 2), ("max", 6, None)):
        burr = BurrCallback("r", monitor="acc", mode=mode, shadow={"it": plateau("acc", 2)})
        make_trainer(burr, max_epochs=epochs).fit(rising, scripted_loader(), scripted_loader())
        assert epochs_of(burr) == {"it": stop}


def test_a_shadow_that_is_new_waits_for_min_epochs_as_the_others_do(make_trainer):
    fit(make_trainer(BurrCallback("r", shadow={"old": plateau("val_loss", 1)}), min_epochs=5, max_epochs=3))
    both = {"old": plateau("val_loss", 1), "new": plateau("val_loss", 1)}
    burr = BurrCallback("r", shadow=both)
    fit(make_trainer(burr, min_epochs=5, max_epochs=8))
    assert epochs_of(burr) == {"old": 4, "new": 4}


def test_a_run_that_begins_in_the_middle_of_an_epoch_has_no_epoch_that_is_over():
    history = MetricHistory().append(5, {"a": 1.0}, ends_epoch=False)
    assert history.recording().finished_epochs.tolist() == [0]
    assert first_stop(max_epochs(5), history.recording()) is None
    assert first_stop(max_epochs(5), history.append(5, {"a": 1.0}).recording()) == 1
