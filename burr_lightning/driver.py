"""Walks the machine along Lightning's loop: opens and closes phases, and acts at the boundaries."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import Any

from burr.core import Application, Condition, State
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from . import lightning_access as access
from .actions import PhaseAction, TrainEpoch, Validate
from .burr_access import OpenPhase, position_of
from .commits import Committer
from .committing import RunCommits
from .errors import DataChangedError, MachineError
from .fingerprint import changes, data_fingerprint
from .going_on import GoingOn, tell_of_workers
from .lightning_loops import BetweenHooks, LoadersMade
from .machines import follow, leaves_training, refuse_unknown_metrics
from .ordinary import OrdinaryActions
from .reports import LoggedMetrics, TrainingClock, phase_report
from .shadow import Shadows, tell_of_unknown_metrics, would_stop
from .state import PhaseReport, recorded
from .training_state import optimization, random_state, set_random_state

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
        shadow: Conditions that are watched and never obeyed.
    """

    def __init__(
        self,
        trainer: Trainer,
        module: LightningModule,
        app: Application[Any],
        committer: Committer | None,
        shadow: Shadows,
    ) -> None:
        self.app = app
        self._trainer, self._module = trainer, module
        self._shadow = shadow
        self._commits = RunCommits(trainer, module, app, committer, self._kept)
        self._ordinary = OrdinaryActions(trainer, module, app, self._commits)
        self._clock = TrainingClock(app.state["seconds"])
        self._going_on: GoingOn | None = None
        self._between_hooks = BetweenHooks(trainer)
        self.loaders_made = LoadersMade(
            trainer, partial(random_state, trainer, module), partial(set_random_state, trainer, module)
        )
        self._logged = LoggedMetrics(trainer)
        self._phase: OpenPhase | None = None
        self._first_batch: int | None = None
        self._started = False
        self._validated = False
        self._asked_to_stop = False
        self._cut_short = False
        self._told_of_shadow = False

    @property
    def state(self) -> State[Any]:
        """The state of the machine."""
        return self.app.state

    @property
    def open_action(self) -> str | None:
        """The action that is under way: the open phase's, or an ordinary one."""
        return self._phase.action.name if self._phase else self._ordinary.running

    @property
    def ended(self) -> bool:
        """Whether the machine has nothing more to do."""
        return self._phase is None and self._next()[0] is None

    # What happens in Lightning's loop

    def training_started(self, kept: dict[str, Any] | None) -> None:
        """The data is set up, and the first epoch is about to begin, or to go on.

        Args:
            kept: What the checkpoint held of ours, ``None`` where the run was not resumed.
        """
        self._started = True
        self._clock.start()
        if kept is not None:
            self._going_on = GoingOn(self._trainer, self._module, kept, self.app.uid)
        self._optimization = kept["optimization"] if kept is not None else optimization(self._trainer)
        self._between_hooks.after_every_batch(self.batch_completed)
        self._commits.training_started()
        tell_of_workers(self._trainer, self._going_on)
        if self.state["data"] is not None and not access.reloads_data(self._trainer):
            found = changes(self.state["data"], data_fingerprint(self._trainer))
            if found:
                raise DataChangedError(self.app.uid, found)
        self._ordinary.run()
        if self._going_on is not None:
            self._logged.go_on(self._going_on.recorded)
            self._first_batch = self._going_on.first_batch
            self._going_on.actions_ran()
            self._between_hooks.before_next_epoch(self._going_on.go_on)
        if self.ended:
            self._stop_lightning()

    def epoch_started(self) -> None:
        """An epoch of training begins."""
        if self._going_on is not None:
            self._going_on.end()
            self._going_on = None
        self._commits.trainer_moves_on()
        self._logged.epoch_started()
        self._cut_short = False
        self._open(TrainEpoch)

    def batch_started(self) -> None:
        """A batch of training begins: after a validation inside the epoch, its training goes on."""
        self._commits.trainer_moves_on()
        self._leave_validation()
        if self._phase is None:
            self._open(TrainEpoch)

    def batch_ended(self, batch_idx: int) -> None:
        """A batch of the open phase is done."""
        if self._phase is not None:
            self._phase.batch_ended(batch_idx)

    def batch_completed(self) -> None:
        """A batch of training is done with all that follows it, and the epoch goes on."""
        if self._going_on is not None:
            self._going_on.batch_completed()
        if self._commits.is_due_inside_epoch() and not self._cut_short:
            self._commit_inside_epoch()

    def validation_started(self) -> None:
        """Lightning validates."""
        self._validated = True
        self._logged.validation_started()
        if self._phase is None or not self._has(Validate):
            return
        self._close(self._report(self._logged.unrecorded(), is_check=False, validation_due=True))
        self._ordinary.run()
        self._open(Validate)

    def validation_ended(self) -> None:
        """Lightning has validated; if that ends the run in the middle of an epoch, it is told at once."""
        self._logged.validation_ended()
        if self._phase is None or self._trainer.is_last_batch:
            return
        after = recorded(self.state, self._report(self._logged.of_validation))
        following, _ = follow(self.app.graph, self._phase.action.name, after)
        if leaves_training(self.app.graph, following):
            self._cut_short = True
            self._stop_lightning()

    def epoch_ended(self) -> None:
        """An epoch of training is over, and all of its metrics are known."""
        if self._phase is None:
            return
        epochs, steps = self._trainer.current_epoch + 1, self._trainer.global_step
        ours = self._asked_to_stop
        limit = access.reached_limit(self._trainer, epochs, steps, asked_by_us=ours)
        checked = self._logged.of_validation if self._cut_short else {}
        logged = self._logged.unrecorded(but=checked)
        self._close(self._report(logged, checked=checked, ends_epoch=True, limit=limit))
        if self._validated or not self._trainer.enable_validation:
            refuse_unknown_metrics(self.app.graph, self.state)
            if not self._told_of_shadow:
                tell_of_unknown_metrics(self._shadow, self.state)
            self._told_of_shadow = True
        self._commits.settle()
        self._commits.epoch_ended(is_last=lambda: leaves_training(self.app.graph, self._next()[0]))
        self._ordinary.run()
        if self.ended:
            self._stop_lightning()
        elif self._cut_short:
            log.warning(
                "Epoch %d was cut short after a validation, by a condition that no longer holds with what "
                "was logged at its end: the run goes on. A condition on metrics of the training is best "
                "put together with validation at the end of the epoch.",
                self.state["epoch"],
            )
            self._trainer.should_stop &= not self._asked_to_stop
            self._asked_to_stop = False

    def training_ends(self) -> None:
        """Lightning trains no more, and lets the module go after this."""
        self.leave_loops()
        self._commits.training_ends()

    def training_ended(self) -> None:
        """Lightning trains no more; a machine that did not foresee it is told."""
        nothing_began = not self._started and self.state["epoch"] < 0
        if not self.ended and not nothing_began:
            if not self.state["finished"]:
                epochs, steps = self.state["epoch"] + 1, self.state["global_step"]
                limit = access.reached_limit(self._trainer, epochs, steps) or "Lightning ended the training"
                self.app.update_state(self.state.update(finished=True, stop_reason=limit))
            self._ordinary.run()
        self._commits.settle()

    def failed(self, error: BaseException) -> None:
        """An exception ends the run: the open phase fails with it, and the state stays as it was.

        A wish of the system to end the process comes between two batches: what they have done is
        committed, where it can be gone on with.
        """
        self.leave_loops()
        try:
            if isinstance(error, SIGTERMException) and self._commits.can_commit_inside_epoch():
                self.batch_completed()
                self._commit_inside_epoch()
        finally:
            phase, self._phase = self._phase, None
            if phase is not None:
                phase.fail(error)
            self._commits.settle()

    def close(self) -> None:
        """Let the trainer go, and wait for a checkpoint that is being written.

        Raises:
            CommitError: If it could not be written.
        """
        self.leave_loops()
        self._commits.settle()

    # Phases

    def _open(self, kind: type[PhaseAction]) -> None:
        name, _ = self._next()
        if name is None:
            raise MachineError(
                f"The machine ended after {position_of(self.app)!r}, and Lightning goes on: min_epochs or "
                f"min_steps is not met. Put burr_lightning.machines.CAN_STOP & ... on the transitions that "
                f"leave the training."
            )
        if not isinstance(self.app.graph.get_action(name), kind):
            raise MachineError(
                f"Lightning begins what a {kind.__name__} action stands for, but after "
                f"{position_of(self.app)!r} the machine goes on to {name!r}. Add a transition to a "
                f"{kind.__name__} action that holds there."
            )
        self._phase = OpenPhase(self.app, name)
        self._phase.feed.first_batch, self._first_batch = self._first_batch, None

    def _close(self, report: PhaseReport) -> None:
        assert self._phase is not None
        phase, self._phase = self._phase, None
        if self._shadow and report.is_check:
            found = would_stop(self._shadow, recorded(self.state, report), report.epoch)
            report = replace(report, shadow=found)
        phase.close(report)
        self._commits.stepped()

    def _leave_validation(self) -> None:
        if self._phase is not None and isinstance(self._phase.action, Validate):
            self._close(self._report(self._logged.of_validation))
            self._logged.validation_recorded()
            self._ordinary.run()

    def _report(self, logged: dict[str, Any], **facts: Any) -> PhaseReport:
        assert self._phase is not None
        return phase_report(self._trainer, self._phase.feed, logged, self._clock.seconds, **facts)

    def _has(self, kind: type[PhaseAction]) -> bool:
        return any(isinstance(action, kind) for action in self.app.graph.actions)

    # Boundaries

    def _next(self) -> tuple[str | None, Condition | None]:
        return follow(self.app.graph, position_of(self.app), self.state)

    def _commit_inside_epoch(self) -> None:
        self._leave_validation()
        first_batch = self._phase.feed.first_batch if self._phase is not None else None
        self._commits.commit_inside_epoch(first_batch, self._logged.recorded())

    def _kept(self) -> dict[str, Any]:
        """What every checkpoint holds of the driver's own."""
        wish = self._trainer.should_stop and not self._asked_to_stop and not self.state["can_stop"]
        kept: dict[str, Any] = {
            "optimization": self._optimization,
            "loaders_made": self.loaders_made.made_with,
            "wants_to_stop": wish,
            "recorded": [],
        }
        if self._going_on is not None and self._going_on.steps_to_come is not None:
            kept["schedulers"] = self._going_on.steps_to_come
        return kept

    def leave_loops(self) -> None:
        """Leave the trainer's loops as they were."""
        self._between_hooks.remove()
        self.loaders_made.remove()

    def _stop_lightning(self) -> None:
        self._asked_to_stop |= not self._trainer.should_stop
        self._trainer.should_stop = True
