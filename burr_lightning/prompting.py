"""Asking at the terminal that a training was started in."""

from __future__ import annotations

from typing import Any

from .errors import AnswerError
from .questions import Field, Question


def prompted(question: Question, run_id: str) -> tuple[dict[str, Any], str]:
    """Ask until an answer fits.

    Args:
        question: What is asked.
        run_id: The run.

    Returns:
        The values, and a comment.

    Raises:
        EOFError: If the terminal is closed.
    """
    print(f"\nRun {run_id!r}, after epoch {question.epoch}: {question.text}")
    if question.reason:
        print(f"Why it asks: {question.reason}")
    while True:
        texts = {field.name: input(f"{_asked(field)}: ") for field in question.fields}
        try:
            values = question.parsed(texts, run_id)
        except AnswerError as error:
            print(error)
            continue
        return values, input("comment (may be left out): ")


def _asked(field: Field) -> str:
    return f"{field.name} [{'/'.join(field.options)}]" if field.options else field.in_words()
