"""The scripts of the exactness matrix: small trainings on digits, each with one thing that can go wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from exactness import Case, Script
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    EarlyStopping,
    EMAWeightAveraging,
    GradientAccumulationScheduler,
    StochasticWeightAveraging,
    Timer,
    WeightAveraging,
)
from lightning.pytorch.utilities import CombinedLoader
from sklearn.datasets import load_digits
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import (
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from burr_lightning.conditions import plateau

CASES: dict[str, Case] = {}
"""Every case by its name, simple ones first."""

_IMAGES, _LABELS = load_digits(return_X_y=True)
X, Y = torch.tensor(_IMAGES, dtype=torch.float32) / 16, torch.tensor(_LABELS)


def case(**options: Any) -> Callable[[Callable[[], Script]], Callable[[], Script]]:
    """Put a script into the matrix, under its function's name."""

    def register(write: Callable[[], Script]) -> Callable[[], Script]:
        CASES[write.__name__] = Case(write, **options)
        return write

    return register


def digits(start: int = 0, samples: int = 160) -> TensorDataset:
    return TensorDataset(X[start : start + samples], Y[start : start + samples])


def loader(dataset: Any = None, **options: Any) -> DataLoader:
    """Five batches of training data."""
    return DataLoader(digits() if dataset is None else dataset, batch_size=32, **options)


def data(train: Any = None, **options: Any) -> dict[str, Any]:
    """The arguments of `fit`: shuffled training data, and validation data."""
    train = loader(shuffle=True) if train is None else train
    return {"train_dataloaders": train, "val_dataloaders": DataLoader(digits(500, 64), 32, **options)}


def sgd(parameters: Any) -> SGD:
    return SGD(parameters, lr=0.1, momentum=0.9)


def adam(parameters: Any) -> Adam:
    return Adam(parameters, lr=0.01)


class Net(LightningModule):
    """Two layers and what is put between them; logs train_loss and val_loss."""

    def __init__(self, *between: nn.Module, configure: Callable[[Any], Any] = adam) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(64, 16), *between, nn.ReLU(), nn.Linear(16, 10))
        self.configure = configure

    def loss(self, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def training_step(self, batch, batch_idx):
        loss = self.loss(batch)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self):
        return self.configure(self.parameters())


def scheduled(kind: Callable[[Any], Any], optimizer: Callable[[Any], Any] = sgd, **config: Any):
    """A `configure_optimizers` with one scheduler."""

    def configure(parameters: Any) -> dict[str, Any]:
        made = optimizer(parameters)
        return {"optimizer": made, "lr_scheduler": {"scheduler": kind(made), **config}}

    return configure


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


@case()
def momentum() -> Script:
    return Script(Net(nn.Dropout(0.5), configure=sgd), data())


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


# Generators


class Augmented(Dataset):
    """Draws from all three global generators for each sample."""

    def __init__(self, samples: int = 160) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index):
        noise = torch.rand(()) + np.random.rand() + random.random()
        return X[index] + 0.1 * noise.float(), Y[index]


@case()
def augmentation_in_the_process() -> Script:
    return Script(Net(), data(loader(Augmented(), shuffle=True)))


@case()
def augmentation_in_workers() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(loader(Augmented(), shuffle=True, num_workers=2)))


@case()
def a_generator_of_the_loader() -> Script:
    generator = torch.Generator().manual_seed(0)
    return Script(Net(), data(loader(shuffle=True, generator=generator)))


@case()
def a_generator_of_the_loader_and_workers() -> Script:
    generator = torch.Generator().manual_seed(0)
    return Script(Net(), data(loader(Augmented(), shuffle=True, generator=generator, num_workers=2)))


@case()
def a_weighted_sampler() -> Script:
    weights = [1.0 + label for label in Y[:160].tolist()]
    return Script(Net(), data(loader(sampler=WeightedRandomSampler(weights, 160))))


@case()
def a_generator_of_a_sampler() -> Script:
    generator = torch.Generator().manual_seed(0)
    weights = [1.0 + label for label in Y[:160].tolist()]
    sampler = WeightedRandomSampler(weights, 160, generator=generator)
    return Script(Net(), data(loader(sampler=sampler)))


class OwnGenerators:
    """One generator of each kind, held by an object."""

    def __init__(self) -> None:
        self.numpy = np.random.default_rng(1)
        self.python = random.Random(2)
        self.torch = torch.Generator().manual_seed(3)

    def draw(self) -> float:
        drawn = self.numpy.random() + self.python.random() + self.python.gauss(0, 1)
        return drawn + torch.rand((), generator=self.torch).item()


class AugmentedByItself(Dataset):
    def __init__(self) -> None:
        self.rng = np.random.default_rng(1)
        self.transforms = [OwnGenerators()]

    def __len__(self) -> int:
        return 160

    def __getitem__(self, index):
        return X[index] + 0.1 * float(self.rng.normal() + self.transforms[0].draw()), Y[index]


@case()
def generators_of_the_dataset() -> Script:
    return Script(Net(), data(loader(AugmentedByItself(), shuffle=True)))


class NoisyByItself(Net):
    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(1)
        self.noises = {"all": OwnGenerators()}

    def training_step(self, batch, batch_idx):
        noise = 0.1 * (float(self.rng.normal()) + self.noises["all"].draw())
        return super().training_step((batch[0] + noise, batch[1]), batch_idx)


@case()
def generators_of_the_module() -> Script:
    return Script(NoisyByItself(), data())


class Draws(Net):
    """Draws from all three global generators wherever a module can."""

    def __init__(self) -> None:
        super().__init__(nn.Dropout(0.2))
        self.offset = 0.0

    def drawn(self) -> float:
        return 0.1 * (random.gauss(0, 1) + float(np.random.normal()) + torch.rand(()).item())

    def on_train_start(self):
        self.drawn()

    def on_train_epoch_start(self):
        self.offset = self.drawn()

    def training_step(self, batch, batch_idx):
        return super().training_step((batch[0] + self.offset + self.drawn(), batch[1]), batch_idx)

    def validation_step(self, batch, batch_idx):
        super().validation_step((batch[0] + self.drawn(), batch[1]), batch_idx)


@case()
def a_module_that_draws_everywhere() -> Script:
    return Script(Draws(), data())


class DrawsAtTheEpochsStart(Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        pl_module.network[0].weight.data += 0.01 * (
            random.random() + np.random.rand() + torch.rand(()).item()
        )


@case()
def a_callback_that_draws() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(), [DrawsAtTheEpochsStart()])


class DrawsByItself(Callback):
    def __init__(self) -> None:
        self.generators = OwnGenerators()

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        pl_module.network[0].weight.data += 0.01 * self.generators.draw()


@case()
def generators_of_a_callback() -> Script:
    return Script(Net(), data(), [DrawsByItself()])


# Loaders


class DrawsItsSplit(LightningDataModule):
    def setup(self, stage):
        self.train, self.validation = random_split(digits(samples=224), [160, 64])

    def train_dataloader(self):
        return loader(self.train, shuffle=True)

    def val_dataloader(self):
        return loader(self.validation)


@case(draws_its_data=True)
def a_datamodule_that_draws_its_split() -> Script:
    return Script(Net(nn.Dropout(0.5)), {"datamodule": DrawsItsSplit()})


class DrawsItsLoader(LightningDataModule):
    """Gives other samples at every call."""

    def train_dataloader(self):
        return loader(digits(int(torch.randint(300, ()))), shuffle=True)

    def val_dataloader(self):
        return loader(digits(int(torch.randint(500, 1000, ())), 64))


@case()
def loaders_drawn_every_epoch() -> Script:
    trainer = {"reload_dataloaders_every_n_epochs": 1}
    return Script(Net(nn.Dropout(0.5)), {"datamodule": DrawsItsLoader()}, trainer=trainer)


@case(draws_its_data=True, epochs=5)
def loaders_drawn_every_second_epoch() -> Script:
    trainer = {"reload_dataloaders_every_n_epochs": 2}
    return Script(Net(nn.Dropout(0.5)), {"datamodule": DrawsItsLoader()}, trainer=trainer)


class SumsLoaders(Net):
    def training_step(self, batch, batch_idx):
        loss = sum(self.loss(part) for part in batch.values() if part is not None)
        self.log("train_loss", loss, on_epoch=True)
        return loss


@case()
def several_loaders() -> Script:
    train = {"a": loader(shuffle=True), "b": loader(digits(200, 64), shuffle=True)}
    return Script(SumsLoaders(nn.Dropout(0.5)), data(train))


@case()
def several_loaders_that_end_one_after_the_other() -> Script:
    loaders = {"a": loader(shuffle=True), "b": loader(digits(200, 96), shuffle=True)}
    return Script(SumsLoaders(nn.Dropout(0.5)), data(CombinedLoader(loaders, "max_size")))


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        for index in torch.randint(len(X), (160,)).tolist():
            yield X[index] + 0.1 * torch.rand(()), Y[index]


@case()
def an_iterable_dataset() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(loader(Stream())))


@case()
def an_iterable_dataset_in_a_worker() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(loader(Stream(), num_workers=1)))


@case()
def persistent_workers_that_draw_nothing() -> Script:
    lasting = {"num_workers": 1, "persistent_workers": True}
    return Script(Net(nn.Dropout(0.5)), data(loader(shuffle=True, **lasting), shuffle=True, **lasting))


@case()
def persistent_workers_without_a_sanity_check() -> Script:
    lasting = {"num_workers": 1, "persistent_workers": True}
    loaders = data(loader(shuffle=True, **lasting), shuffle=True, **lasting)
    return Script(Net(nn.Dropout(0.5)), loaders, trainer={"num_sanity_val_steps": 0})


class SeededByEpoch(RandomSampler):
    """Orders the samples by the epoch that Lightning tells it."""

    def set_epoch(self, epoch: int) -> None:
        self.generator = torch.Generator().manual_seed(epoch)


@case()
def a_sampler_that_is_told_the_epoch() -> Script:
    return Script(Net(), data(loader(sampler=SeededByEpoch(digits()))))


# Validation


@case()
def validation_inside_an_epoch() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(shuffle=True), trainer={"val_check_interval": 0.5})


@case(epochs=5)
def validation_every_second_epoch() -> Script:
    trainer = {"check_val_every_n_epoch": 2}
    return Script(Net(nn.Dropout(0.5)), data(shuffle=True), trainer=trainer)


@case()
def validation_across_epochs() -> Script:
    trainer = {"check_val_every_n_epoch": None, "val_check_interval": 7}
    return Script(Net(nn.Dropout(0.5)), data(shuffle=True), trainer=trainer)


@case()
def no_sanity_check() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(shuffle=True), trainer={"num_sanity_val_steps": 0})


# Metrics


class Measured(Net):
    """Metrics logged as objects, and one that is never logged nor reset and counts over the whole run."""

    def __init__(self) -> None:
        super().__init__()
        self.accuracy, self.val_accuracy = MulticlassAccuracy(10), MulticlassAccuracy(10)
        self.lifetime = nn.ModuleDict({"loss": MeanMetric()})

    def training_step(self, batch, batch_idx):
        self.accuracy(self.network(batch[0]), batch[1])
        self.log("train_accuracy", self.accuracy, on_step=False, on_epoch=True)
        loss = super().training_step(batch, batch_idx)
        self.lifetime["loss"].update(loss.detach())
        return loss

    def validation_step(self, batch, batch_idx):
        self.val_accuracy(self.network(batch[0]), batch[1])
        self.log("val_accuracy", self.val_accuracy)

    def on_train_epoch_end(self):
        self.log("lifetime_loss", self.lifetime["loss"].compute())


@case()
def metrics_as_objects() -> Script:
    return Script(Measured(), data(), burr={"monitor": "val_accuracy"})


# Ends


class Scored(Net):
    """Logs a score that is given, by epoch."""

    def __init__(self, *scores: float) -> None:
        super().__init__(nn.Dropout(0.5))
        self.scores = scores

    def on_validation_epoch_end(self):
        self.log("score", self.scores[self.current_epoch])


@case()
def an_early_stop() -> Script:
    module = Scored(0.5, 0.4, 0.45, 0.46, 0.3, 0.2)
    return Script(module, data(), [EarlyStopping("score", patience=2)], {"max_epochs": 6})


@case()
def an_early_stop_that_waits_for_min_epochs() -> Script:
    """The wish to stop is had in epoch 1, and nobody has it again later."""
    module = Scored(0.5, 0.6, 0.4, 0.3, 0.2, 0.1)
    return Script(module, data(), [EarlyStopping("score", patience=1)], {"max_epochs": 6, "min_epochs": 4})


@case()
def a_stop_by_a_condition() -> Script:
    module = Scored(0.5, 0.4, 0.45, 0.46, 0.3, 0.2)
    burr = {"monitor": "score", "stop_when": plateau("score", patience=2)}
    return Script(module, data(), trainer={"max_epochs": 6}, burr=burr)


@case()
def a_timer() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(), [Timer({"hours": 1})])


@case()
def max_steps_inside_an_epoch() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(), trainer={"max_steps": 18, "max_epochs": -1})
