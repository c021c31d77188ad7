"""One decision for all ranks: which action follows, and from which metrics."""

from __future__ import annotations

import logging
import math
from typing import Any

from burr.core import Condition, State
from burr.core.graph import Graph
from lightning.pytorch import Trainer

from .graphs import follow, reason_of
from .lightning_access import synced_metrics
from .ranks import Ranks
from .state import PhaseReport

log = logging.getLogger(__name__)


def follow_together(
    ranks: Ranks, graph: Graph, position: str | None, state: State[Any]
) -> tuple[str | None, Condition | None]:
    """What `follow` says on the first rank: a condition may look at more than the state, as a pruner does.

    Raises:
        ConditionError: If a condition on the way fails.
    """
    if ranks.size == 1:
        return follow(graph, position, state)
    transitions = [each for each in graph.transitions if each.from_.name == position]

    def first() -> tuple[str | None, int | None]:
        name, condition = follow(graph, position, state)
        return name, next((i for i, each in enumerate(transitions) if each.condition is condition), None)

    name, taken = ranks.agreed(first)
    return name, None if taken is None else transitions[taken].condition


def reason_together(ranks: Ranks, condition: Condition | None, state: State[Any]) -> str | None:
    """Why the machine took a transition, as the first rank says it."""
    return ranks.agreed(lambda: reason_of(condition, state))


class Agreement:
    """Has all ranks take what the first one logged.

    Args:
        trainer: The trainer.
        ranks: The processes that train.
    """

    def __init__(self, trainer: Trainer, ranks: Ranks) -> None:
        self._trainer, self._ranks = trainer, ranks
        self._told: set[str] = set()

    def on(self, report: PhaseReport) -> PhaseReport:
        """The report of the first rank.

        Where a metric differs between ranks though it was logged with ``sync_dist=True``, it is told once.
        """
        reports = self._ranks.of_all(report)
        for name in synced_metrics(self._trainer) - self._told if self._ranks.leads else ():
            values = [each.metrics.get(name) for each in reports]
            if any(not _same(value, values[0]) for value in values):
                self._told.add(name)
                log.warning(
                    "The metric %r was logged with sync_dist=True, and differs between the ranks: %s. Every "
                    "decision is made with that of rank 0.",
                    name,
                    ", ".join(f"{value!r} on rank {rank}" for rank, value in enumerate(values)),
                )
        return reports[0]


def _same(one: float | None, other: float | None) -> bool:
    both_nan = one is not None and other is not None and math.isnan(one) and math.isnan(other)
    return both_nan or one == other
