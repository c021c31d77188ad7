"""Running a job's command once, and writing down how that went."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from ..layout import FORK_VARIABLE, HOME_VARIABLE, JOB_VARIABLE, RUN_ID_VARIABLE
from .attempts import Attempt, Attempts
from .jobs import Job, JobFolder
from .queued import Queued
from .shown import shown_command, shown_words

_NOT_FOUND, _NOT_STARTED = 127, 126
"""What a shell says of a program that is not there, and of one that cannot be started."""


class Watch:
    """Looks after one start of a job's command. The job's lease must be held meanwhile.

    SIGTERM and SIGINT are handed on to the command, and noted: then it did not fail.

    Args:
        folder: The job.
        progress: How far its runs are committed.
        anew: Whether a human had a say since the attempt before.
        by_hand: Whether a human waits for it at a terminal. Then the command has the terminal, and Ctrl-C
            reaches it without us.
    """

    def __init__(self, folder: JobFolder, progress: int, *, anew: bool, by_hand: bool = False) -> None:
        self._folder, self._attempts, self._by_hand = folder, Attempts(folder), by_hand
        number = max((attempt.number for attempt in self._attempts.all()), default=0) + 1
        self._attempt = Attempt(number, time.time(), progress, anew, seen=self._answers())
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: signal.Signals | None = None
        self._waiting: list[signal.Signals] = []
        """What came while there was no process to hand it on to."""

    def run(self) -> Attempt:
        """Start the command, wait for its end, and write both down."""
        with self._handing_on():
            self._attempts.write(self._attempt)
            self._folder.reopen()
            code = self._code()
            stopped = self._asked.name if self._asked is not None else None
            ended = replace(self._attempt, ended=time.time(), code=code, stopped=stopped)
            self._attempt = replace(ended, seen_at_end=self._answers())
            self._attempts.write(self._attempt)
            self._attempts.lock(self._attempt).unlink(missing_ok=True)
        return self._attempt

    def _code(self) -> int | None:
        if self._asked is not None:
            return None
        job = self._folder.job()
        try:
            self._start(job)
        except OSError as error:
            program = shown_words(job.command[:1])
            self._note(f"it cannot be started: {error} (the program {program[0]} in {job.folder})")
            return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_STARTED
        assert self._process is not None
        self._attempt = replace(self._attempt, process=self._process.pid)
        self._attempts.write(self._attempt)
        code = self._process.wait()
        if self._asked is not None and not self._by_hand:
            self._stop_the_rest(self._process.pid)
        return code

    def _start(self, job: Job) -> None:
        environment = environment_of(job, self._folder.path.parent.parent)
        locked = os.open(self._attempts.lock(self._attempt), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(locked, fcntl.LOCK_EX)
            options: dict[str, Any] = {"cwd": job.folder, "env": environment, "pass_fds": (locked,)}
            if self._by_hand:
                self._process = subprocess.Popen(job.command, **options)
            else:
                self._note(shown_command(job.command))
                with open(self._folder.log, "ab") as log:
                    # A session of its own: Ctrl-C in a worker's terminal is the worker's to hand on.
                    options |= {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
                    self._process = subprocess.Popen(job.command, start_new_session=True, **options)
        finally:
            os.close(locked)
        for number in self._waiting:
            self._hand_on(number, self._process)

    def _answers(self) -> tuple[str, ...]:
        """The answers that its runs have now."""
        queued = Queued(self._folder.path.parent.parent)
        queued.refresh()
        found = {run.answer() for run in queued.runs_of(self._folder.job())}
        return tuple(sorted(answer for answer in found if answer is not None))

    def _stop_the_rest(self, group: int) -> None:
        """A shell that was asked to end leaves behind what it had started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGTERM)

    def _note(self, text: str) -> None:
        if self._by_hand:
            print(f"{self._folder.id}: {text}", file=sys.stderr)
        else:
            when = time.strftime("%Y-%m-%d %H:%M:%S")
            with open(self._folder.log, "a", encoding="utf-8", errors="replace") as log:
                log.write(f"--- {when}, attempt {self._attempt.number}: {text}\n")

    @contextmanager
    def _handing_on(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._asked_to) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _asked_to(self, number: int, frame: FrameType | None) -> None:
        self._asked = signal.Signals(number)
        if self._process is None:
            self._waiting.append(self._asked)
        else:
            self._hand_on(self._asked, self._process)

    def _hand_on(self, number: signal.Signals, process: subprocess.Popen[bytes]) -> None:
        if not (self._by_hand and number == signal.SIGINT):
            process.send_signal(number)


def environment_of(job: Job, root: Path) -> dict[str, str]:
    """What a job's command finds in its environment: ours, and which run it is of which job."""
    added = {HOME_VARIABLE: str(root), JOB_VARIABLE: job.id}
    if job.run_id is not None:
        added[RUN_ID_VARIABLE] = job.run_id
    if job.fork is not None:
        added[FORK_VARIABLE] = job.fork
    of_others = (RUN_ID_VARIABLE, FORK_VARIABLE)
    kept = {name: value for name, value in os.environ.items() if name not in of_others}
    return {**kept, **added}
