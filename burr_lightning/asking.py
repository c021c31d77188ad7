"""Getting from a human what an action waits for, or pausing until it is there."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

from burr.core import Application, State
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_info  # type: ignore[attr-defined]

from . import messages
from .answering import give_answer
from .committing import RunCommits
from .errors import AnswerError, MachineError, NotAskedError
from .layout import RunFolder
from .pausing import Block, Pause, tell
from .prompting import prompted
from .questions import Answer, Question
from .reports import TrainingClock
from .reviews import Asked, Reviews
from .settings import RunSettings
from .waiting import answer_in_state, inputs_of_a_human, question_in_state, question_of

log = logging.getLogger(__name__)

_POLL = 0.5
"""Seconds between two looks for an answer."""


class Asking:
    """What a run asks of a human.

    Args:
        trainer: The trainer.
        app: The run's application.
        commits: Made before anybody is waited for.
        clock: Does not count the time that is waited.
        folder: The run's folder; ``None`` for a run that leaves nothing on disk.
        settings: How to wait, and whom to tell.
    """

    def __init__(
        self,
        trainer: Trainer,
        app: Application[Any],
        commits: RunCommits,
        clock: TrainingClock,
        folder: RunFolder | None,
        settings: RunSettings,
    ) -> None:
        self._trainer, self._app, self._commits, self._clock = trainer, app, commits, clock
        self._folder, self._settings = folder, settings
        self._reviews = Reviews(folder) if folder is not None else None
        self.paused: Pause | None = None
        """What the run is paused for: a process must go on with the answer."""
        self.may_ask = any(inputs_of_a_human(action) for action in app.graph.actions)
        """Whether the machine has an action that waits."""
        self._answered: tuple[Question, Answer] | None = None

    def inputs_of(self, name: str, reason: str | None) -> dict[str, Any] | None:
        """What a human gives an action; empty for one that does not wait, ``None`` where the run pauses.

        Raises:
            AnswerError: If the answer was given to another machine than today's.
            MachineError: If the run would have to pause where it cannot be committed.
        """
        action = self._app.graph.get_action(name)
        assert action is not None
        if not inputs_of_a_human(action):
            return {}
        question = question_of(action, next_step(self._app), self._app.state, reason)
        answer = self._answer_to(question) or self._answer_from_human(question)
        if answer is None:
            return None
        try:
            values = question.checked(answer.values, self._settings.run_id)
        except AnswerError:
            if self._reviews is not None:
                self._reviews.ask(question)  # it can be answered anew, and then as it is asked today
            raise
        self._answered = question, answer
        return values

    def action_ran(self) -> None:
        """The action has run: what a human gave it enters the state.

        Not before: a condition on the last review may be what led to the action, and is asked again.
        """
        if self._answered is not None:
            state = self._app.state
            self._app.update_state(state.update(review=answer_in_state(*self._answered, state)))
            self._answered = None

    def _answer_to(self, question: Question) -> Answer | None:
        return self._reviews.answer_to(question) if self._reviews is not None else None

    def _answer_from_human(self, question: Question) -> Answer | None:
        committed = self._commits.before_waiting()
        if not committed and self._settings.wait == "exit":
            raise _cannot_be_committed(question)
        if self._reviews is not None:
            question = self._reviews.ask(question)
        with self._clock.stopped():
            answer = self._answer_here(self._pause_for(question))
        if answer is not None:
            return answer
        if not committed:
            raise _cannot_be_committed(question)
        self.pause(question)
        return None

    def pause(self, question: Question) -> None:
        """Let the run wait without this process."""
        self.paused = self._pause_for(question)
        self._app.update_state(self._app.state.update(review=question_in_state(question)))

    def _pause_for(self, question: Question) -> Pause:
        settings = self._settings
        command = messages.answer_command(settings.run_id, settings.project, settings.root, question)
        folder = self._folder.path if self._folder is not None else None
        return Pause(settings.run_id, settings.project, question, command, folder)

    def _answer_here(self, pause: Pause) -> Answer | None:
        """The answer that this process waits for, ``None`` where it does not, or in vain."""
        wait = self._settings.wait
        if isinstance(wait, Block):
            return self._block(pause, wait)
        return self._prompt(pause.question) if wait == "prompt" else None

    def _prompt(self, question: Question) -> Answer | None:
        if self._trainer.received_sigterm:
            return None
        if not sys.stdin.isatty():
            log.warning("BurrCallback(wait='prompt'): there is no terminal to ask at. The run pauses.")
            return None
        try:
            values, comment = prompted(question, self._settings.run_id)
        except EOFError:
            log.warning("The terminal was closed without an answer to %r. The run pauses.", question.text)
            return None
        return self._given(question, values, comment, None, "terminal")

    def _block(self, pause: Pause, block: Block) -> Answer | None:
        for line in messages.waits(pause):
            rank_zero_info(line)
        tell(self._settings.on_pause, pause)
        deadline = time.monotonic() + block.timeout if block.timeout is not None else None
        while not self._trainer.received_sigterm:
            answer = self._answer_to(pause.question)
            if answer is not None:
                return answer
            left = deadline - time.monotonic() if deadline is not None else _POLL
            if left <= 0:
                return self._default(pause.question, block)
            time.sleep(min(left, _POLL))
        return None

    def _default(self, question: Question, block: Block) -> Answer | None:
        if block.values is None:
            return None
        log.warning("Nobody answered %r within %g s: %s.", question.text, block.timeout, block.default)
        return self._given(question, block.values, "", "nobody", "time-out")

    def _given(
        self, question: Question, values: Mapping[str, Any], comment: str, by: str | None, via: str
    ) -> Answer | None:
        """The answer, written down; somebody else's where that was there first."""
        asked = Asked(question, None)
        try:
            return give_answer(
                self._reviews,
                self._settings.run_id,
                asked,
                "running",
                values,
                comment=comment,
                by=by,
                via=via,
            )
        except NotAskedError:
            return self._answer_to(question)


def _cannot_be_committed(question: Question) -> MachineError:
    return MachineError(
        f"The run would have to pause before {question.action!r}, and in the middle of an epoch it cannot be "
        f"committed: that takes a training loader with a state_dict, as StatefulDataLoader of torchdata, and "
        f"a question after a validation. Use one, or put burr_lightning.machines.CAN_PAUSE & ... on the "
        f"transition to {question.action!r}, or wait within the process: BurrCallback(wait='block')."
    )


def next_step(app: Application[Any]) -> int:
    """The number that the next step of a machine will have."""
    return 0 if app.sequence_id is None else app.sequence_id + 1


def unanswered(
    settings: RunSettings, folder: RunFolder, name: str | None, number: int, state: State[Any]
) -> Question | None:
    """What a stored run waits for before its next action, ``None`` where it can go on."""
    action = settings.machine.get_action(name) if name is not None else None
    if action is None or not inputs_of_a_human(action):
        return None
    reviews = Reviews(folder)
    question = question_of(action, number, state, None)
    asked = reviews.newest()
    if asked is None or asked.question.number != number or reviews.answer_to(question) is not None:
        return None
    return asked.question
