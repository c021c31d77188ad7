"""`burr-lightning watch`: one run, live in the terminal."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from .curves import DrawnCurves
from .options import json_option, look_options, persister_option, run_argument, where_options
from .output import console, print_json, print_table

if TYPE_CHECKING:
    from ..runs import Status
    from .following import FollowedRun
    from .watch_frame import Frame

_FAILED, _WAITS, _INTERRUPTED = 1, 3, 130
_CODES: dict[Status, int] = {"finished": 0, "failed": _FAILED, "interrupted": _FAILED, "paused": _WAITS}


@click.command()
@run_argument
@look_options
@where_options
@persister_option
@json_option
@click.pass_context
def watch(
    context: click.Context,
    run_id: str,
    once: bool,
    every: float,
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
    as_json: bool,
) -> None:
    """Watch one run train: its curves, what it does now, how fast, and what happened last.

    RUN is the run's id, a beginning of it that no other run has, or "latest". Nothing is written, and no
    lock is taken; each look reads what is new. Into a pipe or a file, a picture is written whenever
    something has happened. --json prints one object and ends, as --once does. Ctrl-C ends the watching and
    not the run.

    "time left" is the time to Lightning's own limit; a condition may end the run before. Batches are
    counted in the phase that is open where its tracker is the default one, else in the newest that is over.

    \b
    Exit codes:
        0    the run has finished; with --once, it was shown
        1    it has failed, or its process has died; there is no such run
        3    it waits for an answer, and no process has it
        130  Ctrl-C
    """  # noqa: D301 (click reads the backspace as: do not wrap what follows)
    from ..runs import find_run
    from .following import FollowedRun

    followed = FollowedRun(find_run(run_id, project, root_dir=root_dir, persister=persister), persister)
    if as_json:
        print_json(_frame(followed).facts())
    elif once:
        to = console()
        print_table(to, _frame(followed).rendered(to, None, DrawnCurves()))
    else:
        context.exit(_watched(followed, every))


def _frame(followed: FollowedRun) -> Frame:
    from .watch_frame import Frame

    try:
        return Frame.of(followed.look(), datetime.now())
    except FileNotFoundError as error:
        raise click.ClickException(f"The run was deleted meanwhile: {error}.") from error


def _watched(followed: FollowedRun, every: float) -> int:
    """Show it until it ends, and give the exit code."""
    to = console()
    live = to.is_terminal and not to.is_dumb_terminal
    try:
        frames = _frames(followed, every)
        status = _live(frames, to) if live else _written(frames, to)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return _CODES[status]


def _frames(followed: FollowedRun, every: float) -> Iterator[Frame]:
    """Frame after frame; the last one was looked at after the run had ended."""
    while not (frame := _frame(followed)).look.has_ended:
        yield frame
        time.sleep(every)
    yield _frame(followed)


def _live(frames: Iterator[Frame], to: Console) -> Status:
    from rich.live import Live

    drawn = DrawnCurves()
    with told_to_end(), Live(console=to, auto_refresh=False, vertical_overflow="crop") as live:
        for frame in frames:
            live.update(frame.rendered(to, to.height - 1, drawn), refresh=True)
    return frame.look.status


def _written(frames: Iterator[Frame], to: Console) -> Status:
    before = None
    for frame in frames:
        if frame.signature != before:
            if before is not None:
                click.echo()
            print_table(to, frame.rendered(to, None, DrawnCurves() if frame.look.has_ended else None))
            before = frame.signature
    return frame.look.status


@contextmanager
def told_to_end() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does, so that the terminal gets its cursor back."""

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
