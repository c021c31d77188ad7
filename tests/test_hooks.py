"""Hooks of Burr's and ready-made ones, in a real training."""

import csv
import gc
import re
import weakref
from pathlib import Path

import pytest
import torch
from burr.integrations.opentelemetry import OpenTelemetryBridge
from burr.lifecycle.base import (
    DoLogAttributeHook,
    PostApplicationCreateHook,
    PostEndStreamHook,
    PostStreamItemHook,
)
from digits import DigitNet, digit_loaders
from exact_machines import with_actions
from lightning.pytorch.callbacks import RichProgressBar, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from burr_lightning import BurrCallback
from burr_lightning.actions import Call
from burr_lightning.errors import ArgumentError
from burr_lightning.hooks import ConsoleHook, LightningLoggerHook
from burr_lightning.testing import ScriptedModule, scripted_loader


def fit(trainer, module=None):
    trainer.fit(module or ScriptedModule(val_loss=[0.5, 0.25]), scripted_loader(), scripted_loader(batches=2))


class Items(PostStreamItemHook, PostEndStreamHook, PostApplicationCreateHook, DoLogAttributeHook):
    def __init__(self):
        self.items, self.ended, self.created, self.attributes = [], [], [], []

    def post_stream_item(self, *, item, item_index, action, **future_kwargs):
        self.items.append((action, item))

    def post_end_stream(self, *, action, **future_kwargs):
        self.ended.append(action)

    def post_application_create(self, *, app_id, **future_kwargs):
        self.created.append(app_id)

    def do_log_attributes(self, *, attributes, action, **future_kwargs):
        self.attributes.append((action, attributes))


def test_hooks_see_the_application_the_streams_and_the_attributes(make_trainer):
    hook = Items()
    fit(make_trainer(BurrCallback("seen", hooks=[hook]), max_epochs=2))
    assert hook.created == ["seen"]
    assert hook.ended == ["train_epoch", "validate"] * 2
    attributes = [(action.name, logged) for action, logged in hook.attributes]
    assert attributes == [("validate", {"val_loss": 0.5}), ("validate", {"val_loss": 0.25})]


@pytest.mark.parametrize(("every", "batches"), [(1, [0, 1, 2, 3]), (2, [1, 3]), (3, [2]), (5, [])])
def test_a_stream_is_throttled_and_its_report_still_tells_all_batches(make_trainer, every, batches):
    hook = Items()
    burr = BurrCallback(hooks=[hook], stream_every_n_batches=every)
    fit(make_trainer(burr, max_epochs=1))
    assert [item["batch"] for action, item in hook.items if action == "train_epoch"] == batches
    [epoch] = [step for step in burr.run.path if step.action == "train_epoch"]
    assert epoch.epoch == 0
    assert hook.ended == ["train_epoch", "validate"]


def test_a_stream_item_hands_over_the_steps_own_tensors_without_their_graph(make_trainer):
    class Returns(ScriptedModule):
        def __init__(self, **script):
            super().__init__(**script)
            self.returned = []

        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            more = loss * 2
            self.returned.append(more.data_ptr())
            return {"loss": loss, "more": more, "parts": [more]}

        def validation_step(self, batch, batch_idx):
            return torch.tensor(3.0)

    hook, module = Items(), Returns(val_loss=[0.5])
    fit(make_trainer(BurrCallback(hooks=[hook]), max_epochs=1), module)
    of_training = [item["outputs"] for action, item in hook.items if action == "train_epoch"]
    assert [outputs["more"].data_ptr() for outputs in of_training] == module.returned
    assert not any(
        outputs["more"].requires_grad or outputs["parts"][0].requires_grad for outputs in of_training
    )
    assert [item["outputs"].item() for action, item in hook.items if action == "validate"] == [3.0, 3.0]


def test_no_more_than_two_batches_are_kept_alive_for_the_stream(make_trainer):
    alive = []

    class Large(ScriptedModule):
        def validation_step(self, batch, batch_idx):
            gc.collect()
            seen.append(sum(reference() is not None for reference in alive))
            outputs = torch.zeros(10)
            alive.append(weakref.ref(outputs.untyped_storage()))
            return {"outputs": outputs}

    seen = []
    trainer = make_trainer(BurrCallback(), max_epochs=1, num_sanity_val_steps=0)
    trainer.fit(Large(val_loss=[0.5]), scripted_loader(), scripted_loader(batches=8))
    assert max(seen) <= 2


@pytest.mark.parametrize(
    "given", [{"hooks": [print]}, {"stream_every_n_batches": 0}, {"stream_every_n_batches": 1.5}]
)
def test_what_is_no_hook_is_refused(given):
    with pytest.raises(ArgumentError, match=f"BurrCallback\\({next(iter(given))}="):
        BurrCallback(**given)


def test_the_steps_of_the_machine_are_in_lightnings_loggers(make_trainer, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    graph = with_actions(note=(Call(lambda: {"seven": 7}, writes=["seven"]), (0,)))
    loggers = [CSVLogger(tmp_path / "csv"), TensorBoardLogger(tmp_path / "board")]
    burr = BurrCallback(machine=graph, hooks=[LightningLoggerHook()])
    fit(make_trainer(burr, max_epochs=2, logger=loggers, log_every_n_steps=1))
    with open(Path(loggers[0].log_dir) / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    logged = {
        (int(row["step"]), name) for row in rows for name, value in row.items() if value and "burr/" in name
    }
    assert {
        *((4, "burr/train_epoch_seconds"), (4, "burr/validate_seconds"), (4, "burr/note/seven")),
        *((8, "burr/train_epoch_seconds"), (8, "burr/best_model_seconds"), (8, "burr/step")),
    } <= logged
    board = EventAccumulator(loggers[1].log_dir).Reload()
    events = board.Scalars("burr/train_epoch_seconds")
    assert [event.step for event in events] == [4, 8]
    assert all(0 < event.value < 60 for event in events)


@pytest.mark.parametrize("bar", [None, TQDMProgressBar, RichProgressBar])
def test_the_console_has_a_line_per_step_beside_the_progress_bar(make_trainer, bar, capfd):
    bars = [bar()] if bar else []
    burr = BurrCallback(hooks=[ConsoleHook()])
    fit(make_trainer(burr, *bars, max_epochs=2, enable_progress_bar=bar is not None))
    printed = capfd.readouterr()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed.out + printed.err).replace("\r", "\n")
    lines = [line.strip() for line in plain.splitlines()]
    steps = [line for line in lines if line.startswith("epoch ") and " s" in line]
    assert [line.split()[2] for line in steps] == [
        *("process_data", "train_epoch", "validate", "train_epoch", "validate", "best_model")
    ]
    assert steps[2].endswith("val_loss 0.5")
    assert steps[-1].endswith("stop_reason max_epochs=2 was reached")
    assert all("it/s" not in line for line in steps)


def test_the_machine_is_traced_with_opentelemetry(make_trainer):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    bridge = OpenTelemetryBridge(tracer=provider.get_tracer("training"))
    burr = BurrCallback(hooks=[bridge])
    make_trainer(burr, max_epochs=2).fit(DigitNet(), *digit_loaders())
    spans = exporter.get_finished_spans()
    steps = [span for span in spans if span.name in ("train_epoch", "validate", "process_data", "best_model")]
    names = [span.name for span in sorted(steps, key=lambda span: span.start_time)]
    assert names == ["process_data", "train_epoch", "validate", "train_epoch", "validate", "best_model"]
    validation = next(span for span in steps if span.name == "validate")
    assert float(validation.attributes["val_acc"]) == pytest.approx(burr.history["val_acc"][0])
