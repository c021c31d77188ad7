"""The questions that a run has asked and the answers to them, as files in its folder.

A file per question and one per answer, so that whoever answers needs no lock and no database, and the one
file that can be made only once is the answer. Questions are written by the process that owns the run.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .errors import BurrLightningError, NotAskedError
from .layout import RunFolder, flush, read_json, write_json
from .questions import Answer, Question

log = logging.getLogger(__name__)

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_Read = TypeVar("_Read")


class ReviewsError(BurrLightningError, OSError):
    """What was asked or answered cannot be written."""


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
        """Write a question down, unless it stands there; the one that stands is returned.

        It is the only one that is open from then on: what is asked later in the run, and what nobody has
        answered, is passed over.

        Raises:
            ReviewsError: If it cannot be written.
        """
        with self._writing():
            self._path.mkdir(exist_ok=True)
            for other in self.all():
                later = other.question.number > question.number
                if later or (other.answer is None and other.question.number != question.number):
                    self.pass_over(other.question)
            stored = self._read(self._file(question, "question"), Question.from_json)
            if stored is not None and stored.fingerprint == question.fingerprint:
                return stored
            self.pass_over(question)
            write_json(self._file(question, "question"), question.as_json(), lasting=True)
            flush(self._path)
        return question

    def answer(self, question: Question, answer: Answer) -> None:
        """Write down an answer that fits, the only one to its question.

        Raises:
            NotAskedError: If there is one already.
            ReviewsError: If it cannot be written.
        """
        path = self._file(question, "answer")
        mine = path.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}.tmp")
        with self._writing():
            if path.exists() and self.answer_to(question) is None:
                self._set_damaged_aside(question, path)
            try:
                write_json(mine, answer.as_json(), lasting=True)
                _take_name(mine, path)  # the one step that fails where somebody was faster
                flush(self._path)
            except FileExistsError:
                raise NotAskedError(self._run_id, "answered", said(self.answer_to(question))) from None
            finally:
                mine.unlink(missing_ok=True)

    def answer_to(self, question: Question) -> Answer | None:
        """The answer to a question, ``None`` where there is none, or one to what was asked there before."""
        answer = self._read(self._file(question, "answer"), Answer.from_json)
        return answer if answer is not None and answer.of == question.fingerprint else None

    def set_aside(self, question: Question) -> None:
        """Take an answer back that nothing was made of; its file is kept under another name."""
        self._set_aside(self._file(question, "answer"))

    def pass_over(self, question: Question) -> None:
        """A question is asked no more; its files are kept under other names."""
        for kind in ("question", "answer", "told"):
            self._set_aside(self._file(question, kind))

    def was_told(self, question: Question) -> bool:
        """Whether the user's own function was told of a question."""
        return self._file(question, "told").exists()

    def told(self, question: Question) -> None:
        """Write down that it was."""
        with self._writing():
            write_json(self._file(question, "told"), {"told": round(time.time(), 3)})

    def all(self) -> list[Asked]:
        """All that was asked, in order."""
        return list(self._asked(sorted(self._path.glob("*.question.json"))))

    def newest(self) -> Asked | None:
        """What was asked last."""
        newest_first = sorted(self._path.glob("*.question.json"), reverse=True)
        return next(self._asked(newest_first), None)

    def _asked(self, paths: list[Path]) -> Iterator[Asked]:
        for path in paths:
            question = self._read(path, Question.from_json)
            if question is not None:
                yield Asked(question, self.answer_to(question))

    def _file(self, question: Question, kind: str) -> Path:
        return self._path / f"{question.number:08d}.{kind}.json"

    def _read(self, path: Path, parse: Callable[[Mapping[str, Any]], _Read]) -> _Read | None:
        """What a file holds; one that is damaged counts as none, and is told."""
        try:
            stored = read_json(path)
            if stored is None and path.exists():
                stored = read_json(path)  # it may have been written in that instant
            if stored is not None:
                return parse(stored)
            damaged = path.exists()
        except (OSError, KeyError, TypeError, ValueError):
            damaged = True
        if damaged:
            log.warning("Run %r: %s is damaged, and counts as if it were not there.", self._run_id, path)
        return None

    def _set_aside(self, path: Path) -> None:
        with self._writing():
            if path.exists():
                path.rename(path.with_suffix(f".{time.time_ns()}.aside"))

    def _set_damaged_aside(self, question: Question, path: Path) -> None:
        """One at a time: who comes second would set aside the answer of who was faster."""
        with open(self._path / ".setting-aside", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists() and self.answer_to(question) is None:
                self._set_aside(path)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise
        except OSError as error:
            if isinstance(error, BurrLightningError):
                raise
            raise ReviewsError(
                f"Run {self._run_id!r}: what is asked and answered is kept in {self._path}, and it cannot be "
                f"written there ({error}). Make room or access there and try again."
            ) from error


def said(answer: Answer | None) -> str | None:
    """Who answered, and when, in words."""
    if answer is None:
        return None
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(answer.answered))
    return f"it was answered by {answer.by} on {when}"


def _take_name(mine: Path, path: Path) -> None:
    """Give a whole file its name, if it is free.

    Raises:
        FileExistsError: If it is not.
    """
    try:
        os.link(mine, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without links: one that dies here leaves a file that counts as none.
        with open(path, "xb") as file:
            file.write(mine.read_bytes())
            file.flush()
            os.fsync(file.fileno())
