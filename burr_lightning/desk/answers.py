"""Takes an answer from a form."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import AnswerError, NotAskedError
from .forgery import FormKeys
from .forms import typed_values
from .run_parts import Typed, form_about
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

    meant = form.get("question", "")

    def refuse(status: int, why: str) -> RefusedError:
        return RefusedError(status, Typed(values, comment, by, why, meant))

    question = stored.run.question
    if not keys.fits(form.get("key", ""), *form_about(stored, meant)):
        raise refuse(403, "This form is from before the server was started. Please send it again.")
    if question is None or question.fingerprint != meant:
        raise refuse(409, _too_late(stored))
    try:
        parsed = question.parsed(values, stored.folder.run_id)
        stored.run.give_answer(parsed, comment=comment, by=by or None, via="web page", to=question)
    except AnswerError as error:
        raise refuse(422, str(error)) from error
    except NotAskedError as error:
        raise refuse(409, str(error)) from error
    except OSError as error:
        raise refuse(507, str(error)) from error


def _too_late(stored: StoredRun) -> str:
    if stored.run.question is not None:
        return "This was asked before; the run asks something else now. Nothing was kept."
    newest = stored.run.reviews[-1:]
    if newest and newest[0].answer is not None:
        return f"{newest[0].answer.by} was faster: the run has its answer. Yours was not kept."
    return "The run waits for no answer any more. Nothing was kept."
