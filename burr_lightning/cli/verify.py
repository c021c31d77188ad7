"""`burr-lightning verify`: whether a run's commits are whole, and an epoch comes out the same again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import BurrLightningError
from .options import json_option, persister_option, run_argument, where_options
from .output import NONE, console, print_json, print_table

if TYPE_CHECKING:
    from ..commits.verify import CommitCheck, Verification
    from ..replay.replaying import Replayed
    from ..runs import Run

_DAMAGED = _DIFFERS = 1
_TROUBLE = 2
_INTERRUPTED = 130
_STYLES = {"whole": "green", "pruned": "dim"}
_SHOWN = 20
"""How many differences are listed."""


class _Trouble(click.ClickException):
    """What kept us from an answer: an exit code of its own, as of ``cmp`` and ``diff``."""

    exit_code = _TROUBLE


@click.command()
@run_argument
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.option(
    "--replay",
    "epoch",
    metavar="EPOCH",
    type=click.IntRange(min=0),
    help="Have COMMAND train this epoch again, from 0, and compare the result with the run's.",
)
@click.option(
    "--ignore",
    metavar="NAME",
    multiple=True,
    help="With --replay: do not compare what has this name, nor what is inside it. May be repeated.",
)
@where_options
@persister_option
@json_option
@click.pass_context
def verify(
    context: click.Context,
    run_id: str,
    command: tuple[str, ...],
    epoch: int | None,
    ignore: tuple[str, ...],
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
    as_json: bool,
) -> None:
    """Check every commit of a run, and say which one a resume would use.

    RUN is the run's id, a beginning of it that no other run has, or "latest". A commit is whole if
    its row can be read, the checkpoint that it names has the right SHA-256, and the metric history
    before it is there. An older checkpoint that is gone was pruned, which is as it should be; the newest
    one must be there. Nothing is changed, and the run may be training.

    With --replay, one epoch is trained again from the commit before it, in a copy of the run, and every
    tensor is compared with the commit after it, to the last bit:

    \b
        burr-lightning verify RUN --replay 7 -- python train.py

    COMMAND is what trains the run. It is ended after that epoch.

    \b
    Exit codes:
        0  everything that must be there is whole; the replay is exact
        1  a commit is damaged, but a resume works; the replay differs
        2  no commit can be used; there is no such run; the command failed
    """  # noqa: D301 (click reads the backspace as: do not wrap what follows)
    if (epoch is None) == bool(command) or (ignore and epoch is None):
        raise click.UsageError(
            "an epoch and a command belong together: burr-lightning verify RUN --replay 7 -- python train.py"
        )
    from ..runs import find_run

    try:
        run = find_run(run_id, project, root_dir=root_dir, persister=persister)
        code = _verified(run, as_json) if epoch is None else _replayed(run, epoch, command, ignore, as_json)
    except BurrLightningError as error:
        raise _Trouble(str(error)) from error
    except KeyboardInterrupt:
        code = _INTERRUPTED
    context.exit(code)


def _verified(run: Run, as_json: bool) -> int:
    found = run.verify()
    if as_json:
        print_json({**asdict(found), "sound": found.sound})
    else:
        _print_commits(console(), found)
    if found.resume is None:
        return _TROUBLE
    return 0 if found.sound else _DAMAGED


def _print_commits(to: Console, found: Verification) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("commit", justify="right", no_wrap=True)
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column("action", overflow="fold")
    table.add_column("checkpoint", overflow="fold")
    table.add_column("verdict", overflow="fold")
    for row in _rows(found):
        table.add_row(*row)
    if found.commits:
        print_table(to, table)
    to.print(_resume(found), soft_wrap=True)


def _rows(found: Verification) -> Iterator[tuple[str | Text, ...]]:
    for pruned, commits in groupby(found.commits, lambda commit: commit.verdict == "pruned"):
        same = list(commits)
        if pruned and len(same) > 1:
            first, last = same[0], same[-1]
            span = _span(first.commit, last.commit), _span(first.epoch, last.epoch)
            yield *span, NONE, NONE, Text("pruned", style=_STYLES["pruned"])
            continue
        yield from map(_row, same)


def _span(first: int | None, last: int | None) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


def _row(check: CommitCheck) -> tuple[str | Text, ...]:
    epoch = NONE if check.epoch is None or check.epoch < 0 else str(check.epoch)
    verdict = Text(check.verdict, style=_STYLES.get(check.verdict, "bold red"))
    if check.detail is not None:
        verdict.append(f": {check.detail}", style="not bold")
    checkpoint = check.checkpoint.removeprefix("checkpoints/") if check.checkpoint else NONE
    return str(check.commit), epoch, check.action or NONE, checkpoint, verdict


def _resume(found: Verification) -> str:
    if found.resume is None:
        return f"No commit can be used: {found.problem}."
    commit, epoch = found.resume.commit, found.resume.epoch
    if found.resume.checkpoint is None:
        return f"A resume would use commit {commit}, from before the end of the first epoch."
    return f"A resume would use commit {commit}, after epoch {epoch}: {found.resume.checkpoint}"


def _replayed(run: Run, epoch: int, command: tuple[str, ...], ignore: tuple[str, ...], as_json: bool) -> int:
    from ..replay.replaying import replay

    result = replay(run, epoch, command, ignore, say=partial(click.echo, err=True))
    comparison = result.comparison
    if as_json:
        differences = [asdict(difference) for difference in comparison.differences]
        facts = {
            **asdict(result),
            **asdict(comparison),
            "differences": differences,
            "exact": comparison.exact,
        }
        facts.pop("comparison")
        print_json(facts)
    else:
        _print_replay(result)
    return 0 if comparison.exact else _DIFFERS


def _print_replay(result: Replayed) -> None:
    found = result.comparison
    compared = f"{found.tensors} tensors and {found.values} other values"
    first = result.after + 1 if result.after is not None else 0
    trained = (
        f"epoch {first} replayed" if first == result.epoch else f"epochs {first} to {result.epoch} replayed"
    )
    if found.exact:
        click.echo(f"{trained}: {compared}, all equal")
    else:
        differ = f"{len(found.differences)} of {compared} differ"
        click.echo(f"{trained}: first difference: {found.differences[0]}")
        click.echo(f"In all, {differ}:")
        for difference in found.differences[:_SHOWN]:
            click.echo(f"  {difference}")
        if len(found.differences) > _SHOWN:
            click.echo(f"  and {len(found.differences) - _SHOWN} more, which --json lists")
        if result.after is None:
            click.echo("It was trained from the script's start: without seed_everything that is random.")
    if found.ignored:
        click.echo(f"Not compared: {', '.join(found.ignored)}")
