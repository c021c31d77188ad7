"""Population-based training, as a sampler: what the user says of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ArgumentError


@dataclass(frozen=True)
class PopulationBased:
    """Trains a population of networks, in which weak ones go on from strong ones' weights.

    Each trial of the study is a *segment*: one member of the population trains some epochs more. Its run is
    a fork of the run that it goes on from, at its last commit. A member that is among the worst of those
    that have trained as long *exploits*: it goes on from one of the best, its weights and the state of its
    optimizer included; and *explores*: with other hyperparameters than that. All others go on from their own
    last commit as they were. So hyperparameters become schedules, which no search for constants can find.

    The objective gives its Trainer ``max_epochs=trial.max_epochs``, and ``trial.callback()``, which makes the
    fork. The value of a trial is the newest one of ``monitor``, that of the weights it hands on.

    Nothing waits for a whole generation: the member goes on next that has waited longest. One whose segment
    has failed exploits too.

    The method is that of Jaderberg et al., *Population Based Training of Neural Networks* (2017,
    arXiv:1711.09846): truncation selection, and exploring by perturbing or drawing anew, as in their
    section 4.1.1. What differs: a member that is ahead, since it had its turn earlier, is judged by what it
    came to after as many epochs, not by its newest value.

    Args:
        population: How many members, 2 or more.
        epochs: How many epochs a segment trains, 1 or more.
        quantile: Which part of the population is weak, and which is strong; more than 0, at most 0.5. It is
            at least one member.
        factors: What a number is multiplied by to explore, one of these at random; more than 0, and not all
            of them 1. It stays in the parameter's range and on its steps, and a whole number moves by one at
            least. Choices that are all numbers move to a neighbour, others stay.
        resample: How probable it is, from 0 to 1, that a parameter is drawn anew instead.

    Raises:
        ArgumentError: If an argument is out of its range.

    Example:
        >>> PopulationBased(population=4, epochs=2).strong
        1
    """

    population: int = 8
    epochs: int = 5
    quantile: float = 0.25
    factors: Sequence[float] = (0.8, 1.25)
    resample: float = 0.25

    def __post_init__(self) -> None:
        self._see_that("population", _is_whole(self.population) and self.population >= 2, "whole, 2 or more")
        self._see_that("epochs", _is_whole(self.epochs) and self.epochs >= 1, "whole, 1 or more")
        self._see_that("quantile", _is_number(self.quantile) and 0 < self.quantile <= 0.5, "in (0, 0.5]")
        self._see_that("resample", _is_number(self.resample) and 0 <= self.resample <= 1, "in [0, 1]")
        right = isinstance(self.factors, Sequence) and all(map(_is_number, self.factors))
        moves = right and min(self.factors, default=0) > 0 and set(self.factors) != {1}
        self._see_that("factors", moves, "numbers more than 0 and not all 1, as (0.8, 1.25) are")

    def _see_that(self, argument: str, right: bool, rule: str) -> None:
        if not right:
            raise ArgumentError(
                f"PopulationBased({argument}={getattr(self, argument)!r}): it must be {rule}."
            )

    @property
    def strong(self) -> int:
        """How many members are strong, and how many are weak."""
        return min(math.ceil(self.quantile * self.population), self.population // 2)

    def refuse_other(self, *, parallel: int, directions: Sequence[str], pruner: Any) -> None:
        """See that a study can be one of a population.

        Args:
            parallel: How many trials run at once.
            directions: In which direction each value gets better.
            pruner: What prunes trials.

        Raises:
            ArgumentError: If it cannot.
        """
        if pruner is not None:
            raise ArgumentError(
                f"Study(sampler={self!r}, pruner={pruner!r}): a population gives up its weak members itself. "
                f"Leave the pruner out."
            )
        if len(directions) > 1:
            raise ArgumentError(
                f"Study(sampler={self!r}, direction={list(directions)!r}): a population is ranked by one "
                f"value. Give it one direction."
            )
        if parallel > self.population:
            raise ArgumentError(
                f"Study(sampler={self!r}, parallel={parallel}): a member trains one segment at a time, so "
                f"that {self.population} run at once at most. Give it parallel={self.population} or less, or "
                f"a larger population."
            )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
