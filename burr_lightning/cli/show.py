"""`burr-lightning show`: what one run is, how it stands, and the way its machine went."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from .facts import details
from .machine_path import path_text
from .options import json_option, persister_option, run_argument, where_options
from .output import (
    NONE,
    console,
    duration,
    number,
    pairs,
    print_field,
    print_json,
    print_whole,
    status_text,
    with_changes,
)
from .review import review_text

if TYPE_CHECKING:
    from ..runs import Run


@click.command()
@run_argument
@where_options
@persister_option
@json_option
def show(
    run_id: str, project: str | None, root_dir: Path | None, persister: str | None, as_json: bool
) -> None:
    """Show one stored run: how it stands, its best epoch, and the way its machine went.

    RUN is the run's id, a beginning of it that no other run has, or "latest". Epochs are counted
    from 0, and only those that are safely stored count. In the machine's path, "×40" stands behind
    what came 40 times in a row, with the mean times.
    """
    from ..runs import find_run

    run = find_run(run_id, project, root_dir=root_dir, persister=persister)
    if as_json:
        print_json(details(run))
    else:
        _print(console(), run)


def _print(to: Console, run: Run) -> None:
    from ..runs.words import status_in_words

    print_whole(to, "run", run.run_id)
    print_field(to, "project", run.project)
    print_field(to, "status", status_text(status_in_words(run)))
    if run.parent is not None:
        print_field(to, "forked from", _parent(run))
    if forks := run.children():
        print_field(to, "forks", ", ".join(f"{fork.run_id} (epoch {_left(fork)})" for fork in forks))
    if run.error is not None:
        print_field(to, "error", run.error.strip())
    if run.stop_reason is not None:
        print_field(to, "why it stopped", run.stop_reason)
    for asked in run.reviews:
        print_field(to, "review", review_text(asked))
    print_field(to, "created", f"{run.created:%Y-%m-%d %H:%M:%S}")
    _print_state(to, run)
    _print_path(to, run)


def _parent(run: Run) -> str:
    assert run.parent is not None
    gone = "" if run.parent_is_there else ", which is deleted"
    return f"{run.parent.run_id}, after epoch {run.parent.epoch}{with_changes(run)}{gone}"


def _left(fork: Run) -> int | None:
    return fork.parent.epoch if fork.parent else None


def _print_state(to: Console, run: Run) -> None:
    from ..shadow import in_words

    state = run.state
    if state is None:
        print_field(to, "state", run.rows_error or "none is stored yet")
        return
    epoch = str(run.epoch) if run.epoch >= 0 else "none has ended"
    print_field(to, "epoch", f"{epoch}, global step {state['global_step']}")
    print_field(to, "best epoch", _best(run))
    print_whole(to, "best checkpoint", _place(run.best_checkpoint))
    print_whole(to, "last checkpoint", _place(run.last_checkpoint))
    for name, entry in state["shadow"].items():
        print_field(to, "shadow", f"{name} {in_words(entry)}")
    print_field(to, "hyperparameters", pairs(state["hparams"]))
    print_field(to, "data", _data(state["data"]))
    print_field(to, "metrics", pairs({name: number(value) for name, value in state["metrics"].items()}))


def _best(run: Run) -> str:
    best, monitor = run.best, run.state["monitor"] if run.state else None
    if best is None:
        return NONE if monitor else f"{NONE} (no metric is monitored)"
    if monitor is None:
        return f"{best['epoch']} (the last one: no metric is monitored)"
    if best["value"] is None:
        return f"{best['epoch']} (the last one: no epoch ended with a finite {monitor['metric']})"
    return f"{best['epoch']}, {monitor['metric']} {number(best['value'])}"


def _place(path: Path | None) -> str:
    """A path as it can be used from here, the shorter way."""
    if path is None:
        return NONE
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return os.fspath(shown) if path.exists() else f"{shown} (no longer there)"


def _data(data: Any) -> str:
    if not isinstance(data, Mapping):
        return NONE
    parts = {part: loaders for part, loaders in data.items() if loaders}
    return "; ".join(f"{part} {_loaders(loaders)}" for part, loaders in parts.items()) or NONE


def _loaders(loaders: Any) -> str:
    return " + ".join(
        f"{_count(loader['samples'], 'sample')} in {_count(loader['batches'], 'batch', 'batches')}"
        for loader in loaders
    )


def _count(count: int | None, one: str, many: str = "") -> str:
    many = many or f"{one}s"
    if count is None:
        return f"an unknown number of {many}"
    return f"{count:,} {one if count == 1 else many}"


def _print_path(to: Console, run: Run) -> None:
    steps = run.path
    if not steps:
        print_field(to, "path", f"{NONE} ({run.untracked})")
        return
    print_field(to, "path", path_text(steps, running=run.status == "running"))
    seconds = sum(step.seconds or 0.0 for step in steps)
    print_field(to, "", f"{_count(len(steps), 'step')}, {duration(seconds)} in all")
