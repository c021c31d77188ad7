"""Trainings that a resume can get wrong: layers, optimizers, schedules and averages."""

from __future__ import annotations

from typing import Any

import torch
from exact_parts import Net, adam, data, digits, loader, registered_in, scheduled, sgd
from exactness import Case, Script
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    EMAWeightAveraging,
    GradientAccumulationScheduler,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.plugins import MixedPrecision
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)
from torchdata.stateful_dataloader import StatefulDataLoader

from burr_lightning import Checkpoints

TRAININGS: dict[str, Case] = {}
case = registered_in(TRAININGS)


# Layers and order


@case()
def nothing_random() -> Script:
    return Script(Net(), data(loader()))


@case()
def dropout() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(loader()))


@case()
def shuffling() -> Script:
    return Script(Net(), data())


@case()
def dropout_and_shuffling() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(shuffle=True))


@case()
def without_validation() -> Script:
    return Script(Net(nn.Dropout(0.5)), {"train_dataloaders": loader(shuffle=True)})


@case()
def batch_norm() -> Script:
    return Script(Net(nn.BatchNorm1d(16), nn.Dropout(0.5)), data())


# Optimizers and schedulers


@case(schedules=True)
def step_lr() -> Script:
    return Script(Net(configure=scheduled(lambda o: StepLR(o, 2, 0.5))), data())


@case(schedules=True, epochs=5)
def plateau_lr() -> Script:
    kind = scheduled(lambda o: ReduceLROnPlateau(o, patience=0, threshold=0.5), monitor="val_loss")
    return Script(Net(nn.Dropout(0.5), configure=kind), data())


@case(schedules=True, epochs=5)
def plateau_lr_every_second_epoch() -> Script:
    def kind(optimizer: Any) -> ReduceLROnPlateau:
        return ReduceLROnPlateau(optimizer, patience=0, threshold=0.9)

    module = Net(configure=scheduled(kind, monitor="val_loss", frequency=2))
    return Script(module, data())


@case(schedules=True)
def plateau_lr_by_step() -> Script:
    def kind(optimizer: Any) -> ReduceLROnPlateau:
        return ReduceLROnPlateau(optimizer, patience=2, threshold=0.5)

    return Script(Net(configure=scheduled(kind, monitor="train_loss_step", interval="step")), data())


@case(schedules=True, epochs=5)
def plateau_lr_on_a_metric_of_every_second_epoch() -> Script:
    def kind(optimizer: Any) -> ReduceLROnPlateau:
        return ReduceLROnPlateau(optimizer, patience=0, threshold=0.5)

    module = Net(configure=scheduled(kind, monitor="val_loss", strict=False))
    return Script(module, data(), trainer={"check_val_every_n_epoch": 2})


@case(schedules=True)
def one_cycle_lr_by_step() -> Script:
    class OneCycle(Net):
        def configure_optimizers(self):
            steps = self.trainer.estimated_stepping_batches
            return scheduled(lambda o: OneCycleLR(o, 0.2, total_steps=steps), interval="step")(
                self.parameters()
            )

    return Script(OneCycle(nn.Dropout(0.5)), data())


@case(schedules=True)
def cosine_with_warm_restarts() -> Script:
    return Script(Net(configure=scheduled(lambda o: CosineAnnealingWarmRestarts(o, 3))), data())


@case()
def accumulated_gradients() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(), trainer={"accumulate_grad_batches": 3})


@case()
def clipped_gradients() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(), trainer={"gradient_clip_val": 0.1})


@case()
def mixed_precision() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(), trainer={"precision": "bf16-mixed"})


@case(epochs=2)
def bfloat16_weights() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(), trainer={"precision": "bf16-true"})


@case(epochs=2)
def double_precision() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(), trainer={"precision": "64-true"})


def half_precision(device: str = "cpu") -> dict[str, Any]:
    """Of the Trainer's arguments: gradients are scaled up every two steps, until they overflow."""
    scaler = torch.amp.GradScaler(device, init_scale=2.0**18, growth_interval=2)
    return {"plugins": [MixedPrecision("16-mixed", device, scaler=scaler)]}


@case(scales=True)
def scaled_gradients() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(), trainer={"gradient_clip_val": 0.5, **half_precision()})


@case(scales=True, epochs=2)
def scaled_gradients_inside_epochs() -> Script:
    given = data(StatefulDataLoader(digits(), batch_size=32, shuffle=True))
    every = {"checkpoints": Checkpoints(every_n_steps=1)}
    return Script(Net(nn.Dropout(0.5)), given, trainer=half_precision(), burr=every)


class Adversaries(LightningModule):
    """Two networks against each other, optimized by hand, each with a scheduler stepped by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 64))
        self.judge = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))

    def training_step(self, batch, batch_idx):
        generating, judging = self.optimizers()
        judge = nn.functional.softplus
        made = self.generator(torch.randn(len(batch[0]), 8))
        loss = judge(self.judge(made.detach())).mean() + judge(-self.judge(batch[0])).mean()
        judging.zero_grad()
        self.manual_backward(loss)
        judging.step()
        self.log("judge_loss", loss, on_epoch=True)
        if batch_idx % 2:
            fooled = judge(-self.judge(made)).mean()
            generating.zero_grad()
            self.manual_backward(fooled)
            generating.step()
            self.lr_schedulers()[0].step()

    def on_train_epoch_end(self):
        self.lr_schedulers()[1].step()

    def configure_optimizers(self):
        optimizers = [adam(self.generator.parameters()), sgd(self.judge.parameters())]
        return optimizers, [ExponentialLR(optimizer, 0.9) for optimizer in optimizers]


@case(schedules=True)
def two_optimizers_by_hand() -> Script:
    return Script(Adversaries(), {"train_dataloaders": loader(shuffle=True)})


class Finetuned(Net):
    """A backbone that is frozen at first, as `BackboneFinetuning` wants it."""

    def __init__(self) -> None:
        super().__init__(nn.Dropout(0.5))
        self.backbone = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64))

    def loss(self, batch):
        return super().loss((self.backbone(batch[0]), batch[1]))

    def configure_optimizers(self):
        return adam(self.network.parameters())


@case(schedules=True)
def a_backbone_that_is_unfrozen() -> Script:
    return Script(Finetuned(), data(), [BackboneFinetuning(2, verbose=False)])


class Unfreezes(Net):
    """Trains its first layer from epoch 2 on."""

    def __init__(self) -> None:
        super().__init__(nn.Dropout(0.5))
        self.network[0].requires_grad_(False)

    def on_train_epoch_start(self):
        if self.current_epoch == 2:
            self.network[0].requires_grad_(True)


@case()
def a_module_that_unfreezes_a_layer() -> Script:
    return Script(Unfreezes(), data())


@case()
def gradients_accumulated_by_a_plan() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(), [GradientAccumulationScheduler({0: 1, 1: 2, 3: 4})])


# Averaging of weights


@case(schedules=True, epochs=5)
def stochastic_weight_averaging() -> Script:
    averaging = StochasticWeightAveraging(swa_lrs=0.05, swa_epoch_start=2, annealing_epochs=2)
    module = Net(nn.Dropout(0.5), configure=scheduled(lambda o: StepLR(o, 1, 0.9)))
    return Script(module, data(), [averaging])


# In the epoch that it adds, Lightning makes no scheduler of a resumed run; it would have nothing to do there.
@case(schedules=True, epochs=5, apart_from=("schedulers",))
def stochastic_weight_averaging_of_batch_norm() -> Script:
    averaging = StochasticWeightAveraging(swa_lrs=0.05, swa_epoch_start=2, annealing_epochs=2)
    return Script(Net(nn.BatchNorm1d(16), configure=sgd), data(), [averaging], {"max_epochs": 4})


@case()
def weight_averaging() -> Script:
    return Script(Net(nn.BatchNorm1d(16), nn.Dropout(0.5)), data(), [WeightAveraging()])


@case()
def exponential_weight_averaging() -> Script:
    averaging = EMAWeightAveraging(decay=0.9, update_every_n_steps=2, update_starting_at_step=3)
    return Script(Net(nn.Dropout(0.5)), data(), [averaging])


@case()
def exponential_weight_averaging_by_epoch() -> Script:
    averaging = EMAWeightAveraging(decay=0.5, update_every_n_steps=0, update_starting_at_epoch=1)
    return Script(Net(nn.Dropout(0.5)), data(), [averaging])
