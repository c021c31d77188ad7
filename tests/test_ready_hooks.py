"""The ready-made hooks: what they write, and where."""

import csv
import gc
import io
import re
import weakref
from pathlib import Path

import pytest
import rich
import torch
from exact_machines import with_actions
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from burr_lightning import BurrCallback
from burr_lightning.actions import BeginStage, Call, Evaluate, Freeze, Rollback, SetLearningRate
from burr_lightning.hooks import ConsoleHook, LightningLoggerHook, TrainerHook
from burr_lightning.hooks.flattened import flattened
from burr_lightning.testing import ScriptedModule, scripted_loader


class WithTest(ScriptedModule):
    def test_step(self, batch, batch_idx):
        self.log("test_loss", torch.tensor(0.75))

    def test_dataloader(self):
        return scripted_loader()


def fit(trainer, module=None):
    trainer.fit(module or ScriptedModule(val_loss=[0.5, 0.25]), scripted_loader(), scripted_loader(batches=2))


def column(logger, name):
    """Each step that has a value of a metric in the CSV file, with the value."""
    with open(Path(logger.log_dir) / "metrics.csv") as file:
        return [(int(row["step"]), float(row[name])) for row in csv.DictReader(file) if row.get(name)]


def columns(logger):
    with open(Path(logger.log_dir) / "metrics.csv") as file:
        return set(csv.DictReader(file).fieldnames)


def eventful():
    return with_actions(
        begin=(BeginStage("head"), (0,)),
        slower=(SetLearningRate(factor=0.5), (1,)),
        freeze=(Freeze("layer.bias"), (2,)),
        test=(Evaluate(), (3,)),
        back=(Rollback(to=0, lr_factor=0.1), (4,)),
    )


def eventful_run(make_trainer, hook, **options):
    burr = BurrCallback(machine=eventful(), hooks=[hook], monitor="val_loss")
    trainer = make_trainer(burr, max_epochs=6, **options)
    fit(trainer, WithTest(val_loss=[0.5, 0.6, 0.7, 0.8, 0.9, 1.0]))
    return burr


def test_the_steps_of_the_machine_are_in_lightnings_loggers(make_trainer, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    graph = with_actions(note=(Call(lambda: {"seven": 7}, writes=["seven"]), (0,)))
    loggers = [CSVLogger(tmp_path / "csv"), TensorBoardLogger(tmp_path / "board")]
    burr = BurrCallback(machine=graph, hooks=[LightningLoggerHook()])
    fit(make_trainer(burr, max_epochs=2, logger=loggers, log_every_n_steps=1))
    assert [step for step, _ in column(loggers[0], "burr/train_epoch_seconds")] == [4, 8]
    assert [step for step, _ in column(loggers[0], "burr/validate_seconds")] == [4, 8]
    assert [step for step, _ in column(loggers[0], "burr/best_model_seconds")] == [8]
    assert column(loggers[0], "burr/note/seven") == [(4, 7.0)]
    assert column(loggers[0], "burr/step")[-1] == (8, 5.0)
    of_phases = {name for name in columns(loggers[0]) if name.startswith(("burr/train", "burr/val"))}
    assert of_phases == {"burr/train_epoch_seconds", "burr/validate_seconds"}, "Lightning logs what they log"
    board = EventAccumulator(loggers[1].log_dir).Reload()
    events = board.Scalars("burr/train_epoch_seconds")
    assert [event.step for event in events] == [4, 8]
    assert all(0 < event.value < 60 for event in events)


def test_what_the_actions_did_is_in_lightnings_loggers(make_trainer, tmp_path):
    logger = CSVLogger(tmp_path)
    burr = eventful_run(make_trainer, LightningLoggerHook(), logger=logger)
    assert column(logger, "burr/begin/number") == [(4, 1.0)]
    assert column(logger, "burr/slower/learning_rates/0") == [(8, 0.005)]
    assert column(logger, "burr/freeze/frozen") == [(12, 1.0)]
    assert column(logger, "burr/test/metrics/test_loss") == [(16, 0.75)]
    [(_, to)], [(_, rate)] = column(logger, "burr/back/to"), column(logger, "burr/back/lr/0")
    assert (to, rate) == (0.0, pytest.approx(0.001))
    assert column(logger, "burr/best_model/best/epoch")[-1][1] == burr.state["best"]["epoch"]
    assert not any("checkpoint" in name for name in columns(logger)), "texts are no metrics"


def test_what_the_actions_did_is_on_the_console(make_trainer, capsys):
    eventful_run(make_trainer, ConsoleHook())
    lines = {line.split()[2]: line for line in capsys.readouterr().out.splitlines() if "epoch " in line[:6]}
    assert "name head  number 1" in lines["begin"]
    assert lines["slower"].endswith("learning_rates/0 0.005")
    assert "frozen 1  of 2" in lines["freeze"]
    assert "weights current  metrics/test_loss 0.75" in lines["test"]
    assert "lr/0 0.001  to 0  checkpoint " in lines["back"]


def test_a_result_with_the_names_of_a_phases_report_is_told_as_what_it_is(make_trainer, capsys):
    result = {"metrics": 3, "epoch": 7}
    ConsoleHook().step_ended(make_trainer(), "note", 0.5, result, {"epoch": 1})
    assert capsys.readouterr().out.split() == [
        "epoch",
        "1",
        "note",
        "0.50",
        "s",
        "metrics",
        "3",
        "epoch",
        "7",
    ]


def test_of_a_result_its_numbers_and_texts_are_told_and_long_lists_are_not():
    result = {"a": [1, {"b": 2.5}], "long": list(range(33)), "c": {"d": {"e": True}}, "n": None, "t": "x"}
    assert flattened(result) == {"a/0": 1, "a/1/b": 2.5, "c/d/e": True, "t": "x"}
    assert list(flattened({"just": list(range(32))})) == [f"just/{index}" for index in range(32)]
    assert flattened({}) == {}


def test_a_number_that_is_a_truth_is_no_metric(make_trainer, tmp_path):
    graph = with_actions(note=(Call(lambda: {"yes": True, "one": 1}, writes=["yes", "one"]), (0,)))
    burr = BurrCallback(machine=graph, hooks=[LightningLoggerHook()])
    fit(make_trainer(burr, max_epochs=1, logger=(logger := CSVLogger(tmp_path))))
    assert {"burr/note/one"} == {name for name in columns(logger) if name.startswith("burr/note/")}


def disabled(bar):
    bar.disable()
    return bar


class PlainBar(ProgressBar):
    """A bar of the user's own, with the print that Lightning gives it."""


BARS = {
    "none": lambda: None,
    "tqdm": TQDMProgressBar,
    "tqdm, not shown": lambda: TQDMProgressBar(refresh_rate=0),
    "tqdm, left": lambda: TQDMProgressBar(leave=True),
    "tqdm, disabled": lambda: disabled(TQDMProgressBar()),
    "rich": RichProgressBar,
    "rich, not shown": lambda: RichProgressBar(refresh_rate=0),
    "rich, left": lambda: RichProgressBar(leave=True),
    "rich, disabled": lambda: disabled(RichProgressBar()),
    "of one's own": PlainBar,
}


def steps_in(printed):
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed).replace("\r", "\n")
    lines = [line.strip() for line in plain.splitlines()]
    return [line for line in lines if line.startswith("epoch ") and " s" in line]


@pytest.mark.parametrize("bar", BARS.values(), ids=BARS.keys())
def test_the_console_has_a_line_per_step_beside_the_progress_bar(make_trainer, bar, capfd):
    bars = [given for given in [bar()] if given is not None]
    burr = BurrCallback(hooks=[ConsoleHook()])
    fit(make_trainer(burr, *bars, max_epochs=2, enable_progress_bar=bool(bars)))
    printed = capfd.readouterr()
    steps = steps_in(printed.out + printed.err)
    assert [line.split()[2] for line in steps] == [
        *("process_data", "train_epoch", "validate", "train_epoch", "validate", "best_model")
    ]
    assert steps[2].endswith("val_loss 0.5")
    assert steps[-1].endswith("stop_reason max_epochs=2 was reached")
    assert all("it/s" not in line for line in steps)


def test_the_lines_go_through_the_console_of_a_rich_bar(make_trainer, capfd):
    """Beside it, they would tear the live display."""
    written = io.StringIO()
    try:
        bar = RichProgressBar(console_kwargs={"file": written})
        fit(make_trainer(BurrCallback(hooks=[ConsoleHook()]), bar, max_epochs=2, enable_progress_bar=True))
    finally:
        rich.reconfigure()
    assert len(steps_in(written.getvalue())) >= 5
    assert len(steps_in(written.getvalue())) + len(steps_in(capfd.readouterr().out)) == 6


class Told(TrainerHook):
    def __init__(self):
        self.steps = []

    def step_ended(self, trainer, action, seconds, result, state):
        self.steps.append((id(trainer), action, seconds))


def test_a_hook_that_hears_of_no_step_is_not_made():
    class Deaf(TrainerHook):
        pass

    with pytest.raises(TypeError, match="step_ended"):
        Deaf()


def test_a_step_that_failed_has_not_ended(make_trainer):
    class Breaks(ScriptedModule):
        def training_step(self, batch, batch_idx):
            raise ValueError("broken")

    told = Told()
    with pytest.raises(ValueError, match="broken"):
        fit(make_trainer(BurrCallback(hooks=[told]), max_epochs=2), Breaks(val_loss=[0.5]))
    assert [action for _, action, _ in told.steps] == ["process_data"]


def test_a_hook_shared_with_a_run_inside_another_knows_both(make_trainer):
    told, trainers = Told(), []

    def train_within():
        trainers.append(make_trainer(BurrCallback("inner", hooks=[told]), max_epochs=1))
        fit(trainers[0])

    graph = with_actions(note=(Call(train_within), (0,)))
    outer = make_trainer(BurrCallback("outer", machine=graph, hooks=[told]), max_epochs=2)
    fit(outer)
    of_outer = [(action, seconds) for trainer, action, seconds in told.steps if trainer == id(outer)]
    of_inner = [(action, seconds) for trainer, action, seconds in told.steps if trainer == id(trainers[0])]
    assert [action for action, _ in of_outer] == [
        *("train_epoch", "validate", "note", "train_epoch", "validate", "best_model")
    ]
    assert [action for action, _ in of_inner] == ["process_data", "train_epoch", "validate", "best_model"]
    assert dict(of_outer)["note"] > sum(seconds for _, seconds in of_inner), "each has a clock of its own"


def test_the_rows_of_the_outer_run_are_in_its_logger(make_trainer, tmp_path):
    hook = LightningLoggerHook()

    def train_within():
        fit(make_trainer(BurrCallback("inner", hooks=[hook]), max_epochs=1))

    graph = with_actions(note=(Call(train_within), (0,)))
    burr = BurrCallback("outer", machine=graph, hooks=[hook])
    fit(make_trainer(burr, max_epochs=2, logger=(logger := CSVLogger(tmp_path))))
    assert [step for step, _ in column(logger, "burr/train_epoch_seconds")] == [4, 8]


def test_runs_of_one_name_in_two_projects_are_told_apart(make_trainer):
    told = Told()

    def train_within():
        fit(make_trainer(BurrCallback("same", "other", hooks=[told]), max_epochs=1))

    graph = with_actions(note=(Call(train_within), (0,)))
    outer = make_trainer(BurrCallback("same", machine=graph, hooks=[told]), max_epochs=1)
    fit(outer)
    steps = [action for trainer, action, _ in told.steps if trainer == id(outer)]
    assert steps == ["train_epoch", "validate", "note", "best_model"]


def test_a_hook_lets_the_trainer_go_when_the_run_ends(make_trainer):
    told = Told()
    trainer = make_trainer(BurrCallback(hooks=[told]), max_epochs=1)
    fit(trainer)
    gone = weakref.ref(trainer)
    del trainer
    gc.collect()
    assert gone() is None
