"""Data, generators, metrics and ends that a resume can get wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from exact_parts import Net, X, Y, data, digits, loader, registered_in
from exactness import Case, Script
from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.callbacks import (
    EarlyStopping,
    Timer,
)
from lightning.pytorch.utilities import CombinedLoader
from torch import nn
from torch.utils.data import (
    Dataset,
    IterableDataset,
    RandomSampler,
    WeightedRandomSampler,
    random_split,
)
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from burr_lightning.conditions import plateau

DATA: dict[str, Case] = {}
case = registered_in(DATA)


# Generators


class Augmented(Dataset):
    """Draws from all three global generators for each sample."""

    def __init__(self, samples: int = 128) -> None:
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


@case(epochs=3)
def a_generator_of_the_loader_and_workers() -> Script:
    generator = torch.Generator().manual_seed(0)
    return Script(Net(), data(loader(Augmented(), shuffle=True, generator=generator, num_workers=2)))


@case()
def a_weighted_sampler() -> Script:
    weights = [1.0 + label for label in Y[:128].tolist()]
    return Script(Net(), data(loader(sampler=WeightedRandomSampler(weights, 128))))


@case()
def a_generator_of_a_sampler() -> Script:
    generator = torch.Generator().manual_seed(0)
    weights = [1.0 + label for label in Y[:128].tolist()]
    sampler = WeightedRandomSampler(weights, 128, generator=generator)
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
        return 128

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
        self.train, self.validation = random_split(digits(samples=160), [128, 32])

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
        return loader(digits(int(torch.randint(500, 1000, ())), 32))


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
        for index in torch.randint(len(X), (128,)).tolist():
            yield X[index] + 0.1 * torch.rand(()), Y[index]


@case()
def an_iterable_dataset() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(loader(Stream())))


@case(epochs=3)
def an_iterable_dataset_in_a_worker() -> Script:
    return Script(Net(nn.Dropout(0.5)), data(loader(Stream(), num_workers=1)))


@case(epochs=3)
def persistent_workers_that_draw_nothing() -> Script:
    lasting = {"num_workers": 1, "persistent_workers": True}
    return Script(Net(nn.Dropout(0.5)), data(loader(shuffle=True, **lasting), shuffle=True, **lasting))


@case(epochs=3)
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
    return Script(Net(nn.Dropout(0.5)), data(), trainer={"max_steps": 15, "max_epochs": -1})
