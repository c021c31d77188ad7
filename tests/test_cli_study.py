"""`burr-lightning study`, on studies that really ran, that run, and whose process was killed."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from at_work import CLI, DEADLINE, Lines
from click.testing import CliRunner
from studies import SPACE, all_fail, fails_at_2, search

from burr_lightning import Run
from burr_lightning.cli import main
from burr_lightning.errors import IsAStudyError
from burr_lightning.tuning import Study

COMMANDS = ["show", "best", "watch", "plot"]


def call(*arguments, code=0, width=None):
    env = {"COLUMNS": None if width is None else str(width), "NO_COLOR": "1"}
    done = CliRunner().invoke(main, ["study", *map(str, arguments)], env=env)
    assert done.exit_code == code, done.output + repr(done.exception)
    assert "Traceback" not in done.output or "--json" in arguments
    return done


def said(*arguments, **options):
    return call(*arguments, **options).stdout


def facts(*arguments):
    text = said(*arguments, "--json")
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def fields(text):
    """The labels of a page, each with its value, as they stand before the first empty line."""
    found, label = {}, ""
    for line in text.split("\n\n")[0].split("\nrunning trials")[0].split("\nlast events")[0].splitlines():
        label = line[:17].strip() or label
        found[label] = f"{found.get(label, '')} {line[17:]}".strip()
    return found


def table(text):
    """The rows of a table, by the trial's number."""
    rows = text.split("\n\n")[1].splitlines()[1:]
    return {int(row.split()[0]): row for row in rows if row.split()[0].isdigit() and " more, " not in row}


@contextmanager
def stopped_at(number, **options):
    """A study that runs in a thread of this process, and waits inside a trial while it is looked at."""
    there, on = threading.Event(), threading.Event()

    def objective(trial):
        if trial.number == number:
            there.set()
            assert on.wait(DEADLINE)
        return float(trial.number)

    study = search("live", objective, **options)
    with ThreadPoolExecutor(1) as pool:
        ran = pool.submit(study.run)
        try:
            assert there.wait(DEADLINE)
            yield
        finally:
            on.set()
            ran.result(DEADLINE)


SCRIPT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from optuna.distributions import FloatDistribution
from burr_lightning.tuning import Study

def objective(trial):
    print("trial", trial.number, flush=True)
    with open(sys.argv[1]) as gate:
        gate.read(1)
    return float(trial.number)

if __name__ == "__main__":
    space = {"x": FloatDistribution(0.0, 1.0)}
    Study(objective, space, n_trials=3, run_id="apart", executor=ThreadPoolExecutor(1), tracker=False).run()
"""


class Apart(Lines):
    """A study in a process of its own, whose trials each wait to be let on."""

    def __init__(self, tmp_path):
        script, gate = tmp_path / "script.py", tmp_path / "gate"
        script.write_text(SCRIPT)
        os.mkfifo(gate)
        self.gate = gate
        self.process = subprocess.Popen([sys.executable, script, gate], stdout=subprocess.PIPE)
        super().__init__(self.process.stdout.fileno())

    def let_on(self):
        with open(self.gate, "w") as gate:
            gate.write("\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.process.stdout.close()


class Watching(Lines):
    """`burr-lightning study watch` as a process whose output goes into a pipe."""

    def __init__(self, *arguments):
        command = [*CLI, "study", "watch", *arguments, "--every", "0.1"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        super().__init__(self.process.stdout.fileno())

    def rest(self):
        """The exit code, and all that it has written."""
        while read := os.read(self._descriptor, 65536):
            self._rest += read
        return self.process.wait(DEADLINE), "\n".join([*self.seen, self._rest.decode()])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.process.stdout.close()


class TestList:
    def test_an_empty_store(self, own_home):
        assert said("list").splitlines() == [
            f"No studies in {own_home / 'runs'}.",
            "Look elsewhere: --root-dir DIR, or BURR_LIGHTNING_HOME in the environment.",
        ]
        assert facts("list") == []
        assert not (own_home / "runs").exists()

    def test_the_newest_first_and_those_of_a_project_alone(self):
        search("old").run()
        search("new", fails_at_2, project="other", n_trials=3).run()
        lines = said("list").splitlines()
        assert [line.split()[0] for line in lines] == ["study", "new", "old"]
        assert re.match(r"new +other +finished +3/3 +value \(min\) +0 \(trial 0\)", lines[1])
        assert [study["study_id"] for study in facts("list", "--project", "other")] == ["new"]
        assert "No studies of project 'none'" in said("list", "--project", "none")

    def test_a_study_whose_rows_cannot_be_read_hides_no_other(self, own_home):
        search("whole", root_dir=own_home / "runs").run()
        search("torn", persister=f"sqlite:///{own_home}/torn.sqlite").run()
        (own_home / "torn.sqlite").write_bytes(b"nothing of the kind" * 100)
        done = call("list")
        assert "whole" in done.stdout
        assert "torn" not in done.stdout
        assert "lightning/torn cannot be read: " in done.stderr


class TestShow:
    def test_how_it_stands_and_every_trial(self):
        study = search(fn=fails_at_2, n_trials=4).run()
        text = said("show", "sea")
        found = fields(text)
        assert found["status"] == "finished"
        assert found["trials"] == "4 of 4 over: 3 finished, 1 failed"
        assert found["best"] == "0 (trial 0)"
        assert found["why it stopped"] == "n_trials=4: so many trials are over"
        rows = table(text)
        assert list(rows) == [0, 1, 2, 3]
        kind, lr = study.trials[0].params["kind"], study.trials[0].params["lr"]
        assert re.match(rf" +0 +finished +0 +{lr:.4g} .* {kind} .* search-0 +1 +[\d.]+m?s$", rows[0])
        assert rows[2].endswith("ZeroDivisionError: no data at all")

    def test_json_has_all_of_it(self):
        search(fn=fails_at_2, n_trials=30).run()
        shown = facts("show", "search")
        assert (shown["status"], shown["n_trials"], len(shown["shown"])) == ("finished", 30, 30)
        assert shown["trials"] == {"finished": 29, "pruned": 0, "failed": 1, "running": 0, "waiting": 0}
        assert shown["shown"][2]["reason"].startswith("Traceback ")
        assert shown["shown"][3]["values"] == [3.0]
        assert set(shown["shown"][3]["params"]) == set(SPACE)
        assert [trial["trial"] for trial in shown["best"]] == [0]

    def test_of_many_trials_the_newest_or_the_best_or_all(self):
        search(fn=lambda trial: abs(trial.number - 10.0), n_trials=25).run()
        text = said("show", "search")
        assert list(table(text)) == list(range(5, 25))
        assert text.splitlines()[-1] == "5 more, of 25: --newest N, --best N, or --all."
        assert list(table(said("show", "search", "--newest", 3))) == [22, 23, 24]
        assert list(table(said("show", "search", "--best", 3))) == [10, 9, 11]
        assert list(table(said("show", "search", "--all"))) == list(range(25))
        assert [trial["trial"] for trial in facts("show", "search", "--best", 2)["shown"]] == [10, 9]

    def test_the_best_are_the_highest_where_it_is_to_be_high(self):
        search(fn=lambda trial: float(trial.number), direction="max").run()
        assert list(table(said("show", "search", "--best", 2))) == [5, 4]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--best", 1, "--newest", 1], "--newest, --best and --all exclude each other"),
            (["--all", "--newest", 1], "--newest, --best and --all exclude each other"),
            (["--best", 0], "0 is not in the range x>=1"),
        ],
    )
    def test_options_that_exclude_each_other(self, options, message):
        search().run()
        assert message in call("show", "search", *options, code=2).stderr

    def test_where_there_is_no_room_for_a_column_per_parameter_one_has_them_all(self):
        search().run()
        wide, narrow = (said("show", "search", width=width).splitlines() for width in (200, 80))
        heads = [next(line for line in lines if line.startswith("trial ")) for lines in (wide, narrow)]
        assert heads[0].split()[3:6] == ["lr", "width", "dropout"]
        assert heads[1].split()[3] == "parameters"
        assert max(map(len, narrow)) <= 80

    def test_several_directions(self):
        search(fn=lambda trial: (1.0, trial.number), direction=["min", "max"], n_trials=2).run()
        text = said("show", "search")
        assert fields(text)["looks for"] == "value 0 (min), value 1 (max)"
        assert fields(text)["best"] == "1 that no other one beats"
        assert "1, 0" in table(text)[0]
        refused = call("show", "search", "--best", 1, code=2).stderr
        assert "--best ranks trials by one value, and search has 2" in refused

    def test_a_study_that_runs(self):
        with stopped_at(2):
            text, shown = said("show", "live"), facts("show", "live")
        assert fields(text)["status"].startswith(f"running, process {os.getpid()} on ")
        assert fields(text)["trials"] == "2 of 6 over: 2 finished, 1 running"
        assert [trial["status"] for trial in shown["shown"]] == ["finished", "finished", "running"]
        assert "why it stopped" not in fields(text)

    def test_a_study_whose_process_was_killed(self, tmp_path):
        with Apart(tmp_path) as study:
            study.until("trial 0")
            study.let_on()
            study.until("trial 1")
        text = said("show", "apart")
        assert fields(text)["status"] == "interrupted"
        assert fields(text)["trials"] == "1 of 3 over: 1 finished, 1 waiting"


class TestBest:
    def test_what_is_the_best(self):
        best = search().run().best
        lines = fields(said("best", "latest"))
        assert lines["trial"] == f"{best.number} of search"
        assert lines["value (min)"] == f"{best.value:.4g}"
        assert lines["lr"] == str(best.params["lr"])
        assert lines["run"] == f"search-{best.number}"
        [told] = facts("best", "latest")["best"]
        assert (told["trial"], told["values"], told["params"]) == (
            best.number,
            [best.value],
            dict(best.params),
        )

    def test_several_directions_have_several(self):
        search(fn=lambda trial: (trial.number, trial.number), direction=["min", "max"], n_trials=3).run()
        assert [trial["trial"] for trial in facts("best", "search")["best"]] == [0, 1, 2]
        assert said("best", "search").count("of search") == 3

    def test_without_a_finished_trial_it_says_so_and_has_a_code(self):
        all_fail(trials=2)
        done = call("best", "search", code=1)
        assert done.stdout == ""
        assert "No trial of search has finished with a value yet, of 2 that were suggested." in done.stderr
        assert "burr-lightning study show search" in done.stderr


def test_a_study_that_is_taken_for_a_run_is_called_one():
    search(run_id="searched").run()
    with pytest.raises(IsAStudyError, match=r"'searched' in .* is a study, and no run"):
        Run.open("searched")
    done = CliRunner().invoke(main, ["show", "searched"])
    assert done.exit_code == 1
    assert "burr-lightning study show searched --project lightning --root-dir" in done.output


class TestWatch:
    def test_once(self):
        with stopped_at(3, parallel=2, executor=ThreadPoolExecutor(2), n_trials=8):
            while facts("show", "live")["trials"]["finished"] < 7:
                pass
            text, told = said("watch", "live", "--once"), facts("watch", "live")
        found = fields(text)
        assert found["trials"] == "7 of 8 over: 7 finished, 1 running"
        assert re.fullmatch(r"at most \S+, to n_trials=8 \(\S+ per trial\)", found["time left"])
        assert found["best"].startswith("0 (trial 0)")
        assert f"{'━' * 26}{'╌' * 4}" in text
        assert re.search(r"^running trials\n +3  –  ", text, re.MULTILINE)
        assert re.search(r"^\d\d:\d\d:\d\d  trial 0, the best so far: 0$", text, re.MULTILINE) is None
        assert "trial 7: 7" in text
        assert [trial["trial"] for trial in told["shown"]] == [3]
        assert told["seconds_left"] >= 0
        assert told["events"][-1] == {
            "at": told["events"][-1]["at"],
            "kind": "finished",
            "text": "trial 7: 7",
        }

    def test_what_running_trials_reported(self, make_trainer):
        from burr_lightning.testing import ScriptedModule, scripted_loader

        there, on = threading.Event(), threading.Event()

        class Waits(ScriptedModule):
            def on_train_epoch_start(self):
                if self.current_epoch == 2:
                    there.set()
                    assert on.wait(DEADLINE)

        def objective(trial):
            module = Waits(val_loss=[0.5, 0.25, 0.75])
            loaders = [scripted_loader(), scripted_loader()]
            make_trainer(trial.callback(), max_epochs=3).fit(module, *loaders)

        study = search("live", objective, monitor="val_loss", n_trials=1)
        with ThreadPoolExecutor(1) as pool:
            ran = pool.submit(study.run)
            assert there.wait(DEADLINE)
            text, shown = said("watch", "live", "--once"), said("show", "live")
            on.set()
            ran.result(DEADLINE)
        assert re.search(r"^ +0  epoch 1, val_loss 0.25  \(", text, re.MULTILINE)
        assert "0.25 at epoch 1" in shown
        assert "epoch 1, val_loss" not in said("watch", "live", "--once")

    def test_a_picture_for_each_thing_that_happens_until_it_ends(self, tmp_path):
        with Apart(tmp_path) as study:
            study.until("trial 0")
            with Watching("apart") as watching:
                watching.until("0 of 3 over: 1 running")
                study.let_on()
                watching.until("1 of 3 over: 1 finished, 1 running")
                study.let_on()
                study.until("trial 2")
                study.let_on()
                code, text = watching.rest()
        assert code == 0
        assert "\x1b" not in text
        last = fields(text.strip().split("\n\n")[-1])
        assert last["status"] == "finished"
        assert last["why it stopped"] == "n_trials=3: so many trials are over"

    def test_one_whose_process_dies_has_a_code(self, tmp_path):
        with Apart(tmp_path) as study:
            study.until("trial 0")
            with Watching("apart") as watching:
                watching.until("1 running")
                study.process.send_signal(signal.SIGKILL)
                code, text = watching.rest()
        assert code == 1
        assert fields(text.strip().split("\n\n")[-1])["status"] == "interrupted"

    @pytest.mark.long
    def test_ctrl_c_ends_the_watching_and_not_the_study(self, tmp_path):
        with Apart(tmp_path) as study:
            study.until("trial 0")
            with Watching("apart") as watching:
                watching.until("1 running")
                watching.process.send_signal(signal.SIGINT)
                code, text = watching.rest()
            assert (code, "Traceback" in text) == (130, False)
            for number in range(3):
                study.until(f"trial {number}")
                study.let_on()
            assert study.process.wait(DEADLINE) == 0

    @pytest.mark.parametrize("width", [40, 80, 140])
    def test_no_line_is_wider_than_the_terminal(self, width):
        search("a-long-name_" * 6, fails_at_2).run()
        assert max(map(len, said("watch", "latest", "--once", width=width).splitlines())) <= width

    def test_trials_that_failed_or_were_lost(self):
        class Dies(ThreadPoolExecutor):
            def submit(self, fn, /, task):
                if (task.number, task.attempt) == (1, 1):
                    return super().submit(lambda: 1 / 0)
                return super().submit(fn, task)

        search(fn=fails_at_2, executor=Dies(1), n_trials=3).run()
        text = said("watch", "search", "--once")
        assert re.search(
            r"^[\d:]+ +trial 1 waits again: ZeroDivisionError: division by zero$", text, re.MULTILINE
        )
        assert re.search(r"  trial 1 was begun.*, attempt 2$", text, re.MULTILINE)
        assert re.search(r"  trial 2 failed: ZeroDivisionError: no data at all$", text, re.MULTILINE)


class TestPlot:
    @pytest.mark.parametrize("kind", ["history", "parallel", "slices", "importance", "workers"])
    def test_every_kind(self, kind):
        search().run()
        assert said("plot", "latest", "--kind", kind) == f"Drawn: search-{kind}.png\n"
        assert Path(f"search-{kind}.png").read_bytes().startswith(b"\x89PNG")

    def test_where_it_is_to_be(self):
        search().run()
        assert said("plot", "search", "--out", "a.svg") == "Drawn: a.svg\n"
        assert "the best so far" in Path("a.svg").read_text()

    def test_while_it_runs(self):
        with stopped_at(2):
            said("plot", "live", "--kind", "workers")
        assert Path("live-workers.png").exists()

    @pytest.mark.parametrize(
        ("options", "code", "message"),
        [
            (
                ["--out", "a.gif"],
                1,
                "burr-lightning study plot --out a.gif: a picture is a file that ends in",
            ),
            (["--out", "nowhere/a.png"], 1, "there is no folder"),
            (["--kind", "curves"], 2, "'curves' is not one of"),
            (["--kind", "importance"], 1, "needs two of them: 1 of 1 has"),
        ],
    )
    def test_what_cannot_be_drawn_is_said_on_one_line(self, options, code, message):
        search(n_trials=1).run()
        assert message in " ".join(call("plot", "search", *options, code=code).stderr.split())


@pytest.mark.parametrize("command", COMMANDS)
class TestEach:
    def test_an_unknown_study(self, command):
        search().run()
        done = call(command, "nothing", code=1)
        assert done.stderr.count("\n") == 1
        assert "No study matches 'nothing' in" in done.stderr
        assert "Studies there: lightning/search." in done.stderr

    def test_an_empty_store(self, command):
        assert "Studies there: none." in call(command, "latest", code=1).stderr

    def test_a_beginning_that_several_have(self, command):
        search("one-a").run()
        search("one-b").run()
        assert "'one' may mean lightning/one-a, lightning/one-b" in call(command, "one", code=1).stderr

    def test_rows_that_cannot_be_read(self, command, own_home):
        search().run()
        (own_home / "runs/state.sqlite").write_bytes(b"nothing of the kind" * 100)
        done = call(command, "search", code=1)
        assert "state.sqlite" in done.stderr
        assert done.stdout == ""

    def test_without_optuna_it_is_said_what_to_install(self, command):
        code = (
            "import sys; sys.modules['optuna'] = None\n"
            "from burr_lightning.cli import main; main(prog_name='burr-lightning')"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "study", command, "a"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr == (
            f"Error: burr-lightning study {command}: this needs the package optuna: "
            "pip install 'burr-lightning[tune]'.\n"
        )


def test_to_look_at_a_study_takes_neither_torch_nor_lightning():
    search(n_trials=2).run()
    code = (
        "import sys\n"
        "sys.modules.update({'torch': None, 'lightning': None})\n"
        "from burr_lightning.cli import main\n"
        "for words in ('list', 'show search', 'best search', 'watch search --once', 'delete search --yes'):\n"
        "    main(['study', *words.split()], standalone_mode=False)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert facts("list") == []


def test_a_study_beside_its_trials_and_nothing_is_written(own_home):
    search(n_trials=2).run()
    before = sorted(own_home.rglob("*"))
    for arguments in (["list"], ["show", "search"], ["best", "search"], ["watch", "search", "--once"]):
        said(*arguments)
    assert sorted(own_home.rglob("*")) == before


def test_rows_in_a_persister_that_the_script_opened_are_said_to_be_there(own_home):
    from burr.core.persistence import SQLitePersister

    any_thread = {"check_same_thread": False}  # that of the garbage collector closes it
    persister = SQLitePersister(str(own_home / "own.sqlite"), connect_kwargs=any_thread)
    persister.initialize()
    search("own", persister=persister).run()
    assert "its rows are in a SQLitePersister that its script opened" in call("show", "own", code=1).stderr


def test_json_of_all_of_them_has_the_same_identity():
    Study(
        lambda trial: 1.0, SPACE, run_id="a", n_trials=2, executor=ThreadPoolExecutor(1), tracker=False
    ).run()
    told = [facts("list")[0], facts("show", "a"), facts("best", "a"), facts("watch", "a")]
    assert {(each["study_id"], each["project"], tuple(each["directions"])) for each in told} == {
        ("a", "lightning", ("min",))
    }


def test_ids_are_completed():
    search("search-a").run()
    search("other").run()
    env = {**os.environ, "_BURR_LIGHTNING_COMPLETE": "bash_complete", "COMP_CWORD": "3"}
    env["COMP_WORDS"] = "burr-lightning study show sea"
    done = subprocess.run(CLI, env=env, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["plain,search-a"], "")
