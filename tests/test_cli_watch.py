"""`burr-lightning watch`, on runs that train in another process, step by step."""

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from at_work import CLI, DEADLINE, Lines
from burr.core import State
from burr.core.persistence import SQLitePersister
from burr.tracking import LocalTrackingClient
from click.testing import CliRunner
from stepped import CAN_MOUNT, SteppedTraining, where_it_is_read_only

from burr_lightning import BurrCallback, Run
from burr_lightning.cli import main
from burr_lightning.cli.events import Event, newest
from burr_lightning.cli.following import FollowedRun
from burr_lightning.layout import RunFolder, RunInfo
from burr_lightning.rows import StateRows
from burr_lightning.state import PhaseReport, initial_state, recorded
from burr_lightning.testing import ScriptedModule, scripted_loader


def fit(make_trainer, max_epochs=3, run_id="a", **options):
    burr = BurrCallback(run_id, **{"monitor": "val_loss", **options})
    module = ScriptedModule(val_loss=[0.5, 0.25, 0.75])
    make_trainer(burr, max_epochs=max_epochs).fit(module, scripted_loader(), scripted_loader())


def once(*arguments, width=80, code=0):
    """The fields, and the lines below them, of one picture."""
    env = {"COLUMNS": str(width), "FORCE_COLOR": None, "NO_COLOR": None}
    done = CliRunner().invoke(main, ["watch", *map(str, arguments), "--once"], env=env)
    assert done.exit_code == code, done.output + repr(done.exception)
    assert done.stderr == "" or code
    return fields(done.stdout), done.stdout.splitlines()


def fields(text):
    found, label = {}, ""
    for line in text.split("\nlast events")[0].splitlines():
        if "┤" in line or "│" in line or "└" in line:
            break
        label = line[:17].strip() or label
        found[label] = f"{found.get(label, '')} {line[17:]}".strip()
    return found


def facts(*arguments):
    done = CliRunner().invoke(main, ["watch", *map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


class Watching(Lines):
    """`burr-lightning watch` as a process whose output goes into a pipe."""

    def __init__(self, *arguments, **options):
        command = [*CLI, "watch", *map(str, arguments), "--every", "0.1"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        super().__init__(self.process.stdout.fileno())

    def rest(self):
        """The exit code, and all that it has written."""
        while read := os.read(self._descriptor, 65536):
            self._rest += read
        text = "\n".join([*self.seen, self._rest.decode()])
        return self.process.wait(DEADLINE), text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.process.stdout.close()


class TestOnce:
    def test_a_run_in_the_middle_of_an_epoch(self):
        with SteppedTraining("a", 5) as training:
            training.go_to(2, 3)
            shown, lines = once("a")
            told = facts("latest")
        assert shown["run"] == "a, project lightning"
        assert re.fullmatch(rf"running, process {training.pid} on \S+, since .*", shown["status"])
        assert shown["epoch"] == "1 (2 of 5 have ended), global step 8"
        # Burr gives a batch out when the next one is over: of those before the fourth, the second.
        assert re.fullmatch(r"train_epoch, since [\d:]{8} \(.*\), batch 2 of 4", shown["now"])
        assert re.fullmatch(r"[\d.e+]+ batches/s, \S+ per epoch", shown["pace"])
        assert re.fullmatch(r"at most \S+.*, to max_epochs=5", shown["time left"])
        assert shown["best epoch"] == "1, val_loss 0.25"
        assert shown["metrics"] == "val_loss=0.25"
        assert any("⢕⢕ val_loss" in line for line in lines)
        events = [line[10:] for line in lines[lines.index("last events") + 1 :]]
        assert events == [
            "process_data",
            "epoch 0, the best so far: val_loss=0.5",
            "epoch 1, the best so far: val_loss=0.25",
        ]
        assert max(map(len, lines)) <= 80
        assert (told["status"], told["action"], told["batch"]) == ("running", "train_epoch", 1)
        assert told["limits"] == {"max_epochs": 5, "max_steps": None, "max_time": None}
        assert told["pace"]["counted_in"] is None
        assert told["pace"]["batches_per_second"] > 0
        assert 0 <= told["pace"]["seconds_left"] <= 3 * told["pace"]["seconds_per_epoch"]
        assert datetime.fromisoformat(told["since"]).tzinfo is not None
        assert [event["kind"] for event in told["events"]] == ["action", "best", "best"]

    def test_before_the_first_epoch_has_ended(self):
        with SteppedTraining("a", 5):
            shown, _ = once("a")
        assert shown["epoch"] == "none has ended of 5"
        assert shown["now"].startswith("train_epoch, since")
        assert shown["pace"] == "–"
        assert shown["time left"] == "unknown: no epoch has ended yet"

    def test_without_a_limit_no_time_is_made_up(self):
        with SteppedTraining("a", -1) as training:
            training.go_to(1, 0)
            shown, _ = once("a")
        assert shown["epoch"] == "0 (1 have ended), global step 4"
        assert shown["time left"].startswith("unknown: Lightning has no limit here")

    def test_a_run_that_no_tracker_records(self):
        with SteppedTraining("a", 5, "tracker=False") as training:
            training.go_to(2, 1)
            shown, lines = once("a")
        assert shown["now"] == "– (Burr's local tracker did not record this run)"
        assert shown["epoch"] == "1 (2 of 5 have ended), global step 8"
        assert re.fullmatch(r"\S+ per epoch", shown["pace"])
        assert shown["time left"].endswith("to max_epochs=5")
        assert "last events" not in lines

    def test_a_tracker_of_the_users_own_tells_no_batch(self):
        own = "tracker=__import__('burr.tracking').tracking.LocalTrackingClient('lightning')"
        with SteppedTraining("a", 5, own) as training:
            training.go_to(1, 2)
            shown, _ = once("a")
        assert re.fullmatch(r"train_epoch, since [\d:]{8} \(\S+\)", shown["now"])
        assert re.fullmatch(r"[\d.e+]+ batches/s \(in the last train_epoch\), .*", shown["pace"])

    def test_a_finished_run(self, make_trainer):
        fit(make_trainer)
        shown, lines = once("a")
        assert shown["status"] == "finished"
        assert shown["why it stopped"] == "max_epochs=3 was reached"
        assert "now" not in shown
        assert "time left" not in shown
        assert "best_model: best.epoch=1, best.value=0.25" in lines[-1]

    def test_a_run_whose_rows_are_gone(self, make_trainer, own_home):
        fit(make_trainer, tracker=False)
        (own_home / "runs/state.sqlite").unlink()
        shown, _ = once("a")
        assert shown["epoch"] == "none has ended of 3"

    def test_a_damaged_row_is_told_and_the_one_before_it_is_shown(self, make_trainer, own_home):
        fit(make_trainer)
        with sqlite3.connect(own_home / "runs/state.sqlite") as database:
            newest_row = "(SELECT max(sequence_id) FROM burr_state)"
            database.execute(f"UPDATE burr_state SET state = '{{' WHERE sequence_id = {newest_row}")
        shown, _ = once("a")
        assert "is damaged" in shown["not readable"]
        assert shown["best epoch"] == "1, val_loss 0.25"

    @pytest.mark.parametrize("store", ["empty", "filled"])
    def test_a_run_that_does_not_exist(self, make_trainer, store):
        if store == "filled":
            fit(make_trainer, max_epochs=1)
        done = CliRunner().invoke(main, ["watch", "nothing"])
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "No run matches 'nothing'" in done.stderr

    @pytest.mark.skipif(not CAN_MOUNT, reason="folders cannot be mounted here")
    def test_where_nothing_can_be_written(self, own_home):
        with SteppedTraining("a", 5) as training:
            training.go_to(1, 0)
            command = where_it_is_read_only(own_home, [*CLI, "watch", "a", "--once"])
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "0 (1 of 5 have ended), global step 4" in done.stdout

    @pytest.mark.parametrize("width", [40, 80, 140])
    def test_no_line_is_wider_than_the_terminal(self, make_trainer, width):
        fit(make_trainer, run_id="a-long-name_" * 6)
        _, lines = once("latest", width=width)
        assert max(map(len, lines)) <= width


class TestUntilItEnds:
    def test_a_picture_for_each_thing_that_happens_and_no_control_characters(self):
        with SteppedTraining("a", 2) as training, Watching("a") as watching:
            watching.until("none has ended of 2")
            training.go_to(1, 0)
            watching.until("0 (1 of 2 have ended)")
            assert training.go_to_end() == 0
            code, text = watching.rest()
        assert code == 0
        frames = text.strip().split("\n\n")
        assert "\x1b" not in text
        assert "┤" in frames[-1]
        assert not any("┤" in frame for frame in frames[:-1])
        ends = fields(frames[-1])
        assert (ends["status"], ends["why it stopped"]) == ("finished", "max_epochs=2 was reached")
        assert ends["epoch"] == "1 (2 of 2 have ended), global step 8"

    def test_nothing_is_written_while_nothing_happens(self, monkeypatch):
        looks, look = [], FollowedRun.look

        def counted(followed):
            looks.append(followed)
            if len(looks) == 10:
                training.kill()
            return look(followed)

        monkeypatch.setattr(FollowedRun, "look", counted)
        with SteppedTraining("a", 2) as training:
            done = CliRunner().invoke(main, ["watch", "a", "--every", "0.1"])
        assert (done.exit_code, done.stdout.count("run  ")) == (1, 2), done.output
        assert len(looks) == 11  # the last one after it has ended

    def test_a_killed_run_was_interrupted(self):
        with SteppedTraining("a", 2) as training, Watching("a") as watching:
            watching.until("running")
            training.kill()
            code, text = watching.rest()
        assert code == 1
        assert fields(text.strip().split("\n\n")[-1])["status"] == "interrupted"

    def test_a_failed_run_says_with_what(self):
        with SteppedTraining("a", 2) as training, Watching("a") as watching:
            watching.until("running")
            assert training.fail() != 0
            code, text = watching.rest()
        assert code == 1
        last = text.strip().split("\n\n")[-1]
        assert fields(last)["status"] == "failed"
        assert fields(last)["error"] == "RuntimeError: as it was told [red]to[/red]"
        assert "train_epoch failed" in last

    def test_a_run_that_waits_for_an_answer(self):
        with SteppedTraining("a", 4, "review_when=after(2)") as training, Watching("a") as watching:
            watching.until("running")
            assert training.go_to_end() == 0
            code, text = watching.rest()
        assert code == 3
        last = text.strip().split("\n\n")[-1]
        assert fields(last)["status"] == "paused"
        assert fields(last)["it asks"].endswith("burr-lightning review a")
        assert "review asks: " in last

    def test_a_process_that_waits_in_place_is_watched_on(self):
        wait = "wait='block'"
        with SteppedTraining("a", 4, "review_when=after(2)", wait) as training, Watching("a") as watching:
            training.go_to(1, 3)
            training._let_on()
            watching.until("it asks")
            Run.open("a").answer("go")
            watching.until("answers: verdict=go")
            assert training.go_to_end() == 0
            code, text = watching.rest()
        assert code == 0
        assert fields(text.strip().split("\n\n")[-1])["status"] == "finished"

    def test_ctrl_c_ends_the_watching_and_not_the_run(self):
        with SteppedTraining("a", 2) as training:
            with Watching("a") as watching:
                watching.until("running")
                watching.process.send_signal(signal.SIGINT)
                code, text = watching.rest()
            assert code == 130
            assert "Traceback" not in text
            assert training.go_to_end() == 0
        assert Run.open("a").status == "finished"

    def test_a_run_that_is_deleted_meanwhile(self, own_home):
        with SteppedTraining("a", 2), Watching("a") as watching:
            watching.until("running")
            (own_home / "runs/lightning/a/run.json").unlink()
            code, text = watching.rest()
        assert code == 1
        assert "The run was deleted meanwhile" in text


class Terminal(Lines):
    """`burr-lightning watch` at a terminal of its own."""

    def __init__(self, *arguments, **environment):
        ours, theirs = pty.openpty()
        names = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
        env = {**names, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **environment}
        command = [*CLI, "watch", *arguments, "--every", "0.1"]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
        os.close(theirs)
        super().__init__(ours)

    def rest(self):
        try:
            while read := os.read(self._descriptor, 65536):
                self._rest += read  # decoded at the end: what is read may end within a sign
        except OSError:  # its end
            pass
        text = "\n".join([*self.seen, self._rest.decode(errors="replace")])
        os.close(self._descriptor)
        return self.process.wait(DEADLINE), text


HIDES, SHOWS = "\x1b[?25l", "\x1b[?25h"


class TestTerminal:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_it_is_drawn_over_and_left_as_it_was(self, number):
        with SteppedTraining("a", 4) as training:
            terminal = Terminal("a")
            training.go_to(2, 0)
            terminal.until("1 (2 of 4 have ended)")
            terminal.process.send_signal(number)
            code, text = terminal.rest()
        assert code == (130 if number == signal.SIGINT else 143)
        assert text.count(HIDES) == text.count(SHOWS) == 1
        assert text.rindex(SHOWS) > text.rindex(HIDES)
        up = re.findall(r"\x1b\[1A", text)
        assert up, "no picture was drawn over the one before"
        assert "\x1b[36m" in text

    def test_a_picture_fits_into_the_terminal(self, make_trainer):
        fit(make_trainer, max_epochs=12)
        code, text = Terminal("a").rest()
        assert code == 0
        last = re.split(r"(?=\x1b\[1mrun )", text)[-1]
        plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", last).strip().splitlines()
        assert len(plain) <= 23
        assert max(map(len, plain)) <= 80
        assert any("⢕" in line for line in plain)
        assert "last events" in plain

    def test_no_color(self, make_trainer):
        fit(make_trainer)
        _, text = Terminal("a", NO_COLOR="1").rest()
        assert not re.findall(r"\x1b\[[\d;]*3\d", text)
        assert not re.findall(r"\x1b\[9\d", text)


class TestCost:
    """What a look reads does not depend on how long the run is."""

    def bytes_of_a_look(self, tmp_path, epochs):
        root = tmp_path / str(epochs)
        root.mkdir()
        tracker = Path(LocalTrackingClient("lightning").storage_dir) / str(epochs)
        tracker.mkdir(parents=True)
        folder = RunFolder(root, "lightning", "a")
        folder.create()
        folder.write_info(RunInfo("a", "lightning", "val_loss", str(tracker), 0.0))
        persister = SQLitePersister(str(root / "state.sqlite"))
        persister.initialize()
        rows, state = StateRows(persister, "lightning", "a"), State(initial_state({}, "val_loss", None))
        followed = None
        for epoch in range(epochs):
            report = PhaseReport(
                epoch, 0, 9, epoch, {"val_loss": 1 / (epoch + 1)}, ends_epoch=True, seconds=epoch
            )
            state = recorded(state, report)
            rows.save(epoch, "train_epoch", state)
            self.write(tracker, epoch, state)
            if epoch == epochs - 2:
                persister.connection.execute("PRAGMA wal_checkpoint")
                followed = FollowedRun(Run.open("a", root_dir=root), None)
                followed.look()
        before = self.bytes_read()
        look = followed.look()
        read = self.bytes_read() - before
        assert len(look.run.history) == epochs
        assert look.steps[-1].step.epoch == epochs - 1
        return read

    def write(self, tracker, epoch, state):
        begin = {"type": "begin_entry", "start_time": "2026-01-01T00:00:00", "action": "train_epoch"}
        result = {"epoch": epoch, "first_batch": 0, "last_batch": 9, "ends_epoch": True}
        end = {"type": "end_entry", "end_time": "2026-01-01T00:00:01", "result": result, "exception": None}
        with (tracker / "log.jsonl").open("a") as log:
            log.write(json.dumps({**begin, "sequence_id": epoch}) + "\n")
            log.write(json.dumps({**end, "sequence_id": epoch, "state": {}}) + "\n")

    def bytes_read(self):
        [count] = [r for r in Path("/proc/self/io").read_text().splitlines() if r.startswith("rchar")]
        return int(count.split()[1])

    def test_it_does_not_grow_with_the_epochs(self, tmp_path):
        short, long = (self.bytes_of_a_look(tmp_path, epochs) for epochs in (100, 2000))
        assert long < 1.5 * short


class TestEvents:
    def test_ends_of_epochs_leave_room_to_what_is_rarer(self):
        began = datetime(2026, 1, 1)
        kinds = ["rollback", *["epoch"] * 3, "asked", *["epoch"] * 30]
        events = [Event(began + timedelta(seconds=n), kind, str(n)) for n, kind in enumerate(kinds)]
        assert [event.text for event in newest(events, 8)] == ["0", "4", "29", "30", "31", "32", "33", "34"]
        assert [event.text for event in newest(events[:4], 8)] == ["0", "1", "2", "3"]
        rare = [Event(began, "action", str(n)) for n in range(20)]
        assert [event.text for event in newest(rare, 8)] == [str(n) for n in range(12, 20)]
        assert newest(events, 0) == []

    def test_actions_rollbacks_and_their_numbers(self, make_trainer):
        from burr_lightning.conditions import diverged
        from burr_lightning.machines import rollback_on_divergence

        machine = rollback_on_divergence(diverged("val_loss", 0.6), lr_factor=0.5)
        fit(make_trainer, max_epochs=4, machine=machine)
        told = {event["kind"]: event["text"] for event in facts("a")["events"]}
        assert told["rollback"] == "rollback: back to epoch 1, learning rate 0.0025"
