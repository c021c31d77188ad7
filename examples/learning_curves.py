"""Real learning curves, to try stop conditions on: small networks on scikit-learn's bundled data sets.

`learning_curves.csv.gz`, beside this file, has 30 trainings of 60 epochs on each of six data sets (digits,
iris, wine, breast_cancer, diabetes and linnerud). Every training is a network of one to three layers with
its own learning rate, width, depth, dropout, weight decay, batch size and optimizer, drawn with a fixed
seed; some overfit, some learn slowly, some diverge. 60 % of the samples are trained on, the rest validate.

Run as a script it compares a few stop conditions on those of the digits. What to look at: for each condition
how many epochs it trains and what it loses by that, the regret, and the same in the figure
``learning_curves.png``: whatever is below the gray line is better than a number of epochs fixed beforehand.

The file was made with torch 2.13 and Lightning 2.6 on a CPU by::

    python examples/learning_curves.py --make

which trains all of them again with `BurrCallback` and writes the file anew. The same versions give the same
values; only the seconds differ.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import itertools
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burr_lightning.recording import Recording

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

DATA_SETS = ("digits", "iris", "wine", "breast_cancer", "diabetes", "linnerud")
SETTINGS = 30
EPOCHS = 60
FILE = Path(__file__).with_suffix(".csv.gz")

_REGRESSION = {"diabetes", "linnerud"}
_FACTS = ("data_set", "setting", "epoch", "step", "seconds")
_METRICS = ("train_loss", "val_loss", "val_acc", "val_mae")


def learning_curves(data_set: str | None = None) -> list[Recording]:
    """The recorded trainings.

    Args:
        data_set: One of `DATA_SETS`; ``None`` gives the trainings of all.

    Returns:
        One recording per training, with ``train_loss``, ``val_loss`` and ``val_acc`` (for the regressions,
        diabetes and linnerud, ``val_mae``), optimizer steps and seconds; its name says the setting.

    Raises:
        ValueError: If there is no such data set.

    Example:
        >>> curves = learning_curves("digits")
        >>> len(curves), len(curves[0]), sorted(curves[0].series)
        (30, 60, ['train_loss', 'val_acc', 'val_loss'])
    """
    if data_set is not None and data_set not in DATA_SETS:
        raise ValueError(f"learning_curves({data_set!r}): there are curves of {', '.join(DATA_SETS)}.")
    trainings: dict[str, dict[str, list[float]]] = {}
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if data_set in (None, row["data_set"]):
                name = f"{row['data_set']} {row['setting']}"
                columns = trainings.setdefault(name, {})
                for column in ("step", "seconds", *_METRICS):
                    if row[column]:
                        columns.setdefault(column, []).append(float(row[column]))
    return [_recording(name, columns) for name, columns in trainings.items()]


def _recording(name: str, columns: dict[str, list[float]]) -> Recording:
    import numpy as np

    when = {"steps": np.array(columns.pop("step")), "seconds": np.array(columns.pop("seconds"))}
    return Recording.of_epochs(columns, name, directions={"val_acc": "max"}, **when)


def settings(data_set: str) -> list[dict[str, Any]]:
    """The settings that a data set was trained with, always the same."""
    import random

    draw = random.Random(f"learning curves of {data_set}")
    return [
        {
            "optimizer": draw.choice(["sgd", "adam"]),
            "lr": float(f"{10 ** draw.uniform(-3.5, 0):.2g}"),
            "width": draw.choice([8, 32, 128]),
            "depth": draw.choice([1, 2, 3]),
            "dropout": draw.choice([0.0, 0.0, 0.3]),
            "weight_decay": draw.choice([0.0, 0.0, 0.01]),
            "batch_size": draw.choice([8, 32]),
            "seed": seed,
        }
        for seed in range(SETTINGS)
    ]


def train(data_set: str, setting: dict[str, Any], epochs: int = EPOCHS) -> list[dict[str, Any]]:
    """Train one network with `BurrCallback`, and return its history as dicts, one per epoch."""
    from lightning.pytorch import Trainer, seed_everything

    from burr_lightning import BurrCallback, Checkpoints

    seed_everything(setting["seed"], verbose=False)
    loaders = _loaders(data_set, setting["batch_size"])
    with tempfile.TemporaryDirectory() as folder:
        rarely = Checkpoints(every_n_epochs=epochs)
        burr = BurrCallback(root_dir=folder, tracker=False, checkpoints=rarely)
        trainer = Trainer(
            max_epochs=epochs,
            callbacks=[burr],
            accelerator="cpu",
            logger=False,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(_network(data_set, setting, loaders[0]), *loaders)
        return burr.history.to_dicts()


def _loaders(data_set: str, batch_size: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
    import torch
    from sklearn import datasets
    from torch.utils.data import DataLoader, TensorDataset

    features, targets = getattr(datasets, f"load_{data_set}")(return_X_y=True)
    x = torch.tensor(features, dtype=torch.float32)
    regression = data_set in _REGRESSION
    y = torch.tensor(targets, dtype=torch.float32 if regression else torch.int64)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    train, val = order[: int(0.6 * len(x))], order[int(0.6 * len(x)) :]
    x = (x - x[train].mean(0)) / x[train].std(0).clamp(min=1e-6)
    if regression:
        y = y.reshape(len(y), -1)
        y = (y - y[train].mean(0)) / y[train].std(0)
    shuffled = DataLoader(TensorDataset(x[train], y[train]), batch_size=batch_size, shuffle=True)
    return shuffled, DataLoader(TensorDataset(x[val], y[val]), batch_size=len(val))


def _network(data_set: str, setting: dict[str, Any], loader: DataLoader[Any]) -> Any:
    import torch
    from lightning.pytorch import LightningModule
    from torch import nn

    x, y = loader.dataset[:]
    regression = data_set in _REGRESSION
    loss = nn.MSELoss() if regression else nn.CrossEntropyLoss()
    sizes = [x.shape[1], *[setting["width"]] * setting["depth"]]
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(setting["dropout"])]
    layers.append(nn.Linear(sizes[-1], y.shape[1] if regression else int(y.max()) + 1))

    class Network(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(*layers)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            value = loss(self.layers(batch[0]), batch[1])
            self.log("train_loss", value, on_step=False, on_epoch=True)
            return value

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            found = self.layers(batch[0])
            self.log("val_loss", loss(found, batch[1]))
            if regression:
                self.log("val_mae", (found - batch[1]).abs().mean())
            else:
                self.log("val_acc", (found.argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            kind = torch.optim.Adam if setting["optimizer"] == "adam" else torch.optim.SGD
            return kind(self.parameters(), lr=setting["lr"], weight_decay=setting["weight_decay"])

    return Network()


def _rows() -> Iterator[dict[str, Any]]:
    for data_set in DATA_SETS:
        for setting in settings(data_set):
            name = " ".join(f"{key}={value}" for key, value in setting.items())
            print(data_set, name, flush=True)
            for row in train(data_set, setting):
                numbers = {metric: f"{row[metric]:.5g}" for metric in _METRICS if metric in row}
                first = {"data_set": data_set, "setting": name, "epoch": row["epoch"], "step": row["step"]}
                yield {**first, "seconds": f"{row['seconds']:.3f}", **numbers}


def make() -> None:
    """Train everything again, and write the file."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*_FACTS, *_METRICS], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows())
    FILE.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    print(f"{FILE.name}: {FILE.stat().st_size:,} bytes")


def compare() -> None:
    """Say and draw where some conditions would have stopped the networks that read digits."""
    from burr_lightning import compare_stopping
    from burr_lightning.conditions import generalization_loss, plateau, progress_quotient

    conditions = {
        "plateau, patience 3": plateau("val_loss", 3),
        "plateau, patience 10": plateau("val_loss", 10),
        "GL, 5 %": generalization_loss("val_loss", 5),
        "PQ, 1": progress_quotient("train_loss", "val_loss", 1),
    }
    compared = compare_stopping(learning_curves("digits"), conditions, "val_loss", "min")
    print(compared)
    compared.plot_tradeoff("learning_curves.png")
    print("Figure: learning_curves.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The learning curves of small networks.")
    parser.add_argument("--make", action="store_true", help="train them again (some minutes)")
    if parser.parse_args().make:
        make()
    else:
        compare()
