"""The private names of Lightning and Burr that the adapters use are there, and mean what they meant."""

import operator

import burr.core.application
import pytest
import torch
from burr.core.action import StreamingResultContainer, action, create_action
from burr.tracking import LocalTrackingClient
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.trainer import call
from lightning.pytorch.trainer.connectors.callback_connector import _CallbackConnector
from lightning.pytorch.trainer.connectors.checkpoint_connector import _CheckpointConnector
from lightning.pytorch.trainer.connectors.logger_connector.result import _Metadata, _ResultMetric, _Sync
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector
from torchmetrics import SumMetric
from torchmetrics.wrappers import MinMaxMetric, Running

from burr_lightning import Checkpoints
from burr_lightning.burr_access import PRIOR_STEP, local_tracker
from burr_lightning.errors import TrainerError
from burr_lightning.lightning_access import refuse_other_trainers
from burr_lightning.lightning_leaving import Leaving, ToldBeforeData, leave_fit
from burr_lightning.lightning_limits import can_stop, reached_limit
from burr_lightning.lightning_sharding import refuse_other_policies
from burr_lightning.steps import read_steps
from burr_lightning.testing import ScriptedModule, scripted_loader


@action(reads=[], writes=[])
def plain_action(state):
    return state


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (_CheckpointConnector, "resume_start"),
        (_CheckpointConnector, "dump_checkpoint"),
        (ModelParallelStrategy(), "_save_distributed_checkpoint"),
        (ModelParallelStrategy(), "restore_checkpoint_after_setup"),
        (_CheckpointConnector, "_parse_ckpt_path"),
        (_CheckpointConnector, "_restore_modules_and_callbacks"),
        (Trainer, "_run_stage"),
        (_SignalConnector, "_slurm_sigusr_handler_fn"),
        (_SignalConnector, "_sigterm_notifier_fn"),
        (_CheckpointConnector, "restore_model"),
        (_CheckpointConnector, "restore_precision_plugin_state"),
        (_CheckpointConnector, "restore_optimizers_and_schedulers"),
        (call, "_call_lightning_datamodule_hook"),
        (call, "_call_lightning_module_hook"),
        (_CallbackConnector, "_configure_checkpoint_callbacks"),
        (_FitLoop, "restarted_on_epoch_end"),
        (_FitLoop, "reset_restart_stage"),
        (_Loop, "restarting"),
        (StreamingResultContainer, "__iter__"),
        (burr.core.application, "PRIOR_STEP"),
        (create_action(plain_action, "it"), "_originating_fn"),
        (LocalTrackingClient, "LOG_FILENAME"),
    ],
)
def test_a_private_name_is_still_there(owner, name):
    assert hasattr(owner, name)


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        ("fit_loop", ["on_advance_start", "setup_data", "_combined_loader", "_restarting"]),
        ("fit_loop", ["_resuming_from_checkpoint", "_last_train_dl_reload_epoch", "_should_reload_train_dl"]),
        ("fit_loop.epoch_progress.total", ["started", "processed"]),
        ("fit_loop.epoch_loop", ["on_advance_end", "_skip_next_val", "_should_accumulate", "_results"]),
        ("fit_loop.epoch_loop", ["_num_ready_batches_reached", "scheduler_progress", "done"]),
        ("fit_loop.epoch_loop.batch_progress.current", ["ready", "completed"]),
        ("fit_loop.epoch_loop.val_loop", ["setup_data", "_combined_loader"]),
        ("fit_loop.epoch_loop.val_loop", ["_last_val_dl_reload_epoch", "_should_reload_val_dl"]),
        ("fit_loop.epoch_loop", ["_should_check_val_fx"]),
        ("fit_loop._data_source", ["instance", "dataloader", "is_defined"]),
        ("fit_loop.epoch_loop.val_loop._data_source", ["instance", "dataloader"]),
        ("test_loop", ["_data_source", "verbose", "run"]),
        ("_logger_connector", ["_callback_metrics", "_first_loop_iter", "_current_fx"]),
        ("_logger_connector", ["_logged_metrics", "_progress_bar_metrics"]),
        ("_checkpoint_connector", ["_loaded_checkpoint"]),
        ("strategy", ["checkpoint_io"]),
    ],
)
def test_what_a_commit_reads_of_a_trainer_is_still_there(make_trainer, owner, names):
    trainer = make_trainer(max_epochs=1)
    trainer.fit(ScriptedModule(val_loss=[0.5]), scripted_loader(), scripted_loader())
    for name in names:
        assert hasattr(operator.attrgetter(owner)(trainer), name)


def test_what_a_commit_reads_of_logged_values_and_of_metrics_is_still_there():
    meta = _Metadata("training_step", "loss", on_step=True, on_epoch=True, reduce_fx="mean")
    meta.sync = _Sync()
    result = _ResultMetric(meta, is_tensor=True)
    result.update(torch.tensor(2.0), 3)
    assert (result.value, result.cumulated_batch_size, result.has_reset) == (6.0, 3, False)
    assert result.meta.reduce_fx.__name__ == "mean"
    metric = SumMetric()
    metric.update(2.0)
    assert metric._update_count == 1
    assert list(metric._defaults) == ["sum_value"]
    assert metric._computed is None
    newest, extremes = Running(SumMetric(), 2), MinMaxMetric(SumMetric())
    newest.update(2.0)
    extremes.update(2.0)
    extremes.compute()
    assert newest._num_vals_seen == 1
    assert (extremes.min_val, extremes.max_val) == (2.0, 2.0)
    assert (newest._update_count, extremes._update_count) == (0, 0)


def test_loops_keep_what_was_logged_where_directions_are_looked_up(make_trainer):
    trainer = make_trainer(max_epochs=1, enable_checkpointing=False)
    trainer.fit(ScriptedModule(val_loss=[0.5]), scripted_loader(), scripted_loader())
    [result] = trainer.fit_loop.epoch_loop.val_loop._results.values()
    assert result.meta.name == "val_loss"
    assert isinstance(result.value, torch.Tensor)
    assert trainer.fit_loop.epoch_loop._results == {}


@pytest.mark.parametrize(
    ("options", "epochs", "steps", "limit"),
    [
        ({"max_epochs": 3}, 2, 8, None),
        ({"max_epochs": 3}, 3, 12, "max_epochs=3 was reached"),
        ({"max_epochs": -1}, 1000, 1, None),
        ({"max_steps": 10, "max_epochs": -1}, 2, 9, None),
        ({"max_steps": 10}, 2, 10, "max_steps=10 was reached"),
    ],
)
def test_limits_are_told_in_words(make_trainer, options, epochs, steps, limit):
    trainer = make_trainer(**options)
    assert reached_limit(trainer, epochs, steps) == limit


def test_a_wish_to_stop_counts_once_the_minimum_is_met(make_trainer):
    trainer = make_trainer(max_epochs=9, min_epochs=3, min_steps=20)
    trainer.should_stop = True
    assert not can_stop(trainer, 2, 30)
    assert not can_stop(trainer, 3, 19)
    assert reached_limit(trainer, 2, 30) is None
    assert can_stop(trainer, 3, 20)
    said = "trainer.should_stop was set by another callback or by the module"
    assert reached_limit(trainer, 3, 20) == said
    assert reached_limit(trainer, 3, 20, asked_by_us=True) is None


def test_burr_keeps_the_last_action_in_the_state():
    assert PRIOR_STEP == "__PRIOR_STEP"


def test_a_torn_line_at_the_end_of_a_log_is_left_out(tmp_path):
    line = '{"type": "begin_entry", "start_time": "2026-01-01T00:00:00", "action": "a", "sequence_id": 0}'
    (tmp_path / LocalTrackingClient.LOG_FILENAME).write_text(f"{line}\n{line[:30]}")
    [step] = read_steps(tmp_path)
    assert (step.action, step.ended, step.seconds) == ("a", None, None)


def test_the_tracker_is_burrs_own_in_burrs_own_place(own_home):
    assert local_tracker("digits").storage_dir == str(own_home / "home" / ".burr" / "digits")


class OnCpu(FSDPStrategy):
    """Lightning refuses to make a trainer with the strategy itself where there is no GPU."""


def test_strategies_that_nobody_has_seen_go_on_are_refused_before_they_train(make_trainer):
    with pytest.raises(
        TrainerError, match=r"OnCpu\): it writes checkpoints in a form of its own.*fully_shard"
    ):
        refuse_other_trainers(make_trainer(devices=2, strategy=OnCpu()))


@pytest.mark.parametrize(
    "options", [{"asynchronous": True}, {"save_weights_only_best": True}, {"copy_to": "memory://copies"}]
)
def test_folders_are_refused_what_one_process_would_have_to_write(make_trainer, options):
    [wanted], keep = options, Checkpoints(**options)
    refuse_other_policies(make_trainer(devices=2, strategy="ddp"), keep)
    one_file = ModelParallelStrategy(save_distributed_checkpoint=False)
    refuse_other_policies(make_trainer(devices=2, strategy=one_file), keep)
    with pytest.raises(TrainerError, match=rf"{wanted}=.*save_distributed_checkpoint=False"):
        refuse_other_policies(make_trainer(devices=2, strategy=ModelParallelStrategy()), keep)


class Leaves(ToldBeforeData, Checkpoint):
    leaves = True

    def before_data(self, trainer):
        assert trainer.lightning_module is not None
        if self.leaves:
            leave_fit(trainer)


class TearsDown:
    """Tears down what its setup has made."""

    def setup(self, *args, **kwargs):
        self.made = [*getattr(self, "made", []), "setup"]

    def teardown(self, *args, **kwargs):
        self.made.append("teardown")


class Data(TearsDown, LightningDataModule):
    def train_dataloader(self):
        return scripted_loader()


class Module(TearsDown, ScriptedModule):
    pass


class Other(TearsDown, Callback):
    pass


def test_a_callback_can_leave_a_fit_before_anything_is_set_up(make_trainer):
    leaves, other, data, module = Leaves(), Other(), Data(), Module(val_loss=[1.0])
    trainer = make_trainer(other, leaves, max_epochs=1)
    trainer.fit(module, datamodule=data)
    assert trainer.state.finished
    assert trainer.callbacks == [other, leaves]
    assert not any(hasattr(part, "made") for part in (other, data, module))
    leaves.leaves = False
    trainer.fit(module, datamodule=data)
    assert [part.made for part in (other, data, module)] == [["setup", "teardown"]] * 3


def test_a_module_with_a_log_of_its_own_is_fitted(make_trainer):
    module = ScriptedModule(val_loss=[1.0])
    module.log = lambda *args, **options: None
    trainer = make_trainer(Leaves(), max_epochs=1)
    trainer.fit(module, scripted_loader())
    assert trainer.global_step == 4


def test_it_is_not_told_of_other_work_of_the_trainer(make_trainer):
    trainer = make_trainer(Leaves(), max_epochs=1)
    assert trainer.validate(ScriptedModule(val_loss=[1.0]), scripted_loader()) == [{"val_loss": 1.0}]


def test_a_trainer_may_stop_before_its_minimum_and_has_it_again_afterwards(make_trainer):
    trainer = make_trainer(enable_checkpointing=False, min_epochs=5, min_steps=50, max_epochs=6)
    leaving = Leaving(trainer)
    leaving.stop(at_once=True)
    trainer.should_stop = True
    assert trainer.fit_loop._can_stop_early
    leaving.end()
    assert not trainer.fit_loop._can_stop_early
    assert (trainer.fit_loop.min_epochs, trainer.fit_loop.epoch_loop.min_steps) == (5, 50)
