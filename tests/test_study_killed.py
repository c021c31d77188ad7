"""A search whose processes are killed goes on as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from script_processes import ScriptProcess

from burr_lightning import Run
from burr_lightning.tuning import Study

SEARCH = Path(__file__).with_name("searched.py")
UNDISTURBED = {"attempts": 1, "deaths": 0}
NEVER = (-1, 0)


def surroundings(folder):
    return {**os.environ, "BURR_LIGHTNING_HOME": str(folder), "HOME": str(folder / "home")}


def searching(folder, held=NEVER):
    """The search in a process group of its own, which is gone at the end."""
    return ScriptProcess(SEARCH, *held, environment=surroundings(folder), log=folder / "said.txt")


def until_held(process):
    """Wait until the trial that is to be held says where it runs."""
    for line in process.stdout:
        if line.startswith("held "):
            return int(line.split()[1])
    raise AssertionError("the search has ended")


def results(process):
    found = json.loads(process.stdout.read().splitlines()[-1])
    assert process.wait() == 0
    return found


def searched(folder):
    with searching(folder) as process:
        return results(process)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("undisturbed"))


def same(found, undisturbed):
    """Every trial tried the same, and trained the same, to the last bit."""
    assert [each["result"] for each in found] == [each["result"] for each in undisturbed]
    assert [each["ending"] for each in found] == [each["ending"] for each in undisturbed]


def test_what_is_not_disturbed_is_tried_once(undisturbed):
    assert [each["result"]["status"] for each in undisturbed] == ["finished"] * 4
    assert [{**each["tries"], "place": None} for each in undisturbed] == [{**UNDISTURBED, "place": None}] * 4
    assert {each["tries"]["place"] for each in undisturbed} == {"slot 0", "slot 1"}


def test_a_trial_whose_process_is_killed_is_begun_again_in_the_same_study(tmp_path, undisturbed):
    with searching(tmp_path, (1, 1)) as process:
        os.kill(until_held(process), signal.SIGKILL)
        found = results(process)
    same(found, undisturbed)
    assert [each["tries"]["attempts"] for each in found] == [1, 2, 1, 1]
    assert [each["tries"]["deaths"] for each in found] == [0, 1, 0, 0]


def test_a_study_that_is_killed_goes_on_with_its_trials(tmp_path, undisturbed):
    with searching(tmp_path, (2, 1)) as process:
        until_held(process)
        process.kill()
    stored = Study.open("search", root_dir=tmp_path)
    assert stored.trials[2].status in ("waiting", "running")
    found = searched(tmp_path)
    same(found, undisturbed)
    assert [each["tries"]["deaths"] for each in found] == [0] * 4


HOW = {
    "SIGTERM": (signal.SIGTERM, os.kill, 128 + signal.SIGTERM),
    "Ctrl-C": (signal.SIGINT, os.killpg, -signal.SIGINT),
    "a closed terminal": (signal.SIGHUP, os.killpg, 128 + signal.SIGHUP),
}


@pytest.mark.parametrize(
    "how", ["SIGTERM", pytest.param("Ctrl-C", marks=pytest.mark.long), "a closed terminal"]
)
def test_a_study_that_is_asked_to_end_has_its_trials_commit(how, tmp_path, undisturbed):
    with searching(tmp_path, (1, 2)) as process:
        until_held(process)
        number, send, code = HOW[how]
        send(process.pid, number)
        assert process.wait() == code
    trial = Study.open("search", root_dir=tmp_path).trials[1]
    assert (trial.status, trial.reason, trial.deaths) == ("waiting", "the study was interrupted", 0)
    run = Run.open(trial.run_id, root_dir=tmp_path)
    assert (run.status, run.epoch) == ("interrupted", 1)
    assert run.error.startswith("SIGTERMException")  # its process was not simply gone
    found = searched(tmp_path)
    same(found, undisturbed)
    assert found[1]["tries"]["attempts"] == 2
    assert found[1]["tries"]["deaths"] == 0


def test_a_closed_terminal_does_not_end_a_study_that_is_not_to_hear_of_it(tmp_path):
    command = ["nohup", sys.executable, str(SEARCH), "1", "2"]
    pipe = {"stdout": subprocess.PIPE, "text": True, "env": surroundings(tmp_path)}
    with subprocess.Popen(command, start_new_session=True, **pipe) as process:
        try:
            until_held(process)
            os.killpg(process.pid, signal.SIGHUP)
            process.terminate()
            assert process.wait() == 128 + signal.SIGTERM
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    stored = Study.open("search", root_dir=tmp_path)
    assert (stored.state["interrupted"], stored.trials[1].deaths) == ("SIGTERM", 0)
