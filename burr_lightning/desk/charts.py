"""What the learning curves of a run are drawn from, as JSON without NaN: names are only ever texts in it."""

from __future__ import annotations

import math
from typing import Any

from ..history import MetricHistory
from ..plots import groups_of, spans_magnitudes
from ..recording import Recording
from ..runs import Run
from ..thinning import thinned


def charts_of(run: Run) -> dict[str, Any]:
    """The panels of a run: what measures the same shares one.

    Each curve has a point for each epoch in which its metric was logged; ``None`` where it was not finite.
    """
    history = run.history
    recording = history.recording()
    monitor = run.state["monitor"] if run.state else None
    monitored = monitor["metric"] if monitor else None
    panels = [
        _panel(label, names, recording, monitored) for label, names in groups_of(history).items() if names
    ]
    return {
        "panels": panels,
        "best": _best(run, monitored),
        "ended": len(history) - 1 if run.status in ("finished", "failed") and len(history) else None,
        "reviews": sorted({asked.question.epoch for asked in run.reviews if asked.answer is not None}),
    }


def newest_values(history: MetricHistory, best: int | None) -> list[dict[str, Any]]:
    """For each metric its newest value and that of the best epoch: the curves in numbers.

    Args:
        history: The metrics.
        best: The best epoch, ``None`` where there is none.
    """
    rows = []
    for name in history.names:
        epoch, value = history.latest(name)
        known = best is not None and 0 <= best < len(history)
        of_best = history[name][best] if known and best is not None else math.nan
        rows.append({"name": name, "epoch": epoch, "newest": value, "best": of_best})
    return rows


def _panel(label: str, names: list[str], recording: Recording, monitored: str | None) -> dict[str, Any]:
    curves = [_curve(name, recording, name == monitored) for name in names]
    values = [value for curve in curves for value in curve["y"] if value is not None]
    return {"label": label, "log": spans_magnitudes(values), "curves": curves}


def _curve(name: str, recording: Recording, monitored: bool) -> dict[str, Any]:
    series = recording.series[name]
    by_epoch = dict(zip(recording.epochs[series.at].tolist(), map(float, series.values), strict=True))
    values = [value if math.isfinite(value) else None for value in by_epoch.values()]
    at, kept = thinned(list(by_epoch), values)
    return {"name": name, "monitored": monitored, "role": _role(name), "x": at, "y": kept}


def _role(name: str) -> str:
    """What a metric was measured on, by its name: the same colour in every panel."""
    first = name.replace("/", "_").split("_", 1)[0].lower()
    known = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
    return known.get(first, "test" if first == "test" else "other")


def _best(run: Run, monitored: str | None) -> dict[str, Any] | None:
    best = run.best
    if best is None or monitored is None or best["value"] is None or not math.isfinite(best["value"]):
        return None
    return {"epoch": best["epoch"], "value": best["value"], "metric": monitored}
