"""A human who answers what was thought of beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..pausing import Pause
from ..persisters import Place
from ..questions import Question
from ..runs import Run


class ScriptedHuman:
    """Answers the questions of a run, one after another: for ``BurrCallback(on_pause=...)``.

    With ``wait=Block(...)`` the run goes on at once; otherwise ``fit`` returns, and the next one goes on.
    Where there are more questions than answers, the log says so and the run waits: give `Block` a
    ``timeout``.

    Args:
        answers: What is answered: a verdict, or the values by name.
        persister: As in `BurrCallback`, where rows are elsewhere.

    Attributes:
        asked: The questions so far.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> from burr_lightning import BurrCallback
        >>> from burr_lightning.conditions import max_epochs
        >>> from burr_lightning.pausing import Block
        >>> from burr_lightning.testing import ScriptedModule, scripted_loader
        >>> human = ScriptedHuman({"verdict": "go", "lr": 0.001}, "no-go")
        >>> asking = dict(review_when=max_epochs(1), wait=Block(timeout=60), on_pause=human)
        >>> burr = BurrCallback("asked", monitor="val_loss", **asking)
        >>> quiet = dict(logger=False, enable_progress_bar=False, enable_model_summary=False)
        >>> trainer = Trainer(max_epochs=5, callbacks=[burr], accelerator="cpu", **quiet)
        >>> trainer.fit(ScriptedModule(val_loss=[0.9, 0.5]), scripted_loader(), scripted_loader())
        >>> [question.epoch for question in human.asked], burr.state["epoch"]
        ([0, 1], 1)
    """

    def __init__(
        self,
        *answers: str | Mapping[str, Any],
        persister: str | Place | None = None,
    ) -> None:
        self.asked: list[Question] = []
        self._answers = answers
        self._persister = persister

    def __call__(self, pause: Pause) -> None:
        """Answer one question.

        Raises:
            IndexError: If all answers are given.
            AnswerError: If the answer does not fit the question.
        """
        if len(self.asked) == len(self._answers):
            raise IndexError(
                f"ScriptedHuman: run {pause.run_id!r} asks {pause.question.text!r} after epoch "
                f"{pause.question.epoch}, and its {len(self._answers)} answers are all given."
            )
        answer = self._answers[len(self.asked)]
        self.asked.append(pause.question)
        values = {"verdict": answer} if isinstance(answer, str) else dict(answer)
        root_dir = pause.folder.parent.parent if pause.folder is not None else None
        run = Run.open(pause.run_id, pause.project, root_dir=root_dir, persister=self._persister)
        run.give_answer(values, via="python", by="ScriptedHuman")
