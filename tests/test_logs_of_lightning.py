"""What Lightning's loggers wrote, read into recordings as the callback recorded it."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from lightning.fabric.loggers import CSVLogger as FabricCSVLogger
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from looks import NAN
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter

from burr_lightning import BurrCallback, MetricHistory
from burr_lightning.conditions import max_epochs, max_steps, max_time
from burr_lightning.conditions.replayed import first_stop, reason_at
from burr_lightning.errors import HistoryError, MissingExtraError, UnknownMetricError
from burr_lightning.recording import Recording
from burr_lightning.stopping import recordings
from burr_lightning.testing import ScriptedModule, scripted_loader

INF = float("inf")
LOSSES = [0.9, 0.5, 0.7, 0.4, 0.6, 0.3, 0.8, 0.2]


def logged_at(recording: Recording, metric: str) -> list[tuple[int, float]]:
    """The numbers of the checks at which a metric was logged, and its values."""
    series = recording.series[metric]
    return list(zip(np.asarray(series.at).tolist(), series.values, strict=True))


def checks_of(recording: Recording) -> list[tuple[int, bool]]:
    return list(zip(recording.epochs.tolist(), recording.ends_epoch.tolist(), strict=True))


class Training(LightningModule):
    """Logs a loss of every step, its mean over the epoch, and one of validation."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.layer(batch[0]).pow(2).mean())

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_loss", self.layer(batch[0]).pow(2).mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def train(make_trainer: Any) -> Any:
    """Trains with both loggers: gives the history that the callback recorded, and the trainer."""

    def fit(module: LightningModule, *callbacks: Any, **options: Any) -> tuple[MetricHistory, Any]:
        loggers = [CSVLogger(".", name="csv"), TensorBoardLogger(".", name="events")]
        burr = BurrCallback(run_id="recorded", monitor="val_loss")
        few = {"max_epochs": 4, "log_every_n_steps": 1, "logger": loggers, **options}
        trainer = make_trainer(burr, *callbacks, **few)
        trainer.fit(module, scripted_loader(), scripted_loader())
        return burr.history, trainer

    return fit


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [
        ({}, [4, 8, 12, 16]),
        ({"check_val_every_n_epoch": 2}, [4, 8, 12, 16]),
        ({"val_check_interval": 0.5}, [2, 4, 6, 8, 10, 12, 14, 16]),
        ({"val_check_interval": 3}, [3, 4, 7, 8, 11, 12, 15, 16]),
        ({"val_check_interval": 3, "check_val_every_n_epoch": None}, [3, 4, 6, 8, 9, 12, 15, 16]),
        ({"accumulate_grad_batches": 3}, [2, 4, 6, 8]),
    ],
    ids=str,
)
def test_a_log_has_the_checks_and_values_that_the_callback_recorded(
    train: Any, schedule: Any, steps: list[int]
) -> None:
    history, trainer = train(Training(), **schedule)
    wanted = ["val_loss", "train_loss_epoch"]
    [expected, from_csv, from_events] = recordings(
        [history, "csv/version_0", "events/version_0"], wanted[0], wanted[1:]
    )

    assert checks_of(from_csv) == checks_of(from_events) == checks_of(expected)
    for metric in wanted:
        assert logged_at(from_csv, metric) == logged_at(expected, metric)
        assert from_events.series[metric].at.tolist() == expected.series[metric].at.tolist()
        assert from_events.series[metric].values == pytest.approx(expected.series[metric].values)
    assert from_csv.steps.tolist() == from_events.steps.tolist() == steps
    assert from_csv.steps[-1] == trainer.global_step
    assert from_csv.seconds is None
    assert 0 < from_events.seconds[0] < from_events.seconds[-1]


@pytest.mark.parametrize(
    ("schedule", "unknown"),
    [({}, []), ({"check_val_every_n_epoch": 2}, [0, 2]), ({"val_check_interval": 0.5}, [])],
    ids=str,
)
def test_epochs_that_logged_nothing_are_checks_too(train: Any, schedule: Any, unknown: list[int]) -> None:
    history, _ = train(ScriptedModule(val_loss=LOSSES), **schedule)
    [expected, from_csv, from_events] = recordings([history, "csv/version_0", "events/version_0"], "val_loss")

    assert checks_of(from_csv) == checks_of(from_events) == checks_of(expected)
    assert logged_at(from_csv, "val_loss") == logged_at(expected, "val_loss")
    assert from_events.series["val_loss"].values == pytest.approx(expected.series["val_loss"].values)
    assert np.flatnonzero(np.isnan(from_csv.steps)).tolist() == unknown
    assert np.flatnonzero(np.isnan(from_events.seconds)).tolist() == unknown


def test_what_was_logged_before_the_training_is_a_check_of_epoch_0(make_trainer: Any) -> None:
    logger = CSVLogger(".", name="csv")
    trainer = make_trainer(max_epochs=2, log_every_n_steps=1, logger=logger)
    trainer.validate(Training(), scripted_loader(), verbose=False)
    trainer.fit(Training(), scripted_loader(), scripted_loader())
    [recording] = recordings("csv/version_0", "val_loss")
    assert checks_of(recording) == [(0, False), (0, True), (1, True)]


def test_the_steps_of_a_csv_file_as_a_frame_are_one_lower(train: Any) -> None:
    train(Training())
    frame = pandas.read_csv("csv/version_0/metrics.csv")
    [by_path, by_frame, shifted] = recordings(
        ["csv/version_0", frame, frame.assign(step=frame.step + 1)], "val_loss"
    )
    assert by_path.steps.tolist() == shifted.steps.tolist() == (by_frame.steps + 1).tolist()


def test_what_was_logged_after_the_training_is_left_out(train: Any) -> None:
    history, trainer = train(Training(), max_epochs=3)
    trainer.test(Training(), scripted_loader(), verbose=False)
    trainer.validate(Training(), scripted_loader(), verbose=False)
    assert len(list(Path("events/version_0").glob("*tfevents*"))) > 1

    [expected, from_csv, from_events] = recordings([history, "csv/version_0", "events/version_0"], "val_loss")
    assert checks_of(from_csv) == checks_of(from_events) == checks_of(expected)
    assert logged_at(from_csv, "val_loss") == logged_at(expected, "val_loss")


def test_an_epoch_of_one_step_is_not_taken_for_a_later_pass(train: Any) -> None:
    history, _ = train(Training(), limit_train_batches=1)
    [expected, from_csv] = recordings([history, "csv/version_0"], "val_loss")
    assert checks_of(from_csv) == checks_of(expected)
    assert len(from_csv) == 4


class Decaying(Training):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.5)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)]


@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_rows_of_other_callbacks_fall_into_their_epoch(train: Any, interval: str) -> None:
    history, _ = train(Decaying(), LearningRateMonitor(logging_interval=interval), max_epochs=3)
    logs = ["csv/version_0", "events/version_0"]
    [expected, *from_logs] = recordings([history, *logs], "val_loss")
    for recording, rates in zip(from_logs, recordings(logs, "val_loss", ["lr-SGD"]), strict=True):
        assert checks_of(recording) == checks_of(rates) == checks_of(expected)
        assert logged_at(rates, "lr-SGD") == [(0, 0.5), (1, 0.25), (2, 0.125)]


class WithOwnStep(Training):
    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("train_loss", loss)
        return loss

    def on_validation_epoch_end(self) -> None:
        self.log("step", float(self.current_epoch))


class WithOwnStepAndMean(WithOwnStep):
    def on_train_epoch_end(self) -> None:
        self.log("mean", 0.5)


@pytest.mark.parametrize(("module", "steps"), [(WithOwnStep, None), (WithOwnStepAndMean, [4, 8, 12])])
def test_a_module_that_logs_a_step_of_its_own_keeps_its_epochs(train: Any, module: Any, steps: Any) -> None:
    history, _ = train(module(), max_epochs=3)
    [expected, *from_logs] = recordings([history, "csv/version_0", "events/version_0"], "val_loss")
    for recording in from_logs:
        assert checks_of(recording) == checks_of(expected)
        assert recording.series["val_loss"].values == pytest.approx(expected.series["val_loss"].values)
        assert (None if recording.steps is None else recording.steps.tolist()) == steps


def test_a_logger_with_a_prefix_is_read_under_the_prefixed_names(train: Any) -> None:
    loggers = [CSVLogger(".", name="csv", prefix="my"), TensorBoardLogger(".", name="events", prefix="my")]
    history, _ = train(ScriptedModule(val_loss=LOSSES), logger=loggers, check_val_every_n_epoch=2)
    [expected] = recordings(history, "val_loss")
    for recording in recordings(["csv/version_0", "events/version_0"], "my-val_loss"):
        assert checks_of(recording) == checks_of(expected)


def test_a_training_that_went_on_in_another_event_file_counts_once(make_trainer: Any) -> None:
    def fit(epochs: int, ckpt_path: str | None = None) -> Recording:
        logger = TensorBoardLogger(".", name="events", version=0)
        trainer = make_trainer(max_epochs=epochs, log_every_n_steps=1, logger=logger)
        trainer.fit(Training(), scripted_loader(), scripted_loader(), ckpt_path=ckpt_path)
        trainer.save_checkpoint(f"after-{epochs}.ckpt")
        return recordings("events/version_0", "val_loss")[0]

    fit(2)
    first = fit(5, "after-2.ckpt")
    second = fit(4, "after-2.ckpt")

    assert checks_of(first) == [(epoch, True) for epoch in range(5)]
    assert checks_of(second) == [(epoch, True) for epoch in range(4)]
    assert second.steps.tolist() == [4, 8, 12, 16]
    assert second.series["val_loss"].values == first.series["val_loss"].values[:4]
    assert (np.diff(second.seconds) > 0).all()
    assert second.seconds[:2].tolist() == first.seconds[:2].tolist()


def write_events(path: Path, events: list[tuple[float, int, dict[str, float]]]) -> None:
    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=events[0][0] - 1, file_version="brain.Event:2").SerializeToString())
        for wall_time, step, scalars in events:
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
            event = Event(wall_time=wall_time, step=step, summary=Summary(value=values))
            writer.write(event.SerializeToString())


def test_the_time_between_two_event_files_does_not_count(tmp_path: Path) -> None:
    losses = [{"loss": 4.0 - epoch, "epoch": epoch} for epoch in range(5)]
    write_events(
        tmp_path / "b.tfevents.1", [(1001.0, 1, losses[0]), (1003.0, 3, losses[1]), (1006.0, 5, losses[2])]
    )
    write_events(tmp_path / "a.tfevents.2", [(5002.0, 5, losses[2]), (5003.0, 7, losses[3])])
    [recording] = recordings(tmp_path, "loss")
    assert recording.epochs.tolist() == [0, 1, 2, 3]
    assert recording.steps.tolist() == [2, 4, 6, 8]
    assert recording.seconds.tolist() == [1.0, 3.0, 4.0, 5.0]
    assert logged_at(recording, "loss") == [(0, 4.0), (1, 3.0), (2, 2.0), (3, 1.0)]


def test_own_steps_do_not_hide_which_rows_are_trained_again(tmp_path: Path) -> None:
    def epoch(number: int) -> list[tuple[float, int, dict[str, float]]]:
        trained = {"train_loss": 1.0, "epoch": number}
        return [
            (number * 2.0, 2 * number + 1, trained),
            (number * 2.0 + 1, 90 + number, {"loss": 4.0 - number}),
        ]

    write_events(tmp_path / "tfevents.1", [*epoch(0), *epoch(1), *epoch(2)])
    again = [(wall_time + 50, step, scalars) for wall_time, step, scalars in [*epoch(1), *epoch(2)]]
    write_events(tmp_path / "tfevents.2", again)
    [recording] = recordings(tmp_path, "loss")
    assert checks_of(recording) == [(0, True), (1, True), (2, True)]
    assert logged_at(recording, "loss") == [(0, 4.0), (1, 3.0), (2, 2.0)]


def test_event_files_of_others_have_a_row_per_step(tmp_path: Path) -> None:
    events: list[tuple[float, int, dict[str, float]]] = []
    events += [(1.0, 0, {"loss": 9.0}), (2.0, 1, {"loss": 8.0}), (3.0, 1, {"val_loss": 0.9})]
    events += [(4.0, 2, {"loss": 7.0}), (5.0, 3, {"val_loss": 0.8}), (6.0, 3, {"val_loss": 0.7})]
    write_events(tmp_path / "tfevents.1", events)
    write_events(tmp_path / "tfevents.2", [(9.0, 3, {"val_loss": 0.6}), (10.0, 4, {"loss": 5.0})])
    [recording] = recordings(tmp_path, "val_loss", ["loss"])
    assert checks_of(recording) == [(0, True), (1, True)]
    assert logged_at(recording, "val_loss") == [(0, pytest.approx(0.9)), (1, pytest.approx(0.6))]
    assert logged_at(recording, "loss") == [(0, 8.0), (1, 7.0)]
    assert recording.steps.tolist() == [2, 4]
    [alone] = recordings(tmp_path / "tfevents.1", "val_loss", ["loss"])
    assert [at for at, _ in logged_at(alone, "val_loss")] == [0, 1, 2]
    assert alone.steps.tolist() == [2, 4, 4]


def test_scalars_that_are_written_as_tensors_are_read_and_texts_are_not(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for step, loss in enumerate([0.5, math.nan, 0.25]):
            writer.add_scalar("loss", loss, step, new_style=True)
            writer.add_text("note", "a text", step)
    [recording] = recordings(next(tmp_path.glob("*tfevents*")), "loss")
    assert logged_at(recording, "loss") == [(0, 0.5), (1, NAN), (2, 0.25)]
    assert recording.name == tmp_path.name
    with pytest.raises(UnknownMetricError, match=r"logged so far: loss\. "):
        recordings(tmp_path, "note")


def test_without_epochs_each_value_of_the_monitored_metric_ends_one(tmp_path: Path) -> None:
    logger = FabricCSVLogger(tmp_path, name="fabric", version=0)
    for step in range(6):
        logger.log_metrics({"loss": float(step)}, step)
        if step % 2:
            logger.log_metrics({"val_loss": step / 10}, step)
    logger.save()
    [recording] = recordings(tmp_path / "fabric" / "version_0", "val_loss", ["loss"])
    assert checks_of(recording) == [(0, True), (1, True), (2, True)]
    assert logged_at(recording, "val_loss") == [(0, 0.1), (1, 0.3), (2, 0.5)]
    assert logged_at(recording, "loss") == [(0, 1.0), (1, 3.0), (2, 5.0)]
    assert recording.steps.tolist() == [2, 4, 6]


def test_a_log_that_goes_on_from_another_is_not_filled_up_to_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "resumed.csv"
    log.write_text("epoch,step,val_loss\n5,11,0.5\n7,15,0.4\n11,23,0.3\n")
    [recording] = recordings(log, "val_loss")
    assert recording.epochs.tolist() == [4, 5, 6, 7, 8, 9, 10, 11]
    assert logged_at(recording, "val_loss") == [(1, 0.5), (3, 0.4), (7, 0.3)]


@pytest.mark.parametrize("limit", [max_steps(10), max_time(60)], ids=str)
def test_a_limit_decides_nothing_where_nobody_recorded_what_it_needs(tmp_path: Path, limit: Any) -> None:
    log = tmp_path / "metrics.csv"
    log.write_text("epoch,step,val_loss\n1,7,0.5\n3,15,0.4\n5,23,0.3\n")
    [recording] = recordings(log, "val_loss")
    assert first_stop(max_steps(10), recording) == 3
    assert reason_at(max_steps(10), recording, 3) == "max_steps(10): 16 steps were taken"
    either = limit | max_epochs(3)
    assert first_stop(either, recording) == 2
    assert reason_at(either, recording, 2).startswith("max_epochs(3): ")


def test_cells_of_a_csv_file_are_values_unless_they_are_empty(tmp_path: Path) -> None:
    log = tmp_path / "trial.csv"
    log.write_text("\ufeffepoch,step,val_loss,note\n0,0,nan,a\n1,1,,b\n2,2,-inf,c\n3,3,1e-3,d\n4,4")
    [recording] = recordings(str(log), "val_loss")
    assert logged_at(recording, "val_loss") == [(0, NAN), (2, -INF), (3, 0.001)]
    assert checks_of(recording) == [(epoch, True) for epoch in range(5)]
    assert recording.name == "trial"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a CSV file"),
        ("epoch,val_loss\n", "no rows below its header"),
        ("epoch,val_loss\n0,0.5,7\n1,0.4\n", "row 0 has 3 cells, and the header 2"),
        ("epoch,val_loss,epoch\n0,0.5,1\n", "header has more than one column 'epoch'"),
        ("epoch,val_loss\n0,low\n", "column 'val_loss' must hold numbers: .*'low'"),
        ("epoch,val_loss\n0,0.5\n1,0.4\n0,0.5\n", "row 2 goes back from epoch 1 to 0.*several trainings"),
        ("epoch,val_loss\n0.5,0.5\n", "an epoch is a whole number, 0 for the first; row 0 says 0.5"),
        ("epoch,val_loss\n-1,0.5\n", "row 0 says -1"),
    ],
)
def test_a_csv_file_that_cannot_be_read_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    log = tmp_path / "metrics.csv"
    log.write_text(text)
    with pytest.raises(HistoryError, match=rf"^recordings\('{log}'\): .*{message}"):
        recordings(log, "val_loss")


def test_an_empty_line_in_a_csv_file_is_no_row(tmp_path: Path) -> None:
    log = tmp_path / "metrics.csv"
    log.write_text("\nepoch,val_loss\n0,0.5\n\n1,0.4\n\n")
    [recording] = recordings(log, "val_loss")
    assert logged_at(recording, "val_loss") == [(0, 0.5), (1, 0.4)]


def test_a_folder_without_a_log_is_an_error_that_says_what_there_is(tmp_path: Path) -> None:
    for version in ("version_0", "version_1"):
        (tmp_path / "logs" / version).mkdir(parents=True)
        (tmp_path / "logs" / version / "metrics.csv").write_text("epoch,val_loss\n0,1\n")
    with pytest.raises(HistoryError, match=r"Folders in it that hold one: version_0, version_1\."):
        recordings("logs", "val_loss")
    (tmp_path / "logs" / "version_0" / "metrics.csv").rename(tmp_path / "logs" / "version_0" / "other.txt")
    with pytest.raises(HistoryError, match=r"no event file in it\. It holds: other\.txt\."):
        recordings("logs/version_0", "val_loss")
    with pytest.raises(HistoryError, match=r"no such file or folder"):
        recordings(Path("logs/version_7"), "val_loss")


def test_an_event_file_without_scalars_is_an_error(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text("note", "a text", 0)
    with pytest.raises(HistoryError, match="there is no scalar in it"):
        recordings(tmp_path, "loss")


def test_a_file_that_is_no_event_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.tfevents.1").write_bytes(b"no events" * 20)
    with pytest.raises(HistoryError, match=r"no event of TensorBoard can be read in x\.tfevents\.1"):
        recordings(tmp_path, "loss")
    write_events(tmp_path / "y.tfevents.2", [(1.0, 1, {"loss": 0.5, "epoch": 0})])
    assert logged_at(*recordings(tmp_path, "loss"), "loss") == [(0, 0.5)]


def test_event_files_need_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SummaryWriter(str(tmp_path)).close()
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing.event_file_loader", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'burr-lightning\[tensorboard\]'\.$"):
        recordings(tmp_path, "loss")
