"""`burr-lightning study watch`: one study, live in the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from ..options import json_option, look_options, persister_option, where_options
from ..output import console, print_json, print_table
from ..watch import told_to_end
from .finding import followed, study_argument

if TYPE_CHECKING:
    from ...tuning.looking import FollowedStudy, Status
    from .frame import StudyFrame

_INTERRUPTED = 130
_CODES: dict[Status, int] = {"finished": 0, "interrupted": 1}


@click.command()
@study_argument
@look_options
@where_options
@persister_option
@json_option
@click.pass_context
def watch(
    context: click.Context,
    study_id: str,
    once: bool,
    every: float,
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
    as_json: bool,
) -> None:
    """Watch a study run: its trials, the best value so far, how long it takes, and what happened last.

    STUDY is the study's id, a beginning of it that no other study has, or "latest". Nothing is written, and
    no lock is taken. Into a pipe or a file, a picture is written whenever something has happened. --json
    prints one object and ends, as --once does. Ctrl-C ends the watching and not the study.

    "time left" is that to n_trials at the pace so far; a condition may end the study before. What is shown of
    trials that run is what they reported of the monitored metric.

    \b
    Exit codes:
        0    the study has finished; with --once, it was shown
        1    its process has died; there is no such study
        130  Ctrl-C
    """  # noqa: D301 (click reads the backspace as: do not wrap what follows)
    looks = followed("study watch", study_id, project, root_dir, persister)
    if as_json:
        print_json(_frame(looks).facts())
    elif once:
        to = console()
        print_table(to, _frame(looks).rendered(to))
    else:
        context.exit(_watched(looks, every))


def _frame(looks: FollowedStudy) -> StudyFrame:
    from .frame import StudyFrame

    return StudyFrame(looks.look(), time.time())


def _watched(looks: FollowedStudy, every: float) -> int:
    """Show it until it ends, and give the exit code."""
    to = console()
    live = to.is_terminal and not to.is_dumb_terminal
    try:
        frames = _frames(looks, every)
        last = _live(frames, to) if live else _written(frames, to)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return _CODES[last.look.status]


def _frames(looks: FollowedStudy, every: float) -> Iterator[StudyFrame]:
    """Frame after frame; the last one was looked at after the study had ended."""
    while (frame := _frame(looks)).look.owner is not None:
        yield frame
        time.sleep(every)
    yield frame


def _live(frames: Iterator[StudyFrame], to: Console) -> StudyFrame:
    from rich.live import Live

    with told_to_end(), Live(console=to, auto_refresh=False, vertical_overflow="crop") as live:
        for frame in frames:
            live.update(frame.rendered(to, to.height - 1), refresh=True)
    return frame


def _written(frames: Iterator[StudyFrame], to: Console) -> StudyFrame:
    before = None
    for frame in frames:
        if frame.signature != before:
            if before is not None:
                click.echo()
            print_table(to, frame.rendered(to))
            before = frame.signature
    return frame
