"""What a stored run waits for, and answering it."""

from __future__ import annotations

from typing import Any, Literal

from ..answering import give_answer
from ..locks import is_held
from ..questions import Answer, Question
from ..reviews import Asked, Reviews
from .opened import OpenedRun

Status = Literal["running", "paused", "finished", "failed", "interrupted"]


class AskedRun(OpenedRun):
    """The part of a `Run` that says whether it waits, and that is answered."""

    @property
    def status(self) -> Status:
        """``running`` while a process owns it; ``interrupted`` where one was killed.

        ``paused`` while it waits for an answer, with a process or without one, and until one goes on with it.
        """
        asked = self._waiting()
        if asked is not None and asked.answer is None:
            return "paused"
        if is_held(self._folder.lock):
            return "running"
        outcome = self._folder.outcome()
        return outcome.status if outcome else "interrupted"

    @property
    def question(self) -> Question | None:
        """What the run waits to be told, ``None`` where it waits for nothing."""
        asked = self._waiting()
        return asked.question if asked and asked.answer is None else None

    @property
    def is_answered(self) -> bool:
        """Whether the question that it stands at has an answer, and nothing has gone on with it yet."""
        asked = self._waiting()
        return asked is not None and asked.answer is not None

    @property
    def reviews(self) -> list[Asked]:
        """All that the run has asked, in order, with what was answered, by whom and when."""
        return Reviews(self._folder).all()

    def answer(
        self, verdict: str | None = None, *, comment: str = "", by: str | None = None, **values: Any
    ) -> Answer:
        """Answer what the run asks; the same script, or `burr-lightning work`, then goes on with it.

        Args:
            verdict: One of the options of a `Review`; ``None`` where it asks for none.
            comment: What is to be kept beside it, 1,000 characters or less.
            by: Who answers; ``None`` is the user of this process.
            values: The other values that are asked for, as ``lr=1e-4``.

        Returns:
            What was kept.

        Raises:
            NotAskedError: If nothing is asked, or it was answered already.
            AnswerError: If a value is missing, unknown or of another kind; the question stays open.

        Example:
            >>> from burr_lightning import BurrCallback
            >>> from burr_lightning.conditions import max_epochs
            >>> from burr_lightning.testing import scripted_run
            >>> burr = BurrCallback("asks", monitor="val_loss", review_when=max_epochs(1))
            >>> run = scripted_run(burr, val_loss=[0.9, 0.5])
            >>> run.answer("go", lr=1e-4, comment="It still learns.").values
            {'verdict': 'go', 'lr': 0.0001}
        """
        given = values if verdict is None else {"verdict": verdict, **values}
        return self.give_answer(given, comment=comment, by=by, via="python")

    def give_answer(self, values: dict[str, Any], *, via: str, **said: Any) -> Answer:
        """What `answer` does, for those who say how it came, and ``to`` which question."""
        reviews, asked = Reviews(self._folder), self._waiting()
        return give_answer(reviews, self.run_id, asked, self.status, values, via=via, **said)
