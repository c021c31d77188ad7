"""What a run says on the console."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from burr.core import State

from .layout import RunFolder
from .shadow import in_words

if TYPE_CHECKING:
    from .opening import OpenRun


_SHOWN = 3


def opened(run: OpenRun) -> Iterator[str]:
    """What is said when a run is opened."""
    standing = run.standing
    name = f"Run {run.settings.run_id!r} of project {run.settings.project!r}"
    if run.set_aside is not None:
        yield f"Burr's tracker knew another run of that name; it is kept as {run.set_aside.name!r}."
    for skipped in standing.skipped[:_SHOWN]:
        yield f"{name}: the commit of {skipped}; it cannot be used."
    if len(standing.skipped) > _SHOWN:
        yield f"{name}: nor can {len(standing.skipped) - _SHOWN} older ones."
    if standing.finished:
        yield f"{name} is finished and is not trained again. {_result(standing.state)}"
        yield (
            "To continue it, raise the limit that ended it (Trainer(max_epochs=...)), change stop_when or "
            "take away the callback that stopped it; to start a new run, give BurrCallback another run_id."
        )
    elif standing.checkpoint is not None:
        yield f"{name} goes on {place(standing.state)}."
    else:
        yield f"{name} starts."


def ended(run_id: str, state: State[Any], folder: RunFolder | None) -> Iterator[str]:
    """What is said when a run ends as it should."""
    if state["epoch"] < 0:
        yield f"Run {run_id!r} ended before its first epoch: Lightning had nothing to train."
        return
    yield f"Run {run_id!r} ended after epoch {state['epoch']}. {_result(state)}"
    for name, entry in state["shadow"].items():
        yield f"Shadow condition {name!r} {in_words(entry)}"
    if folder is not None and state["best"] and state["best"]["checkpoint"]:
        best = folder.path / state["best"]["checkpoint"]
        kept = "" if best.exists() else " (not kept: Checkpoints(keep_best=0))"
        yield f"Best checkpoint: {best}{kept}"


def failed(run_id: str, action: str | None, error: BaseException, state: State[Any]) -> str:
    """What is said when an exception ends a run."""
    where = f"in {action} " if action else ""
    resumes = f"goes on {place(state)}" if state["checkpoint"] else "starts afresh"
    return f"Run {run_id!r} ended {where}with {type(error).__name__}. The next start {resumes}."


def place(state: State[Any]) -> str:
    """Where a run goes on, in words."""
    checkpoint = state["checkpoint"]
    if "batch" in checkpoint:
        return f"in epoch {checkpoint['epoch']}, after {checkpoint['batch']} batches of it"
    return f"after epoch {checkpoint['epoch']}"


def _result(state: State[Any]) -> str:
    reason = state["stop_reason"] or "the machine ended"
    best = state["best"]
    if best is None:
        return f"Why: {reason}."
    if best["value"] is None:
        return f"Why: {reason}. Last epoch: {best['epoch']}."
    metric = state["monitor"]["metric"]
    return f"Why: {reason}. Best epoch: {best['epoch']}, {metric} {best['value']:.4g}."
