"""`burr-lightning study best`: the best trial of a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import json_option, persister_option, where_options
from ..output import console, print_field, print_json, print_whole
from .facts import identity, trial_facts
from .finding import followed, study_argument
from .words import value_names, value_text

if TYPE_CHECKING:
    from ...tuning.looking import StudyLook


@click.command()
@study_argument
@where_options
@persister_option
@json_option
def best(
    study_id: str, project: str | None, root_dir: Path | None, persister: str | None, as_json: bool
) -> None:
    """Show the best trial of a study: its value, its hyperparameters and its run.

    STUDY is the study's id, a beginning of it that no other study has, or "latest". With several directions,
    all trials are shown that no other one beats. --json prints one object whose "best" is a list in any case.

    \b
    Exit codes:
        0    it was shown
        1    no trial has finished yet; there is no such study
    """  # noqa: D301 (click reads the backspace as: do not wrap what follows)
    look = followed("study best", study_id, project, root_dir, persister).look()
    if not look.study.best_trials:
        count = len(look.study.ledger)
        raise click.ClickException(
            f"No trial of {look.info.run_id} has finished with a value yet, of {count} that were suggested. "
            f"See how they stand: burr-lightning study show {look.info.run_id}"
        )
    if as_json:
        found = [trial_facts(look, trial) for trial in look.study.best_trials]
        print_json({**identity(look), "best": found})
    else:
        _print(look)


def _print(look: StudyLook) -> None:
    to = console()
    for at, trial in enumerate(look.study.best_trials):
        if at:
            click.echo()
        print_field(to, "trial", f"{trial.number} of {look.info.run_id}")
        print_field(to, value_names(look), value_text(trial))
        for name, value in trial.params.items():
            print_field(to, name, str(value))
        print_whole(to, "run", trial.run_id)
