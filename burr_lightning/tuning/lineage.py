"""The trials of a study as a tree: each under the one that it goes on from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .ledger import Ledger
from .trial_record import TrialRecord

_Children = Mapping[int | None, Sequence[TrialRecord]]


def as_tree(ledger: Ledger) -> str:
    """The trials of a study, one line for each stretch in which a member went on as it was.

    Args:
        ledger: The trials.

    Example:
        >>> ledger = Ledger()
        >>> for member, parent, lr, loss in [(0, None, 0.1, 0.5), (1, None, 0.2, 0.9), (1, 0, 0.08, 0.4)]:
        ...     segment = {"member": member, "parent": parent, "max_epochs": 5 if parent is None else 10}
        ...     ledger = ledger.suggested({"lr": lr}, "run", segment=segment)
        ...     ledger = ledger.ended(len(ledger) - 1, "finished", values=[loss], at=0.0)
        >>> print(as_tree(ledger))
        0  member 0, 5 epochs: 0.5  (lr=0.1)
        └─ 2  member 1, 10 epochs: 0.4  (lr 0.1 → 0.08)
        1  member 1, 5 epochs: 0.9  (lr=0.2)
    """
    children: dict[int | None, list[TrialRecord]] = {}
    for trial in ledger:
        children.setdefault(trial.parent, []).append(trial)
    lines: list[str] = []
    for root in children.get(None, ()):
        stretch = _stretch(root, children)
        lines.append(_line(stretch, None))
        lines += _under(stretch[-1], "", children)
    return "\n".join(lines)


def _under(trial: TrialRecord, before: str, children: _Children) -> Iterator[str]:
    own = children.get(trial.number, ())
    for child in own:
        is_last = child is own[-1]
        stretch = _stretch(child, children)
        yield f"{before}{'└─ ' if is_last else '├─ '}{_line(stretch, trial)}"
        yield from _under(stretch[-1], f"{before}{'   ' if is_last else '│  '}", children)


def _stretch(trial: TrialRecord, children: _Children) -> list[TrialRecord]:
    """A trial, and those after it that nothing else goes on beside and that change nothing."""
    stretch = [trial]
    while len(following := children.get(stretch[-1].number, ())) == 1:
        [after] = following
        if after.member != trial.member or after.params != trial.params:
            break
        stretch.append(after)
    return stretch


def _line(stretch: Sequence[TrialRecord], parent: TrialRecord | None) -> str:
    numbers = ", ".join(str(trial.number) for trial in stretch)
    facts = []
    if stretch[0].segment is not None:
        epochs = " ".join(str(trial.segment.max_epochs) for trial in stretch if trial.segment is not None)
        facts = [f"member {stretch[0].member}", f"{epochs} epochs"]
    said = f"{', '.join(facts)}: " if facts else ""
    params = ", ".join(_params(stretch[0].params, parent.params if parent is not None else None))
    return f"{numbers}  {said}{' '.join(map(_came_to, stretch))}" + (f"  ({params})" if params else "")


def _params(params: Mapping[str, Any], before: Mapping[str, Any] | None) -> Iterator[str]:
    for name, value in params.items():
        if before is None:
            yield f"{name}={_short(value)}"
        elif before.get(name) != value:
            yield f"{name} {_short(before.get(name))} → {_short(value)}"


def _came_to(trial: TrialRecord) -> str:
    finished = trial.status == "finished" and trial.values is not None
    return "/".join(map(_short, trial.values or ())) if finished else trial.status


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
