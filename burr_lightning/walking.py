"""The walk of a machine: its phases and boundaries, and which validations it takes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from burr.core import Application, Condition, State
from lightning.pytorch import Trainer

from . import lightning_limits as limits
from . import lightning_loops as loops
from .actions import PhaseAction, TrainEpoch, Validate
from .burr_access import OpenPhase, hears_items, position_of
from .committing import RunCommits
from .errors import MachineError
from .following import Agreement, follow_together
from .graphs import is_terminal, leads_at_once_to, leaves_training
from .ordinary import OrdinaryActions
from .ranks import Ranks
from .reports import LoggedMetrics, TrainingClock, detached, phase_report
from .settings import RunSettings
from .shadow import would_stop
from .state import PhaseReport, recorded


class Walk:
    """Where a machine stands: the phase that is open, or the boundary between two.

    Args:
        trainer: The trainer.
        app: The run's application.
        commits: Told of every step.
        ordinary: Runs the ordinary actions.
        settings: What the user configured.
        clock: How long the run has been in training.
        ranks: The processes that walk together: what was logged, and where it leads, the first one says.
    """

    def __init__(
        self,
        trainer: Trainer,
        app: Application[Any],
        commits: RunCommits,
        ordinary: OrdinaryActions,
        settings: RunSettings,
        clock: TrainingClock,
        ranks: Ranks,
    ) -> None:
        self._trainer, self._app, self._ranks = trainer, app, ranks
        self._commits, self._ordinary = commits, ordinary
        self._shadow, self._stream_every = settings.shadow, settings.stream_every_n_batches
        self.logged = LoggedMetrics(trainer)
        self._agreement = Agreement(trainer, ranks)
        self.clock = clock
        self.phase: OpenPhase | None = None
        """The phase that is open."""
        self.first_batch: int | None = None
        """The first batch of the phase that opens next, where it was open in an earlier process."""
        self.validates_by_itself = False
        """Whether a validation is under way that the machine asked for, and not Lightning."""

    @property
    def state(self) -> State[Any]:
        """The state of the machine."""
        return self._app.state

    @property
    def ended(self) -> bool:
        """Whether the machine has nothing more to do."""
        return self.phase is None and self.next()[0] is None

    def next(self) -> tuple[str | None, Condition | None]:
        """The action that follows, and the condition that leads to it."""
        return self.after(position_of(self._app), self.state)

    def after(self, position: str | None, state: State[Any]) -> tuple[str | None, Condition | None]:
        """The action that would follow a position in a state, and the condition that leads to it."""
        return follow_together(self._ranks, self._app.graph, position, state)

    def has(self, kind: type[PhaseAction]) -> bool:
        """Whether the machine has an action of a kind."""
        return any(isinstance(action, kind) for action in self._app.graph.actions)

    def is_next(self, kind: type[PhaseAction]) -> bool:
        """Whether an action of a kind follows."""
        return self._is(self.next()[0], kind)

    # Phases

    def open(self, kind: type[PhaseAction]) -> None:
        """Open the phase that follows.

        Raises:
            MachineError: If another one follows than Lightning begins.
        """
        name, _ = self.next()
        if name is None:
            raise MachineError(
                f"The machine ended after {position_of(self._app)!r}, and Lightning goes on: min_epochs or "
                f"min_steps is not met. Put burr_lightning.machines.CAN_STOP & ... on the transitions that "
                f"leave the training."
            )
        if not self._is(name, kind):
            raise MachineError(
                f"Lightning begins what a {kind.__name__} action stands for, but after "
                f"{position_of(self._app)!r} the machine goes on to {name!r}. Add a transition to a "
                f"{kind.__name__} action that holds there."
            )
        self.phase = OpenPhase(self._app, name)
        self.phase.feed.first_batch, self.first_batch = self.first_batch, None

    @property
    def gives_items(self) -> bool:
        """Whether somebody listens to the items of the phases' streams."""
        return hears_items(self._app)

    def batch_ended(self, batch_idx: int) -> None:
        """A batch of the phase that is open is done."""
        if self.phase is not None:
            self.phase.feed.saw(batch_idx)

    def batch_has_outputs(self, batch_idx: int, outputs: Any) -> None:
        """A batch of the phase that is open is an item of its stream, unless it is one of those left out."""
        if self.phase is not None and (batch_idx + 1) % self._stream_every == 0:
            self.phase.streamed(batch_idx, detached(outputs))

    def close(self, report: PhaseReport) -> None:
        """Close the phase that is open, with its report."""
        assert self.phase is not None
        if self._shadow and report.is_check:
            shadow, after, epoch = self._shadow, recorded(self.state, report), report.epoch
            found = self._ranks.agreed(lambda: would_stop(shadow, after, epoch))
            report = replace(report, shadow=found)
        # Where a hook fails with it, this is the action that the run failed in.
        self._ranks.together(partial(self.phase.close, report))
        self.phase = None
        self._commits.stepped()

    def report(self, logged: dict[str, Any], **facts: Any) -> PhaseReport:
        """The report of the phase that is open: what the first rank has logged, for all of them."""
        assert self.phase is not None
        own = phase_report(self._trainer, self.phase.feed, logged, self.clock.seconds, **facts)
        return self._agreement.on(own)

    @property
    def is_in_validation(self) -> bool:
        """Whether a validation is open, though Lightning may have left it behind."""
        return self.phase is not None and isinstance(self.phase.action, Validate)

    @property
    def is_in_batches(self) -> bool:
        """Whether batches are being trained, so that one of them ends soon."""
        return self._trainer.training and self.phase is not None and not self.is_in_validation

    def leave_validation(self) -> None:
        """Close a validation that Lightning has left behind, and be at the boundary after it."""
        if self.is_in_validation:
            self.close(self.report(self.logged.of_validation))
            self.logged.validation_recorded()
            self.boundary()

    def commit_inside_epoch(self, *, is_due: bool = True) -> None:
        """Between two batches, leave a validation that Lightning has left, and commit where that is due."""
        with self._commits.between_batches(self.logged.recorded):
            self.leave_validation()
            if is_due and not self._ordinary.paused:  # which has made this commit
                first_batch = self.phase.feed.first_batch if self.phase is not None else None
                self._commits.commit_inside_epoch(first_batch, self.logged.recorded())

    def would_leave_training(self) -> bool:
        """Whether the machine leaves the training with what the validation that is open has logged."""
        assert self.phase is not None
        after = recorded(self.state, self.report(self.logged.of_validation))
        following, _ = self.after(self.phase.action.name, after)
        return leaves_training(self._app.graph, following)

    # Boundaries

    def boundary(self) -> None:
        """Run the ordinary actions that are due, and the validations that the machine asks for here."""
        following = self._ordinary.run()
        times = 0
        while self._is(following, Validate):
            times += 1
            if times > _MOST_VALIDATIONS:
                raise MachineError(
                    f"The machine asked for {_MOST_VALIDATIONS} validations at one boundary, the last after "
                    f"{position_of(self._app)!r}. Have its transitions lead on to a TrainEpoch action."
                )
            self._validate()
            following = self._ordinary.run()

    def takes_validation(self) -> bool:
        """Whether the machine takes a validation that Lightning is about to begin.

        What the machine does between its training and the validation is done here.
        """
        if self.phase is None or not self.has(Validate):
            return True
        graph = self._app.graph
        report = self.report(self.logged.unrecorded(), is_check=False, validation_due=True)
        following, _ = self.after(self.phase.action.name, recorded(self.state, report))
        if self._is(following, Validate):
            return True
        if following is None or not leads_at_once_to(graph, following, Validate):
            return False
        self.close(report)
        self._ordinary.run()
        following, _ = self.next()
        if following is None or is_terminal(graph, following):
            raise MachineError(
                f"The machine ended after {position_of(self._app)!r}, between training and validation in "
                f"the middle of an epoch. Have it leave the training after a validation, or at the end of "
                f"an epoch."
            )
        if self._is(following, TrainEpoch):
            self.open(TrainEpoch)
            return False
        return True

    def _is(self, action: str | None, kind: type[PhaseAction]) -> bool:
        return action is not None and isinstance(self._app.graph.get_action(action), kind)

    def _validate(self) -> None:
        """Validate now, though Lightning does not."""
        if not loops.validates(self._trainer):
            raise MachineError(
                f"After {position_of(self._app)!r} the machine goes on to {self.next()[0]!r}, and there is "
                f"nothing to validate: the trainer has no validation data, or the module no validation_step. "
                f"Put a condition on that transition, as burr_lightning.machines.VALIDATION_DUE, or give "
                f"the data."
            )
        # At the end of an epoch it belongs to that one, whose number Lightning may have left already.
        is_late = not loops.is_inside_epoch(self._trainer) and self.state["epoch"] >= 0
        self.open(Validate)
        self.validates_by_itself = True
        try:
            loops.validate_now(self._trainer)
        finally:
            self.validates_by_itself = False
        report = self.report(self.logged.of_validation)
        if is_late:
            epoch, state = self.state["epoch"], self.state
            report = replace(
                report,
                epoch=epoch,
                ends_epoch=True,
                can_pause=True,
                limit=state["stop_reason"] if state["finished"] else None,
                can_stop=limits.can_stop(self._trainer, epoch + 1, self._trainer.global_step),
            )
        self.close(report)
        self.logged.validation_recorded()
        self._commits.validated()


_MOST_VALIDATIONS = 100
