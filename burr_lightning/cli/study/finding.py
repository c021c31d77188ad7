"""What the commands about studies share: which one is meant, and what its packages are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..completing import study_ids

if TYPE_CHECKING:
    from ...tuning.looking import FollowedStudy

_Command = TypeVar("_Command", bound=Callable[..., Any])


def study_argument(command: _Command) -> _Command:
    """``STUDY``: a study, as `find_study` takes it."""
    return click.argument("study_id", metavar="STUDY", shell_complete=study_ids)(command)


@contextmanager
def needs_tuning(command: str) -> Iterator[None]:
    """Say what to install, and for which command.

    Args:
        command: What the user wrote.
    """
    from ...errors import MissingExtraError

    try:
        yield
    except MissingExtraError as error:
        if error.extra != "tune":
            raise
        raise MissingExtraError(f"burr-lightning {command}", error.package, error.extra) from error


def followed(
    command: str, study_id: str, project: str | None, root_dir: Path | None, persister: str | None
) -> FollowedStudy:
    """The study that is meant.

    Args:
        command: What the user wrote.
        study_id: The study, as it was typed.
        project: Its project, ``None`` for any.
        root_dir: Where studies are kept.
        persister: The URL that was given.
    """
    with needs_tuning(command):
        from ...tuning.looking import FollowedStudy, find_study
    return FollowedStudy(find_study(study_id, project, root_dir=root_dir), persister)
