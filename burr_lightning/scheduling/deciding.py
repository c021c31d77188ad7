"""What is to become of a job: a pure function of what is known of it."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from .attempts import Attempt
from .jobs import Job, Over

LONGEST_BACKOFF = 600.0
"""Seconds."""

State = Literal[
    "queued",
    "running",
    "waiting",
    "ready",
    "interrupted",
    "retrying",
    "stopped",
    "given up",
    "done",
    "cancelled",
    "damaged",
]


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run that a job trains."""

    run_id: str
    status: Literal["running", "waiting", "paused", "finished", "failed", "interrupted"]
    """``waiting`` for an answer; ``paused`` where it ended to be answered, and was."""
    answer: str | None = None
    """What tells the answer to its newest question from all others; ``None`` where there is none."""
    began: str | None = None
    """What tells the last time that a process began to train it from all others."""
    killed: bool = False
    """Whether it ended without a word, or was asked to end; not by Ctrl-C, and not with its script."""


@dataclass(frozen=True)
class Facts:
    """What is known of a job."""

    job: Job
    over: Over | None = None
    leased: str | None = None
    """Who holds its lease, ``None`` where nobody does."""
    alone: bool = False
    """Whether its command lives on without anybody who looks after it."""
    attempts: tuple[Attempt, ...] = ()
    runs: tuple[RunFacts, ...] = ()
    progress: int = 0
    """How far its runs are committed now."""


@dataclass(frozen=True)
class Standing:
    """What is to become of a job, and why."""

    state: State
    reason: str
    at: float | None = None
    """When it is to be started again, in seconds since 1970."""
    since: float = field(default=-math.inf, repr=False)
    """From when on it waits for that: where it is earlier now, the clock was set back."""

    def is_due(self, now: float) -> bool:
        """Whether it is to be started now."""
        if self.state == "retrying":
            return self.at is not None and not self.since <= now < self.at
        return self.state in ("queued", "ready", "interrupted")

    @property
    def is_over(self) -> bool:
        """Whether nothing starts it any more, unless a human does something."""
        return self.state in ("done", "given up", "cancelled")


def decide(facts: Facts) -> Standing:
    """What is to become of a job.

    Example:
        >>> job = Job("digits", ("/usr/bin/python", "train.py"), "/home/me", None, (), 0.0, 3, 10.0)
        >>> decide(Facts(job))
        Standing(state='queued', reason='it was not started yet', at=None)
        >>> crashed = Attempt(1, started=5.0, progress=0, ended=7.0, code=1)
        >>> decide(Facts(job, attempts=(crashed,))).at
        17.0
    """
    if facts.leased is not None:
        return Standing("running", facts.leased)
    if facts.job.damaged is not None and facts.over is None:
        return Standing("damaged", facts.job.damaged)
    if facts.alone:
        return Standing("running", f"process {facts.attempts[-1].process} is left of attempt {_last(facts)}")
    training = [run.run_id for run in facts.runs if run.status == "running"]
    if training:
        return Standing("running", f"a process trains {', '.join(training)}")
    if facts.over is not None and not _begins_anew(facts.over, facts.runs):
        return Standing(facts.over.state, facts.over.reason)
    if facts.over is not None or not facts.attempts:
        return _not_started(facts)
    return _ended(facts, facts.attempts[-1])


def _begins_anew(over: Over, runs: Sequence[RunFacts]) -> bool:
    """Whether a run was answered, or begun and killed, after its job was over."""
    if over.state == "cancelled" or over.seen is None:
        return False
    answered = any(run.answer is not None and run.answer not in over.seen for run in _open(runs))
    killed = any(run.killed and run.began is not None and run.began not in over.seen for run in runs)
    return answered or killed


def seen(runs: Sequence[RunFacts]) -> tuple[str, ...]:
    """The answers that runs have, and the last time that each was begun: what is not there is new."""
    found = [known for run in runs for known in (run.answer, run.began) if known is not None]
    return tuple(sorted(found))


def _not_started(facts: Facts) -> Standing:
    """A job that has no attempt, or none since it was over."""
    waiting, answered = _of("waiting", facts.runs), _of("paused", facts.runs)
    unfinished = [run for run in _open(facts.runs) if run.status in ("interrupted", "failed")]
    if answered:
        return Standing("ready", f"{_names(answered)} was answered")
    if waiting:
        return Standing("waiting", f"{_names(waiting)} waits for an answer")
    if unfinished:
        return Standing("interrupted", f"{_names(unfinished)} is to go on")
    return Standing("queued", "it was not started yet")


def _ended(facts: Facts, last: Attempt) -> Standing:
    waiting = _of("waiting", facts.runs)
    answered = [run for run in _open(facts.runs) if _is_new(run, last)]
    if answered:
        return Standing("ready", f"{_names(answered)} was answered")
    if waiting:
        return Standing("waiting", f"{_names(waiting)} waits for an answer")
    if last.ended_well:
        return Standing("done", f"the command ended{_left(facts.runs)}")
    if last.stopped == signal.SIGINT.name:
        return Standing("stopped", f"with Ctrl-C; 'burr-lightning resume {facts.job.id}' goes on")
    if last.stopped is not None:
        return Standing("interrupted", "its worker was asked to end")
    return _failed(facts, last)


def _is_new(run: RunFacts, last: Attempt) -> bool:
    """Whether the newest attempt did not have a run's answer yet.

    One that was given while the process was ending counts, if the run did end to be answered.
    """
    had = last.seen if run.status == "paused" or last.ended is None else last.seen_at_end
    return run.answer is not None and run.answer not in had


def _failed(facts: Facts, last: Attempt) -> Standing:
    how = "was killed" if last.ended is None else _in_words(last.code)
    failures = failures_in_a_row(facts.attempts, facts.progress)
    if failures > facts.job.retries:
        times = f", {failures} times without a new commit" if failures > 1 else ""
        return Standing("given up", f"it {how}{times}")
    wait = min(facts.job.backoff * 2 ** min(failures - 1, 60), LONGEST_BACKOFF)
    since = last.ended if last.ended is not None else last.started
    at = since + wait
    when = time.strftime("%H:%M:%S", time.localtime(at))
    return Standing("retrying", f"it {how}; again at {when} ({failures} of {facts.job.retries})", at, since)


def failures_in_a_row(attempts: Sequence[Attempt], progress: int) -> int:
    """How many of the newest attempts failed since one ended well, brought a new commit, or followed a human.

    That attempt itself counts, unless it ended well; those that were asked to end do not.

    Args:
        attempts: The attempts, in order.
        progress: How far the job's runs are committed now.
    """
    count, after = 0, progress
    for attempt in reversed(attempts):
        if attempt.ended_well:
            break
        count += attempt.failed
        if after > attempt.progress or attempt.anew:
            break
        after = attempt.progress
    return max(count, 1)


def _in_words(code: int | None) -> str:
    if code is None:
        return "was not started"
    if code < 0:
        return f"was ended by {_signal_name(-code)}"
    return f"exited with {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _left(runs: Sequence[RunFacts]) -> str:
    """What a command that ended well left unfinished."""
    left = [f"{run.run_id} is {run.status}" for run in _open(runs)]
    return f", but {', '.join(left)}" if left else ""


def _of(status: str, runs: Sequence[RunFacts]) -> list[RunFacts]:
    return [run for run in runs if run.status == status]


def _open(runs: Sequence[RunFacts]) -> list[RunFacts]:
    return [run for run in runs if run.status != "finished"]


def _names(runs: Sequence[RunFacts]) -> str:
    return ", ".join(run.run_id for run in runs)


def _last(facts: Facts) -> int:
    return facts.attempts[-1].number
