"""Answering what a stored run asks, from outside the process that trains it."""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import AnswerError, NotAskedError
from .questions import LONGEST_TEXT, Answer
from .reviews import Reviews, said

if TYPE_CHECKING:
    from .layout import RunFolder
    from .reviews import Asked


def waiting(folder: RunFolder, newest_row: int | None) -> Asked | None:
    """The question that a run stands at, and its answer where that was not used yet.

    Args:
        folder: The run's folder.
        newest_row: The step of its newest row: what was asked before it is over. ``None`` where there is
            none, or where it is not known.
    """
    asked = Reviews(folder).newest()
    if asked is None or (newest_row is not None and asked.question.number <= newest_row):
        return None
    return asked


def give_answer(
    reviews: Reviews | None,
    run_id: str,
    asked: Asked | None,
    status: str,
    values: Mapping[str, Any],
    *,
    comment: str = "",
    by: str | None = None,
    via: str,
) -> Answer:
    """Answer the question that a run stands at.

    Args:
        reviews: Where answers are written down; ``None`` leaves nothing on disk.
        run_id: The run.
        asked: What it stands at.
        status: How it stands, for the error.
        values: The values that are asked for.
        comment: What is to be kept beside them.
        by: Who answers; ``None`` is the user of this process.
        via: How, as `Answer` has it.

    Raises:
        NotAskedError: If nothing is asked, or it was answered already.
        AnswerError: If the answer does not fit; the question stays open.
    """
    if asked is None or (asked.answer is not None and status != "failed"):
        raise NotAskedError(run_id, status, said(asked.answer) if asked else None)
    question = asked.question
    if comment and any(field.name == "comment" for field in question.fields):
        values = {"comment": comment, **values}
    if len(comment) > LONGEST_TEXT:
        why = f"the comment has {len(comment)} characters"
        raise AnswerError(run_id, question.text, why, f"a comment of {LONGEST_TEXT} characters or less")
    answer = Answer(question.checked(values, run_id), comment, by or _user_name(), via, round(time.time(), 3))
    if reviews is not None:
        if asked.answer is not None:  # the run failed with it before anything was kept of that
            reviews.set_aside(question)
        reviews.answer(question, answer)
    return answer


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return "unknown"
