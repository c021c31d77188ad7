"""Getting from a human what an action waits for, or pausing until it is there."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Mapping
from typing import Any

from burr.core import Application

from . import messages
from .answering import give_answer
from .committing import RunCommits
from .errors import MachineError, NotAskedError
from .layout import RunFolder
from .lightning_signals import SharedSigterm
from .pausing import Block, Pause
from .pausing.pause import tell
from .prompting import Overtaken, prompted
from .questions import Answer, Question
from .ranks import Ranks
from .reports import TrainingClock
from .reviews import Asked, Reviews
from .settings import RunSettings
from .waiting import answer_in_state, inputs_of_a_human, is_due, question_in_state, question_of

log = logging.getLogger(__name__)

_POLL = 0.5
"""Seconds between two looks for an answer."""


class Asking:
    """What a run asks of a human.

    Args:
        sigterm: Knows whether this process is to end.
        app: The run's application.
        commits: Made before anybody is waited for.
        clock: Does not count the time that is waited.
        folder: The run's folder; ``None`` for a run that leaves nothing on disk.
        settings: How to wait, and whom to tell.
        ranks: The processes that train: the first one asks, and the others wait with it.
    """

    def __init__(
        self,
        sigterm: SharedSigterm,
        app: Application[Any],
        commits: RunCommits,
        clock: TrainingClock,
        folder: RunFolder | None,
        settings: RunSettings,
        ranks: Ranks,
    ) -> None:
        self._sigterm, self._app, self._commits, self._clock = sigterm, app, commits, clock
        self._ranks = ranks
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
            MachineError: If the run would have to pause where it cannot be committed.
            ReviewsError: If the question cannot be written.
        """
        action = self._app.graph.get_action(name)
        assert action is not None
        if not inputs_of_a_human(action):
            return {}
        number, state = next_step(self._app), self._app.state
        question = self._ranks.agreed(lambda: question_of(action, number, state, reason))
        answer = self._ranks.agreed(lambda: self._answer_to(question)) or self._answer_from_human(question)
        if answer is None:
            return None
        self._answered = self._ranks.agreed(lambda: self._ask(question)), answer
        return question.checked(answer.values, self._settings.run_id)

    def action_ran(self) -> None:
        """The action has run: what a human gave it enters the state.

        Not before: a condition on the last review may be what led to the action, and is asked again.
        """
        if self._answered is not None:
            state = self._app.state
            self._app.update_state(state.update(review=answer_in_state(*self._answered, state)))
            self._answered = None

    def failed(self, error: BaseException) -> None:
        """The run fails: an answer with which an action failed is taken back, and asked for again."""
        if self._answered is not None and self._reviews is not None and isinstance(error, Exception):
            question, answer = self._answered
            log.warning("The answer of %s to %r is set aside: answer anew.", answer.by, question.text)
            self._reviews.set_aside(question)

    def stays_paused(self, position: str | None) -> bool:
        """Whether the run waits for an answer since an earlier process, and this one is not to wait for it.

        A question that nobody has answered and that is not due any more is passed over.
        """
        asked = self._reviews.newest() if self._reviews is not None else None
        if self._reviews is None or asked is None or asked.answer is not None:
            return False
        question, app = asked.question, self._app
        action = {action.name: action for action in app.graph.actions}.get(question.action)
        if action is None or not is_due(app.graph, position, app.state, next_step(app), question):
            self._reviews.pass_over(question)
            return False
        today = question_of(action, question.number, app.state, question.reason)
        if not self._leaves or (today.text, today.fields) != (question.text, question.fields):
            return False
        self.pause(question)
        return True

    def tell(self, pause: Pause) -> None:
        """Tell the user's own function, once of each question."""
        if not self._ranks.leads:
            return
        if self._reviews is None:
            tell(self._settings.on_pause, pause)
        elif not self._reviews.was_told(pause.question):
            tell(self._settings.on_pause, pause)
            self._reviews.told(pause.question)

    @property
    def _leaves(self) -> bool:
        """Whether a process that finds a question open leaves it so."""
        return self._settings.wait == "exit" or (self._settings.wait == "prompt" and not sys.stdin.isatty())

    def _answer_to(self, question: Question) -> Answer | None:
        return self._reviews.answer_to(question) if self._reviews is not None else None

    def _ask(self, question: Question) -> Question:
        return self._reviews.ask(question) if self._reviews is not None else question

    def _answer_from_human(self, question: Question) -> Answer | None:
        committed = self._commits.before_waiting()
        question, answer = self._ranks.agreed(
            lambda: self._waited_for(question, committed=committed), patient=True
        )
        if answer is None:
            self.pause(question)
        return answer

    def _waited_for(self, question: Question, *, committed: bool) -> tuple[Question, Answer | None]:
        """The question as it stands, and the answer, ``None`` where the run is to pause."""
        wait = self._settings.wait
        ends = wait.values is None and wait.timeout is not None if isinstance(wait, Block) else self._leaves
        if not committed and ends:
            raise _cannot_be_committed(question)
        question = self._ask(question)
        with self._clock.stopped():
            answer = self._answer_here(self._pause_for(question))
        if answer is None and not committed and not self._sigterm.heard:
            raise _cannot_be_committed(question)
        return question, answer

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
        if self._sigterm.heard:
            return None
        if not sys.stdin.isatty():
            log.warning("BurrCallback(wait='prompt'): there is no terminal to ask at. The run pauses.")
            return None
        try:
            values, comment = prompted(question, self._settings.run_id, lambda: self._is_over(question))
        except EOFError:
            log.warning("The terminal was closed without an answer to %r. The run pauses.", question.text)
            return None
        except Overtaken:
            return self._answer_to(question)
        return self._given(question, values, comment, None, "terminal")

    def _is_over(self, question: Question) -> bool:
        """Whether there is nothing to wait for any more: it was answered elsewhere, or is not to be."""
        return self._sigterm.heard or self._answer_to(question) is not None

    def _block(self, pause: Pause, block: Block) -> Answer | None:
        for line in messages.waits(pause):
            log.warning("%s", line)
        # The time that earlier processes waited counts too; after that, no clock that can be set.
        left = block.timeout - max(time.time() - pause.question.asked, 0.0) if block.timeout else math.inf
        deadline = time.monotonic() + left
        self.tell(pause)
        while not self._is_over(pause.question) and time.monotonic() < deadline:
            time.sleep(min(max(deadline - time.monotonic(), 0.0), _POLL))
        answer = self._answer_to(pause.question)
        if answer is not None or self._sigterm.heard:
            return answer
        return self._default(pause.question, block)

    def _default(self, question: Question, block: Block) -> Answer | None:
        if block.values is None:
            return None
        log.warning("Nobody answered %r within %g s: %s.", question.text, block.timeout, block.default)
        return self._given(question, block.values, "", "nobody", "time-out")

    def _given(
        self, question: Question, values: Mapping[str, Any], comment: str, by: str | None, via: str
    ) -> Answer | None:
        """The answer, written down; somebody else's where that was there first."""
        asked, run_id = Asked(question, None), self._settings.run_id
        try:
            return give_answer(
                self._reviews, run_id, asked, "running", values, comment=comment, by=by, via=via
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
