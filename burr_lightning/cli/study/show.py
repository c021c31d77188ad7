"""`burr-lightning study show`: how a study stands, and its trials."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...questions import shown
from ..options import json_option, persister_option, where_options
from ..output import NONE, console, duration, print_field, print_json, print_table, print_whole, status_text
from .facts import details, seconds_of
from .finding import followed, study_argument
from .words import best_text, counts_text, param_text, params_text, reason_text, value_names, value_text

if TYPE_CHECKING:
    from ...tuning import TrialRecord
    from ...tuning.looking import StudyLook

_SHOWN = 20
"""Trials that are shown where nobody says how many."""
_ANY = 100_000
"""Columns: more than any table has."""


@click.command()
@study_argument
@click.option("--newest", metavar="N", type=click.IntRange(min=1), help="Show the N newest trials only.")
@click.option("--best", metavar="N", type=click.IntRange(min=1), help="Show the N best trials only.")
@click.option("--all", "everything", is_flag=True, help=f"Show all trials, not the newest {_SHOWN}.")
@where_options
@persister_option
@json_option
def show(
    study_id: str,
    newest: int | None,
    best: int | None,
    everything: bool,
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
    as_json: bool,
) -> None:
    """Show one stored study: how it stands, and its trials.

    STUDY is the study's id, a beginning of it that no other study has, or "latest". Of a trial that failed
    the last line of its traceback is shown; --json has all of it, and all trials. A trial's time is that
    since it was begun last.
    """
    if sum(option is not None for option in (newest, best)) + everything > 1:
        raise click.UsageError("--newest, --best and --all exclude each other: give one of them.")
    look = followed("study show", study_id, project, root_dir, persister).look()
    if best is not None and len(look.info.directions) > 1:
        raise click.UsageError(
            f"--best ranks trials by one value, and {look.info.run_id} has {len(look.info.directions)}. "
            f"Those that no other one beats: burr-lightning study best {look.info.run_id}"
        )
    if as_json:
        print_json(details(look, _chosen(look, newest, best, most=None)))
    else:
        most = None if everything else _SHOWN
        _print(console(), look, _chosen(look, newest, best, most))


def _chosen(look: StudyLook, newest: int | None, best: int | None, most: int | None) -> Sequence[TrialRecord]:
    trials = look.study.trials
    if best is not None:
        sign = 1 if look.info.directions[0] == "min" else -1
        finished = [t for t in trials if t.status == "finished" and t.value is not None]
        return sorted(finished, key=lambda trial: sign * (trial.value or 0.0))[:best]
    last = newest if newest is not None else most
    return trials if last is None else trials[-last:]


def _print(to: Console, look: StudyLook, trials: Sequence[TrialRecord]) -> None:
    study = look.study
    print_whole(to, "study", look.info.run_id)
    print_field(to, "project", look.info.project)
    owner = f", {shown(look.owner)}" if look.owner else ""
    print_field(to, "status", Text.assemble(status_text(look.status), owner))
    print_field(to, "looks for", value_names(look))
    print_field(to, "trials", counts_text(look))
    print_field(to, "best", best_text(look))
    if study.stop_reason is not None:
        print_field(to, "why it stopped", study.stop_reason)
    created = datetime.fromtimestamp(look.info.created)
    print_field(to, "created", f"{created:%Y-%m-%d %H:%M:%S}, has run for {duration(study.state['seconds'])}")
    if not trials:
        return
    click.echo()
    print_table(to, _fitting(to, look, trials))
    left = len(study.trials) - len(trials)
    if left:
        click.echo(f"{left} more, of {len(study.trials)}: --newest N, --best N, or --all.")


def _fitting(to: Console, look: StudyLook, trials: Sequence[TrialRecord]) -> Table:
    """The table with a column for each parameter, or where there is no room for them, with one for all."""
    apart = _table(to, look, trials, apart=True)
    if to.measure(apart, options=to.options.update(width=_ANY)).maximum <= to.width:
        return apart
    return _table(to, look, trials, apart=False)


def _table(to: Console, look: StudyLook, trials: Sequence[TrialRecord], *, apart: bool) -> Table:
    from ...tuning.looking import status_of

    names = list(dict.fromkeys(name for trial in trials for name in trial.params)) if apart else []
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("value" if len(look.info.directions) == 1 else "values", no_wrap=True)
    for name in names or ["parameters"]:
        table.add_column(Text(name), overflow="fold")
    table.add_column("run", overflow="fold")
    table.add_column("attempts", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    reasons = {trial.number: reason_text(trial) for trial in trials}
    if any(reasons.values()):
        table.add_column("why", overflow="ellipsis", no_wrap=True, max_width=max(20, to.width // 3))
    now, running = time.time(), {*look.under_way}
    for trial in trials:
        is_run = trial.number in running
        seconds = seconds_of(trial, now if is_run else None)
        params = [param_text(trial.params[name]) if name in trial.params else NONE for name in names]
        table.add_row(
            str(trial.number),
            status_text(status_of(trial.status, is_run=is_run)),
            _value(look, trial),
            *(params or [params_text(trial.params)]),
            trial.run_id,
            str(trial.attempts),
            duration(seconds) if seconds is not None else NONE,
            *([shown(reasons[trial.number])] if any(reasons.values()) else []),
        )
    return table


def _value(look: StudyLook, trial: TrialRecord) -> str:
    """What it came to; of one that runs, what it came to by now."""
    score = look.scores.get(trial.number)
    if trial.values is None and score is not None and trial.number in look.under_way:
        return f"{score.value:.4g} at epoch {score.epoch}"
    return value_text(trial)
