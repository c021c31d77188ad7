"""`plateau` and its companions stop where Lightning's own `EarlyStopping` does."""

import math
import random

import numpy as np
import pytest
import torch
from burr.core import State
from lightning.pytorch.callbacks import EarlyStopping

from burr_lightning import BurrCallback, MetricHistory
from burr_lightning.conditions import diverged, not_finite, plateau, reached
from burr_lightning.conditions.replayed import first_stop
from burr_lightning.testing import ScriptedModule, scripted_loader

GRID = [-2.0, -1.0, -0.5, 0.0, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0]
ODD = [math.nan, math.inf, -math.inf]


def random_history(draw):
    """One value per epoch; ``None`` where the metric is not logged."""
    odd, missing = draw.choice([0, 0, 0.1]), draw.choice([0, 0, 0.3])
    values = [draw.choice(ODD) if draw.random() < odd else draw.choice(GRID) for _ in range(40)]
    return [None if draw.random() < missing else value for value in values[: draw.randint(1, 40)]]


def random_options(draw):
    return {
        "patience": draw.randint(0, 10),
        "min_delta": draw.choice([0.0, 0.0, 0.1, 0.5]),
        "mode": draw.choice(["min", "max"]),
        "check_finite": draw.choice([True, False]),
        "stopping_threshold": draw.choice([None, None, -1.0, 0.3, 2.0]),
        "divergence_threshold": draw.choice([None, None, 1.0, -1.0, 0.5]),
    }


def same_condition(options):
    mode = options["mode"]
    condition = plateau("loss", options["patience"], options["min_delta"], mode)
    if options["check_finite"]:
        condition = condition | not_finite("loss")
    if (target := options["stopping_threshold"]) is not None:
        # Lightning's threshold has to be passed, not reached.
        better = np.float32(-math.inf if mode == "min" else math.inf)
        condition = reached("loss", float(np.nextafter(np.float32(target), better)), mode) | condition
    if (worst := options["divergence_threshold"]) is not None:
        condition = condition | diverged("loss", worst, mode)
    return condition


def stop_of_lightning(values, options, dtype=torch.float64):
    callback = EarlyStopping("loss", **options)
    for epoch, value in enumerate(values):
        if value is not None:
            stop, _ = callback._evaluate_stopping_criteria(torch.tensor(value, dtype=dtype))
            if stop:
                return epoch
    return None


def history_of(values):
    history = MetricHistory()
    for epoch, value in enumerate(values):
        history = history.append(epoch, {} if value is None else {"loss": value})
        yield history


def test_thousands_of_random_histories_stop_at_the_same_epoch():
    draw = random.Random(20240411)
    stopped = never = 0
    for number in range(6000):
        values, options = random_history(draw), random_options(draw)
        expected, condition = stop_of_lightning(values, options), same_condition(options)
        histories = list(history_of(values))
        states = [State({"history": history}) for history in histories]
        ours = next((epoch for epoch, state in enumerate(states) if condition.truth(state)), None)
        assert ours == expected, (number, values, options)
        assert first_stop(condition, histories[-1].recording()) == expected, (number, values, options)
        stopped, never = stopped + (expected is not None), never + (expected is None)
    assert min(stopped, never) > 300


def test_histories_that_were_logged_in_32_bits_stop_where_lightning_stops_with_32_bits():
    draw = random.Random(7)
    boundaries = 0
    for number in range(3000):
        steps = [draw.randint(-12, 12) / 10 for _ in range(20)]
        options = random_options(draw) | {"min_delta": draw.choice([0.1, 0.2, 0.3])}
        expected = stop_of_lightning(steps, options, torch.float32)
        boundaries += stop_of_lightning(steps, options) != expected
        *_, history = history_of([float(np.float32(value)) for value in steps])
        assert first_stop(same_condition(options), history.recording()) == expected, (number, steps, options)
    assert boundaries > 10


def test_a_target_that_is_met_exactly_is_reached_by_a_metric_of_32_bits(make_trainer):
    class Single(ScriptedModule):
        def on_validation_epoch_end(self):
            self.log("acc", torch.tensor(0.9))

    burr = BurrCallback(stop_when=reached("acc", 0.9, mode="max"))
    make_trainer(burr, max_epochs=3).fit(Single(acc=[0.9]), scripted_loader(), scripted_loader())
    assert burr.state["epoch"] == 0


def test_a_stop_that_comes_before_min_epochs_is_asked_for_again_when_they_are_over(make_trainer):
    values = [0.5, 0.6, 0.7, 0.4, 0.3, 0.2]
    burr = BurrCallback(stop_when=plateau("loss", 2))
    make_trainer(burr, min_epochs=5, max_epochs=6).fit(
        ScriptedModule(loss=values), scripted_loader(), scripted_loader()
    )
    # EarlyStopping would remember that it had wished to stop, and stop after epoch 4, which improved.
    assert burr.state["epoch"] == 5


@pytest.mark.parametrize("seed", range(12))
def test_a_real_trainer_stops_at_the_same_epoch(make_trainer, seed):
    draw = random.Random(seed)
    values = [draw.choice(GRID + ODD[: seed % 2]) for _ in range(12)]
    options = random_options(draw)
    burr = BurrCallback("ours", stop_when=same_condition(options))
    ours = make_trainer(burr, max_epochs=12)
    ours.fit(ScriptedModule(loss=values), scripted_loader(), scripted_loader())
    theirs = make_trainer(EarlyStopping("loss", **options), max_epochs=12, enable_checkpointing=False)
    theirs.fit(ScriptedModule(loss=values), scripted_loader(), scripted_loader())
    assert burr.state["epoch"] + 1 == ours.current_epoch == theirs.current_epoch


@pytest.mark.parametrize("every", [2, 3])
def test_a_real_trainer_that_validates_every_n_epochs_does_too(make_trainer, every):
    values, options = [0.9, 0.5, 0.6, 0.4, 0.5, 0.6, 0.7], {"patience": 2, "mode": "min"}
    burr = BurrCallback("ours", stop_when=plateau("loss", **options))
    ours = make_trainer(burr, max_epochs=20, check_val_every_n_epoch=every)
    ours.fit(ScriptedModule(loss=values), scripted_loader(), scripted_loader())
    stopping = EarlyStopping("loss", **options)
    theirs = make_trainer(stopping, max_epochs=20, check_val_every_n_epoch=every, enable_checkpointing=False)
    theirs.fit(ScriptedModule(loss=values), scripted_loader(), scripted_loader())
    assert ours.current_epoch == theirs.current_epoch == 6 * every


def test_a_value_that_lightning_finds_again_in_epochs_that_log_none_counts_once_here(make_trainer):
    class EverySecondEpoch(ScriptedModule):
        def on_validation_epoch_end(self):
            if self.current_epoch % 2 == 0:
                super().on_validation_epoch_end()

    losses = [0.9, 0.5, 0.6, 0.4, 0.5, 0.6]
    burr = BurrCallback(stop_when=plateau("loss", 2))
    make_trainer(burr, max_epochs=20).fit(EverySecondEpoch(loss=losses), scripted_loader(), scripted_loader())
    stopping = EarlyStopping("loss", patience=2)
    make_trainer(stopping, max_epochs=20, enable_checkpointing=False).fit(
        EverySecondEpoch(loss=losses), scripted_loader(), scripted_loader()
    )
    assert (burr.state["epoch"], stopping.stopped_epoch) == (10, 4)
