"""`burr-lightning diff`, on runs that were really trained, forked and are training."""

import json
import sqlite3

import pytest
from burr.core import action
from burr.core.graph import GraphBuilder
from click.testing import CliRunner
from stepped import SteppedTraining

from burr_lightning import BurrCallback, Run
from burr_lightning.actions import BestModel, TrainEpoch, Validate
from burr_lightning.cli import main
from burr_lightning.conditions import max_epochs
from burr_lightning.machines import FINISHED, VALIDATION_DUE
from burr_lightning.testing import ScriptedModule, scripted_loader


@pytest.fixture
def fit(make_trainer):
    def train(run_id, epochs=2, hparams=None, batches=4, script=None, **options):
        module = ScriptedModule(**(script or {"val_loss": [0.5, 0.25, 0.75]}))
        module.save_hyperparameters(hparams or {"lr": 0.1})
        burr = BurrCallback(run_id, **{"monitor": "val_loss", **options})
        make_trainer(burr, max_epochs=epochs).fit(module, scripted_loader(batches), scripted_loader())

    return train


def diff(*arguments, code=0, width=None):
    env = {"COLUMNS": width and str(width), "FORCE_COLOR": None, "NO_COLOR": None}
    done = CliRunner().invoke(main, ["diff", *arguments], env=env)
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


def differences(*arguments):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    found = json.loads(diff(*arguments, "--json").stdout, parse_constant=refuse)
    sides = {
        (d["section"], d["name"]): (d.get("left", "-"), d.get("right", "-")) for d in found["differences"]
    }
    return sides, found


class TestWhatDiffers:
    def test_hyperparameters(self, fit):
        fit("a", hparams={"lr": 0.1, "net": {"depth": 2, "width": 8}, "nan": float("nan")})
        fit("b", hparams={"lr": 0.2, "net": {"depth": 3, "width": 8}, "nan": float("nan"), "note": None})
        sides, found = differences("a", "b")
        assert sides == {
            ("hyperparameters", "lr"): (0.1, 0.2),
            ("hyperparameters", "net.depth"): (2, 3),
            ("hyperparameters", "note"): ("-", None),
        }
        assert found["same"] == ["origin", "data", "machine", "conditions", "result"]
        assert found["left"] == {"run_id": "a", "project": "lightning"}

    def test_long_hyperparameters_that_differ_beyond_what_is_kept_of_them(self, fit):
        numbers = list(range(1000))
        fit("a", hparams={"numbers": numbers, "text": "x" * 500})
        fit("b", hparams={"numbers": [*numbers[:-1], 998], "text": "x" * 500})
        sides, found = differences("a", "b")
        assert list(sides) == [("hyperparameters", "numbers")]
        one, other = sides["hyperparameters", "numbers"]
        assert one[:200] == other[:200] == str(numbers)[:200]
        assert one != other
        assert max(map(len, (one, other))) < 250
        assert found["not_compared"] == {}

    def test_a_row_of_an_older_version_is_compared_as_far_as_it_goes(self, fit, monkeypatch):
        def older(text):
            return f"{text[:200]}... ({len(text)} characters)"

        hparams = {"same": list(range(1000)), "longer": "x" * 500, "other": "x" * 500}
        with monkeypatch.context() as patch:
            patch.setattr("burr_lightning.state.cut", older)
            fit("a", hparams=hparams)
        fit("b", hparams={**hparams, "longer": "x" * 501, "other": "y" * 500})
        for names in (("a", "b"), ("b", "a"), ("a", "a")):
            sides, found = differences(*names)
            differ = [] if names == ("a", "a") else ["longer", "other"]
            assert [name for _, name in sides] == differ
            assert "hyperparameters" not in found["same"]
            assert "first 200 characters" in found["not_compared"]["hyperparameters same"]
            assert len(found["not_compared"]) == 3 - len(differ)
        assert "an older version has kept its first 200 characters" in " ".join(diff("a", "b").stdout.split())
        assert "hyperparameters" in differences("b", "b")[1]["same"]

    def test_data(self, fit):
        fit("a", batches=4)
        fit("b", batches=6)
        sides, _ = differences("a", "b")
        names = [name for section, name in sides if section == "data"]
        assert names == ["train samples", "train first samples", "train batches"]
        assert sides["data", "train batches"] == (4, 6)

    def test_the_machine(self, fit):
        fit("a")
        fit("b", stop_when=max_epochs(9), review_when=max_epochs(7))
        sides, _ = differences("a", "b")
        assert sides["machine", "action review"][0] == "-"
        assert sides["machine", "validate → review"] == (
            "-",
            "when can_pause & can_stop & max_epochs(7) since the last review",
        )
        assert "max_epochs(9)" in sides["machine", "validate → best_model"][1]

    def test_an_action_of_the_same_name_that_does_something_else(self, fit):
        @action(reads=[], writes=["note"])
        def note(state):
            return state.update(note=1)

        first = note

        @action(reads=[], writes=["note"])
        def note(state):
            return state.update(note=2)

        for run_id, noted in (("a", first), ("b", note)):
            fit(run_id, machine=self.machine(noted))
        sides, _ = differences("a", "b")
        assert [*sides] == [("machine", "action note")]

    def machine(self, note):
        return (
            GraphBuilder()
            .with_actions(train_epoch=TrainEpoch(), validate=Validate(), note=note, best_model=BestModel())
            .with_transitions(
                ("train_epoch", "validate", VALIDATION_DUE),
                ("validate", "note"),
                ("note", "best_model", FINISHED),
                ("note", "train_epoch"),
            )
            .build()
        )

    def test_monitor_shadow_and_limits(self, fit):
        fit("a", shadow={"soon": max_epochs(3)})
        fit("b", epochs=3, mode="max")
        sides, _ = differences("a", "b")
        found = {name: values for (section, name), values in sides.items() if section == "conditions"}
        assert found == {
            "mode": (None, "max"),
            "max_epochs": (2, 3),
            "shadow soon": ("max_epochs(3)", "-"),
        }

    def test_what_came_of_them(self, fit):
        fit("a", script={"val_loss": [0.5, 0.25], "plain": [1.0, 2.0]})
        fit("b", script={"val_loss": [0.5, 0.75], "plain": [1.0, 3.0], "other": [float("nan")]})
        sides, _ = differences("a", "b")
        assert sides == {
            ("result", "val_loss, best"): ({"value": 0.25, "epoch": 1}, {"value": 0.5, "epoch": 0}),
            ("result", "val_loss, last"): ({"value": 0.25, "epoch": 1}, {"value": 0.75, "epoch": 1}),
            # which way it gets better, nobody has said
            ("result", "plain, last"): ({"value": 2.0, "epoch": 1}, {"value": 3.0, "epoch": 1}),
            ("result", "other, last"): ("-", {"value": "nan", "epoch": 1}),
        }

    def test_a_fork_names_its_parent(self, fit):
        fit("a", epochs=3)
        Run.open("a").fork(1, "b", hparams={"lr": 0.5})
        sides, found = differences("a", "b")
        assert sides["origin", "forked from"] == (None, "a@1")
        assert sides["hyperparameters", "lr"] == (0.1, 0.5)
        assert found["not_compared"] == {"machine": "Burr's local tracker has nothing of b"}

    def test_the_same_values_that_are_no_numbers_are_the_same(self, fit):
        script = {"val_loss": [float("inf"), float("nan")]}
        fit("a", script=script)
        fit("b", script=script)
        assert differences("a", "b")[0] == {}


class TestHowItIsShown:
    def test_a_table_with_sections(self, fit):
        fit("a")
        fit("b", hparams={"lr": 0.2}, batches=6, tracker=False)
        lines = diff("a", "b", width=80).stdout.splitlines()
        assert lines[0].split() == ["a", "b"]
        assert "hyperparameters" in lines
        assert ["lr", "0.1", "0.2"] in [line.split() for line in lines]
        assert lines[-2].startswith("machine          not compared: Burr's local tracker has nothing of b")
        assert lines[-1].split(None, 2) == ["the", "same", "origin, conditions, result"]
        assert max(map(len, lines)) <= 80

    def test_the_exit_code_is_asked_for(self, fit):
        fit("a")
        fit("b", hparams={"lr": 0.2})
        diff("a", "b", code=0)
        diff("a", "b", "--exit-code", code=1)
        diff("a", "a", "--exit-code", code=0)
        assert json.loads(diff("a", "b", "--exit-code", "--json", code=1).stdout)["differences"]

    @pytest.mark.parametrize("wrong", [("nothing", "a"), ("a", "nothing")])
    def test_a_run_that_does_not_exist(self, fit, wrong):
        fit("a", epochs=1)
        done = diff(*wrong, code=1)
        assert done.stdout == ""
        assert "No run matches 'nothing'" in done.stderr

    def test_an_empty_store(self):
        assert "No run matches" in diff("a", "b", code=1).stderr

    def test_beginnings_of_ids_and_the_latest(self, fit):
        fit("first")
        fit("second", hparams={"lr": 0.2})
        assert differences("fi", "latest")[0] == {("hyperparameters", "lr"): (0.1, 0.2)}

    def test_rows_that_cannot_be_read_are_told(self, fit, own_home):
        fit("a")
        fit("b")
        with sqlite3.connect(own_home / "runs/state.sqlite") as database:
            database.execute("UPDATE burr_state SET state = '{' WHERE app_id = 'b'")
        _, found = differences("a", "b")
        assert found["same"] == ["origin", "machine"]
        assert found["not_compared"] == {
            "hyperparameters": "no row can be read of b",
            "data": "no fingerprint is stored of b",
            "conditions": "no row can be read of b",
            "result": "no row can be read of b",
        }

    def test_while_one_trains(self, fit):
        with SteppedTraining("a", 4) as training:
            training.go_to(2, 0)
            fit("b", script={"val_loss": [0.5, 0.25]})
            sides, _ = differences("a", "b")
        assert sides["result", "status"] == ("running", "finished")
        assert ("result", "val_loss, last") not in sides
