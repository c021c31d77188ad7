"""Metrics that a module only names: as torchmetrics used by hand on the whole epoch."""

import copy
import pickle
import sys
import warnings
from functools import partial
from typing import ClassVar

import pytest
import torch
from digits import DigitNet, digit_loaders
from exactness import QUIET, Forked
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.cli import LightningCLI
from torch.utils.data import DataLoader, Subset
from torchdata.stateful_dataloader import StatefulDataLoader
from torchmetrics import CatMetric, MeanMetric, MetricCollection, SumMetric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassCohenKappa,
    MulticlassConfusionMatrix,
    MulticlassMatthewsCorrCoef,
    MulticlassPrecision,
    MulticlassRecall,
    MulticlassROC,
)
from torchmetrics.wrappers import BootStrapper, ClasswiseWrapper, MinMaxMetric, Running

from burr_lightning import BurrCallback, Checkpoints
from burr_lightning.conditions import plateau
from burr_lightning.errors import MetricsError
from burr_lightning.mixins import BurrMixin, MetricsMixin
from burr_lightning.mixins.epoch_metrics import Place
from burr_lightning.testing import ScriptedModule, scripted_loader


def by_hand():
    return {"acc": MulticlassAccuracy(10), "auroc": MulticlassAUROC(10), "first": MulticlassAccuracy(10)}


class Net(MetricsMixin, DigitNet):
    """Its steps return what the metrics take, and it keeps them for a check by hand."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.epochs = []

    def configure_metrics(self):
        return MetricCollection(by_hand())

    def step(self, batch):
        scores = self.network(batch[0])
        self.seen.append((scores.detach().clone(), batch[1]))
        return {
            "loss": torch.nn.functional.cross_entropy(scores, batch[1]),
            "preds": scores,
            "target": batch[1],
        }

    def training_step(self, batch, batch_idx):
        return self.step(batch)

    def validation_step(self, batch, batch_idx):
        return self.step(batch)

    def test_step(self, batch, batch_idx):
        return self.step(batch)

    def epoch_ends(self, stage):
        scores, target = (torch.cat(parts) for parts in zip(*self.seen, strict=True))
        values = {f"{stage}_{name}": metric(scores, target).item() for name, metric in by_hand().items()}
        self.epochs.append((values, len(target)))
        self.seen = []


class Checks(Callback):
    """Compares what was logged with torchmetrics by hand, at the end of every epoch of every stage."""

    def __init__(self):
        self.checked = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == 0:
            pl_module.seen = []

    def on_validation_start(self, trainer, pl_module):
        self.training, pl_module.seen = pl_module.seen, []

    def on_train_epoch_end(self, trainer, pl_module):
        self.compare(trainer, pl_module, "train")

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.compare(trainer, pl_module, "val")
        pl_module.seen = self.training

    def on_test_end(self, trainer, pl_module):
        self.compare(trainer, pl_module, "test")

    def compare(self, trainer, pl_module, stage):
        pl_module.epoch_ends(stage)
        expected, samples = pl_module.epochs[-1]
        logged = {name: trainer.callback_metrics[name].item() for name in expected}
        assert logged == expected
        self.checked.append((stage, samples))


class Calls(Net):
    """Calls the metrics, and returns nothing for them."""

    def step(self, batch):
        returned = super().step(batch)
        self.update_metrics(returned["preds"], target=returned["target"])
        return returned["loss"]


class Manual(Net):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        returned = self.step(batch)
        self.optimizers().zero_grad()
        self.manual_backward(returned["loss"])
        self.optimizers().step()
        return returned


def compiled(kind):
    return torch.compile(kind(), backend="eager")


@pytest.fixture
def loaders():
    """Batches of 64 and 100, the last ones smaller."""
    train, validation = digit_loaders(300)
    return DataLoader(train.dataset, 64, shuffle=True), DataLoader(validation.dataset, 100)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (Net, {}),
        (Calls, {}),
        (Manual, {}),
        (Net, {"accumulate_grad_batches": 3, "val_check_interval": 0.5}),
        (partial(compiled, Net), {}),
        (partial(compiled, Calls), {}),
    ],
    ids=["returned", "called", "manual", "accumulated", "compiled", "compiled, called"],
)
def test_metrics_are_those_of_the_whole_epoch(make_trainer, loaders, make, options):
    seed_everything(1, verbose=False)
    module, checks = make(), Checks()
    make_trainer(checks, max_epochs=2, **options).fit(module, *loaders)
    stages = [("val", 256)] * (2 if options else 1) + [("train", 300)]
    assert checks.checked == stages * 2
    make_trainer(checks).test(module, loaders[1])
    assert checks.checked[-1] == ("test", 256)


def test_metrics_hold_no_graph(make_trainer, loaders):
    class Holds(Net):
        def configure_metrics(self):
            return {"train": MetricCollection({"all": CatMetric(nan_strategy="disable")})}

        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)["loss"]
            self.update_metrics(loss[None])
            return loss

        def on_train_batch_end(self, outputs, batch, batch_idx):
            [metric] = self.burr_running_metrics().values()
            assert len(metric.value) == batch_idx + 1
            assert not any(value.requires_grad for value in metric.value)

    make_trainer(max_epochs=1).fit(Holds(), *loaders)


def test_nothing_of_the_metrics_is_in_the_module(make_trainer, loaders):
    module = Net()
    before = list(module.state_dict()), len(list(module.modules()))
    trainer = make_trainer(max_epochs=1)
    trainer.fit(module, *loaders)
    assert (list(module.state_dict()), len(list(module.modules()))) == before
    again = Net.load_from_checkpoint(trainer.checkpoint_callback.best_model_path)
    for other in (again, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        checks = Checks()
        make_trainer(checks, max_epochs=1).fit(other, *loaders)
        assert checks.checked == [("val", 256), ("train", 300)]


def test_a_second_fit_of_the_same_trainer_has_one_callback(make_trainer, loaders):
    checks = Checks()
    trainer, module = make_trainer(checks, max_epochs=1), Net()
    trainer.fit(module, *loaders)
    callbacks = list(trainer.callbacks)
    trainer.fit_loop.max_epochs = 2
    trainer.fit(module, *loaders)
    assert trainer.callbacks == callbacks
    assert checks.checked == [("val", 256), ("train", 300)] * 2
    assert [type(c).__name__ for c in trainer.callbacks].count("MetricsCallback") == 1


def test_its_callback_leaves_other_modules_alone(make_trainer, loaders):
    trainer = make_trainer(max_epochs=1)
    trainer.fit(Net(), *loaders)
    trainer.fit_loop.max_epochs = 2
    trainer.fit(ScriptedModule(val_loss=[1.0]), scripted_loader(), scripted_loader())
    assert trainer.current_epoch == 2
    assert set(trainer.callback_metrics) == {"val_loss"}


def test_an_interrupted_training_leaves_nothing_to_the_next(make_trainer, loaders):
    class Stops(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            raise RuntimeError("out of memory")

    module, checks = Net(), Checks()
    with pytest.raises(RuntimeError, match="out of memory"):
        make_trainer(Stops(), max_epochs=1).fit(module, *loaders)
    assert dict(module.burr_running_metrics())
    make_trainer(checks, max_epochs=1).fit(module, *loaders)
    assert checks.checked == [("val", 256), ("train", 300)]


def test_the_sanity_check_leaves_nothing_and_finds_what_fails(make_trainer, loaders):
    seen = []

    class Looks(Net):
        def on_train_start(self):
            seen.append(
                (self.metric_values, self.burr_metric_directions(), dict(self.trainer.callback_metrics))
            )
            assert {name.split(".")[0] for name in self.burr_running_metrics()} == {"epoch_metrics:train"}

    make_trainer(max_epochs=1, num_sanity_val_steps=2).fit(Looks(), *loaders)
    assert seen == [({}, {}, {})]

    class Wrong(Net):
        def configure_metrics(self):
            return MetricCollection({"acc": MulticlassAccuracy(3)})

    trainer = make_trainer(max_epochs=1, num_sanity_val_steps=1)
    with pytest.raises(ValueError, match="number of classes"):
        trainer.fit(Wrong(), *loaders)
    assert trainer.global_step == 0


def test_several_loaders_have_metrics_each_named_as_lightning_does(make_trainer, loaders, capsys):
    validation = loaders[1].dataset
    parts = [DataLoader(Subset(validation, range(*ends)), 51) for ends in ((0, 100), (100, 256))]

    class Several(Net):
        def validation_step(self, batch, batch_idx, dataloader_idx=0):
            return super().validation_step(batch, batch_idx)

        def test_step(self, batch, batch_idx, dataloader_idx=0):
            self.update_metrics(self.network(batch[0]), batch[1])

    module, trainer = Several(), make_trainer(max_epochs=1)
    trainer.fit(module, loaders[0], parts)
    logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
    directions = module.burr_metric_directions()
    capsys.readouterr()
    in_other_batches = [DataLoader(part.dataset, 40) for part in parts]
    results = trainer.test(module, in_other_batches)
    printed = capsys.readouterr().out
    for index, (part, result) in enumerate(zip(parts, results, strict=True)):
        x, target = (torch.stack(column) for column in zip(*part.dataset, strict=True))
        with torch.inference_mode():
            scores = module.eval().network(x)
        expected = {name: metric(scores, target).item() for name, metric in by_hand().items()}
        for name, value in expected.items():
            assert logged[f"val_{name}/dataloader_idx_{index}"] == value
            assert directions[f"val_{name}/dataloader_idx_{index}"] == "max"
        assert result == {f"test_{name}/dataloader_idx_{index}": value for name, value in expected.items()}
        assert str(expected["acc"])[:10] in printed


class Iterable(torch.utils.data.IterableDataset):
    """Data of a length that nobody knows."""

    def __init__(self, data):
        self.data = data

    def __iter__(self):
        return iter(self.data)


def test_several_loaders_of_unknown_length_have_metrics_each(make_trainer, loaders):
    parts = [DataLoader(Iterable(loaders[1].dataset), 100) for _ in range(2)]

    class Several(Net):
        def validation_step(self, batch, batch_idx, dataloader_idx=0):
            return super().validation_step(batch, batch_idx)

    module, trainer = Several(), make_trainer()
    trainer.validate(module, parts, verbose=False)
    whole = trainer.callback_metrics["val_acc/dataloader_idx_0"]
    assert trainer.callback_metrics["val_acc/dataloader_idx_1"] == whole
    trainer.validate(module, loaders[1], verbose=False)
    assert trainer.callback_metrics["val_acc"] == whole


# Which metrics there are, and how they are named


def logged(make_trainer, loaders, metrics, kind=Net):
    class Configured(kind):
        def configure_metrics(self):
            return metrics

    module, trainer = Configured(), make_trainer(max_epochs=1)
    trainer.fit(module, *loaders)
    return module, trainer


def test_each_stage_may_have_metrics_of_its_own(make_trainer, loaders):
    own = {
        "val": MetricCollection({"acc": MulticlassAccuracy(10)}),
        "train": MetricCollection([MulticlassAccuracy(10)], prefix="train/", postfix="_all"),
    }
    _, trainer = logged(make_trainer, loaders, own)
    assert set(trainer.callback_metrics) == {"val_acc", "train/MulticlassAccuracy_all"}
    assert not any(metric.update_called for metric in own["val"].values())
    _, trainer = logged(make_trainer, loaders, {"val": own["val"]}, Calls)
    assert set(trainer.callback_metrics) == {"val_acc"}


def test_what_is_no_number_is_kept_and_not_logged(make_trainer, loaders):
    metrics = {
        "by_class": ClasswiseWrapper(MulticlassAccuracy(10, average=None), prefix="acc_"),
        "confusion": MulticlassConfusionMatrix(10),
        "vector": MulticlassAccuracy(10, average=None),
    }
    module, trainer = logged(make_trainer, loaders, {"val": MetricCollection(metrics)})
    assert set(trainer.callback_metrics) == {f"val_acc_{digit}" for digit in range(10)}
    assert module.metric_values["val_confusion"].sum() == 256
    assert module.metric_values["val_vector"][3] == trainer.callback_metrics["val_acc_3"]
    assert module.burr_metric_directions() == {f"val_acc_{digit}": "max" for digit in range(10)}


def test_metrics_with_other_arguments_take_what_they_have_names_for(make_trainer, loaders):
    class Weighs(Net):
        def configure_metrics(self):
            return MetricCollection({"mean": MeanMetric(), "sum": SumMetric(nan_strategy="disable")})

        def validation_step(self, batch, batch_idx):
            self.update_metrics(value=batch[1].float(), weight=batch[1])

        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx)["loss"]

    module, trainer = Weighs(), make_trainer(max_epochs=1)
    trainer.fit(module, *loaders)
    digits = torch.stack([label for _, label in loaders[1].dataset]).float()
    assert trainer.callback_metrics["val_sum"] == digits.sum()
    assert trainer.callback_metrics["val_mean"].item() == pytest.approx(
        ((digits**2).sum() / digits.sum()).item()
    )
    assert module.burr_metric_directions() == {}


def test_metrics_that_are_equal_by_chance_in_the_first_batch_are_kept_apart(make_trainer):
    """With torchmetrics' own compute groups, both would be 1.0."""

    class Certain(MetricsMixin, ScriptedModule):
        def configure_metrics(self):
            return MetricCollection({"top": MulticlassAccuracy(3), "top2": MulticlassAccuracy(3, top_k=2)})

        def validation_step(self, batch, batch_idx):
            preds = torch.eye(3) if batch_idx == 0 else torch.eye(3).roll(1, 0) * 0.5 + torch.eye(3) * 0.4
            self.update_metrics(preds, torch.arange(3))

    trainer = make_trainer(max_epochs=1)
    trainer.fit(Certain(val_loss=[1.0]), scripted_loader(), scripted_loader(batches=2))
    assert trainer.callback_metrics["val_top"] == 0.5
    assert trainer.callback_metrics["val_top2"] == 1.0


def test_metrics_share_a_state_where_the_user_says_so(make_trainer, loaders):
    updates = []

    class Counts(MulticlassPrecision):
        def update(self, preds, target):
            updates.append(type(self))
            super().update(preds, target)

    class CountsToo(MulticlassRecall):
        update = Counts.update

    metrics = {"a": Counts(10), "b": Counts(10, average="micro")}
    groups = MetricCollection({"a": Counts(10), "b": Counts(10)}, compute_groups=[["a", "b"]])
    logged(make_trainer, loaders, {"val": groups})
    assert len(updates) == 5  # 2 of the sanity check
    updates.clear()
    logged(make_trainer, loaders, {"val": MetricCollection(metrics)})
    assert len(updates) == 10


def test_metrics_that_were_given_nothing_are_not_logged_and_it_is_said_once(make_trainer, loaders, caplog):
    class Forgets(Net):
        def validation_step(self, batch, batch_idx):
            self.network(batch[0])

    trainer = make_trainer(max_epochs=2)
    trainer.fit(Forgets(), *loaders)
    assert set(trainer.callback_metrics) == {"train_acc", "train_auroc", "train_first"}
    assert caplog.text.count("Forgets: a validation has ended, and the metrics were given nothing") == 1


# With what a module has itself


@pytest.mark.parametrize("wrapper", [MinMaxMetric, BootStrapper, Running])
def test_wrappers_that_do_not_count_their_updates_are_logged(make_trainer, loaders, wrapper):
    accuracy = MulticlassAccuracy(10, average="micro")
    _, trainer = logged(make_trainer, loaders, {"val": MetricCollection({"m": wrapper(accuracy)})})
    names = {MinMaxMetric: {"val_raw", "val_min", "val_max"}, BootStrapper: {"val_mean", "val_std"}}
    assert names.get(wrapper, {"val_m"}) <= set(trainer.callback_metrics)


def test_a_wrapper_that_was_given_nothing_is_not_logged(make_trainer, loaders):
    class Nothing(Net):
        def training_step(self, batch, batch_idx):
            return torch.nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    wrapper = ClasswiseWrapper(MulticlassAccuracy(10, average=None))
    _, trainer = logged(make_trainer, loaders, {"train": MetricCollection({"each": wrapper})}, Nothing)
    assert not [name for name in trainer.callback_metrics if "multiclassaccuracy" in name]


class Busy(Net):
    """Has every hook itself, and calls no super()."""

    def setup(self, stage):
        self.classes = 10

    def configure_metrics(self):
        return MetricCollection({"acc": MulticlassAccuracy(self.classes)})

    def configure_callbacks(self):
        return [EarlyStopping("val_acc", mode="max", patience=9), *super().configure_callbacks()]

    def on_validation_epoch_end(self):
        if not self.trainer.sanity_checking:
            self.log("doubled", 2 * self.trainer.callback_metrics["val_acc"])


for _hook in (
    *("on_fit_start", "on_train_start", "on_train_epoch_start", "on_train_batch_start", "on_train_batch_end"),
    *("on_validation_start", "on_validation_batch_start", "on_validation_batch_end", "on_validation_end"),
    *("on_train_epoch_end", "on_train_end", "on_test_start", "on_test_epoch_end", "teardown"),
):
    setattr(Busy, _hook, lambda self, *args, **kwargs: None)


def test_the_module_s_own_hooks_are_not_in_the_way(make_trainer, loaders):
    class Sees(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            assert "train_acc" in trainer.callback_metrics

    trainer = make_trainer(Sees(), max_epochs=1)
    trainer.fit(Busy(), *loaders)
    values = trainer.callback_metrics
    assert values["doubled"] == 2 * values["val_acc"]
    assert [type(c).__name__ for c in trainer.callbacks].count("EarlyStopping") == 1


class Both(BurrMixin, Net):
    run_id = "both"
    monitor = "val_acc"
    stop_when = plateau("val_acc", 50)


class BothTheOtherWay(MetricsMixin, BurrMixin, DigitNet):
    run_id = "other"
    monitor = "val_acc"
    configure_metrics = Net.configure_metrics
    step, training_step, validation_step = Net.step, Net.training_step, Net.validation_step

    def __init__(self):
        super().__init__()
        self.seen = []


@pytest.mark.parametrize("kind", [Both, BothTheOtherWay])
def test_both_mixins_work_together_and_the_best_epoch_has_the_metric_s_direction(make_trainer, loaders, kind):
    seed_everything(1, verbose=False)
    module = kind()
    make_trainer(max_epochs=4).fit(module, *loaders)
    history = module.burr.history
    accuracies = list(history["val_acc"])
    assert len(accuracies) == len(history["train_acc"]) == 4
    assert accuracies != sorted(accuracies, reverse=True)
    assert module.burr.state["best"]["value"] == max(accuracies)
    assert history.direction("val_acc") == "max"


def test_a_condition_takes_the_metric_s_direction(make_trainer, loaders):
    class Falls(Both):
        stop_when = plateau("val_acc", 1, min_delta=0.9)

    module = Falls()
    make_trainer(max_epochs=4).fit(module, *loaders)
    assert "plateau" in module.burr.run.stop_reason
    assert module.burr.state["epoch"] == 1


# A commit inside an epoch


class Cut(Callback):
    def __init__(self, at):
        self.at = at

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == self.at:
            raise RuntimeError("killed")


class Resumes(Both):
    def __init__(self, run_id, at=None):
        super().__init__()
        self.at = at
        type(self).run_id = run_id

    burr_options: ClassVar = {"checkpoints": Checkpoints(every_n_steps=2)}

    def configure_metrics(self):
        pair = {"precision": MulticlassPrecision(10), "recall": MulticlassRecall(10)}
        pair |= {"newest": Running(MulticlassAccuracy(10), 3), "range": MinMaxMetric(MulticlassAccuracy(10))}
        share = MetricCollection({**by_hand(), **pair}, compute_groups=[["precision", "recall"]])
        apart = MetricCollection({**by_hand(), **pair, "loss": MulticlassConfusionMatrix(10)})
        return {"train": share if self.run_id.startswith("share") else apart, "val": apart}


@pytest.mark.parametrize("at", [(0, 3), (1, 4)])
@pytest.mark.parametrize("kind", ["share", "apart"])
def test_an_epoch_that_goes_on_has_the_values_of_one_that_was_never_cut(make_trainer, kind, at):
    def ended(run_id, cut):
        seed_everything(1, verbose=False)
        train, validation = digit_loaders(300)
        data = StatefulDataLoader(train.dataset, batch_size=50, shuffle=True)
        module = Resumes(run_id)
        trainer = make_trainer(Cut(cut), max_epochs=2)
        if cut is not None:
            with pytest.raises(RuntimeError, match="killed"):
                trainer.fit(module, data, validation)
            return None
        trainer.fit(module, data, validation)
        steps = len(module.seen)
        return {name: list(module.burr.history[name]) for name in module.burr.history.names}, steps

    whole, steps = ended(f"{kind}-whole", None)
    ended(f"{kind}-cut", at)
    resumed, fewer = ended(f"{kind}-cut", None)
    assert resumed == whole
    assert fewer < steps
    assert {"train_acc", "train_auroc", "val_acc", "train_newest", "val_newest", "val_max"} <= whole.keys()


@pytest.mark.parametrize("place", [Place("train"), Place("val", 0), Place("val", 12)])
def test_a_metric_s_name_tells_its_place(place):
    """A commit has names; a validation that has not begun has no metrics yet to put its states into."""
    assert Place.read(f"{place.written()}.acc.3") == place


@pytest.mark.parametrize("kind", ["share", "apart"])
def test_a_second_training_begins_with_metrics_of_its_own(make_trainer, kind):
    """A `MinMaxMetric` goes on over its resets."""
    module = Resumes(f"{kind}-first")
    make_trainer(max_epochs=1).fit(module, *digit_loaders(300))
    module.network[-1].reset_parameters()
    type(module).run_id = f"{kind}-second"
    make_trainer(max_epochs=1).fit(module, *digit_loaders(300))
    history = module.burr.history
    assert list(history["val_max"]) == list(history["val_min"]) == list(history["val_acc"])


def test_a_collection_of_the_user_s_own_goes_on_too(make_trainer):
    """Its metrics share a state, and must not when they are put back: each would count every batch twice."""

    class Own(BurrMixin, DigitNet):
        burr_options: ClassVar = {"checkpoints": Checkpoints(every_n_steps=2)}

        def __init__(self):
            super().__init__()
            self.own = MetricCollection([MulticlassCohenKappa(10), MulticlassMatthewsCorrCoef(10)])

        def training_step(self, batch, batch_idx):
            self.own.update(self.network(batch[0]), batch[1])
            return super().training_step(batch, batch_idx)

        def on_train_epoch_end(self):
            self.log_dict(self.own.compute())
            self.own.reset()

    def ended(run_id, cut):
        seed_everything(1, verbose=False)
        train, validation = digit_loaders(300)
        Own.run_id, module = run_id, Own()
        trainer = make_trainer(Cut(cut), max_epochs=1)
        data = StatefulDataLoader(train.dataset, batch_size=50, shuffle=True)
        if cut is None:
            trainer.fit(module, data, validation)
            return {name: list(module.burr.history[name]) for name in module.burr.history.names}
        with pytest.raises(RuntimeError, match="killed"):
            trainer.fit(module, data, validation)
        return None

    whole = ended("whole", None)
    ended("cut", (0, 5))
    assert ended("cut", None) == whole


# Two ranks


class Still(Net):
    """Does not learn, so that all of its scores are known when it has ended."""

    def __init__(self):
        super().__init__()
        self.network = torch.nn.Linear(64, 10)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def on_fit_start(self):
        warnings.filterwarnings("error", message="It is recommended to use .self.log")


def on_two_ranks():
    seed_everything(1, verbose=False)
    train, validation = digit_loaders(300)
    loaders = DataLoader(train.dataset, 37), DataLoader(validation.dataset, 50)
    module = Still()
    trainer = Trainer(max_epochs=1, accelerator="cpu", devices=2, strategy="ddp_fork", **QUIET)
    trainer.fit(module, *loaders)
    expected = {}
    for stage, loader in zip(("train", "val"), loaders, strict=True):
        x, target = (torch.stack(column) for column in zip(*loader.dataset, strict=True))
        with torch.no_grad():
            scores = module.network(x)
        expected |= {f"{stage}_{name}": metric(scores, target).item() for name, metric in by_hand().items()}
    return {name: float(value) for name, value in trainer.callback_metrics.items()}, expected


def test_two_ranks_have_the_values_of_all_samples():
    logged, expected = Forked(on_two_ranks).result()
    assert logged == pytest.approx(expected, abs=1e-6)
    assert logged["val_acc"] == expected["val_acc"]


# LightningCLI


class OfYaml(BurrMixin, Net):
    monitor = "val_acc"

    def __init__(self, learning_rate: float = 2e-3):
        super().__init__()
        self.save_hyperparameters()

    def train_dataloader(self):
        return digit_loaders(128)[0]

    def val_dataloader(self):
        return digit_loaders()[1]


def test_a_yaml_file_trains_a_module_with_both_mixins(tmp_path, monkeypatch):
    file = tmp_path / "config.yaml"
    file.write_text(
        "trainer: {max_epochs: 1, accelerator: cpu, logger: false, enable_progress_bar: false}\n"
        "model: {learning_rate: 0.01}\n"
    )
    monkeypatch.setattr(sys, "argv", ["train.py", "fit", "--config", str(file)])
    cli = LightningCLI(OfYaml, save_config_callback=None, seed_everything_default=1)
    assert cli.model.hparams.learning_rate == 0.01
    assert list(cli.model.burr.run.history["val_acc"]) == [cli.trainer.callback_metrics["val_acc"].item()]


# Figures


class Drawn(Both):
    """Is best in its second epoch of three: what it predicts is written here."""

    right = (3, 9, 5)

    def __init__(self):
        super().__init__()
        self.matrices = []

    def configure_metrics(self):
        curves = {"confusion": MulticlassConfusionMatrix(10), "roc": MulticlassROC(10)}
        return MetricCollection({"acc": MulticlassAccuracy(10), **curves})

    def validation_step(self, batch, batch_idx):
        target = torch.arange(10)
        preds = torch.eye(10)
        preds[self.right[self.current_epoch] :] = preds[0].clone()
        return {"preds": preds, "target": target}

    def on_validation_end(self):
        self.matrices.append(self.metric_values.get("val_confusion"))


def fit_drawn(make_trainer, kind=Drawn, **options):
    module = kind()
    make_trainer(max_epochs=3, num_sanity_val_steps=0, **options).fit(
        module, digit_loaders(64)[0], scripted_loader()
    )
    return module


@pytest.mark.parametrize(("right", "saved"), [((3, 9, 5), [3, 9]), ((9, 3, 10), [9, 10])])
def test_figures_of_the_best_epoch_are_saved(make_trainer, monkeypatch, right, saved):
    from matplotlib import pyplot

    drawn = []
    plot = MulticlassConfusionMatrix.plot
    monkeypatch.setattr(
        MulticlassConfusionMatrix,
        "plot",
        lambda self, val=None, **k: (drawn.append(val), plot(self, val, **k))[1],
    )
    before = pyplot.get_fignums()
    monkeypatch.setattr(Drawn, "right", right)
    module = fit_drawn(make_trainer)
    figures = module.burr.callback.folder / "figures"
    assert sorted(path.name for path in figures.iterdir()) == ["val_confusion.png", "val_roc.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures.iterdir())
    assert [matrix.diagonal().count_nonzero().item() for matrix in drawn] == saved
    assert torch.equal(drawn[-1], module.matrices[right.index(max(right))])
    assert pyplot.get_fignums() == before


def test_a_figure_that_fails_is_a_warning(make_trainer, monkeypatch, caplog):
    from matplotlib import pyplot

    def fails(self, val=None, **options):
        pyplot.figure()
        raise ValueError("too many classes")

    monkeypatch.setattr(MulticlassConfusionMatrix, "plot", fails)
    before = pyplot.get_fignums()
    module = fit_drawn(make_trainer)
    assert module.burr.state["epoch"] == 2
    assert "The figure of val_confusion could not be made: ValueError: too many classes" in caplog.text
    assert [path.name for path in (module.burr.callback.folder / "figures").iterdir()] == ["val_roc.png"]
    assert pyplot.get_fignums() == before


def test_without_matplotlib_it_is_said_once_what_to_install(make_trainer, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    module = fit_drawn(make_trainer)
    assert caplog.text.count("pip install 'burr-lightning[plot]'") == 1
    assert not (module.burr.callback.folder / "figures").exists()


def test_a_dry_run_leaves_no_figures(make_trainer, own_home):
    module = Drawn()
    make_trainer(fast_dev_run=True).fit(module, digit_loaders(64)[0], scripted_loader())
    assert module.burr.callback.folder is None
    assert not list(own_home.rglob("*.png"))


# What is refused


class Returns(MetricsMixin, ScriptedModule):
    def __init__(self, returned, metrics=None):
        super().__init__(val_loss=[1.0])
        self.returned, self.metrics = returned, metrics

    def configure_metrics(self):
        return self.metrics if self.metrics is not None else MetricCollection(by_hand())

    def validation_step(self, batch, batch_idx):
        return self.returned(self)


def twice(module):
    module.update_metrics(torch.eye(10), torch.arange(10))
    return {"preds": torch.eye(10), "target": torch.arange(10)}


def logs(module):
    module.log("val_acc", 0.5)
    return {"preds": torch.eye(10), "target": torch.arange(10)}


@pytest.mark.parametrize(
    ("returned", "metrics", "said"),
    [
        (lambda _: {"preds": 1}, None, "validation_step returned 'preds' without 'target'"),
        (lambda _: {"target": 1}, None, "validation_step returned 'target' without 'preds'"),
        (twice, None, "the batch would count twice"),
        (logs, None, "Returns.validation_step logs 'val_acc', and so do the metrics"),
        (lambda _: None, 3, r"Returns.configure_metrics\(\) returned a int: it must be"),
        (lambda _: None, {}, r"configure_metrics\(\) returned {}: it must be"),
        (lambda _: None, {"valid": MetricCollection([])}, "'valid' is no stage; these are"),
        (lambda _: None, {"val": MulticlassAccuracy(10)}, r"\['val'\] is a MulticlassAccuracy: it must be"),
    ],
)
def test_what_metrics_cannot_be_kept_of_is_refused(make_trainer, returned, metrics, said):
    with pytest.raises(MetricsError, match=said):
        make_trainer(max_epochs=1, num_sanity_val_steps=0).fit(
            Returns(returned, metrics), scripted_loader(), scripted_loader()
        )


def test_a_name_that_the_module_logs_at_the_end_of_the_epoch_is_refused(make_trainer, loaders):
    class Logs(Net):
        def on_validation_epoch_end(self):
            self.log("val_acc", 0.5)

    with pytest.raises(Exception, match=r"`self.log\(val_acc, ...\)` twice in `on_validation_epoch_end`"):
        make_trainer(max_epochs=1).fit(Logs(), *loaders)


def test_a_module_without_metrics_is_refused(make_trainer, loaders):
    class Bare(MetricsMixin, DigitNet):
        pass

    with pytest.raises(MetricsError, match="Bare has MetricsMixin among its bases and no configure_metrics"):
        make_trainer(max_epochs=1).fit(Bare(), *loaders)


def test_an_update_outside_of_a_step_is_refused(make_trainer, loaders):
    with pytest.raises(MetricsError, match="no step is under way"):
        Net().update_metrics(torch.eye(10), torch.arange(10))

    class Late(Net):
        def on_train_batch_end(self, outputs, batch, batch_idx):
            self.update_metrics(torch.eye(10), torch.arange(10))

    class Skips(Net):
        def on_train_batch_start(self, batch, batch_idx):
            return -1  # ends the epoch, and no step is taken

        def on_train_epoch_end(self):
            self.update_metrics(torch.eye(10), torch.arange(10))

    for module in (Late(), Skips()):
        with pytest.raises(MetricsError, match="no step is under way"):
            make_trainer(max_epochs=1).fit(module, *loaders)


def test_a_class_that_lightning_would_not_call_is_refused():
    with pytest.raises(TypeError, match=r"class Wrong\(MetricsMixin, LightningModule\)"):

        class Wrong(LightningModule, MetricsMixin):
            pass


class Ignores(Net):
    def configure_callbacks(self):
        return []


class Drops(Net):
    def configure_callbacks(self):
        super().configure_callbacks()
        return [Callback()]


class AsksByName(Net):
    def configure_callbacks(self):
        return [*MetricsMixin.configure_callbacks(self), Callback()]


class AsksItsBase(AsksByName):
    def configure_callbacks(self):
        return [*super().configure_callbacks(), Callback()]


@pytest.mark.parametrize("left_out", [Ignores, Drops])
def test_a_module_that_leaves_the_mixin_s_callback_out_is_refused(make_trainer, loaders, left_out):
    with pytest.raises(TypeError, match=rf"{left_out.__name__}.configure_callbacks leaves out the callbacks"):
        make_trainer(max_epochs=1).fit(left_out(), *loaders)


@pytest.mark.parametrize("passed_on", [AsksByName, AsksItsBase])
def test_the_mixin_s_callback_may_be_passed_on_in_any_way(make_trainer, loaders, passed_on):
    module = passed_on()
    make_trainer(max_epochs=1).fit(module, *loaders)
    assert "val_acc" in module.metric_values


def test_metrics_that_a_mixin_would_hide_are_refused():
    class Plain(LightningModule):
        def configure_metrics(self):
            return by_hand()

    with pytest.raises(TypeError, match=r"Mixed\(MetricsMixin, Plain\): Plain.configure_metrics would not"):

        class Mixed(MetricsMixin, Plain):
            pass

    class Meant(MetricsMixin, Plain):
        configure_metrics = Plain.configure_metrics


def test_two_metrics_of_one_name_are_refused(make_trainer, loaders):
    class Twice(Net):
        def configure_metrics(self):
            return MetricCollection({"acc": MulticlassAccuracy(10), "val_acc": MulticlassRecall(10)})

    with pytest.raises(MetricsError, match=r"two of its metrics would be logged as 'val_acc'"):
        make_trainer(max_epochs=1).fit(Twice(), *loaders)


def test_it_works_with_a_callback_of_the_trainer_s(make_trainer, loaders):
    burr = BurrCallback(run_id="given", monitor="val_acc")
    make_trainer(burr, max_epochs=2).fit(Net(), *loaders)
    assert burr.state["best"]["value"] == max(burr.history["val_acc"])
