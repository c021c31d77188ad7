"""What a type checker sees in a module with the mixins, and what it refuses."""

import re
from pathlib import Path

from mypy import api

ROOT = Path(__file__).parent.parent

HEAD = """
from collections.abc import Mapping
from typing import Any

from burr.core import State
from burr.core.graph import Graph
from lightning.pytorch import Callback, LightningModule
from torchmetrics import MetricCollection

from burr_lightning.conditions import max_epochs, plateau
from burr_lightning.mixins import BurrMixin, MetricsMixin, stage
"""

RIGHT = """
class Classifier(BurrMixin, MetricsMixin, LightningModule):
    run_id = "typed"
    monitor = "val_acc"
    stop_when = plateau("val_acc", 3)

    @stage(until=max_epochs(2))
    def only_head(self) -> None:
        reveal_type(self.freeze("backbone"))  # is Classifier
        reveal_type(self.unfreeze("*", lr=1e-3))  # is Classifier

    @stage()
    def everything(self) -> None:
        self.set_learning_rate(1e-4)

    def configure_machine(self) -> Graph | None:
        return super().configure_machine()

    def configure_metrics(self) -> Mapping[str, MetricCollection]:
        return {"val": MetricCollection({})}

    def configure_callbacks(self) -> list[Callback]:
        return [*super().configure_callbacks(), Callback()]

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.update_metrics(batch[0], target=batch[1])

    def on_train_epoch_end(self) -> None:
        reveal_type(self.burr)  # is RunOfModule
        reveal_type(self.burr.stage)  # is str | None
        reveal_type(self.burr.history)  # is MetricHistory
        reveal_type(self.burr.history["val_acc"][-1])  # is float
        reveal_type(self.burr.state)  # is State[Any]
        reveal_type(self.burr.run)  # is Run
        reveal_type(self.burr.paused)  # is bool
        reveal_type(self.metric_values)  # is dict[str, Any]
        reveal_type(self.only_head)  # is def ()
        reveal_type(self.hparams["lr"])  # is Any
        reveal_type(self.current_epoch)  # is int

    def on_action_end(self, action: str, state: State[Any]) -> None:
        super().on_action_end(action, state)

    def on_hparams_change(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        super().on_hparams_change(old, new)


class Plain(BurrMixin, MetricsMixin, LightningModule):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.run_id = name
        self.monitor = None


reveal_type(Classifier.everything)  # is def (self: Classifier)
reveal_type(Plain("typed").configure_metrics())  # is MetricCollection | Mapping[str, MetricCollection]
reveal_type(Classifier().configure_burr())  # is BurrCallback
reveal_type(Classifier.load_from_checkpoint("last.ckpt"))  # is Classifier
"""

WRONG = """
class Wrong(BurrMixin, MetricsMixin, LightningModule):
    run_id = 3  # error: assignment
    stop_when = "val_acc"  # error: assignment

    @stage(until=3)  # error: arg-type
    def first(self) -> None: ...

    @stage()  # error: type-var
    def second(self, lr: float) -> None:
        self.set_learning_rate("slow")  # error: arg-type
        self.freeze(3)  # error: arg-type

    def configure_metrics(self) -> int:  # error: override
        return self.burr.stage  # error: return-value

    def on_action_end(self, action: str) -> None:  # error: override
        self.burr.stages  # error: attr-defined
        self.burr.stage.upper()  # error: union-attr

    def on_hparams_change(self, old: int, new: int) -> None: ...  # error: override
"""


def checked(folder, code):
    """What mypy says of a user's module, and what the comments in it say that it should: (line, what)."""
    file = folder / "users.py"
    file.write_text(HEAD + code)
    strictly = ["--strict", "--no-error-summary", "--config-file", str(ROOT / "pyproject.toml")]
    # The cache that the package itself is checked with, or all of torch would be read again.
    out, failed, _ = api.run([*strictly, "--cache-dir", str(ROOT / ".mypy_cache"), str(file)])
    assert not failed, failed
    reported = re.findall(r":(\d+): (?:error: .*\[|note: Revealed type is \")(.*)[\]\"]$", out, re.MULTILINE)
    said = {(int(line), re.sub(r"(\w+\.)+", "", what)) for line, what in reported}
    lines = enumerate((HEAD + code).splitlines(), 1)
    return said, {
        (line, found[1]) for line, text in lines if (found := re.search("  # (?:is|error:) (.*)", text))
    }


def test_the_attributes_of_the_mixins_have_their_types(tmp_path, monkeypatch):
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    said, meant = checked(tmp_path, RIGHT)
    assert said == meant
    assert len(said) == RIGHT.count("reveal_type")


def test_a_wrong_use_of_the_mixins_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    said, meant = checked(tmp_path, WRONG)
    assert said == meant
    assert len(said) == WRONG.count("# error: ")
