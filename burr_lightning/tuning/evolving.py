"""Whose turn it is in a population, and what it goes on from: pure functions of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from .deciding import Suggestion
from .exploring import drawn, explored
from .ledger import Ledger
from .population import PopulationBased
from .segments import Segment
from .trial_record import OVER, TrialRecord

Members = Mapping[int, Sequence[TrialRecord]]
"""The segments of each member, the oldest first."""


@dataclass(frozen=True)
class Turn:
    """Which member trains next."""

    member: int
    parents: Sequence[TrialRecord] = ()
    """Of which one is what it goes on from; none for a member that begins anew."""
    explores: bool = False
    """Whether with other hyperparameters than its parent's."""


class PopulationDecisions:
    """Says what a member of a population trains next.

    It follows from the ledger, the seed and the trial's number alone: so a study that was interrupted
    suggests what it would have suggested.

    Args:
        how: What the user said of the population.
        space: The distribution of each parameter.
        seed: What the random numbers come from.
    """

    stopped: str | None = None

    def __init__(self, how: PopulationBased, space: Mapping[str, BaseDistribution], seed: int) -> None:
        self._how, self._space, self._seed = how, dict(space), seed

    def left(self, ledger: Ledger) -> int | None:
        """There is no end of segments."""
        return None

    def suggest(self, ledger: Ledger) -> Suggestion:
        """The next segment.

        Args:
            ledger: What is known.
        """
        number = len(ledger)
        random = np.random.default_rng([self._seed, number])
        anew = drawn(self._space, self._seed, number)
        turn = next_turn(ledger, self._how)
        if not turn.parents:
            segment = Segment(turn.member, None, self._how.epochs)
            return Suggestion(anew, {}, {}, asdict(segment))
        parent = turn.parents[int(random.integers(len(turn.parents)))]
        segment = Segment(turn.member, parent.number, _epochs(parent) + self._how.epochs)
        params: dict[str, Any] = {**anew, **parent.params}
        if turn.explores:
            params = explored(parent.params, anew, self._space, self._how, random)
        return Suggestion(params, {}, {}, asdict(segment))

    def ended(self, ledger: Ledger, trial: TrialRecord) -> Mapping[str, Any]:
        """It reads the ledger."""
        return {}


def next_turn(ledger: Ledger, how: PopulationBased) -> Turn:
    """Which member trains next, and what it may go on from.

    Args:
        ledger: What is known.
        how: What the user said of the population.
    """
    members = members_of(ledger)
    for member in range(how.population):
        if member not in members:
            return Turn(member)
    newest = [members[member][-1] for member in range(how.population)]
    last = min((each for each in newest if each.status in OVER), key=lambda each: each.number)
    assert last.member is not None
    ranked = ranking(members, _epochs(last), is_min=ledger.directions[0] == "min")
    if last.status == "finished" and ranked.index(last) < how.population - how.strong:
        return Turn(last.member, [last])
    return Turn(last.member, ranked[: how.strong], explores=True)


def members_of(ledger: Ledger) -> Members:
    """The segments of each member."""
    members: dict[int, list[TrialRecord]] = {}
    for trial in ledger:
        if trial.member is not None:
            members.setdefault(trial.member, []).append(trial)
    return members


def ranking(members: Members, epochs: int, *, is_min: bool) -> list[TrialRecord]:
    """What members came to after so many epochs, the best first.

    Who is behind is there with its newest value, and who has not finished any segment is not there.

    Args:
        members: The segments of each.
        epochs: How many.
        is_min: Whether less is better.
    """
    judged = [_newest_finished(segments, epochs) for segments in members.values()]
    there = [each for each in judged if each is not None]

    def key(trial: TrialRecord) -> tuple[float, int]:
        assert trial.value is not None
        return (trial.value if is_min else -trial.value), trial.number

    return sorted(there, key=key)


def _newest_finished(segments: Sequence[TrialRecord], epochs: int) -> TrialRecord | None:
    finished = (each for each in reversed(segments) if each.status == "finished" and each.value is not None)
    return next((each for each in finished if _epochs(each) <= epochs), None)


def _epochs(trial: TrialRecord) -> int:
    assert trial.segment is not None
    return trial.segment.max_epochs
