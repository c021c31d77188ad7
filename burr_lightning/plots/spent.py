"""Where a run's time went: every instant from its first step to its last one belongs to one kind.

What is measured: the steps, by Burr's tracker; commits, and from a question to its answer, by the run's
folder; and the seconds in which a process trained, by the run's own clock. Lightning's hooks and the loading
of data lie in the gaps between steps, and so do the commits that an older version has made.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice, pairwise
from typing import Literal

from ..commit_times import CommitTime
from ..steps import Step
from .path import phase_of

Kind = Literal["train", "validate", "actions", "commit", "commit_gap", "gap", "human", "away"]
BREAKS: tuple[Kind, ...] = ("human", "away")
"""When nothing was done for a run."""

_SHORTEST_AWAY = timedelta(seconds=0.1)
"""What the run's clock and the tracker's may differ by while one process trains."""
_AFTER_ANSWER = timedelta(seconds=1)
"""A process that waits for an answer goes on within this time."""


@dataclass(frozen=True)
class Wait:
    """A human was waited for."""

    asked: datetime
    answered: datetime
    """Until now, where there is no answer yet."""


@dataclass(frozen=True)
class Stretch:
    """Some of a run's time, all of one kind."""

    kind: Kind
    began: datetime
    ended: datetime
    failed: bool = False

    @property
    def seconds(self) -> float:
        """How long it took, 0 or more."""
        return max((self.ended - self.began).total_seconds(), 0.0)


def spent(
    steps: Sequence[Step],
    waits: Sequence[Wait] = (),
    committed: Collection[int] | None = None,
    measured: Sequence[CommitTime] = (),
) -> list[Stretch]:
    """The time from the first step to the last one, or to the end of a wait after it.

    Between two steps there may be a wait for a human, and a time in which no process trained the run: the
    run's own clock, which is stored with every phase, stood still then. What is left is ``gap``, or
    ``commit_gap`` where a commit was made in it that nobody measured. A commit that was measured is
    ``commit``, also inside a phase: in the middle of an epoch, say.

    Args:
        steps: The machine's steps, in order.
        waits: When a human was waited for, in order.
        committed: The numbers of the steps after which a commit was made; ``None`` where that is unknown.
        measured: How long commits took, in order.

    Returns:
        Stretches, in order. A step that never ended has none.

    Example:
        >>> at = [datetime(2026, 1, 1, 0, 0, second) for second in (0, 5, 6, 8)]
        >>> steps = [Step(0, "train_epoch", *at[:2], False, 0), Step(1, "validate", *at[2:], False, 0)]
        >>> [(part.kind, part.seconds) for part in spent(steps)]
        [('train', 5.0), ('gap', 1.0), ('validate', 2.0)]
    """
    ended = [step for step in steps if step.ended is not None]
    found: list[Stretch] = []
    unmeasured = {*(committed or ())} - {commit.step for commit in measured}
    for number, step in enumerate(ended):
        assert step.ended is not None
        found.append(Stretch(phase_of(step) or "actions", step.started, step.ended, step.failed))
        following = ended[number + 1].started if number + 1 < len(ended) else _last(step.ended, waits)
        between: Kind = "commit_gap" if step.sequence_id in unmeasured else "gap"
        found += _between(step.ended, following, waits, between)
    return [piece for part in _with_away(found, ended, waits) for piece in _with_commits(part, measured)]


def _with_commits(part: Stretch, measured: Sequence[CommitTime]) -> Iterator[Stretch]:
    """A stretch without the commits in it, and these."""
    at = part.began
    first = (
        bisect_left(measured, at, key=lambda commit: commit.ended) if part.kind != "human" else len(measured)
    )
    for commit in islice(measured, first, None):
        began, ended = max(commit.began, at), min(commit.ended, part.ended)
        if commit.began >= part.ended:
            break
        if began < ended:
            if at < began:
                yield replace(part, began=at, ended=began)
            yield Stretch("commit", began, ended)
            at = ended
    if at < part.ended or at == part.began:
        yield replace(part, began=at)


def _last(ended: datetime, waits: Sequence[Wait]) -> datetime:
    return max([ended, *(wait.answered for wait in waits)])


def _between(began: datetime, ended: datetime, waits: Iterable[Wait], kind: Kind) -> Iterator[Stretch]:
    """The time between two steps, with the waits in it."""
    at = began
    for wait in waits:
        asked, answered = max(wait.asked, at), min(wait.answered, ended)
        if asked < answered:
            if at < asked:
                yield Stretch(kind, at, asked)
            yield Stretch("human", asked, answered)
            kind, at = "gap", answered
    if at < ended:
        yield Stretch(kind, at, ended)


def _with_away(found: list[Stretch], steps: Sequence[Step], waits: Sequence[Wait]) -> list[Stretch]:
    """The stretches, with those marked in which no process trained."""
    clock = [(step.ended, step.trained) for step in steps if step.ended and step.trained is not None]
    away: set[int] = set()
    for (began, before), (ended, after) in pairwise(clock):
        waited = sum((_overlap(wait, began, ended) for wait in waits), timedelta())
        off = ended - began - timedelta(seconds=after - before) - waited
        away |= _stood_still(found, [n for n, part in enumerate(found) if began <= part.began < ended], off)
    # After the last phase the clock tells nothing more: a process that waited would have gone on at once.
    away |= {
        number
        for number, part in enumerate(found)
        if (not clock or part.began >= clock[-1][0]) and _follows_a_wait(found, number)
    }
    return [replace(part, kind="away") if n in away else part for n, part in enumerate(found)]


def _stood_still(found: Sequence[Stretch], inside: Sequence[int], off: timedelta) -> set[int]:
    """The gap in which the clock stood still, when it did so for most of it."""
    gaps = [number for number in inside if found[number].kind in ("gap", "commit_gap")]
    longest = max(gaps, key=lambda number: found[number].seconds, default=None)
    if longest is None or off < max(_SHORTEST_AWAY, _length(found[longest]) / 2):
        return set()
    return {longest}


def _follows_a_wait(found: Sequence[Stretch], number: int) -> bool:
    follows = number > 0 and found[number - 1].kind == "human" and found[number].kind == "gap"
    return follows and _length(found[number]) > _AFTER_ANSWER


def _length(part: Stretch) -> timedelta:
    return part.ended - part.began


def _overlap(wait: Wait, began: datetime, ended: datetime) -> timedelta:
    return max(min(wait.answered, ended) - max(wait.asked, began), timedelta())
