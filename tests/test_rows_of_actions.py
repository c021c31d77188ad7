"""What actions write is kept in rows as it is, and one that fails leaves the run as it was."""

import pytest
import torch
from burr.core import State, action
from exact_machines import Data, Measured, with_actions
from exact_parts import Net, data, digits, scheduled, sgd
from lightning.pytorch import LightningDataModule
from test_actions import trained, weights
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.actions import (
    Call,
    Evaluate,
    Freeze,
    RestartSchedule,
    Rollback,
    SetLearningRate,
    SwapData,
)
from burr_lightning.errors import ArgumentError, MachineError

# Values that a row would change


@pytest.mark.parametrize("settings", [{"size": (3, 4)}, {"part": {0: 0.5}}, {"part": [{"sizes": (1,)}]}])
def test_a_setting_that_a_row_would_give_back_otherwise_is_refused(settings):
    [name] = settings
    with pytest.raises(ArgumentError, match=rf"SwapData\({name}=.*would give back another value"):
        SwapData(**settings)


@pytest.mark.parametrize("value", [(1, 2), {1: "a"}, [(1, 2)]])
def test_an_initial_state_that_a_row_would_give_back_otherwise_is_refused(value):
    with pytest.raises(ArgumentError, match=r"initial_state=\{'a': .*would give back another value"):
        BurrCallback(initial_state={"a": value})


def test_what_a_row_gives_back_as_it_was_is_taken(make_trainer):
    values = {"sizes": [3, 4], "part": {"0": 0.5}, "name": "x", "none": None, "nan": float("nan")}
    burr = BurrCallback(machine=with_actions(), initial_state=values)
    make_trainer(burr, max_epochs=1).fit(Net(), **data())
    again = Run.open(burr.app.uid).state
    assert {key: repr(again[key]) for key in values} == {key: repr(value) for key, value in values.items()}


@action(reads=["epoch"], writes=["pair"])
def pair(state: State) -> State:
    return state.update(pair=(state["epoch"], 1))


@pytest.mark.parametrize(
    "writes", [pair, Call(lambda state: {"pair": (state["epoch"], 1)}, reads=["epoch"], writes=["pair"])]
)
def test_an_action_that_writes_a_tuple_is_told_that_a_row_would_change_it(make_trainer, writes):
    with pytest.raises(MachineError, match=r"The action 'note' wrote pair=\(0, 1\).*another value"):
        trained(make_trainer, with_actions(note=(writes, (0,))), Net())


# Rows inside of epochs


def test_a_machine_that_begins_with_an_epoch_may_be_committed_inside_of_it(make_trainer):
    """There is no row to go on from before its first step, and the training goes on all the same."""
    loaders = {**data(), "train_dataloaders": StatefulDataLoader(digits(), batch_size=32)}
    keep = Checkpoints(every_n_steps=1)
    burr, _ = trained(make_trainer, with_actions(), Net(), loaders, epochs=2, checkpoints=keep)
    assert (burr.run.status, len(burr.history)) == ("finished", 2)


# Functions and settings


def test_a_default_of_a_function_is_its_own_and_nothing_that_it_asks_for(make_trainer):
    calls = {
        f"call_{n}": (
            Call(lambda state, n=n, *, by=10: {"sum": state["sum"] + n * by}, reads=["sum"], writes=["sum"]),
            (n,),
        )
        for n in (1, 2)
    }
    assert calls["call_1"][0].inputs == []
    burr, _ = trained(make_trainer, with_actions(**calls), Net(), initial_state={"sum": 0})
    assert burr.state["sum"] == 30


class Saved(LightningDataModule):
    """Keeps its settings as hyperparameters, and one of them as an attribute too."""

    def __init__(self, samples=64, batch_size=32):
        super().__init__()
        self.save_hyperparameters()
        self.batch_size = batch_size

    def train_dataloader(self):
        return DataLoader(digits(0, self.hparams.samples), self.batch_size)


def test_a_setting_is_changed_wherever_the_datamodule_keeps_it(make_trainer):
    graph = with_actions(swap=(SwapData(samples=128, batch_size=16), (0,)))
    module = Saved()
    _, batches = trained(
        make_trainer, graph, Net(), {"datamodule": module}, look=lambda t, _: t.num_training_batches, epochs=2
    )
    assert batches == [2, 8]
    assert dict(module.hparams) == {"samples": 128, "batch_size": 16}
    assert module.batch_size == 16
    assert "samples" not in vars(module)


# Actions that fail


class Fragile(Measured):
    """Fails while it is wrong: in a test step, and when a checkpoint is loaded."""

    def __init__(self, wrong):
        class Schedule(LambdaLR):
            def load_state_dict(self, state_dict):
                _fail_if(wrong)
                super().load_state_dict(state_dict)

        super().__init__(configure=scheduled(lambda o: Schedule(o, lambda epoch: 0.9**epoch), sgd))
        self.wrong = wrong

    def test_step(self, batch, batch_idx):
        _fail_if(self.wrong)
        super().test_step(batch, batch_idx)

    def on_load_checkpoint(self, checkpoint):
        _fail_if(self.wrong)


class FragileData(Data):
    """Fails when a setting is changed while it is wrong."""

    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong

    def __setattr__(self, name, value):
        if name == "hardest":
            _fail_if(getattr(self, "wrong", False))
        super().__setattr__(name, value)


def _fail_if(wrong):
    if wrong:
        raise RuntimeError("the user's own")


FAILING = {
    "evaluated": lambda wrong: Evaluate(),
    "rollback": lambda wrong: Rollback(0),
    "frozen": lambda wrong: Freeze("backbone" if wrong else "network.0"),
    "data_settings": lambda wrong: SwapData(hardest=7),
    "learning_rates": lambda wrong: SetLearningRate(0.03, groups=[3 if wrong else 0]),
    "restarts": lambda wrong: RestartSchedule(lr_factor=0.5),
}
"""An action of each kind, by the key that it writes."""


@pytest.mark.parametrize("key", FAILING)
def test_an_action_that_fails_leaves_all_as_it_was_and_runs_when_the_cause_is_gone(make_trainer, key):
    def fit(run_id, *, wrong):
        module = Fragile(wrong)
        callback = BurrCallback(run_id, machine=with_actions(act=(FAILING[key](wrong), (1,))))
        given = {"datamodule": FragileData(wrong)}
        torch.manual_seed(5)
        for parameter in module.parameters():
            parameter.data.normal_(std=0.1)
        seen.append(callback)
        make_trainer(callback, max_epochs=3).fit(module, **given)
        return callback, weights(None, module)

    seen = []
    with pytest.raises((RuntimeError, ArgumentError), match=r"the user's own|backbone|there are 1 parameter"):
        fit("failing", wrong=True)
    stored = Run.open("failing")
    assert (stored.status, stored.path[-1].action, stored.path[-1].failed) == ("failed", "act", True)
    assert (stored.state["epoch"], stored.state[key]) == (1, None)
    assert seen[0].state[key] is None
    again, ended = fit("failing", wrong=False)
    whole, unfailing = fit("whole", wrong=False)
    assert (again.run.status, again.history) == ("finished", whole.history)
    assert str(again.state[key]) == str(whole.state[key])
    assert torch.equal(ended, unfailing)
