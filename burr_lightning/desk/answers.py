"""Takes an answer from a form."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import AnswerError, NotAskedError
from .forgery import FormKeys
from .forms import typed_values
from .run_parts import Typed
from .store import StoredRun


class RefusedError(Exception):
    """An answer that was not taken.

    Attributes:
        status: The status of HTTP.
        typed: What was sent, and why it was refused.
    """

    def __init__(self, status: int, typed: Typed) -> None:
        self.status, self.typed = status, typed
        super().__init__(typed.error)


def answer(stored: StoredRun, form: Mapping[str, str], keys: FormKeys) -> None:
    """Answer what a run asks with what was typed.

    Raises:
        RefusedError: If the form is not ours, the answer does not fit, or another one was there before.
    """
    values, comment, by = typed_values(form), form.get("comment", "").strip(), form.get("by", "").strip()

    def refuse(status: int, why: str) -> RefusedError:
        return RefusedError(status, Typed(values, comment, by, why))

    folder, question = stored.folder, stored.run.question
    if not keys.fits(form.get("key", ""), folder.project, folder.run_id, _number(form)):
        raise refuse(403, "This form is from before the server was started. Please send it again.")
    if question is None or question.number != _number(form):
        raise refuse(409, _too_late(stored))
    try:
        parsed = question.parsed(values, folder.run_id)
        stored.run.give_answer(parsed, comment=comment, by=by or None, via="web page")
    except AnswerError as error:
        raise refuse(422, str(error)) from error
    except NotAskedError as error:
        raise refuse(409, str(error)) from error
    except OSError as error:
        raise refuse(507, str(error)) from error


def _number(form: Mapping[str, str]) -> int:
    text = form.get("question", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else -1


def _too_late(stored: StoredRun) -> str:
    if stored.run.question is not None:
        return "This was asked before; the run asks something else now. Nothing was kept."
    newest = stored.run.reviews[-1:]
    if newest and newest[0].answer is not None:
        return f"{newest[0].answer.by} was faster: the run has its answer. Yours was not kept."
    return "The run waits for no answer any more. Nothing was kept."
