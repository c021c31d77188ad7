"""Where two stored runs differ: what they were given, what drove them, and what came of it."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..layout import RunFolder
from ..long_values import LONGEST, CutValue
from ..runs.words import status_in_words

if TYPE_CHECKING:
    from ..runs import Run

MISSING = object()
"""Stands for what one of the runs does not have."""

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """One thing in which two runs differ."""

    section: str
    name: str
    left: Any
    """What it is in the first run, `MISSING` where that has none."""
    right: Any

    def as_json(self) -> dict[str, Any]:
        """The difference for programs; what a run does not have is left out."""
        sides = {"left": self.left, "right": self.right}
        has = {side: value for side, value in sides.items() if value is not MISSING}
        return {"section": self.section, "name": self.name, **has}


@dataclass(frozen=True)
class Comparison:
    """Where two runs differ."""

    differences: list[Difference]
    same: list[str]
    """The sections in which they do not."""
    not_compared: dict[str, str]
    """The sections and the single values that are not known whole of both, and why."""


def compared(left: Run, right: Run) -> Comparison:
    """Compare two runs, section by section."""
    found: list[Difference] = []
    same: list[str] = []
    not_compared: dict[str, str] = {}
    for section, facts_of, why_not in _SECTIONS:
        sides = [facts_of(left), facts_of(right)]
        unknown = [run.run_id for run, facts in zip((left, right), sides, strict=True) if facts is None]
        if unknown:
            not_compared[section] = f"{why_not} {', '.join(dict.fromkeys(unknown))}"
            continue
        one, other = (facts or {} for facts in sides)
        differences = list(_differences(section, one, other))
        found += differences
        cut_off = {f"{section} {name}": _CUT_OFF for name in one if _is_cut_off(one[name], other.get(name))}
        not_compared |= cut_off
        if not differences and not cut_off:
            same.append(section)
    return Comparison(found, same, not_compared)


def _differences(section: str, left: Facts, right: Facts) -> Iterator[Difference]:
    for name in dict.fromkeys([*left, *right]):
        one, other = left.get(name, MISSING), right.get(name, MISSING)
        if one is MISSING or other is MISSING or not _alike(one, other):
            yield Difference(section, name, one, other)


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are the same, NaN and NaN included."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    cuts = CutValue.of(one), CutValue.of(other)
    if cuts[0] is not None and cuts[1] is not None:
        return cuts[0].may_be(cuts[1])
    return bool(one == other)


def _is_cut_off(one: Any, other: Any) -> bool:
    """Whether two values are the same as far as they were kept, and it is not known whether beyond that."""
    cuts = CutValue.of(one), CutValue.of(other)
    known = cuts[0] is None or cuts[1] is None or cuts[0].is_known_to_be(cuts[1])
    return not known and _alike(one, other)


def _origin(run: Run) -> Facts:
    return {"project": run.project, "forked from": str(run.parent) if run.parent is not None else None}


def _hparams(run: Run) -> Facts | None:
    return dict(_flat(run.state["hparams"])) if run.state is not None else None


def _data(run: Run) -> Facts | None:
    data = run.state["data"] if run.state is not None else None
    if not isinstance(data, Mapping):
        return None
    facts: dict[str, Any] = {}
    for part, loaders in data.items():
        for number, loader in enumerate(loaders or ()):
            which = f"{part} {number}" if len(loaders) > 1 else part
            facts |= {f"{which} {fact.replace('_', ' ')}": value for fact, value in loader.items()}
    return facts


def _machine(run: Run) -> Facts | None:
    graph = run.tracked_graph()
    if graph is None:
        return None
    conditions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for transition in graph["transitions"]:
        conditions[transition["from_"], transition["to"]].append(transition["condition"])
    return {
        "begins with": graph["entrypoint"],
        **{f"action {action['name']}": _code(action) for action in graph["actions"]},
        **{f"{source} → {target}": _when(names) for (source, target), names in conditions.items()},
    }


def _code(action: Mapping[str, Any]) -> str:
    """The code of an action, by its digest: two actions of one name may do different things."""
    return f"code {hashlib.sha256(str(action.get('code')).encode()).hexdigest()[:8]}"


def _when(conditions: list[str]) -> str:
    return " or ".join("always" if name == "default" else f"when {name}" for name in conditions)


def _conditions(run: Run) -> Facts | None:
    if run.state is None:
        return None
    monitor = run.state["monitor"] or {}
    info = RunFolder(run.folder.parent.parent, run.project, run.run_id).info()
    limits = {name: limit for name, limit in ((info.limits if info else None) or {}).items() if limit}
    shadow = {f"shadow {name}": entry["condition"] for name, entry in run.state["shadow"].items()}
    return {"monitor": monitor.get("metric"), "mode": monitor.get("mode"), **limits, **shadow}


def _result(run: Run) -> Facts | None:
    if run.state is None:
        return None
    facts: dict[str, Any] = {
        "status": status_in_words(run),
        "epochs": len(run.history),
        "why it stopped": run.stop_reason,
    }
    for name in run.history.names:
        facts |= {f"{name}, {which}": value for which, value in _values(run, name)}
    return facts


def _values(run: Run, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The best value of a metric, where it is known which one that is, and the newest."""
    monitor = (run.state["monitor"] if run.state is not None else None) or {}
    is_monitored = monitor.get("metric") == name
    mode = (monitor["mode"] if is_monitored else None) or run.history.direction(name)
    if mode is not None or is_monitored:
        progress = run.history.progress(name, mode or "min")
        if progress.best_epoch >= 0:
            yield "best", {"value": progress.best, "epoch": progress.best_epoch}
    epoch, value = run.history.latest(name)
    yield "last", {"value": value, "epoch": epoch}


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


_CUT_OFF = f"an older version has kept its first {LONGEST} characters, and those are the same"
_NO_ROW = "no row can be read of"
_SECTIONS: tuple[tuple[str, Callable[[Run], Facts | None], str], ...] = (
    ("origin", _origin, ""),
    ("hyperparameters", _hparams, _NO_ROW),
    ("data", _data, "no fingerprint is stored of"),
    ("machine", _machine, "Burr's local tracker has nothing of"),
    ("conditions", _conditions, _NO_ROW),
    ("result", _result, _NO_ROW),
)
