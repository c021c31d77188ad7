"""Hooks of Burr's and ready-made ones, in a real training."""

import gc
import weakref
from typing import get_args

import pytest
import torch
from burr.integrations.opentelemetry import OpenTelemetryBridge
from burr.lifecycle.base import (
    DoLogAttributeHook,
    LifecycleAdapter,
    PostApplicationCreateHook,
    PostEndStreamHook,
    PostEndStreamHookAsync,
    PostStreamItemHook,
    PreRunStepHookAsync,
)
from digits import DigitNet, digit_loaders
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from burr_lightning import BurrCallback
from burr_lightning.errors import ArgumentError
from burr_lightning.hooks import ConsoleHook
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
    "given",
    [
        *({"hooks": [print]}, {"hooks": None}, {"hooks": ConsoleHook()}, {"hooks": "hooks"}),
        *({"stream_every_n_batches": 0}, {"stream_every_n_batches": 1.5}),
        *({"tracker": "local"}, {"tracker": None}, {"tracker": ConsoleHook}),
    ],
)
def test_what_is_no_hook_is_refused(given):
    with pytest.raises(ArgumentError, match=f"BurrCallback\\({next(iter(given))}="):
        BurrCallback(**given)


def test_a_hook_beside_a_list_is_told_what_to_write():
    with pytest.raises(
        ArgumentError, match=r"a list of lifecycle adapters of Burr's, as \[ConsoleHook\(\)\] is"
    ):
        BurrCallback(hooks=ConsoleHook())


def test_the_class_of_a_hook_is_told_to_be_called():
    with pytest.raises(
        ArgumentError, match=r"hooks=\[ConsoleHook\]\): this is a class.*Give ConsoleHook\(\.\.\.\)"
    ):
        BurrCallback(hooks=[ConsoleHook])


async def nothing(self, **future_kwargs):
    """An asynchronous hook."""


ASYNCHRONOUS = [kind for kind in get_args(LifecycleAdapter) if kind.__name__.endswith("Async")]


@pytest.mark.parametrize("kind", ASYNCHRONOUS, ids=lambda kind: kind.__name__)
def test_a_hook_that_would_never_be_called_is_refused_by_name(kind):
    hook = type("Mine", (kind,), dict.fromkeys(kind.__abstractmethods__, nothing))()
    twin = kind.__name__.removesuffix("Async")
    with pytest.raises(ArgumentError, match=rf"Mine.*is as {kind.__name__}\. Subclass {twin} instead"):
        BurrCallback(hooks=[Items(), hook])


def test_a_hook_that_is_asynchronous_in_part_is_refused_for_that_part():
    class Both(Items, PostEndStreamHookAsync, PreRunStepHookAsync):
        pre_run_step = nothing

    with pytest.raises(ArgumentError, match=r"is as PreRunStepHookAsync\. "):
        BurrCallback(hooks=[Both()])
    assert len(ASYNCHRONOUS) >= 8


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
