"""`burr-lightning plot`: figures of runs, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .completing import run_ids as complete_run_ids
from .options import persister_option, where_options

if TYPE_CHECKING:
    from ..runs import Run

Kind = Literal["curves", "timeline", "tree"]


@click.command(epilog="Example: burr-lightning plot digits-1 digits-2 --metric val_loss -o losses.svg")
@click.argument("run_ids", metavar="[RUN]...", nargs=-1, shell_complete=complete_run_ids)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write it, by its ending .png, .svg or .pdf. Without it: a .png here, named after what it "
    "shows.",
)
@click.option(
    "--kind",
    type=click.Choice(["curves", "timeline", "tree"]),
    default="curves",
    help="The learning curves (the default), where the time of a run went, or the tree of forks.",
)
@click.option(
    "--metric",
    "metrics",
    metavar="NAME",
    multiple=True,
    help="Draw this metric only. Give it again for each.",
)
@where_options
@persister_option
def plot(
    run_ids: tuple[str, ...],
    output: Path | None,
    kind: Kind,
    metrics: tuple[str, ...],
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
) -> None:
    """Draw runs: one run with what its machine did under its curves, several on top of each other.

    RUN is a run's id, a beginning of it that no other run has, or "latest". With --kind tree, without a RUN,
    all runs of a project are drawn; with some, those that they were forked from and those that were forked
    from them. An existing FILE is replaced. The runs may be training.
    """
    from ..stopping.pictures import check_place

    _check(run_ids, kind, metrics)
    check_place(output or Path("runs.png"), f"-o {output}" if output is not None else "plot")
    where: dict[str, Any] = {"project": project, "root_dir": root_dir, "persister": persister}
    runs = _found(run_ids, where)
    name, figure = _tree(runs, where) if kind == "tree" else _drawn(runs, kind, metrics)
    path = output if output is not None else Path(name)
    _write(figure, path)
    click.echo(f"Drawn: {path}")


def _check(run_ids: Sequence[str], kind: Kind, metrics: Sequence[str]) -> None:
    """What can be seen to fail fails before anything is read."""
    if not run_ids and kind != "tree":
        raise click.UsageError(
            f"--kind {kind} draws runs: give RUN, its id, a beginning of it, or latest. "
            f"Only --kind tree does without."
        )
    if len(set(run_ids)) > 1 and kind == "timeline":
        raise click.UsageError("--kind timeline draws one run: give one RUN.")
    if metrics and kind != "curves":
        raise click.UsageError(f"--metric chooses curves, and --kind {kind} has none: leave one of them out.")


def _found(run_ids: Sequence[str], where: dict[str, Any]) -> list[Run]:
    """The runs, each once, in the order in which they were named.

    Raises:
        ClickException: If the rows of one cannot be read: there would be no curve.
    """
    from ..runs import find_run

    found = {(run.project, run.run_id): run for run in (find_run(wanted, **where) for wanted in run_ids)}
    for run in found.values():
        if run.rows_error is not None:
            raise click.ClickException(f"{run.run_id} cannot be drawn: {run.rows_error}")
    return list(found.values())


def _drawn(runs: Sequence[Run], kind: Kind, metrics: Sequence[str]) -> tuple[str, Any]:
    from ..figures import curves_figure, overlay_figure, timeline_figure

    if len(runs) > 1:
        return "runs.png", overlay_figure(runs, metrics)
    if kind == "timeline":
        return f"{runs[0].run_id}-timeline.png", timeline_figure(runs[0])
    return f"{runs[0].run_id}.png", curves_figure(runs[0], metrics)


def _tree(runs: Sequence[Run], where: dict[str, Any]) -> tuple[str, Any]:
    """All runs of a project, or the families of those that were named."""
    from ..figures import branches_of
    from ..plots import plot_tree
    from ..plots.branches import family
    from ..runs import list_runs

    wanted = {**where, "project": runs[0].project} if runs else where
    known = sorted(list_runs(**wanted), key=lambda run: run.created)
    projects = sorted({run.project for run in [*known, *runs]})
    if len(projects) > 1:
        named = ", ".join(projects)
        raise click.UsageError(
            f"A tree has the runs of one project, and these are of {named}: give --project."
        )
    if not known:
        raise click.ClickException("There are no runs to be drawn.")
    branches = branches_of(known)
    if runs:
        branches = family(branches, [run.run_id for run in runs])
    return f"{projects[0]}-forks.png", plot_tree(branches, f"Runs of the project {projects[0]}")


def _write(figure: Any, path: Path) -> None:
    from ..plots.style import DOTS

    try:
        figure.savefig(path, dpi=DOTS)
    except OSError as error:
        raise click.ClickException(f"The figure cannot be written to {path} ({error}).") from error
