"""The mixins beside a YAML file, a compiler, other mixins, checkpoints, and another module."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import by_yaml
import pytest
import torch
from at_work import DEADLINE
from digits import digit_loaders, weights_hash
from lightning.pytorch import LightningModule, seed_everything
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.cli import LightningCLI
from test_mixins import Net, Staged, fitted
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from burr_lightning import BurrCallback, Run, list_runs
from burr_lightning.conditions import max_epochs
from burr_lightning.errors import TrainerError
from burr_lightning.mixins import BurrMixin, MetricsMixin

# LightningCLI

YAML = """
trainer: {max_epochs: 4, accelerator: cpu, logger: false, enable_progress_bar: false}
model: {width: 12, learning_rate: 0.01}
"""


def from_command_line(*options):
    Path("config.yaml").write_text(YAML)
    command = [sys.executable, by_yaml.__file__, "fit", "--config", "config.yaml", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_script_with_a_yaml_file_has_the_module_s_machine_and_metrics():
    from_command_line()
    run = Run.open("of-yaml")
    assert [step.action for step in run.path if step.action.startswith("begin_")] == [
        "begin_only_head",
        "begin_everything",
    ]
    assert run.state["hparams"] == {"width": 12, "learning_rate": 0.01}
    assert run.best["value"] == max(run.history["val_acc"])
    assert (run.folder / "figures" / "val_confusion.png").read_bytes().startswith(b"\x89PNG")
    assert "is finished and is not trained again" in from_command_line()


def test_a_callback_of_the_command_line_is_the_one_that_is_used():
    from_command_line(
        "--trainer.callbacks+=burr_lightning.BurrCallback",
        "--trainer.callbacks.run_id=given",
        "--trainer.callbacks.monitor=val_acc",
    )
    assert [path.name for path in Path("runs/lightning").iterdir()] == ["given"]
    given = Run.open("given")
    assert {step.action for step in given.path} == {"process_data", "train_epoch", "validate", "best_model"}
    assert given.best["value"] == max(given.history["val_acc"])


def test_a_module_that_a_yaml_file_names_by_its_path_is_trained(own_home):
    config = own_home / "named.yaml"
    config.write_text(
        "trainer: {max_epochs: 4, accelerator: cpu, logger: false, enable_progress_bar: false}\n"
        "model: {class_path: by_yaml.OfYaml, init_args: {width: 12}}\n"
    )
    cli = LightningCLI(
        save_config_callback=None,
        seed_everything_default=1,
        args=["fit", "--config", str(config), "--model.learning_rate=0.02"],
    )
    assert type(cli.model) is by_yaml.OfYaml
    assert cli.model.burr.run.state["hparams"] == {"width": 12, "learning_rate": 0.02}
    assert cli.model.burr.stage == "everything"
    assert len(cli.model.burr.history["val_acc"]) == 2


# What is put together below


class Steps(Net):
    """Steps that return what metrics take."""

    def training_step(self, batch, batch_idx):
        scores = self.head(self.backbone(batch[0]))
        loss = torch.nn.functional.cross_entropy(scores, batch[1])
        return {"loss": loss, "preds": scores, "target": batch[1]}

    def validation_step(self, batch, batch_idx):
        scores = self.head(self.backbone(batch[0]))
        self.log("val_loss", torch.nn.functional.cross_entropy(scores, batch[1]))
        return {"preds": scores, "target": batch[1]}


def metrics(module):
    return MetricCollection({"acc": MulticlassAccuracy(10), "confusion": MulticlassConfusionMatrix(10)})


class Measured(BurrMixin, MetricsMixin, Steps):
    run_id = "measured"
    monitor = "val_acc"
    configure_metrics = metrics
    first, everything = Staged.first, Staged.everything


# torch.compile


def ended(make_trainer, make):
    seed_everything(1, verbose=False)
    module = make()
    make_trainer(max_epochs=6).fit(module, *digit_loaders())
    run = module.burr.run
    history = {name: list(run.history[name]) for name in run.history.names if name != "seconds"}
    return weights_hash(module), history, [step.action for step in run.path]


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_module_has_the_same_stages_and_comes_to_the_same(make_trainer, backend):
    plain = ended(make_trainer, type("Plain", (Measured,), {"run_id": "plain"}))
    compiled = ended(make_trainer, lambda: torch.compile(Measured(), backend=backend))
    assert compiled == plain
    assert "begin_everything" in plain[2]
    assert {"train_acc", "val_acc", "val_loss"} <= plain[1].keys()


# Hooks that call each other


class Counts(LightningModule):
    """A mixin of the user's own, each of whose hooks calls the next one's."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.counted = Counter()

    def configure_callbacks(self):
        seen = LambdaCallback(on_fit_end=lambda *_: self.counted.update(["of the callback"]))
        return [*super().configure_callbacks(), seen]


def counting(hook):
    def counts(self, *args, **kwargs):
        self.counted[hook] += 1
        return getattr(super(Counts, self), hook)(*args, **kwargs)

    return counts


TWICE = [
    *("on_train_epoch_start", "on_train_epoch_end", "on_validation_epoch_start", "on_validation_epoch_end"),
    *("on_validation_start", "on_validation_end", "on_save_checkpoint"),
]
ONCE = ["setup", "on_fit_start", "on_train_start", "on_train_end", "on_fit_end", "teardown"]
for _hook in (*TWICE, *ONCE):
    setattr(Counts, _hook, counting(_hook))


@pytest.mark.parametrize(
    "mixins",
    [(BurrMixin, MetricsMixin, Counts), (MetricsMixin, Counts, BurrMixin), (Counts, BurrMixin, MetricsMixin)],
    ids=["last", "between", "first"],
)
def test_hooks_that_call_the_next_one_work_wherever_the_mixins_stand(make_trainer, mixins):
    members = {"monitor": "val_acc", "stop_when": max_epochs(2), "configure_metrics": metrics}
    module = type("Mine", (*mixins, Steps), members)()
    make_trainer(max_epochs=9, num_sanity_val_steps=0, enable_checkpointing=False).fit(
        module, *digit_loaders(128)
    )
    assert module.counted == {**dict.fromkeys(TWICE, 2), **dict.fromkeys(ONCE, 1), "of the callback": 1}
    assert module.burr.state["best"]["value"] == max(module.burr.history["val_acc"])
    assert len(module.burr.history["train_acc"]) == 2


# Checkpoints


def test_a_checkpoint_makes_the_module_again(make_trainer):
    module = Measured(lr=5e-3)
    make_trainer(max_epochs=6).fit(module, *digit_loaders())
    run = module.burr.run
    again = Measured.load_from_checkpoint(run.best_checkpoint)
    assert dict(again.hparams) == {"lr": 5e-3}
    [measured] = make_trainer().validate(again, digit_loaders()[1], verbose=False)
    assert measured["val_acc"] == run.best["value"]
    assert [each.run_id for each in list_runs()] == ["measured"]
    assert dict(Measured.load_from_checkpoint(run.best_checkpoint, lr=1.0).hparams) == {"lr": 1.0}


def test_a_checkpoint_has_the_hyperparameters_that_an_answer_has_changed(make_trainer):
    module, _ = fitted(make_trainer)
    asked = module.burr.run.best_checkpoint
    module.burr.run.answer("go", lr=0.01, weight_decay=0.5, width=4, other=7)
    module, _ = fitted(make_trainer)
    answered = [type(module).load_from_checkpoint(each) for each in (asked, module.burr.run.best_checkpoint)]
    assert [(each.hparams.lr, each.hparams.weight_decay) for each in answered] == [(0.1, 0.0), (0.01, 0.5)]


# Another module in the same Trainer


def test_a_module_without_the_mixin_is_trained_as_if_there_had_never_been_one(make_trainer):
    trainer = make_trainer(max_epochs=6)
    trainer.fit(Measured(), *digit_loaders(128))
    trainer.fit(Net(), *digit_loaders(128))
    assert trainer.current_epoch == 6
    assert not [callback for callback in trainer.callbacks if isinstance(callback, BurrCallback)]
    assert [each.run_id for each in list_runs()] == ["measured"]


def test_a_second_callback_for_the_same_training_is_refused(make_trainer):
    class Adds(BurrMixin, Net):
        def configure_callbacks(self):
            return [*super().configure_callbacks(), BurrCallback(run_id="added")]

    with pytest.raises(TrainerError, match=r"a module with BurrMixin returns its own from configure_burr"):
        make_trainer(max_epochs=1).fit(Adds(), *digit_loaders(128))
    assert not list_runs()
