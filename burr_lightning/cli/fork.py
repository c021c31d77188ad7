"""`burr-lightning fork`: a new run that goes on from an epoch of another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .completing import run_ids as complete_run_ids
from .options import json_option, persister_option, where_options
from .output import print_json, with_changes
from .to_type import to_type

if TYPE_CHECKING:
    from ..runs import Run


@click.command(epilog="Example: burr-lightning fork digits@12 lower-lr --set lr=1e-4")
@click.argument("place", metavar="RUN[@EPOCH]", shell_complete=complete_run_ids)
@click.argument("new", metavar="NEW", required=False)
@click.option(
    "--set",
    "given",
    metavar="NAME=VALUE",
    multiple=True,
    help="A hyperparameter that is another one in the fork. Give it again for each.",
)
@where_options
@persister_option
@json_option
def fork(
    place: str,
    new: str | None,
    given: tuple[str, ...],
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
    as_json: bool,
) -> None:
    """Make a new run, NEW, that goes on from the end of an epoch of RUN, with its history until then.

    RUN is the run's id, a beginning of it that no other run has, or "latest". EPOCH is counted from 0, or
    "best" or "last"; without it, the last. Nothing is trained here: what starts the fork is printed. RUN may
    be training meanwhile, and stays as it is. A VALUE is read as JSON, else as text.
    """
    from ..runs import find_run

    wanted, _, epoch = place.partition("@")
    run = find_run(wanted, project, root_dir=root_dir, persister=persister)
    made = run.fork(_epoch(epoch), new, _hparams(given))
    if as_json:
        print_json(_facts(made))
    else:
        _say(made, root_dir)


def _epoch(text: str) -> int | Literal["best", "last"]:
    if text in ("", "last"):
        return "last"
    if text == "best":
        return "best"
    if not text.isdecimal():
        raise click.BadParameter(
            f"{text!r} is no epoch: a number from 0 on, best or last.", param_hint="RUN@EPOCH"
        )
    return int(text)


def _hparams(given: tuple[str, ...]) -> dict[str, Any]:
    hparams: dict[str, Any] = {}
    for pair in given:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE.", param_hint="--set")
        if name in hparams:
            raise click.BadParameter(f"{name} is given twice.", param_hint="--set")
        try:
            hparams[name] = json.loads(text)
        except ValueError:
            hparams[name] = text
    return hparams


def _facts(made: Run) -> dict[str, Any]:
    assert made.parent is not None
    parent = {"run_id": made.parent.run_id, "epoch": made.parent.epoch}
    return {"run_id": made.run_id, "project": made.project, "folder": made.folder, "parent": parent}


def _say(made: Run, root_dir: Path | None) -> None:
    click.echo(f"Run {made.run_id} is forked from {made.parent}{with_changes(made)}.")
    resume = f"{to_type('resume', made.run_id, made.project, root_dir)}; or " if made.launched else ""
    click.echo(f"To train it: {resume}your script with BurrCallback({made.run_id!r}, ...).")
