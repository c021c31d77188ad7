"""Answering what a stored run asks, from outside the process that trains it."""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import AnswerError, NotAskedError
from .questions import LONGEST_TEXT, Answer, Question, is_shown
from .reviews import Reviews, said

if TYPE_CHECKING:
    from .layout import RunFolder
    from .reviews import Asked

_LONGEST_NAME = 100
"""Characters of who answers: they are part of every row from there on."""


def waiting(folder: RunFolder, newest_row: int | None) -> Asked | None:
    """The question that a run stands at, and its answer where that was not used yet.

    Args:
        folder: The run's folder.
        newest_row: The step of its newest row: what was asked before it is over. ``None`` where there is
            none, or where it is not known.
    """
    asked, outcome = Reviews(folder).newest(), folder.outcome()
    if newest_row is None and outcome is not None and outcome.status == "finished":
        return None  # its rows cannot be read, and would say that all was used
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
    to: Question | None = None,
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
        to: The question that was read; ``None`` is any that is asked.

    Raises:
        NotAskedError: If nothing is asked, or something else, or it was answered already.
        AnswerError: If the answer does not fit; the question stays open.
    """
    if asked is None or asked.answer is not None:
        raise NotAskedError(run_id, status, said(asked.answer) if asked else None)
    question = asked.question
    if to is not None and to.fingerprint != question.fingerprint:
        raise NotAskedError(run_id, "paused", None, instead=question.text)
    _refuse_what_is_no_note(run_id, question, comment=comment, by=by)
    notes = {"comment": comment, "by": by}
    names = {field.name for field in question.fields}
    values = {**{name: note for name, note in notes.items() if note and name in names}, **values}
    checked, now = question.checked(values, run_id), round(time.time(), 3)
    answer = Answer(checked, comment or "", by or _user_name(), via, now, question.fingerprint)
    if reviews is not None:
        reviews.answer(question, answer)
    return answer


def _refuse_what_is_no_note(run_id: str, question: Question, **notes: object) -> None:
    longest = {"comment": LONGEST_TEXT, "by": _LONGEST_NAME}
    for name, note in notes.items():
        if note is None or (isinstance(note, str) and len(note) <= longest[name] and is_shown(note)):
            continue
        why = f"{name}={note!r}"
        if isinstance(note, str):
            long = len(note) > longest[name]
            why = f"{name} has " + (f"{len(note)} characters" if long else "signs in it that cannot be shown")
        fits = f"a text of {longest[name]} characters or less"
        raise AnswerError(run_id, question.text, why, fits)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return "unknown"
