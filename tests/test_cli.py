"""The command line, on runs that were really trained, failed, killed and are training."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from desk_runs import change_json
from lightning.pytorch import Trainer

from burr_lightning import BurrCallback, __version__
from burr_lightning.cli import main
from burr_lightning.cli.machine_path import path_text
from burr_lightning.steps import Step
from burr_lightning.testing import ScriptedModule, scripted_loader

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
MISSING_FIELDS = {"best", "hparams", "data", "metrics", "monitor", "global_step"}

LIVE = "20260101-120000-live"
"""As long as the ids that runs get by themselves."""

CHILD = """
import sys
from lightning.pytorch import Trainer
from burr_lightning import BurrCallback
from burr_lightning.testing import ScriptedModule, scripted_loader

class Waits(ScriptedModule):
    def training_step(self, batch, batch_idx):
        if self.trainer.current_epoch == 2:
            print("in epoch 2", flush=True)
            sys.stdin.readline()
        return super().training_step(batch, batch_idx)

burr = BurrCallback("20260101-120000-live", monitor="val_loss")
options = dict(logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
Trainer(max_epochs=5, callbacks=[burr], **options).fit(
    Waits(val_loss=[0.5, 0.1234]), scripted_loader(), scripted_loader()
)
"""


class Fails(ScriptedModule):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if self.trainer.current_epoch == 1:
            raise RuntimeError("a shape of [red]3[/red] and [/] :boom:")
        return super().training_step(batch, batch_idx)


def fit(module: ScriptedModule, epochs: int, run_id: str, project: str = "lightning", **options: Any) -> None:
    burr = BurrCallback(run_id, project, **options)
    trainer = Trainer(max_epochs=epochs, callbacks=[burr], **QUIET)
    trainer.fit(module, scripted_loader(), scripted_loader())


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, an unmonitored and a failed run, in that order; only read by the tests."""
    where = tmp_path_factory.mktemp("stored")
    root = where / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(where / "home"))
        patch.delenv("BURR_LIGHTNING_RUN_ID", raising=False)
        good = ScriptedModule(val_loss=[0.9, 0.25, 0.5], odd=[float("nan")])
        good.save_hyperparameters({"lr": 0.01, "limit": float("inf")})
        fit(good, 3, "digits-good", "digits", monitor="val_loss", root_dir=root)
        fit(ScriptedModule(val_loss=[0.9]), 1, "plain", tracker=False, root_dir=root)
        with pytest.raises(RuntimeError, match="a shape of"):
            fit(Fails(val_loss=[0.7]), 3, "digits-bad", "digits", monitor="val_loss", root_dir=root)
    return root


def cli(*arguments: object, width: int | None = None) -> Result:
    """Run a command as in a pipe, or as in a file of a given width."""
    columns = None if width is None else str(width)
    env = {"COLUMNS": columns, "FORCE_COLOR": None, "NO_COLOR": None}
    return CliRunner().invoke(main, [str(a) for a in arguments], env=env)


def said(*arguments: object, width: int | None = None) -> str:
    result = cli(*arguments, width=width)
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert result.stderr == ""
    return result.stdout


def strict_json(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def fields(text: str) -> dict[str, str]:
    """The labels and values that ``show`` printed, folded lines joined."""
    found: dict[str, str] = {}
    label = ""
    for line in text.splitlines():
        label = line[:17].strip() or label
        found[label] = f"{found.get(label, '')} {line[17:]}".strip()
    return found


def row_of(table: str, run_id: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(run_id)]
    return line.split()


class TestRuns:
    def test_lists_all_runs_the_newest_first(self, stored: Path) -> None:
        lines = said("runs", "--root-dir", stored).splitlines()
        assert lines[0].split() == ["run", "project", "status", "epoch", "best", "(epoch)", "created"]
        assert [line.split()[0] for line in lines[1:]] == ["digits-bad", "plain", "digits-good"]

    def test_a_row_has_status_epoch_best_and_date(self, stored: Path) -> None:
        table = said("runs", "--root-dir", stored)
        created = strict_json(said("runs", "--root-dir", stored, "--json"))[2]["created"]
        day, minute = created[:10], created[11:16]
        good = ["digits-good", "digits", "finished", "2", "val_loss", "0.25", "(1)", day, minute]
        assert row_of(table, "digits-good") == good
        assert row_of(table, "plain")[:5] == ["plain", "lightning", "finished", "0", "–"]
        assert row_of(table, "digits-bad")[1:7] == ["digits", "failed", "0", "val_loss", "0.7", "(0)"]

    def test_project_leaves_others_out(self, stored: Path) -> None:
        table = said("runs", "--root-dir", stored, "--project", "lightning")
        assert [line.split()[0] for line in table.splitlines()] == ["run", "plain"]

    def test_json(self, stored: Path) -> None:
        runs = strict_json(said("runs", "--root-dir", stored, "--json"))
        good = runs[2]
        assert datetime.fromisoformat(good.pop("created")).tzinfo is not None
        assert Path(good["best"].pop("checkpoint")).is_file()
        assert good == {
            "run_id": "digits-good",
            "project": "digits",
            "status": "finished",
            "epoch": 2,
            "monitor": {"metric": "val_loss", "mode": None},
            "best": {"epoch": 1, "value": 0.25},
            "parent": None,
            "rows_error": None,
        }

    def test_no_runs_says_where_it_looked(self, own_home: Path) -> None:
        text = said("runs")
        assert str(own_home / "runs") in text
        assert "--root-dir" in text
        assert "BURR_LIGHTNING_HOME" in text
        assert not (own_home / "runs").exists()

    def test_no_runs_of_a_project_names_it(self, stored: Path) -> None:
        assert "No runs of project 'digit' in" in said("runs", "--root-dir", stored, "--project", "digit")

    @pytest.mark.parametrize("project", ["*", "digit?", "[d]igits", "../runs/digits", "/digits"])
    def test_a_project_is_its_name_and_no_pattern(self, stored: Path, project: str) -> None:
        where = ("--root-dir", stored, "--project", project)
        assert strict_json(said("runs", *where, "--json")) == []
        assert cli("delete", "digits-good", *where).exit_code == 1

    def test_the_epoch_of_a_run_whose_rows_cannot_be_read_is_not_known(self, own_home: Path) -> None:
        fit(ScriptedModule(val_loss=[0.5]), 1, "torn", tracker=False)
        (own_home / "runs/state.sqlite").write_bytes(b"no database " * 500)
        [told] = strict_json(cli("runs", "--json").stdout)
        assert told["rows_error"] is not None
        assert told["epoch"] is None

    def test_no_runs_as_json(self) -> None:
        assert strict_json(said("runs", "--json")) == []

    def test_the_environment_says_where_runs_are(self, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BURR_LIGHTNING_HOME", str(stored))
        assert "digits-good" in said("runs")

    def test_a_run_takes_one_line_of_80_columns(self, stored: Path) -> None:
        lines = said("runs", "--root-dir", stored, width=80).splitlines()
        assert len(lines) == 4
        assert max(map(len, lines)) <= 80

    def test_a_long_id_is_folded_before_it_takes_room_from_others(self) -> None:
        run_id = "a-long-id_" * 7 + "end"
        fit(ScriptedModule(val_loss=[0.5]), 1, run_id, tracker=False, monitor="val_loss")
        lines = said("runs", width=80).splitlines()[1:]
        assert lines[0].split()[1:7] == ["lightning", "finished", "0", "val_loss", "0.5", "(0)"]
        assert "".join(line.split()[0] for line in lines) == run_id

    @pytest.mark.parametrize("width", [100, 80, 60, 50, 40, 25])
    def test_in_a_narrow_terminal_columns_are_left_out_and_no_id_is_cut(
        self, stored: Path, tmp_path: Path, width: int
    ) -> None:
        root = shutil.copytree(stored, tmp_path / "copy")
        folder = shutil.copytree(root / "digits/digits-good", root / "digits" / LIVE)
        change_json(folder / "run.json", run_id=LIVE)
        lines = said("runs", "--root-dir", root, width=width).splitlines()
        assert max(map(len, lines)) <= width
        assert not [line for line in lines if "…" in line]
        assert {LIVE, "digits-good", "digits-bad", "plain"} <= {line.split()[0] for line in lines}
        head = ["run", "project", "status", "epoch", "best", "(epoch)", "created"]
        shown = {
            100: head,
            80: head,
            60: head[:-1],
            50: [head[0], *head[2:-1]],
            40: ["run", "status", "epoch"],
        }
        assert lines[0].split() == shown.get(width, ["run"])

    @pytest.mark.parametrize("options", [[], ["--tree"]])
    def test_ids_of_40_characters_are_still_whole_in_60_columns(self, options: list[str]) -> None:
        run_id = "forty-characters-of-a-run-id-" + "x" * 11
        fit(ScriptedModule(val_loss=[0.5]), 1, run_id, tracker=False, monitor="val_loss")
        head, line = said("runs", *options, width=60).splitlines()
        assert head.split() == ["run", "status", "epoch"]
        assert line.split() == [run_id, "finished", "0"]


class TestShow:
    def test_a_finished_run(self, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(stored.parent)
        shown = fields(said("show", "digits-good", "--root-dir", stored))
        assert shown["run"] == "digits-good"
        assert shown["project"] == "digits"
        assert shown["status"] == "finished"
        assert shown["why it stopped"] == "max_epochs=3 was reached"
        assert shown["epoch"] == "2, global step 12"
        assert shown["best epoch"] == "1, val_loss 0.25"
        assert shown["best checkpoint"].startswith("runs/digits/digits-good/checkpoints/epoch=00001")
        assert shown["last checkpoint"].startswith("runs/digits/digits-good/checkpoints/epoch=00002")
        assert (stored.parent / shown["best checkpoint"]).is_file()
        assert shown["hyperparameters"] == "lr=0.01, limit=inf"
        assert shown["data"] == "train 8 samples in 4 batches; validation 8 samples in 4 batches"
        assert shown["metrics"] == "val_loss=0.5, odd=nan"
        assert "error" not in shown

    def test_the_path_is_folded(self, stored: Path) -> None:
        path = fields(said("show", "digits-good", "--root-dir", stored))["path"]
        names = [word for word in path.split() if not word[0].isdigit()]
        expected = "process_data → (train_epoch → validate ×3 → best_model steps, in all"
        assert names == expected.split()
        assert "8 steps" in path

    def test_a_failed_run(self, stored: Path) -> None:
        shown = fields(said("show", "digits-bad", "--root-dir", stored))
        assert shown["status"] == "failed"
        assert shown["error"] == "RuntimeError: a shape of [red]3[/red] and [/] :boom:"
        assert shown["path"].split(" 4 steps")[0].endswith("✗ failed")
        assert "why it stopped" not in shown

    def test_without_monitor_or_tracker_it_says_so(self, stored: Path) -> None:
        shown = fields(said("show", "plain", "--root-dir", stored))
        assert shown["best epoch"] == "0 (the last one: no metric is monitored)"
        assert shown["hyperparameters"] == "–"
        assert "did not record" in shown["path"]

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_where_the_monitored_metric_was_never_finite_it_says_that(
        self, own_home: Path, value: float
    ) -> None:
        fit(ScriptedModule(val_loss=[value]), 2, "odd", tracker=False, monitor="val_loss")
        shown = fields(said("show", "odd"))
        assert shown["best epoch"] == "1 (the last one: no epoch ended with a finite val_loss)"

    @pytest.mark.parametrize(("given", "meant"), [("latest", "digits-bad"), ("pl", "plain")])
    def test_ways_to_name_a_run(self, stored: Path, given: str, meant: str) -> None:
        assert fields(said("show", given, "--root-dir", stored))["run"] == meant

    def test_latest_of_a_project(self, stored: Path) -> None:
        shown = fields(said("show", "latest", "--root-dir", stored, "--project", "lightning"))
        assert shown["run"] == "plain"

    @pytest.mark.parametrize("wrong", ["nothing", "digits", ""])
    def test_a_wrong_run_is_one_line_on_stderr(self, stored: Path, wrong: str) -> None:
        result = cli("show", wrong, "--root-dir", stored)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
        assert repr(wrong) in result.stderr
        assert "digits/digits-good" in result.stderr
        assert isinstance(result.exception, SystemExit)

    def test_a_checkpoint_that_was_deleted(self, own_home: Path) -> None:
        fit(ScriptedModule(val_loss=[0.5]), 1, "gone", monitor="val_loss", tracker=False)
        for checkpoint in (own_home / "runs/lightning/gone/checkpoints").iterdir():
            checkpoint.unlink()
        shown = fields(said("show", "gone"))
        assert shown["best checkpoint"] == "–"
        assert shown["last checkpoint"].endswith("(no longer there)")

    def test_a_run_without_a_stored_state(self, own_home: Path) -> None:
        fit(ScriptedModule(val_loss=[0.5]), 1, "bare", tracker=False)
        (own_home / "runs/state.sqlite").unlink()
        assert "none is stored" in fields(said("show", "bare"))["state"]
        facts = strict_json(said("show", "bare", "--json"))
        assert {key: facts[key] for key in MISSING_FIELDS} == dict.fromkeys(MISSING_FIELDS)
        assert row_of(said("runs"), "bare")[3:5] == ["–", "–"]

    def test_json(self, stored: Path) -> None:
        facts = strict_json(said("show", "digits-good", "--root-dir", stored, "--json"))
        assert facts["status"] == "finished"
        assert facts["error"] is None
        assert facts["stop_reason"] == "max_epochs=3 was reached"
        assert (facts["epoch"], facts["global_step"]) == (2, 12)
        assert (facts["best"]["epoch"], facts["best"]["value"]) == (1, 0.25)
        assert Path(facts["best"]["checkpoint"]).is_file()
        assert Path(facts["last_checkpoint"]).is_file()
        assert facts["hparams"] == {"lr": 0.01, "limit": "inf"}
        assert facts["metrics"] == {"val_loss": 0.5, "odd": "nan"}
        assert facts["data"]["train"][0]["samples"] == 8
        assert [step["action"] for step in facts["path"]][:3] == ["process_data", "train_epoch", "validate"]
        assert [step["epoch"] for step in facts["path"]] == [None, 0, 0, 1, 1, 2, 2, None]
        assert all(step["seconds"] >= 0 and not step["failed"] for step in facts["path"])

    def test_json_of_a_failed_run(self, stored: Path) -> None:
        facts = strict_json(said("show", "digits-bad", "--root-dir", stored, "--json"))
        assert facts["error"].startswith("RuntimeError: a shape of")
        assert [step["failed"] for step in facts["path"]] == [False, False, False, True]

    def test_only_file_paths_are_longer_than_the_terminal(self, stored: Path) -> None:
        lines = said("show", "digits-bad", "--root-dir", stored, width=60).splitlines()
        long = [line for line in lines if len(line) > 60]
        assert {line[:17].strip() for line in long} == {"best checkpoint", "last checkpoint"}
        assert len([line for line in lines if line.startswith(" " * 17)]) >= 2


def test_a_running_run_and_then_a_killed_one(own_home: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", CHILD], text=True, **pipes) as child:
        assert child.stdout is not None
        try:
            assert any(line == "in epoch 2\n" for line in child.stdout), "the child ended before epoch 2"
            assert row_of(said("runs", width=80), LIVE)[2:4] == ["running", "1"]
            running = fields(said("show", LIVE))
        finally:
            child.kill()
    assert running["status"] == "running"
    assert running["epoch"] == "1, global step 8"
    assert "×2 → train_epoch … running for" in running["path"]
    assert "why it stopped" not in running

    created = strict_json(said("runs", "--json"))[0]["created"][11:16]
    assert row_of(said("runs", width=80), LIVE)[2:] == [
        "interrupted",
        "1",
        "val_loss",
        "0.1234",
        "(1)",
        created,
    ]
    killed = fields(said("show", LIVE))
    assert killed["status"] == "interrupted"
    assert "×2 → train_epoch ✗ cut off" in killed["path"]
    facts = strict_json(said("show", LIVE, "--json"))
    assert facts["path"][-1]["seconds"] is None


class TestPath:
    START = datetime(2026, 1, 1)

    def steps(self, names: str) -> list[Step]:
        """One step of a second per name; ``name!`` failed, ``name?`` never ended."""
        made = []
        for number, name in enumerate(names.split()):
            end = None if name.endswith("?") else self.START + timedelta(seconds=1)
            made.append(Step(number, name.rstrip("!?"), self.START, end, name.endswith("!"), None))
        return made

    @pytest.mark.parametrize(
        ("names", "written"),
        [
            ("", ""),
            ("a", "a"),
            ("a b", "a → b"),
            ("a a a", "a ×3"),
            ("p " + "t v " * 40 + "b", "p → (t → v) ×40 → b"),
            ("p " + "t t v " * 3 + "t b", "p → (t ×2 → v) ×3 → t → b"),
            ("t v t v u t v t v", "(t → v) ×2 → u → (t → v) ×2"),
            ("t v t v r " * 3, "((t → v) ×2 → r) ×3"),
            ("t v t! t v t v", "t → v → t ✗ failed → (t → v) ×2"),
            ("t v t! t v t!", "t → v → t ✗ failed → t → v → t ✗ failed"),
            ("t v t v t?", "(t → v) ×2 → t ✗ cut off"),
            ("t t t?", "t ×2 → t ✗ cut off"),
        ],
    )
    def test_repetitions_are_written_once(self, names: str, written: str) -> None:
        assert path_text(self.steps(names), running=False).plain.replace(" 1.0s", "") == written

    def test_times_of_a_repetition_are_means(self) -> None:
        def lasting(number: int, name: str, seconds: float) -> Step:
            return Step(number, name, self.START, self.START + timedelta(seconds=seconds), False, None)

        steps = [lasting(0, "t", 1), lasting(1, "v", 0.01), lasting(2, "t", 4), lasting(3, "v", 0.03)]
        assert path_text(steps, running=False).plain == "(t 2.5s → v 20ms) ×2"

    def test_an_open_step_of_a_running_run_says_for_how_long(self) -> None:
        begun = Step(0, "t", datetime.now() - timedelta(minutes=2), None, False, None)
        assert re.match(r"t … running for 2m \d\ds", path_text([begun], running=True).plain)


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


WITHOUT = """
import sys
from burr_lightning.cli import main
try:
    main(sys.argv[2:])
finally:
    heavy = [name for name in sys.argv[1].split(",") if name in sys.modules]
    print("imported:", *heavy, file=sys.stderr)
"""

ABSENT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from burr_lightning.cli import main
main()
"""


class TestProcess:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["--help"],
            ["--version"],
            ["runs", "--help"],
            ["show", "--help"],
            ["verify", "--help"],
            ["export", "--help"],
            ["prune", "--help"],
            ["delete", "--help"],
        ],
    )
    def test_help_imports_nothing_heavy(self, arguments: list[str]) -> None:
        done = python(WITHOUT, "torch,lightning,burr,numpy,pandas", *arguments)
        assert done.returncode == 0
        assert done.stdout
        assert done.stderr == "imported:\n"

    @pytest.mark.parametrize(
        "command",
        [
            ["runs"],
            ["show", "digits-good"],
            ["show", "latest", "--json"],
            ["verify", "digits-good"],
            ["export", "digits-good"],
            ["watch", "digits-good", "--once"],
            ["diff", "digits-good", "plain"],
        ],
    )
    def test_commands_do_without_torch_and_lightning(self, stored: Path, command: list[str]) -> None:
        done = python(WITHOUT, "torch,lightning", *command, "--root-dir", str(stored))
        assert done.returncode == 0
        assert "epoch" in done.stdout
        assert done.stderr == "imported:\n"

    @pytest.mark.parametrize("missing", ["click", "rich"])
    def test_without_the_extra_it_says_what_to_install(self, missing: str) -> None:
        done = python(ABSENT, missing)
        assert done.returncode == 1
        assert done.stderr.strip().endswith("pip install 'burr-lightning[cli]'")
        assert "Traceback" not in done.stderr

    def test_another_missing_module_is_not_blamed_on_the_extra(self) -> None:
        done = python(ABSENT, "burr_lightning.cli.show")
        assert "No module named 'burr_lightning.cli.show'" in done.stderr
        assert "pip install" not in done.stderr

    def test_an_output_that_knows_no_arrows(self, stored: Path) -> None:
        command = [sys.executable, "-c", "from burr_lightning.cli import main; main()"]
        env = {**os.environ, "PYTHONIOENCODING": "latin-1"}
        done = subprocess.run(
            [*command, "show", "latest", "--root-dir", str(stored)], env=env, capture_output=True, check=False
        )
        assert done.returncode == 0
        assert b"digits-bad" in done.stdout


def test_output_in_a_pipe_has_no_colour_codes_and_on_a_terminal_it_has(stored: Path) -> None:
    arguments = ["runs", "--root-dir", str(stored)]
    env = {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm", "NO_COLOR": None}
    piped = said(*arguments) + said("show", "latest", *arguments[1:])
    assert "\x1b" not in piped
    assert not [line for line in piped.splitlines() if line.endswith(" ")]
    assert "\x1b" in CliRunner().invoke(main, arguments, env=env, color=True).stdout


def test_version() -> None:
    assert said("--version") == f"burr-lightning, version {__version__}\n"


@pytest.mark.parametrize("command", ["runs", "show", "verify", "export", "prune", "delete"])
def test_every_command_and_option_is_explained(command: str) -> None:
    import click

    found = main.commands[command]
    assert found.help
    assert command in said("--help")
    assert all(option.help for option in found.params if isinstance(option, click.Option))
