"""What `--json` tells of a run; the keys are stable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..runs import Run
    from ..steps import Step


def summary(run: Run) -> dict[str, Any]:
    """What `burr-lightning runs` tells of each run; its epoch is -1 before the first one has ended.

    Where its rows cannot be read, that is not known, and its epoch is ``None``.
    """
    best = {**run.best, "checkpoint": run.best_checkpoint} if run.best else None
    return {
        "run_id": run.run_id,
        "project": run.project,
        "status": run.status,
        "epoch": run.epoch if run.state is not None or run.rows_error is None else None,
        "monitor": run.state["monitor"] if run.state else None,
        "best": best,
        "parent": {"run_id": run.parent.run_id, "epoch": run.parent.epoch} if run.parent else None,
        "rows_error": run.rows_error,
        "created": run.created.astimezone().isoformat(),
    }


def details(run: Run) -> dict[str, Any]:
    """What `burr-lightning show` tells: the summary, and the rest."""
    state: Any = run.state if run.state is not None else {}
    return {
        **summary(run),
        "error": run.error,
        "stop_reason": run.stop_reason,
        "question": question.as_json() if (question := run.question) is not None else None,
        "reviews": [
            {
                "question": asked.question.as_json(),
                "answer": asked.answer.as_json() if asked.answer is not None else None,
            }
            for asked in run.reviews
        ],
        "folder": run.folder,
        "forks": [fork.run_id for fork in run.children()],
        "last_checkpoint": run.last_checkpoint,
        **{key: state.get(key) for key in ("global_step", "seconds", "hparams", "data", "metrics", "shadow")},
        "path": [_step(step) for step in run.path],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "sequence_id": step.sequence_id,
        "action": step.action,
        "started": step.started.astimezone().isoformat(),
        "seconds": step.seconds,
        "failed": step.failed,
        "epoch": step.epoch,
    }
