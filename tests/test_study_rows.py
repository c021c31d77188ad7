"""How large the rows of a study are, and where what they cannot hold is."""

import json
import sqlite3
from concurrent.futures import Future
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from test_study import AtOnce, study

from burr_lightning.cli.study.words import reason_text
from burr_lightning.layout import home
from burr_lightning.tuning import Study

LONG = 1_000_000


def rows(study_id):
    connection = sqlite3.connect(home(None) / "state.sqlite")
    found = connection.execute("select state from burr_state where app_id=?", (study_id,)).fetchall()
    connection.close()
    return [text for (text,) in found]


def fails_at_even(trial):
    if trial.number % 2 == 0:
        raise ValueError("first " + "x" * LONG + " last")
    return 1.0


@pytest.mark.parametrize("parameters", [1, 12])
def test_rows_are_small_however_many_trials_and_parameters_there_are(parameters):
    space = {f"parameter_{number}": FloatDistribution(0.0, 1.0) for number in range(parameters)}
    sampler = optuna.samplers.RandomSampler()
    ran = study("many", fn=lambda trial: 1.0, space=space, sampler=sampler, n_trials=60).run()
    assert max(map(len, rows("many"))) < 5000
    assert Study.open("many").trials == ran.trials


def test_a_long_traceback_is_cut_in_the_rows_and_whole_in_a_file():
    ran = study("fails", fn=fails_at_even, n_trials=6).run()
    assert max(map(len, rows("fails"))) < 8000
    failed = Study.open("fails").trials[2]
    assert failed.reason == ran.trials[2].reason
    assert len(failed.reason) < 2500
    assert "Traceback (most recent call last):" in failed.reason
    assert "ValueError: first x" in failed.reason
    assert failed.reason.rstrip().endswith("x last")
    whole = Path(ran.settings.folder.path) / "failures" / "2.txt"
    assert failed.reason.startswith("Traceback (most recent call last):\n  (cut; all 1000")
    assert str(whole) in failed.reason.splitlines()[1]
    assert reason_text(failed).startswith("ValueError: first xxx")
    assert f"ValueError: first {'x' * LONG} last" in whole.read_text()
    assert sorted(path.name for path in whole.parent.iterdir()) == ["0.txt", "2.txt", "4.txt"]


def test_what_is_told_of_it_is_the_error(caplog):
    study("told", fn=fails_at_even, n_trials=2).run()
    told = next(record.getMessage() for record in caplog.records if "trial 0 failed" in record.getMessage())
    assert "trial 0 failed: ValueError: first x" in told
    assert len(told) < 1000


def test_a_short_one_is_as_it_was():
    def fails(trial):
        if trial.number == 0:
            raise ValueError("no")
        return 1.0

    ran = study("short", fn=fails, n_trials=2).run()
    assert ran.trials[0].reason.startswith("Traceback (most recent call last):")
    assert not ran.settings.folder.failures.exists()


def test_how_a_worker_died_is_cut_too():
    class Dies(AtOnce):
        def submit(self, fn, /, task):
            if task.attempt == 1:
                future = Future()
                future.set_exception(RuntimeError("y" * LONG))
                return future
            return super().submit(fn, task)

    ran = study("dies", executor=Dies(), n_trials=2).run()
    assert [trial.deaths for trial in ran.trials] == [1, 1]
    assert max(map(len, rows("dies"))) < 8000
    assert all(json.loads(text) for text in rows("dies"))
