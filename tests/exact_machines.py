"""Machines with actions that change the training: each a script that a resume can get wrong."""

from __future__ import annotations

from typing import Any

import torch
from burr.core import Condition, State, action
from burr.core.graph import Graph, GraphBuilder
from exact_parts import Net, X, Y, adam, data, digits, loader, scheduled, sgd
from exact_trainings import Adversaries
from exactness import Case, Script
from lightning.pytorch import LightningDataModule
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, TensorDataset
from torchdata.stateful_dataloader import StatefulDataLoader
from torchmetrics import MeanMetric, MetricCollection

from burr_lightning import Checkpoints
from burr_lightning.actions import (
    BestModel,
    Call,
    Evaluate,
    Freeze,
    Review,
    Rollback,
    SetLearningRate,
    SwapData,
    TrainEpoch,
    Unfreeze,
    Validate,
)
from burr_lightning.conditions import max_epochs, reached
from burr_lightning.machines import (
    FINISHED,
    VALIDATION_DUE,
    Lesson,
    Unfrozen,
    curriculum,
    default_machine,
    rollback_on_divergence,
    staged_finetuning,
    warm_restarts,
)
from burr_lightning.mixins import BurrMixin, MetricsMixin, stage
from burr_lightning.mixins.stages import machine_of_stages
from burr_lightning.pausing import Block

MACHINES: dict[str, Case] = {}
SPECIAL: dict[str, list[str]] = {}
"""The actions of each that a process is killed in."""


def machine(*special: str, **options: Any) -> Any:
    """Register a script, and the actions that a process is killed in."""

    def register(write: Any) -> Any:
        MACHINES[write.__name__] = Case(write, **options)
        SPECIAL[write.__name__] = list(special)
        return write

    return register


def after_epoch(epoch: int) -> Condition:
    return Condition.expr(f"epoch == {epoch}")


def after_steps(steps: int) -> Condition:
    return Condition.expr(f"global_step == {steps}")


def with_actions(ending: BestModel | None = None, /, **ordinary: Any) -> Graph:
    """The default machine, with ordinary actions: name=(action, after which epochs, or on what condition)."""
    phases = ["train_epoch", "validate"]
    actions = {name: given for name, (given, _) in ordinary.items()}
    return (
        GraphBuilder()
        .with_actions(
            train_epoch=TrainEpoch(), validate=Validate(), **actions, best_model=ending or BestModel()
        )
        .with_transitions(
            ("train_epoch", "validate", VALIDATION_DUE),
            *[(phases, name, _condition(when)) for name, (_, when) in ordinary.items()],
            ([*phases, *actions], "best_model", FINISHED),
            ([*phases, *actions], "train_epoch"),
        )
        .build()
    )


def _condition(when: Any) -> Condition:
    return when if isinstance(when, Condition) else Condition.expr(f"epoch in {tuple(when)!r}")


class Measured(Net):
    def test_step(self, batch, batch_idx):
        self.log("test_loss", self.loss(batch))
        self.log("drawn", torch.rand(()))


class Data(LightningDataModule):
    """Digits up to a difficulty, shuffled; the batch size is a setting."""

    def __init__(self) -> None:
        super().__init__()
        self.batch_size, self.hardest = 32, 5
        self.calls = 0

    def train_dataloader(self):
        chosen = torch.nonzero(Y[:256] <= self.hardest).flatten()
        return DataLoader(TensorDataset(X[chosen], Y[chosen]), batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(digits(500, 64), self.batch_size, shuffle=False)

    def test_dataloader(self):
        return DataLoader(digits(700, 64), 32, shuffle=True)


@machine("back", epochs=5, schedules=True)
def rolled_back() -> Script:
    graph = with_actions(back=(Rollback("best", lr_factor=0.5), (2, 3)))
    net = Net(nn.Dropout(0.5), configure=scheduled(lambda o: StepLR(o, 2, 0.5), adam))
    return Script(net, data(shuffle=True), burr={"machine": graph, "monitor": "val_loss"})


@machine("back", epochs=4, schedules=True)
def rolled_back_to_the_last_one_with_its_random_numbers() -> Script:
    graph = with_actions(back=(Rollback("last", lr_factor=0.1, skip_data=False), (2,)))
    configure = scheduled(lambda o: ReduceLROnPlateau(o, patience=0), sgd, monitor="val_loss")
    return Script(Net(nn.Dropout(0.5), configure=configure), data(shuffle=True), burr={"machine": graph})


@machine("back", epochs=4, schedules=True)
def rolled_back_under_a_plateau_schedule() -> Script:
    """Each epoch is a bad one; the schedule hears of neither that which was lost nor of any one twice."""
    graph = with_actions(back=(Rollback("best", lr_factor=0.5), (1,)))
    configure = scheduled(lambda o: ReduceLROnPlateau(o, patience=0, threshold=0.5), sgd, monitor="val_loss")
    net = Net(nn.Dropout(0.5), configure=configure)
    return Script(net, data(shuffle=True), burr={"machine": graph, "monitor": "val_loss"})


@machine("back", epochs=5, schedules=True)
def rolled_back_to_other_groups() -> Script:
    """The commit has one group of parameters and all of them training, those after it two, or fewer."""
    graph = with_actions(
        freeze=(Freeze("network.0", "network.1"), (0,)),
        thaw=(Unfreeze("network.0", "network.1", lr=0.003), (1,)),
        back=(Rollback(0), (2,)),
    )
    net = Net(nn.BatchNorm1d(16), configure=scheduled(lambda o: StepLR(o, 1, 0.8), adam))
    burr = {"machine": graph, "checkpoints": Checkpoints(keep_last=4)}
    return Script(net, data(shuffle=True), burr=burr)


@machine("shake", "back", epochs=4)
def changed_inside_epochs() -> Script:
    graph = with_actions(shake=(Call(shake), after_steps(6)), back=(Rollback("last"), after_steps(10)))
    halves = {"val_check_interval": 0.5}
    return Script(Net(nn.Dropout(0.5)), data(shuffle=True), trainer=halves, burr={"machine": graph})


@machine("shake", "slower", epochs=3)
def changed_beside_commits_inside_epochs() -> Script:
    """Its first action comes with the first of the commits in the second epoch."""
    graph = with_actions(
        shake=(Call(shake), after_steps(5)), slower=(SetLearningRate(factor=0.3), after_steps(8))
    )
    train = StatefulDataLoader(digits(), batch_size=32, shuffle=True)
    burr = {"machine": graph, "checkpoints": Checkpoints(every_n_steps=1)}
    quarters = {"val_check_interval": 0.25}
    return Script(Net(nn.Dropout(0.5)), data(train, shuffle=True), trainer=quarters, burr=burr)


@machine("back", epochs=4, schedules=True)
def rolled_back_at_the_end_of_an_epoch_that_was_gone_on_with() -> Script:
    graph = with_actions(back=(Rollback(0), (1,)))
    configure = scheduled(lambda o: ReduceLROnPlateau(o, patience=0, threshold=0.5), sgd, monitor="val_loss")
    train = StatefulDataLoader(digits(), batch_size=32, shuffle=True)
    burr = {"machine": graph, "checkpoints": Checkpoints(keep_last=9, every_n_steps=1)}
    return Script(Net(nn.Dropout(0.5), configure=configure), data(train, shuffle=True), burr=burr)


class TwoSchedules(Net):
    """Two groups, each with a schedule of its own; the first is split by what is unfrozen."""

    def configure_optimizers(self):
        first, last = self.network[0], self.network[3]
        groups = [{"params": [*first.parameters(), last.bias]}, {"params": [last.weight]}]
        optimizer = torch.optim.SGD(groups, lr=0.1)
        schedule = LambdaLR(optimizer, [lambda epoch: 0.9**epoch, lambda epoch: 0.1**epoch])
        return {"optimizer": optimizer, "lr_scheduler": schedule}


@machine("thaw", epochs=4, schedules=True)
def unfrozen_out_of_a_group_with_a_schedule_of_its_own() -> Script:
    graph = with_actions(thaw=(Unfreeze("network.0", lr=0.05), (0,)))
    return Script(TwoSchedules(nn.Dropout(0.5)), data(shuffle=True), burr={"machine": graph})


@machine("slower", "set", epochs=5, schedules=True)
def learning_rate_set() -> Script:
    graph = with_actions(slower=(SetLearningRate(factor=0.3), (1,)), set=(SetLearningRate(0.01), (3,)))
    configure = scheduled(lambda o: CosineAnnealingLR(o, 6), sgd, interval="step")
    return Script(Net(nn.Dropout(0.5), configure=configure), data(), burr={"machine": graph})


@machine("thaw", "freeze", epochs=5, schedules=True)
def frozen_and_unfrozen() -> Script:
    graph = with_actions(
        freeze=(Freeze("network.0", "network.1"), (0,)), thaw=(Unfreeze("*", lr=0.003), (2,))
    )
    configure = scheduled(lambda o: LambdaLR(o, lambda epoch: 0.8**epoch), adam)
    return Script(Net(nn.BatchNorm1d(16), configure=configure), data(shuffle=True), burr={"machine": graph})


@machine("swap", "grow", epochs=5)
def swapped() -> Script:
    graph = with_actions(swap=(SwapData(hardest=9), (1,)), grow=(SwapData(batch_size=16), (2,)))
    return Script(Net(nn.Dropout(0.5)), {"datamodule": Data()}, burr={"machine": graph})


@machine("swap", epochs=4)
def swapped_loader() -> Script:
    def other():
        return loader(digits(200, 96), shuffle=True)

    graph = with_actions(swap=(SwapData(other), (1,)))
    return Script(Net(nn.Dropout(0.5)), data(shuffle=True), burr={"machine": graph})


@machine("test", "test_best", epochs=4)
def evaluated() -> Script:
    graph = with_actions(test=(Evaluate(), (1,)), test_best=(Evaluate("best"), (2,)))
    return Script(
        Measured(nn.Dropout(0.5)), {"datamodule": Data()}, burr={"machine": graph, "monitor": "val_loss"}
    )


def shake(trainer, pl_module):
    """Draw from the generator, and change the weights."""
    with torch.no_grad():
        for parameter in pl_module.parameters():
            parameter += 0.01 * torch.randn_like(parameter)


@machine("shake", epochs=4)
def called() -> Script:
    graph = with_actions(shake=(Call(shake), (0, 2)))
    return Script(Net(nn.Dropout(0.5)), data(shuffle=True), burr={"machine": graph})


@action(reads=["epoch"], writes=["note"])
def note(state: State) -> State:
    return state.update(note=state["epoch"])


@machine("validate", "note", epochs=4)
def validated_where_the_machine_asks() -> Script:
    """Lightning validates at no epoch's end; the machine does after each, and before the first."""
    graph = (
        GraphBuilder()
        .with_actions(note=note, train_epoch=TrainEpoch(), validate=Validate(), best_model=BestModel())
        .with_transitions(
            ("note", "validate"),
            ("train_epoch", "note"),
            ("validate", "best_model", FINISHED),
            ("validate", "train_epoch"),
        )
        .build()
    )
    shuffled = data(shuffle=True, train=None)
    return Script(
        Net(nn.Dropout(0.5)),
        shuffled,
        trainer={"check_val_every_n_epoch": 100, "num_sanity_val_steps": 0},
        burr={"machine": graph, "monitor": "val_loss"},
    )


@machine("begin_all", "unfreeze_all", "freeze_all", epochs=6)
def finetuned_in_stages() -> Script:
    graph = staged_finetuning(
        [
            Unfrozen("head", ["network.3"], max_epochs(2)),
            Unfrozen("norm", ["network.1"], max_epochs(1)),
            Unfrozen("all", ["*"], max_epochs(2), lr=0.002),
        ]
    )
    return Script(Net(nn.BatchNorm1d(16)), data(shuffle=True), burr={"machine": graph})


@machine("rollback", epochs=6)
def recovers_from_divergence() -> Script:
    def blow_up(parameters):
        return torch.optim.SGD(parameters, lr=0.1)

    class BlowsUp(Net):
        def on_train_epoch_start(self):
            if self.current_epoch == 2:
                self.optimizers().param_groups[0]["lr"] = 1e4

    graph = rollback_on_divergence(~reached("train_loss_epoch", 10.0), lr_factor=0.5)
    return Script(
        BlowsUp(nn.Dropout(0.2), configure=blow_up),
        data(shuffle=True),
        burr={"machine": graph, "monitor": "val_loss"},
    )


@machine("restart", "begin_cycle", epochs=6, schedules=True)
def restarted() -> Script:
    graph = warm_restarts(max_epochs(2), restarts=2, lr_factor=0.5)
    configure = scheduled(lambda o: CosineAnnealingLR(o, 8), sgd, interval="step")
    return Script(Net(nn.Dropout(0.5), configure=configure), data(shuffle=True), burr={"machine": graph})


@machine("data_of_easy", "data_of_all", epochs=5)
def taught() -> Script:
    graph = curriculum(
        [Lesson("easy", max_epochs(2), {"hardest": 3}), Lesson("all", None, {"hardest": 9, "batch_size": 16})]
    )
    return Script(Net(nn.Dropout(0.5)), {"datamodule": Data()}, burr={"machine": graph})


@machine("review", "set_learning_rate", epochs=5, schedules=True)
def reviewed() -> Script:
    """Nobody is there, so that the process answers by itself: at a resume, with what it answered before."""
    graph = default_machine(review_when=max_epochs(2))
    configure = scheduled(lambda o: ReduceLROnPlateau(o, patience=0), adam, monitor="val_loss")
    burr = {
        "machine": graph,
        "monitor": "val_loss",
        "wait": Block(timeout=0.01, default={"verdict": "go", "lr": 0.004}),
        "checkpoints": Checkpoints(every_n_epochs=3),
    }
    return Script(Net(nn.Dropout(0.5), configure=configure), data(shuffle=True), burr=burr)


@machine("ask", epochs=4)
def reviewed_between_batches() -> Script:
    """A process that waits in the middle of an epoch; killed, it begins that epoch again, and asks again."""
    graph = with_actions(ask=(Review(fields={"lr": float}), after_steps(12)))
    burr = {"machine": graph, "wait": Block(timeout=0.01, default="go")}
    return Script(Net(nn.Dropout(0.5)), data(shuffle=True), trainer={"val_check_interval": 4}, burr=burr)


@machine("ask", epochs=3)
def reviewed_between_batches_and_gone_on_with() -> Script:
    """The same with a loader that can go on: a process that does not wait comes back to the next batch."""
    graph = with_actions(ask=(Review(fields={"lr": float}), after_steps(12)))
    burr = {"machine": graph, "wait": Block(timeout=0.01, default="go")}
    loader_that_goes_on = StatefulDataLoader(digits(0, 256), batch_size=32, shuffle=True)
    given = {**data(shuffle=True), "train_dataloaders": loader_that_goes_on}
    return Script(Net(nn.Dropout(0.5)), given, trainer={"val_check_interval": 4}, burr=burr)


class Stages(BurrMixin, Net):
    """Stages as methods of the module."""

    @stage(until=max_epochs(2))
    def last_layer(self) -> None:
        self.freeze("network.0", "network.1")

    @stage(until=max_epochs(2))
    def everything(self) -> None:
        self.unfreeze("network.0", "network.1", lr=0.003)
        self.set_learning_rate(0.002)


@machine("last_layer", "everything", epochs=5, schedules=True)
def staged_by_methods() -> Script:
    net = Stages(nn.BatchNorm1d(16), configure=scheduled(lambda o: StepLR(o, 1, 0.8), adam))
    return Script(net, data(shuffle=True), burr={"machine": machine_of_stages(Stages)})


class StagedAdversaries(BurrMixin, MetricsMixin, Adversaries):
    """Two optimizers by hand; the judge trains first, then both, a part of it at a rate of its own."""

    def configure_metrics(self) -> MetricCollection:
        return MetricCollection({"mean": MeanMetric()})

    @stage(until=max_epochs(2))
    def only_judge(self) -> None:
        self.freeze("generator", "judge.3.bias")

    @stage(until=max_epochs(2))
    def both(self) -> None:
        self.unfreeze("generator", lr=0.003)
        self.unfreeze("judge.3.bias", lr=0.05)

    def training_step(self, batch, batch_idx):
        self.update_metrics(batch[0])
        return super().training_step(batch, batch_idx)


@machine("only_judge", "both", epochs=5, schedules=True)
def staged_by_methods_and_optimized_by_hand() -> Script:
    burr = {"machine": machine_of_stages(StagedAdversaries)}
    return Script(StagedAdversaries(), {"train_dataloaders": loader(shuffle=True)}, burr=burr)


class Changed(BurrMixin, Net):
    """Hyperparameters that an answer changes."""

    def __init__(self) -> None:
        super().__init__(nn.Dropout(0.5), configure=scheduled(lambda o: StepLR(o, 1, 0.8), adam))
        self.save_hyperparameters({"lr": 0.01, "weight_decay": 0.0, "betas": [0.9, 0.999]})


@machine("ask", epochs=5, schedules=True)
def changed_hparams() -> Script:
    review = Review(fields={"lr": float, "weight_decay": float})
    answer = {"verdict": "go", "lr": 0.003, "weight_decay": 0.1}
    burr = {
        "machine": with_actions(ask=(review, (1, 3))),
        "wait": Block(timeout=0.01, default=answer),
    }
    return Script(Changed(), data(shuffle=True), burr=burr)
