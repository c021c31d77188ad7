"""What a run says on the console."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burr.core import State

from .layout import RunFolder
from .pausing import Pause
from .questions import Question
from .shadow import in_words
from .state import changed_by_fork, is_at_fork

if TYPE_CHECKING:
    from .opening import OpenRun


_SHOWN = 3


def opened(run: OpenRun, left_out: str | None = None) -> Iterator[str]:
    """What is said when a run is opened.

    Args:
        run: The run.
        left_out: A checkpoint that Lightning would have gone on from by itself.
    """
    standing = run.standing
    name = f"Run {run.settings.run_id!r} of project {run.settings.project!r}"
    if run.set_aside is not None:
        yield f"Burr's tracker knew another run of that name; it is kept as {run.set_aside.name!r}."
    for skipped in standing.skipped[:_SHOWN]:
        yield f"{name}: the commit of {skipped}; it cannot be used."
    if len(standing.skipped) > _SHOWN:
        yield f"{name}: nor can {len(standing.skipped) - _SHOWN} older ones."
    if run.driver.asking.paused is not None:
        yield f"{name} is paused, and nobody has answered yet."
    elif standing.finished:
        yield f"{name} is finished and is not trained again. {_result(standing.state)}"
        yield (
            "To continue it, raise the limit that ended it (Trainer(max_epochs=...)), change stop_when or "
            "take away the callback that stopped it; to start a new run, give BurrCallback another run_id."
        )
    elif standing.checkpoint is not None:
        yield f"{name} goes on {place(standing.state)}{_forked(standing.state)}."
    else:
        yield f"{name} starts."
    if left_out is not None:
        yield (
            f"{name}: the checkpoint {left_out}, which Lightning would take by itself, is left out. To start "
            f"a new run from it, give BurrCallback a new run_id and trainer.fit(ckpt_path={left_out!r})."
        )


def _forked(state: State[Any]) -> str:
    """Of a fork that begins, what it was forked from, and what it changes."""
    fork = state["fork"]
    if not is_at_fork(state):
        return ""
    changes = ", ".join(f"{name}={new}" for name, (_, new) in changed_by_fork(state).items())
    return f" of {fork['run_id']!r}, which it was forked from" + (f", with {changes}" if changes else "")


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


def waits(pause: Pause) -> Iterator[str]:
    """What is said of a question: what it is, why it is asked, and what answers it."""
    question = pause.question
    after = f"after epoch {question.epoch}" if question.epoch >= 0 else "before the end of its first epoch"
    yield f"Run {pause.run_id!r} waits for an answer, {after}: {question.text}"
    if question.reason:
        yield f"Why it asks: {question.reason}"
    yield f"It takes: {'; '.join(field.in_words() for field in question.fields)}"
    yield f"To answer: {pause.command}"


def paused(pause: Pause) -> Iterator[str]:
    """What is said where a process ends with a question open."""
    if pause.folder is None:
        yield f"Run {pause.run_id!r} would wait here, and leaves nothing on disk: {pause.question.text}"
        return
    yield from waits(pause)
    yield "With the answer, the same script goes on from here; `burr-lightning work` starts it by itself."


def answer_command(run_id: str, project: str, root: Path, question: Question) -> str:
    """The command that answers a question, for a shell in this folder."""
    where = ["--root-dir", str(root)]  # it may be read in another folder, and much later
    given = [_given(field.name, field.options) for field in question.fields if field.required]
    named = ["burr-lightning", "review", run_id, "--project", project, *where]
    return shlex.join([*named, *(word for words in given for word in words)])


def _given(name: str, options: tuple[str, ...] | None) -> list[str]:
    value = options[0] if options else "..."
    return ["--verdict", value] if name == "verdict" else ["--set", f"{name}={value}"]


def failed(run_id: str, action: str | None, error: BaseException, state: State[Any]) -> str:
    """What is said when an exception ends a run."""
    where = f"in {action} " if action else ""
    resumes = f"goes on {place(state)}" if state["checkpoint"] else "starts afresh"
    return f"Run {run_id!r} ended {where}with {type(error).__name__}. The next start {resumes}."


def goes_on_though_cut_short(epoch: int) -> str:
    """What is said of an epoch that was left early for nothing."""
    return (
        f"Epoch {epoch} was cut short after a validation, by a condition that no longer holds with what was "
        f"logged at its end: the run goes on. A condition on metrics of the training is best put together "
        f"with validation at the end of the epoch."
    )


def goes_on_alone(state: State[Any], position: str | None, following: str | None) -> str:
    """What is said of a machine that does not end with Lightning."""
    return (
        f"Lightning has ended the training ({state['stop_reason']}), and after {position!r} the machine goes "
        f"on to {following!r}, so the run is not finished. Add a transition to its last action that holds "
        f"there, with burr_lightning.machines.FINISHED."
    )


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
