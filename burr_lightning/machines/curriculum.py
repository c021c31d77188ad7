"""A curriculum: other data in each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from burr.core import Condition
from burr.core.graph import Graph

from ..actions import BestModel, SwapData
from .stages import Stage, staged_machine


@dataclass(frozen=True)
class Lesson:
    """A stage of a curriculum.

    Args:
        name: What it is called.
        until: What ends it, asked as if the run had begun with it; ``None`` leaves the last one to
            Lightning's own limits.
        data: What `SwapData` is given: settings of the datamodule, or loaders.

    Example:
        >>> from burr_lightning.conditions import max_epochs
        >>> Lesson("easy", until=max_epochs(3), data={"hardest": 0.3}).data
        {'hardest': 0.3}
    """

    name: str
    until: Condition | None
    data: Mapping[str, Any] = field(default_factory=dict)


def curriculum(lessons: Sequence[Lesson], best_model: BestModel | None = None) -> Graph:
    """A machine that trains on other data in each stage, from easy to hard.

    Args:
        lessons: The stages, in order.
        best_model: The last action; ``None`` is `BestModel()`.

    Returns:
        A Burr graph.

    Raises:
        MachineError: As `staged_machine`.

    Example:
        >>> from burr_lightning.conditions import max_epochs, reached
        >>> machine = curriculum([
        ...     Lesson("easy", reached("val_acc", 0.8, mode="max"), {"hardest": 0.3}),
        ...     Lesson("all", max_epochs(10), {"hardest": 1.0}),
        ... ])
        >>> [action.name for action in machine.actions][:4]
        ['process_data', 'begin_easy', 'data_of_easy', 'train_easy']
    """
    stages = [
        Stage(
            lesson.name,
            lesson.until,
            {f"data_of_{lesson.name}": SwapData(**lesson.data)} if lesson.data else {},
        )
        for lesson in lessons
    ]
    return staged_machine(stages, best_model)
