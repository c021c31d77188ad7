"""The questions that a run has asked and the answers to them, as files in its folder.

A file per question and one per answer, so that whoever answers needs no lock and no database, and the one
file that can be made only once is the answer.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from .errors import NotAskedError
from .layout import RunFolder, read_json, write_json
from .questions import Answer, Question


@dataclass(frozen=True)
class Asked:
    """A question, and the answer where there is one."""

    question: Question
    answer: Answer | None


class Reviews:
    """What was asked and answered in one run.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._run_id, self._path = folder.run_id, folder.path / "reviews"

    def ask(self, question: Question) -> Question:
        """Write a question down, unless it is there; the one that stands is returned."""
        path = self._question(question.number)
        stored = read_json(path)
        if stored is not None:
            asked = Question.from_json(stored)
            if _means_the_same(asked, question):
                return asked
        self._path.mkdir(exist_ok=True)
        write_json(path, question.as_json())
        return question

    def answer(self, question: Question, answer: Answer) -> None:
        """Write down an answer that fits, the only one to its question.

        Raises:
            NotAskedError: If there is one already.
        """
        path = self._answer(question)
        mine = path.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}.tmp")
        write_json(mine, answer.as_json(), lasting=True)
        try:
            os.link(mine, path)  # the one step that fails where somebody was faster
        except FileExistsError:
            raise NotAskedError(self._run_id, "answered", said(self.answer_to(question))) from None
        finally:
            mine.unlink()

    def set_aside(self, question: Question) -> None:
        """Take an answer back that nothing was made of; its file is kept under another name."""
        path = self._answer(question)
        path.rename(path.with_suffix(f".{time.time_ns()}.set-aside"))

    def answer_to(self, question: Question) -> Answer | None:
        """The answer to a question, ``None`` where there is none yet."""
        stored = read_json(self._answer(question))
        return Answer(**stored) if stored else None

    def all(self) -> list[Asked]:
        """All that was asked, in order."""
        found = [read_json(path) for path in sorted(self._path.glob("*.question.json"))]
        questions = [Question.from_json(stored) for stored in found if stored is not None]
        return [Asked(question, self.answer_to(question)) for question in questions]

    def newest(self) -> Asked | None:
        """What was asked last."""
        paths = sorted(self._path.glob("*.question.json"))
        stored = read_json(paths[-1]) if paths else None
        if stored is None:
            return None
        question = Question.from_json(stored)
        return Asked(question, self.answer_to(question))

    def _question(self, number: int) -> Path:
        return self._path / f"{number:08d}.question.json"

    def _answer(self, question: Question) -> Path:
        action = "".join(sign if sign.isalnum() else "_" for sign in question.action)
        return self._path / f"{question.number:08d}.{action}.answer.json"


def said(answer: Answer | None) -> str | None:
    """Who answered, and when, in words."""
    if answer is None:
        return None
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(answer.answered))
    return f"it was answered by {answer.by} on {when}"


def _means_the_same(one: Question, other: Question) -> bool:
    return (one.action, one.fields, one.text) == (other.action, other.fields, other.text)
