"""`burr-lightning study delete`: what goes with a study, and then its deletion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from ...errors.listed import listed
from ..delete import run_facts
from ..doomed import facts_of, print_files, print_folders, print_rows
from ..options import json_option, persister_option, refuse_beginning, where_options
from ..output import console, print_field, print_json, print_whole
from .finding import needs_tuning, study_argument

if TYPE_CHECKING:
    from ...tuning.doomed import DoomedStudy


@click.command()
@study_argument
@click.option("--yes", is_flag=True, help="Delete it. Without it nothing is deleted.")
@click.option(
    "--keep-best", is_flag=True, help="Keep the run of the best trial; with several directions, of each such."
)
@click.option("--keep-rows", is_flag=True, help="Leave rows where they are: in a store that is gone, say.")
@where_options
@persister_option
@json_option
def delete(
    study_id: str,
    yes: bool,
    keep_best: bool,
    keep_rows: bool,
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
    as_json: bool,
) -> None:
    """Delete a study: the runs of its trials, then its own rows, folder, and what Burr's tracker has of it.

    STUDY is the study's id, a beginning of it that no other study has, or "latest". What goes is shown;
    --yes deletes it, and takes a whole id. A study that a process runs is refused, and so is one with a
    trial that is being trained. Forks of its trials that are none of its own stay as they are. A deletion
    that is cut off is ended by the same command.
    """
    with needs_tuning("study delete"):
        from ...tuning.deleting import delete_study
        from ...tuning.doomed import doomed_study, found
    from ...layout import home

    folder = found(study_id, home(root_dir), project)
    if yes:
        refuse_beginning(study_id, folder.study_id)
    study = doomed_study(folder, persister, keep_rows=keep_rows, keep_best=keep_best)
    gone: set[Path] = set()
    done = False
    try:
        if not as_json:
            _print(console(), study)
        if yes:
            delete_study(study, lambda run: gone.add(run.folder.path))
            done = True
    finally:  # where one run cannot be deleted, it is told which were
        if as_json:
            print_json(_facts(study, gone, deleted=done))
    if not as_json:
        said = f"Study {folder.study_id} is deleted." if yes else "Nothing was deleted: --yes deletes it."
        click.echo(said)


def _facts(study: DoomedStudy, gone: set[Path], *, deleted: bool) -> dict[str, Any]:
    return {
        "study_id": study.folder.study_id,
        **facts_of(study, deleted=deleted),
        "kept_runs": [run.run_id for run in study.keeps],
        "runs": [run_facts(run, deleted=run.folder.path in gone) for run in study.trials],
    }


def _print(to: Console, study: DoomedStudy) -> None:
    unknown = "its trials are not known", "those runs go that name the study as theirs"
    print_folders(to, "study", study.folder.study_id, study, unreadable=unknown)
    _print_runs(to, study)
    print_files(to, study.files + sum(run.files for run in study.trials), study.frees)
    print_rows(to, study.rows + sum(run.rows for run in study.trials), study)


def _print_runs(to: Console, study: DoomedStudy) -> None:
    """The runs of its trials: those that go, each with its name, and those that stay."""
    names = [run.folder.run_id for run in study.trials]
    print_field(to, "trials' runs", f"{len(names)}: {listed(names)}" if names else "none")
    which = "a best trial" if len(study.keeps) > 1 else "the best trial"
    for run in study.keeps:
        print_whole(to, "stays", f"{run.path}, the run of {which}")
