"""Walks the machine along Lightning's loop: opens and closes phases, and acts at the boundaries."""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

from burr.core import Application, State
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from . import lightning_access as access
from . import lightning_limits as limits
from . import lightning_loops as loops
from . import messages
from .acting import LiveTraining, Told
from .actions import TrainEpoch, Validate
from .asking import Asking
from .commits import Committer, FollowingCommitter
from .committing import RunCommits
from .ending import Ending
from .fingerprint import fingerprint, refuse_other_data
from .going_on import GoingOn, tell_of_what_differs, tell_of_workers
from .graphs import leaves_training, refuse_unknown_metrics
from .hparams import of_module, tell_of_fork
from .layout import RunFolder
from .lightning_data import LoadersMade
from .lightning_ddp import Wrapping
from .lightning_leaving import Leaving
from .lightning_loops import BetweenHooks
from .lightning_signals import SharedSigterm
from .lightning_slurm import Requeue
from .ordinary import OrdinaryActions
from .parameter_groups import schedules
from .ranks import Ranks
from .reports import TrainingClock
from .settings import RunSettings
from .shadow import tell_of_unknown_metrics
from .state import is_at_fork
from .training_state import optimization, random_state, set_random_state
from .walking import Walk

log = logging.getLogger(__name__)


class Driver:
    """Walks one run's machine.

    Its methods are named after what happened in Lightning's loop. At every boundary, the point
    between two phases, it does the same things in the same order: the phase is closed, its metrics
    enter the state, a commit is made, the ordinary actions that are due run, and Lightning is told
    whether to go on.

    Args:
        trainer: The trainer whose loop it is.
        module: The module in training.
        app: The run's application, standing where the run stands.
        committer: Makes the run's commits durable; ``None`` leaves nothing on disk.
        folder: The run's folder, ``None`` likewise.
        settings: What the user configured.
        ranks: The processes that train; each has a driver, and all of them do the same.
    """

    def __init__(
        self,
        trainer: Trainer,
        module: LightningModule,
        app: Application[Any],
        committer: Committer | FollowingCommitter | None,
        folder: RunFolder | None,
        settings: RunSettings,
        ranks: Ranks,
    ) -> None:
        self.app, self._ranks = app, ranks
        self._trainer, self._module, self._built_with = trainer, module, of_module(module)
        self._shadow = settings.shadow
        self._commits = RunCommits(trainer, module, app, committer, self._kept, ranks)
        self.requeue = Requeue(trainer, ranks, lambda: self.walk.is_in_batches, self._commit_before_requeue)
        self.sigterm, self._wrapping = SharedSigterm(trainer, ranks, self.requeue), Wrapping(trainer)
        self._going_on: GoingOn | None = None
        self._between_hooks = BetweenHooks(trainer)
        self.loaders_made = LoadersMade(
            trainer, partial(random_state, trainer, module), partial(set_random_state, trainer, module)
        )
        told = Told(self._rolled_back, self.loaders_made.swap, lambda: self._schedules)
        self._training = training = LiveTraining(trainer, module, committer, app.uid, told, ranks)
        clock = TrainingClock(app.state["seconds"])
        self.asking = asking = Asking(self.sigterm, app, self._commits, clock, folder, settings, ranks)
        self._ordinary = OrdinaryActions(
            trainer, module, app, self._commits, training, asking, ranks, self._wrapping
        )
        self.walk = Walk(trainer, app, self._commits, self._ordinary, settings, clock, ranks)
        self._leaving = Leaving(trainer)
        self._ending = Ending(trainer, app, self.walk, self._ordinary, training, asking)
        self._started = self._validated = self._cut_short = self._told_of_shadow = False

    @property
    def state(self) -> State[Any]:
        """The state of the machine."""
        return self.app.state

    @property
    def open_action(self) -> str | None:
        """The action that is under way: the open phase's, or an ordinary one."""
        return self.walk.phase.action.name if self.walk.phase else self._ordinary.running

    @property
    def ended(self) -> bool:
        """Whether the machine has nothing more to do."""
        return self.walk.ended

    # What happens in Lightning's loop

    def training_started(self, kept: dict[str, Any] | None, hear_next_batch: Callable[[], None]) -> None:
        """The data is set up, and the first epoch is about to begin, or to go on.

        Args:
            kept: What the checkpoint held of ours, ``None`` where the run was not resumed.
            hear_next_batch: Has `batch_started` called before the next batch; it is not before every one.
        """
        self._started = True
        self._wrapping.training_started()
        self.walk.clock.start()
        self.loaders_made.training_started()
        if kept is not None:
            self._going_on = GoingOn(self._trainer, self._module, kept, self.app.uid, self._ranks)
        self._schedules = (kept or {}).get("schedules") or deepcopy(schedules(self._trainer))
        self._optimization = kept["optimization"] if kept is not None else optimization(self._trainer)
        self._between_hooks.at_every_batch(self.walk.batch_ended, self.batch_completed)
        self._between_hooks.before_validation(partial(self._takes_validation, hear_next_batch))
        self._commits.training_started()
        tell_of_workers(self._trainer, self._going_on)
        if kept is not None:
            tell_of_what_differs(kept, self._ranks)
            self._wrapping.go_on(kept.get("buckets"))
        if not access.reloads_data(self._trainer):
            refuse_other_data(self._ranks, self._trainer, self.app.uid, self.state["data"])
        if self._going_on is not None:
            self.walk.logged.go_on(self._going_on.recorded)
        self._tell_of_fork()
        self.walk.boundary()
        if self._going_on is not None:
            self.walk.first_batch = self._going_on.first_batch
            self._going_on.actions_ran()
            self._between_hooks.before_next_epoch(self._going_on.go_on)
        if self.ended or self.asking.paused:
            self._stop_lightning()

    def epoch_started(self) -> None:
        """An epoch of training begins."""
        if self._going_on is not None:
            self._going_on.end()
            self._going_on = None
        self._commits.trainer_moves_on()
        self.walk.logged.epoch_started()
        self._wrapping.may_differ()
        self._cut_short = False
        if self.state["data_settings"] is not None and self.state["data"] is None:
            self.app.update_state(self.state.update(data=fingerprint(self._ranks, self._trainer)))
        self.walk.open(TrainEpoch)

    def batch_started(self) -> None:
        """A batch of training begins: after a validation inside the epoch, its training goes on."""
        self._wrapping.batch_started()
        self._commits.trainer_moves_on()
        self.walk.leave_validation()
        if self.walk.phase is None:
            self.walk.open(TrainEpoch)

    def batch_completed(self) -> None:
        """A batch of training is done with all that follows it, and the epoch goes on."""
        self._count_batch()
        due = self._commits.is_due_inside_epoch()
        asks = self.asking.may_ask and self.walk.is_in_validation and loops.epoch_goes_on(self._trainer)
        if (due or asks) and not self._cut_short:
            self.walk.commit_inside_epoch(is_due=due)
        if self.requeue.is_due and loops.epoch_goes_on(self._trainer):
            self.requeue.between_batches()
        if self.ended or self.asking.paused:
            self._stop_lightning()

    def validation_started(self) -> None:
        """Lightning validates."""
        self._validated = True
        walk = self.walk
        walk.logged.validation_started()
        if walk.validates_by_itself or not walk.has(Validate):
            return
        if walk.phase is not None:
            walk.close(walk.report(walk.logged.unrecorded(), is_check=False, validation_due=True))
            walk.open(Validate)
        elif walk.is_next(Validate):
            walk.open(Validate)

    def validation_ended(self) -> None:
        """Lightning has validated; if that ends the run in the middle of an epoch, it is told at once."""
        self.walk.logged.validation_ended()
        if self.walk.validates_by_itself or self.walk.phase is None or self._trainer.is_last_batch:
            return
        if self.walk.would_leave_training():
            self._cut_short = True
            self._stop_lightning()

    def epoch_ended(self) -> None:
        """An epoch of training is over, and all of its metrics are known."""
        if self.walk.phase is None:
            return
        self.sigterm.share()
        epochs, steps = self._trainer.current_epoch + 1, self._trainer.global_step
        limit = limits.reached_limit(self._trainer, epochs, steps, asked_by_us=self._leaving.asked)
        checked = self.walk.logged.of_validation if self._cut_short else {}
        logged = self.walk.logged.unrecorded(but=checked)
        self.walk.close(self.walk.report(logged, checked=checked, ends_epoch=True, limit=limit))
        if self._validated or not self._trainer.enable_validation:
            refuse_unknown_metrics(self.app.graph, self.state)
            if not self._told_of_shadow:
                tell_of_unknown_metrics(self._shadow, self.state)
            self._told_of_shadow = True
        self._commits.settle(wait=False)
        self._commits.epoch_ended(is_last=lambda: leaves_training(self.app.graph, self.walk.next()[0]))
        self.walk.boundary()
        self.sigterm.share()
        self.requeue.between_batches()
        if self.ended or self.asking.paused:
            self._stop_lightning()
        elif self._cut_short:
            log.warning("%s", messages.goes_on_though_cut_short(self.state["epoch"]))
            self._leaving.take_back()

    def training_ends(self) -> None:
        """Lightning trains no more, and lets the module go after this."""
        self.leave_loops()
        self._commits.training_ends()

    def training_ended(self) -> None:
        """Lightning trains no more; a machine that did not foresee it is told."""
        if self._started or self.state["epoch"] >= 0:
            self._ending.lightning_ended()
        self._commits.settle()
        self._commits.bring_best()
        self._ending.give_best_weights()

    def failed(self, error: BaseException) -> None:
        """An exception ends the run: the open phase fails with it, and the state stays as it was.

        A wish of the system to end the process comes between two batches: what they have done is
        committed, where it can be gone on with. Half a validation cannot.
        """
        self.leave_loops()
        self.asking.failed(error)
        try:
            between = self._commits.can_commit_inside_epoch() and not self.walk.logged.inside_validation
            if isinstance(error, SIGTERMException) and between:
                self._count_batch()
                self.walk.commit_inside_epoch()
        finally:
            phase, self.walk.phase = self.walk.phase, None
            if phase is not None:
                phase.fail(error)
            self._commits.finish()

    def close(self) -> None:
        """Let the trainer go, and wait for a checkpoint that is being written.

        Raises:
            CommitError: If it could not be written.
        """
        self.leave_loops()
        self._commits.finish()

    def _tell_of_fork(self) -> None:
        """A fork that changes hyperparameters does so where it begins, until a checkpoint has the change."""
        if is_at_fork(self.state) and self.state["fork"]["hparams"]:
            if self._going_on is not None:
                self._going_on.step_schedulers()  # which belongs to the parent's epoch
            optimizers, fork = self._trainer.optimizers, self.state["fork"]
            tell_of_fork(self._module, optimizers, fork, self._training, self._built_with)

    def _takes_validation(self, hear_next_batch: Callable[[], None]) -> bool:
        hear_next_batch()  # actions may run here, and no validation may follow
        return self.walk.takes_validation()

    def _count_batch(self) -> None:
        if self._going_on is not None:
            self._going_on.batch_completed()

    def _commit_before_requeue(self) -> None:
        if not self._commits.can_commit_inside_epoch():
            self._commits.training_ends()
        elif not self._cut_short:
            self.walk.commit_inside_epoch()
        self._commits.settle()

    def _kept(self) -> dict[str, Any]:
        """What every checkpoint holds of the driver's own."""
        wish = self._trainer.should_stop and not self._leaving.asked and not self.state["can_stop"]
        kept: dict[str, Any] = {
            "optimization": self._optimization,
            **self.loaders_made.kept,
            "schedules": self._schedules,
            "wants_to_stop": wish,
            "recorded": [],
        }
        if self._ranks.size > 1:
            kept["buckets"] = self._wrapping.bucket_order
        if self._going_on is not None and self._going_on.steps_to_come is not None:
            kept["schedulers"] = self._going_on.steps_to_come
        return kept

    def _rolled_back(self) -> None:
        if self._going_on is not None and self._going_on.steps_to_come is not None:
            self._going_on.steps_to_come = []
        elif not loops.is_inside_epoch(self._trainer):
            loops.leave_out_steps_to_come(self._trainer)

    def leave_loops(self) -> None:
        """Leave the trainer's loops as they were."""
        self.sigterm.end()
        self._leaving.end()
        self._between_hooks.remove()
        self.loaders_made.remove()

    def _stop_lightning(self) -> None:
        self._leaving.stop(at_once=self.asking.paused is not None)
