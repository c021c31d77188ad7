"""The way a machine went: its steps, as Burr's local tracker recorded them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from burr.tracking import LocalTrackingClient

from .tracked import PhaseKind, phase_kinds

_LONGEST_BLOCK = 24
"""How many steps may repeat together; more would read no better, and cost more to find."""


@dataclass(frozen=True)
class Step:
    """One step of a machine, as Burr's tracker recorded it."""

    sequence_id: int
    """Its number in the run."""
    action: str
    started: datetime
    ended: datetime | None
    """``None`` while it is open, and where the process was killed in it."""
    failed: bool
    epoch: int | None
    """The epoch that a phase belongs to."""
    batches: int | None = None
    """How many batches a phase had, ``None`` where that is not known."""
    phase: PhaseKind | None = field(default=None, compare=False)
    """Whether it is a phase of training or of validation, ``None`` for an ordinary action. That is in the
    graph and not in the log, so steps that are alike in all else are equal."""
    stage: str | None = None
    """The stage that it began."""
    trained: float | None = None
    """Seconds of training until the end of a phase, of all processes of the run."""

    @property
    def seconds(self) -> float | None:
        """How long it took, 0 or more: a clock that was set back in between tells nothing."""
        return max((self.ended - self.started).total_seconds(), 0.0) if self.ended else None


class MachinePath(list[Step]):
    """The steps of a machine, in order; as text, what repeats is written once.

    Example:
        >>> began = datetime(2026, 1, 1)
        >>> names = ["process_data", *["train_epoch", "validate"] * 3, "best_model"]
        >>> print(MachinePath(Step(i, name, began, began, False, None) for i, name in enumerate(names)))
        process_data -> (train_epoch -> validate) x 3 -> best_model
    """

    def __str__(self) -> str:
        return _in_words(folded(self))


def _in_words(items: Sequence[Item]) -> str:
    return " -> ".join(_item_in_words(item) for item in items)


def _item_in_words(item: Item) -> str:
    if isinstance(item, Repeated):
        words = _in_words(item.items)
        return f"({words}) x {item.times}" if len(item.items) > 1 else f"{words} x {item.times}"
    return item[0].action + (" (failed)" if item[0].failed else "")


def read_steps(folder: Path) -> MachinePath:
    """The steps that a local tracker recorded, in order; empty where it recorded none."""
    steps: dict[int, Step] = {}
    path = folder / LocalTrackingClient.LOG_FILENAME
    if not path.exists():
        return MachinePath()
    phases = phase_kinds(folder)
    with open(path, encoding="utf-8") as log:
        for line in log:
            entry = log_entry(line)
            if (step := step_of(entry, steps)) is not None:
                steps[step.sequence_id] = replace(step, phase=phases.get(step.action))
    return MachinePath(steps.values())


def step_of(entry: Mapping[str, Any], known: Mapping[int, Step]) -> Step | None:
    """The step that an entry of a log begins or ends, ``None`` for an entry of another kind.

    Args:
        entry: The entry.
        known: The steps that have begun, by number: an end without its beginning tells of none.
    """
    if entry.get("type") == "begin_entry":
        started = datetime.fromisoformat(entry["start_time"])
        return Step(entry["sequence_id"], entry["action"], started, None, False, None)
    if entry.get("type") != "end_entry" or entry["sequence_id"] not in known:
        return None
    result = entry["result"] or {}
    is_phase = {"epoch", "first_batch"} <= result.keys()
    stage = result.get("stage")
    return replace(
        known[entry["sequence_id"]],
        ended=datetime.fromisoformat(entry["end_time"]),
        failed=entry["exception"] is not None,
        epoch=result["epoch"] if is_phase else None,
        batches=_batches(result) if is_phase else None,
        stage=stage.get("name") if isinstance(stage, dict) else None,
        trained=result.get("seconds") if is_phase else None,
    )


def _batches(result: Mapping[str, Any]) -> int | None:
    first, last = result["first_batch"], result.get("last_batch")
    return last - first + 1 if first is not None and last is not None and last >= first else None


def log_entry(line: str | bytes) -> dict[str, Any]:
    """One line of the log; the last one is torn where the process was killed while writing it."""
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


@dataclass(frozen=True)
class Repeated:
    """Items that came several times in a row."""

    items: tuple[Item, ...]
    times: int


Item = Repeated | tuple[Step, ...]
"""What is written once: a step, with the same step of every repetition, or several that repeat."""


def folded(steps: Sequence[Step]) -> tuple[Item, ...]:
    """The steps, with those that repeat one another put together, inner repetitions first."""
    return tuple(_items([(step,) for step in steps]))


def _items(slots: Sequence[tuple[Step, ...]]) -> Iterator[Item]:
    at = 0
    while at < len(slots):
        length, times = _longest_repetition(slots, at)
        if times == 1:
            yield slots[at]
        else:
            block = [_merged(slots[at + i : at + length * times : length]) for i in range(length)]
            yield Repeated(tuple(_items(block)), times)
        at += length * times


def _longest_repetition(slots: Sequence[tuple[Step, ...]], at: int) -> tuple[int, int]:
    """The block that begins here and covers most by repeating: its length, and how often it comes."""
    best = (1, 1)
    for length in range(1, min(_LONGEST_BLOCK, (len(slots) - at) // 2) + 1):
        end = at
        while end + length < len(slots) and _alike(slots[end], slots[end + length]):
            end += 1
        times = (end - at) // length + 1
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best


def _alike(one: tuple[Step, ...], other: tuple[Step, ...]) -> bool:
    return one[0].action == other[0].action and not (_stands_out(one[0]) or _stands_out(other[0]))


def _stands_out(step: Step) -> bool:
    return step.failed or step.ended is None


def _merged(slots: Sequence[tuple[Step, ...]]) -> tuple[Step, ...]:
    return tuple(step for slot in slots for step in slot)
