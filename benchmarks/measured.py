"""What a benchmark has measured, beside what it must reach."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("burr-lightning", "torch", "lightning", "torchmetrics", "apache-burr", "optuna", "ray", "numpy")


@dataclass(frozen=True)
class Measured:
    """One row of the table.

    Args:
        what: What was measured.
        against: Beside what.
        values: A ratio, or a difference, of each repeat.
        unit: ``"times"``, or the unit of a difference.
        bound: What the median must not exceed; what it must reach, where ``at_least``.
        at_least: Whether more is better.
        sides: The medians that the values are made of, by name, with units in the name.
    """

    what: str
    against: str
    values: tuple[float, ...]
    unit: str
    bound: float
    at_least: bool = False
    sides: Mapping[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The middle of the repeats."""
        return statistics.median(self.values)

    @property
    def is_reached(self) -> bool:
        """Whether it is what it must be."""
        return self.median >= self.bound if self.at_least else self.median <= self.bound

    def as_json(self) -> dict[str, Any]:
        """The row, and what follows from it."""
        facts = {"median": self.median, "least": min(self.values), "most": max(self.values)}
        return {**vars(self), **facts, "is_reached": self.is_reached}


def in_turn(repeats: int, ways: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """What each way measures, once a repeat: they take turns, and share the noise of the machine."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for repeat in range(repeats):
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(ways[name]())
    return found


def medians(found: Mapping[str, list[float]], unit: str, scale: float = 1.0) -> dict[str, float]:
    """The median of each way, named with its unit."""
    return {f"{name} [{unit}]": statistics.median(values) * scale for name, values in found.items()}


def ratios(found: Mapping[str, list[float]]) -> tuple[float, ...]:
    """How many times the first of two ways the second one is, each repeat."""
    first, second = found.values()
    return tuple(after / before for before, after in zip(first, second, strict=True))


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "versions": versions,
    }


def quiet() -> None:
    """Have Lightning say nothing, and torch use one core."""
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    for name in ("lightning.pytorch", "lightning.fabric", "burr_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a time; with ``BENCH_FOLDER`` on another disk than that of the temporary files."""
    before = os.environ.get("HOME", "")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        os.environ["HOME"] = folder  # where Burr's tracker writes
        try:
            yield Path(folder)
        finally:
            os.environ["HOME"] = before


def write(path: Path, rows: list[Measured]) -> None:
    """Write rows as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "rows": [row.as_json() for row in rows]}
    path.write_text(json.dumps(content, indent=1))
