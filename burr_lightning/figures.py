"""Figures of stored runs: learning curves, a timeline, several runs at once, the tree of forks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .commit_times import read_commit_times
from .metric import Mode
from .plots import Branch, Marks, RunCurves, Wait, plot_run, plot_runs, plot_timeline, plot_tree
from .runs.words import best_in_words, status_in_words

if TYPE_CHECKING:
    from .runs import Run

__all__ = ["curves_figure", "overlay_figure", "timeline_figure", "tree_figure"]

_LONGEST = 180
"""Characters of a title."""


def curves_figure(run: Run, metrics: Sequence[str] = ()) -> Any:
    """The learning curves of a run, with its stages, actions, commits, forks and stops under them.

    Args:
        run: The run.
        metrics: Which metrics are drawn; none for all.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.
        UnknownMetricError: If nothing has logged one of ``metrics``.

    Example:
        >>> from burr_lightning.testing import scripted_run
        >>> curves_figure(scripted_run("digits", val_loss=[0.9, 0.5])).savefig("digits.png")
    """
    monitor = _monitor(run)
    return plot_run(_title(run), run.history, run.path, monitor, run.best, marks_of(run), metrics=metrics)


def timeline_figure(run: Run) -> Any:
    """Where the time of a run went; see ``burr_lightning.plots.plot_timeline``.

    Args:
        run: The run; one that Burr's local tracker did not record has nothing to be drawn.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> from burr_lightning.testing import scripted_run
        >>> timeline_figure(scripted_run("digits", val_loss=[0.9, 0.5])).savefig("timeline.png")
    """
    known = run.rows_error is None
    committed = {commit.sequence_id for commit in run.commits} if known else None
    measured = read_commit_times(run.folder)
    return plot_timeline(_title(run), run.path, waits_of(run), committed, measured)


def overlay_figure(runs: Sequence[Run], metrics: Sequence[str] = ()) -> Any:
    """Several runs on top of each other; see ``burr_lightning.plots.plot_runs``.

    A fork whose parent is among them is drawn from where it has left it.

    Args:
        runs: The runs.
        metrics: What is drawn, in this order; none draws what they monitor, and then what they share.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.
        UnknownMetricError: If no run has logged one of ``metrics``.

    Example:
        >>> from burr_lightning.testing import scripted_run
        >>> runs = [scripted_run("a", val_loss=[0.9, 0.5]), scripted_run("b", val_loss=[0.8, 0.6])]
        >>> overlay_figure(runs, ["val_loss"]).savefig("both.png")
    """
    ids = [run.run_id for run in runs]
    curves = [
        RunCurves(
            run.run_id if ids.count(run.run_id) == 1 else f"{run.project}/{run.run_id}",
            run.history,
            _monitor(run),
            _directions(run),
            run.parent.epoch if run.parent is not None and any(map(run.is_fork_of, runs)) else 0,
        )
        for run in runs
    ]
    return plot_runs(curves, metrics)


def tree_figure(runs: Sequence[Run], title: str = "") -> Any:
    """Runs and their forks as a tree; see ``burr_lightning.plots.plot_tree``.

    Args:
        runs: The runs, of one project.
        title: What stands over the figure.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> from burr_lightning.testing import scripted_run
        >>> run = scripted_run("digits", val_loss=[0.9, 0.5])
        >>> tree_figure([run, run.fork(epoch=0, run_id="lower")]).savefig("forks.png")
    """
    return plot_tree(branches_of(runs), title)


def marks_of(run: Run) -> Marks:
    """What is marked in a run's curves; commits only where its rows can be read."""
    shadow: Mapping[str, Any] = run.state["shadow"] if run.state is not None else {}
    commits = run.commits if run.rows_error is None else []
    return Marks(
        commits=tuple(commit.epoch for commit in commits if commit.exists),
        origin=(run.parent.run_id, run.parent.epoch) if run.parent is not None else None,
        forks=tuple((fork.run_id, fork.parent.epoch) for fork in run.children() if fork.parent is not None),
        shadow={name: entry["epoch"] for name, entry in shadow.items() if entry["epoch"] is not None},
        stop=run.epoch if run.stop_reason is not None else None,
    )


def waits_of(run: Run) -> list[Wait]:
    """When a human was waited for; where one still is, until now."""
    return [
        Wait(
            datetime.fromtimestamp(asked.question.asked),
            datetime.fromtimestamp(asked.answer.answered) if asked.answer is not None else datetime.now(),
        )
        for asked in run.reviews
    ]


def branches_of(runs: Sequence[Run]) -> list[Branch]:
    """Runs of one project as lines of a tree of forks."""
    known = {run.run_id: run for run in runs}
    return [_branch(run, known) for run in runs]


def _branch(run: Run, known: Mapping[str, Run]) -> Branch:
    best, parent = run.best, run.parent.run_id if run.parent is not None else None
    if parent is not None and parent in known and not run.is_fork_of(known[parent]):
        parent = f"{parent} (deleted)"  # which no run is called: it is none of those that are drawn
    return Branch(
        run.run_id,
        parent,
        run.parent.epoch if run.parent is not None else -1,
        run.epoch + 1,
        status_in_words(run),
        best_in_words(run),
        best["epoch"] if best is not None and best["value"] is not None else None,
    )


def _monitor(run: Run) -> str | None:
    monitor = run.state["monitor"] if run.state is not None else None
    return str(monitor["metric"]) if monitor else None


def _directions(run: Run) -> dict[str, Mode]:
    """The direction of what declared one, and of what is monitored."""
    known = run.history.directions
    monitor = run.state["monitor"] if run.state is not None else None
    if monitor:
        known[monitor["metric"]] = monitor["mode"] or known.get(monitor["metric"], "min")
    return known


def _title(run: Run) -> str:
    """The run, and why it ended: an error's last line says most."""
    why = run.stop_reason or status_in_words(run)
    if run.status == "failed" and run.error:
        why = f"failed, {run.error.strip().splitlines()[-1]}"
    title = " ".join(f"{run.run_id}: {why}".split())
    return title if len(title) <= _LONGEST else f"{title[: _LONGEST - 1]}…"
