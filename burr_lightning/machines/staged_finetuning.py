"""Fine-tuning in stages: more of the module trains in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from burr.core import Condition
from burr.core.action import Action
from burr.core.graph import Graph

from ..actions import BestModel, Freeze, Unfreeze
from ..errors import ArgumentError
from .stages import Stage, staged_machine


@dataclass(frozen=True)
class Unfrozen:
    """A stage of a fine-tuning.

    Args:
        name: What it is called.
        patterns: What trains from here on, beside what trained before; see `Unfreeze`.
        until: What ends it, asked as if the run had begun with it; ``None`` leaves the last stage to
            Lightning's own limits.
        lr: The learning rate of what is unfrozen; ``None`` leaves it in the groups where it is.

    Raises:
        ArgumentError: If ``patterns`` is one text.

    Example:
        >>> from burr_lightning.conditions import plateau
        >>> Unfrozen("head", ["head.*"], until=plateau("val_loss", 3)).lr is None
        True
    """

    name: str
    patterns: Sequence[str]
    until: Condition | None
    lr: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.patterns, str):
            raise ArgumentError(
                f"Unfrozen({self.name!r}, {self.patterns!r}, ...): give a list of patterns, as "
                f"[{self.patterns!r}]."
            )


def staged_finetuning(stages: Sequence[Unfrozen], best_model: BestModel | None = None) -> Graph:
    """A machine that freezes all of the module, and trains more of it in each stage.

    Args:
        stages: What trains when: the head, then the last block, then all.
        best_model: The last action; ``None`` is `BestModel()`.

    Returns:
        A Burr graph.

    Raises:
        MachineError: As `staged_machine`.

    Example:
        >>> from burr_lightning.conditions import plateau
        >>> machine = staged_finetuning([
        ...     Unfrozen("head", ["head"], plateau("val_loss", 2)),
        ...     Unfrozen("all", ["*"], plateau("val_loss", 3), lr=1e-4),
        ... ])
        >>> [action.name for action in machine.actions][:4]
        ['process_data', 'begin_head', 'freeze_all', 'unfreeze_head']
    """
    return staged_machine(
        [_stage(stage, first=number == 0) for number, stage in enumerate(stages)], best_model
    )


def _stage(stage: Unfrozen, *, first: bool) -> Stage:
    actions: dict[str, Action] = {"freeze_all": Freeze("*")} if first else {}
    actions[f"unfreeze_{stage.name}"] = Unfreeze(*stage.patterns, lr=stage.lr)
    return Stage(stage.name, stage.until, actions)
