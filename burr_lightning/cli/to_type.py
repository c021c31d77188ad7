"""Commands that the user is told to give."""

from __future__ import annotations

import shlex
from pathlib import Path


def to_type(command: str, run_id: str, project: str, root_dir: Path | None, *options: str) -> str:
    """A command about one run, as it can be copied into a shell.

    Args:
        command: Its name.
        run_id: The run.
        project: Its project.
        root_dir: Where runs are kept, where that has to be said.
        options: What else it is given.

    Example:
        >>> to_type("delete", "digits", "lightning", Path("my runs"), "--yes")
        "burr-lightning delete digits --project lightning --root-dir 'my runs' --yes"
    """
    where = ("--root-dir", str(root_dir)) if root_dir is not None else ()
    return shlex.join(["burr-lightning", *command.split(), run_id, "--project", project, *where, *options])
