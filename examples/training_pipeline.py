"""A training pipeline as a Burr application: prepare data, train, validate, train again, name the best model.

The actions are classes, as in the sketch of Burr's page on training models, and every one does real work on
scikit-learn's digits. Each iteration trains a network with another learning rate, which is chosen from what
the iterations before it have come to; a network is a run of its own, under `BurrCallback`. The state holds
the paths of data and models, never the things themselves.

What to look at: the picture ``training_pipeline.png`` that Burr draws of it (with graphviz), and the table of
iterations. Kill it at any time and run it again: the pipeline goes on with the action it was in, and the
network in it with the epoch it was in. Burr's own web page shows the pipeline under ``digits-pipeline``.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from burr.core import Action, Application, ApplicationBuilder, Condition, State, default
from burr.core.persistence import SQLitePersister
from lightning.pytorch import Trainer, seed_everything
from quickstart import DigitClassifier
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from burr_lightning import BurrCallback
from burr_lightning.conditions import plateau

FOLDER = Path("training_pipeline")


class ProcessData(Action):
    """Scale the images, and put three parts of them into files: to learn from, to stop by, to judge by."""

    @property
    def reads(self) -> list[str]:
        """Nothing: the data is scikit-learn's."""
        return []

    @property
    def writes(self) -> list[str]:
        """The files."""
        return ["training_data", "validation_data", "evaluation_data"]

    def run(self, state: State[Any], **run_kwargs: Any) -> dict[str, Any]:
        """Write the files."""
        images, labels = load_digits(return_X_y=True)
        x, y = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16, torch.tensor(labels)
        rest, judge = train_test_split(range(len(y)), test_size=0.25, random_state=0, stratify=y)
        learn, stop = train_test_split(rest, test_size=0.25, random_state=0, stratify=y[rest])
        FOLDER.mkdir(exist_ok=True)
        paths = {}
        for name, part in zip(self.writes, (learn, stop, judge), strict=True):
            paths[name] = str(FOLDER / f"{name}.pt")
            torch.save((x[part], y[part]), paths[name])
        return paths

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """Name the files."""
        return state.update(**result)


class TrainModel(Action):
    """Train one network until it gets no better."""

    @property
    def reads(self) -> list[str]:
        """The data, and how the networks before this one did."""
        return ["training_data", "validation_data", "iterations", "training_metrics", "validation_metrics"]

    @property
    def writes(self) -> list[str]:
        """One entry more in each list."""
        return ["iterations", "models", "training_metrics"]

    def run(self, state: State[Any], **run_kwargs: Any) -> dict[str, Any]:
        """Train with the learning rate that looks best, in a run that can be killed and goes on."""
        rates = [entry["learning_rate"] for entry in state["training_metrics"]]
        accuracies = [entry["accuracy"] for entry in state["validation_metrics"]]
        rate = next_learning_rate(dict(zip(rates, accuracies, strict=True)))
        burr = BurrCallback(
            run_id=f"iteration-{state['iterations']}",
            project="digits-pipeline",
            monitor="val_loss",
            stop_when=plateau("val_loss", patience=2),
            root_dir=FOLDER / "runs",
        )
        trainer = Trainer(
            max_epochs=8,
            callbacks=[burr],
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        seed_everything(0, verbose=False)
        data = loader(state["training_data"], shuffle=True), loader(state["validation_data"])
        trainer.fit(DigitClassifier(learning_rate=rate), *data)
        metrics = {"learning_rate": rate, "epochs": burr.run.epoch + 1, "stopped": burr.run.stop_reason}
        return {"model": str(burr.run.best_checkpoint), "metrics": metrics}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """Count the iteration, and keep the path of its network."""
        lists = state.append(models=result["model"], training_metrics=result["metrics"])
        return lists.update(iterations=state["iterations"] + 1)


class ValidateModel(Action):
    """Judge the newest network on data that it has never met."""

    @property
    def reads(self) -> list[str]:
        """The networks, and the data to judge by."""
        return ["models", "evaluation_data"]

    @property
    def writes(self) -> list[str]:
        """One entry more."""
        return ["validation_metrics"]

    def run(self, state: State[Any], **run_kwargs: Any) -> dict[str, Any]:
        """Measure its accuracy, and which digit it mistakes most often."""
        model = DigitClassifier.load_from_checkpoint(state["models"][-1], weights_only=True).eval()
        accuracy, confusion = MulticlassAccuracy(10, average="micro"), MulticlassConfusionMatrix(10)
        with torch.no_grad():
            for images, labels in loader(state["evaluation_data"]):
                scores = model.network(images)
                accuracy.update(scores, labels)
                confusion.update(scores, labels)
        counts = confusion.compute()
        mistakes = counts.sum(1) - counts.diagonal()
        return {"accuracy": float(accuracy.compute()), "hardest_digit": int(mistakes.argmax())}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """Keep what was measured."""
        return state.append(validation_metrics=result)


class BestModel(Action):
    """Pick the network with the highest accuracy."""

    @property
    def reads(self) -> list[str]:
        """The networks and what was measured of each."""
        return ["models", "training_metrics", "validation_metrics"]

    @property
    def writes(self) -> list[str]:
        """The best one."""
        return ["best_model"]

    def run(self, state: State[Any], **run_kwargs: Any) -> dict[str, Any]:
        """Copy its checkpoint to where it is kept."""
        accuracies = [entry["accuracy"] for entry in state["validation_metrics"]]
        best = max(range(len(accuracies)), key=accuracies.__getitem__)
        kept = FOLDER / "best_model.ckpt"
        shutil.copyfile(state["models"][best], kept)
        rate = state["training_metrics"][best]["learning_rate"]
        return {"checkpoint": str(kept), "accuracy": accuracies[best], "learning_rate": rate}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """Name it."""
        return state.update(best_model=result)


def next_learning_rate(accuracies: dict[float, float]) -> float:
    """Where to look next: far apart first, then between the best rate and the better of its neighbours.

    Args:
        accuracies: What came of each rate so far.
    """
    for rate in (1e-4, 1e-2, 1e-3):
        if rate not in accuracies:
            return rate
    rates = sorted(accuracies)
    best = rates.index(max(rates, key=accuracies.__getitem__))
    neighbours = [rates[place] for place in (best - 1, best + 1) if 0 <= place < len(rates)]
    better = max(neighbours, key=accuracies.__getitem__)
    return float((rates[best] * better) ** 0.5)


def loader(path: str, *, shuffle: bool = False) -> DataLoader[Any]:
    """A file of images and labels, in batches."""
    return DataLoader(TensorDataset(*torch.load(path)), batch_size=64, shuffle=shuffle)


def application(iterations: int) -> Application[Any]:
    """The pipeline, where it stands: at its beginning, or where it was killed.

    Args:
        iterations: How many networks are trained.
    """
    FOLDER.mkdir(exist_ok=True)
    persister = SQLitePersister.from_values(str(FOLDER / "pipeline.sqlite"))
    persister.initialize()
    pipeline: Application[Any] = (
        ApplicationBuilder()
        .with_actions(
            process_data=ProcessData(),
            train_model=TrainModel(),
            validate_model=ValidateModel(),
            best_model=BestModel(),
        )
        .with_transitions(
            ("process_data", "train_model", default),
            ("train_model", "validate_model", default),
            ("validate_model", "best_model", Condition.expr(f"iterations >= {iterations}")),
            ("validate_model", "train_model", default),
        )
        .with_identifiers(app_id="training-pipeline", partition_key="digits")
        .initialize_from(
            persister,
            resume_at_next_action=True,
            default_state={
                "iterations": 0,
                "models": [],
                "training_metrics": [],
                "validation_metrics": [],
                "best_model": None,
            },
            default_entrypoint="process_data",
        )
        .with_state_persister(persister)
        .with_tracker("local", project="digits-pipeline")
        .build()
    )
    return pipeline


def main() -> None:
    """Run the pipeline to its end, draw it, and say what came of each iteration."""
    app = application(iterations=5)
    if app.state["best_model"] is None:
        app.run(halt_after=["best_model"])
    state = app.state
    print("\niteration  learning rate  epochs  accuracy  hardest digit")
    for number, (trained, judged) in enumerate(
        zip(state["training_metrics"], state["validation_metrics"], strict=True)
    ):
        print(
            f"{number:>9}  {trained['learning_rate']:>13.5f}  {trained['epochs']:>6}  "
            f"{judged['accuracy']:>8.2%}  {judged['hardest_digit']:>13}"
        )
    print(f"\nBest:   {state['best_model']}")
    if shutil.which("dot") is None:
        print("Figure: none, for graphviz is not installed (apt-get install graphviz)")
        return
    app.visualize("training_pipeline", include_conditions=True, include_state=True, format="png")
    print("Figure: training_pipeline.png")


if __name__ == "__main__":
    main()
