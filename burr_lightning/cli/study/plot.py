"""`burr-lightning study plot`: a figure of a study, as a file."""

from __future__ import annotations

from pathlib import Path

import click

from ..options import persister_option, where_options
from .finding import followed, needs_tuning, study_argument

_KINDS = ("history", "parallel", "slices", "importance", "workers")


@click.command(epilog="Example: burr-lightning study plot latest --kind parallel --out search.svg")
@study_argument
@click.option(
    "-o",
    "--out",
    "--output",
    "output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write it, by its ending .png, .svg or .pdf. Without it: STUDY-KIND.png here.",
)
@click.option(
    "--kind",
    type=click.Choice(_KINDS),
    default="history",
    help="The best value so far (the default), trials as lines through their parameters, the value over each "
    "parameter, how much each parameter matters, or where the time of each worker went.",
)
@where_options
@persister_option
def plot(
    study_id: str,
    output: Path | None,
    kind: str,
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
) -> None:
    """Draw a study. It may be running; an existing FILE is replaced.

    STUDY is the study's id, a beginning of it that no other study has, or "latest".
    """
    from ...stopping.pictures import check_place

    call = "study plot" if output is None else f"study plot --out {output}"
    check_place(output or Path("study.png"), f"burr-lightning {call}")
    study = followed("study plot", study_id, project, root_dir, persister).look().study
    path = output if output is not None else Path(f"{study.run_id}-{kind}.png")
    with needs_tuning("study plot"):
        from ...tuning.figures import KINDS
    figure = KINDS[kind](study)
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise click.ClickException(f"The figure cannot be written to {path} ({error}).") from error
    click.echo(f"Drawn: {path}")
