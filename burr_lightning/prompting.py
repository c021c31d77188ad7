"""Asking at the terminal that a training was started in."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from typing import Any

from .errors import AnswerError
from .questions import Field, Question

_POLL = 0.5
"""Seconds between two looks for a reason to wait no longer."""


class Overtaken(Exception):  # noqa: N818  # not an error
    """There is nothing to wait for at the terminal any more."""


def prompted(question: Question, run_id: str, is_over: Callable[[], bool]) -> tuple[dict[str, Any], str]:
    """Ask until an answer fits.

    Args:
        question: What is asked.
        run_id: The run.
        is_over: Whether there is nothing to wait for any more.

    Returns:
        The values, and a comment.

    Raises:
        EOFError: If the terminal is closed.
        Overtaken: If there is nothing to wait for any more.
    """
    print(f"\nRun {run_id!r}, after epoch {question.epoch}: {question.text}")
    if question.reason:
        print(f"Why it asks: {question.reason}")
    while True:
        texts = {field.name: _line(_asked(field), is_over) for field in question.fields}
        try:
            values = question.parsed(texts, run_id)
        except AnswerError as error:
            print(error)
            continue
        return values, _line("comment (may be left out)", is_over)


def _asked(field: Field) -> str:
    return f"{field.name} [{'/'.join(map(str, field.options))}]" if field.options else field.in_words()


def _line(prompt: str, is_over: Callable[[], bool]) -> str:
    """A line that is typed. ``input`` would go on waiting after a signal."""
    print(f"{prompt}: ", end="", flush=True)
    while not select.select([sys.stdin], [], [], _POLL)[0]:
        if is_over():
            print()
            raise Overtaken
    try:
        line = sys.stdin.readline()
    except OSError:  # what Linux says of a terminal that is gone
        line = ""
    if not line:
        raise EOFError
    return line.removesuffix("\n")
