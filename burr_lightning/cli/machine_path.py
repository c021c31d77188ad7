"""The way a machine went on one line, with how long each step took, in colour where it stands out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.text import Text

from .output import duration

if TYPE_CHECKING:
    from ..steps import Item, Step


def path_text(steps: Sequence[Step], *, running: bool) -> Text:
    """A machine's steps on one line, each with how long it took, on average where it repeats.

    Args:
        steps: The steps, in order.
        running: Whether a process is in the one that is open.
    """
    from ..steps import folded

    return _written(folded(steps), running)


def _written(items: Sequence[Item], running: bool) -> Text:
    return Text(" → ").join(_item(item, running) for item in items)


def _item(item: Item, running: bool) -> Text:
    if isinstance(item, tuple):
        return _step(item, running)
    inner = _written(item.items, running)
    if len(item.items) > 1:
        inner = Text("(").append_text(inner).append(")")
    return inner.append(f" ×{item.times}", style="bold")


def _step(same: tuple[Step, ...], running: bool) -> Text:
    step = same[0]
    if step.ended is None:
        return _open(step, running)
    mean = sum((each.seconds or 0.0) for each in same) / len(same)
    text = Text(f"{step.action} {duration(mean)}")
    return text.append(" ✗ failed", style="bold red") if step.failed else text


def _open(step: Step, running: bool) -> Text:
    if not running:
        return Text(step.action).append(" ✗ cut off", style="yellow")
    so_far = (datetime.now(UTC) - step.started.astimezone()).total_seconds()
    return Text(step.action).append(f" … running for {duration(max(so_far, 0.0))}", style="cyan")
