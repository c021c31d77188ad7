"""The way a machine went, as nested items that a template can write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..steps import Item, Repeated, Step, folded


@dataclass(frozen=True)
class PathItem:
    """A step, or several that repeat."""

    times: int
    """How often it came in a row."""
    inner: tuple[PathItem, ...] = ()
    """What repeats, in order; empty for a single step."""
    action: str = ""
    mean: float | None = None
    """Seconds that the step took, on average; ``None`` where it did not end."""
    failed: bool = False


def path_items(steps: Sequence[Step]) -> list[PathItem]:
    """A machine's steps, each group that repeats once."""
    return [_item(item) for item in folded(steps)]


def _item(item: Item) -> PathItem:
    if isinstance(item, Repeated):
        inner = tuple(map(_item, item.items))
        if len(inner) == 1 and not inner[0].inner:
            only = inner[0]
            return PathItem(item.times, (), only.action, only.mean, only.failed)
        return PathItem(item.times, inner)
    taken = [step.seconds for step in item if step.seconds is not None]
    mean = sum(taken) / len(taken) if taken else None
    return PathItem(1, (), item[0].action, mean, item[0].failed)
