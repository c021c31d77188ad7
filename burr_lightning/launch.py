"""How this process was started: the command that starts the same script again."""

from __future__ import annotations

import builtins
import os
import secrets
import sys
from collections.abc import Mapping
from typing import Any

from .layout import FORK_VARIABLE, HOME_VARIABLE, RUN_ID_VARIABLE

_KEPT = (HOME_VARIABLE, RUN_ID_VARIABLE, FORK_VARIABLE)
"""What is kept of the environment: nothing in which a password may be."""


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was deleted
        return None


_FOLDER = _folder()
"""Where this process was when the callback was imported: a script may go elsewhere before it trains."""

_PROCESS = secrets.token_hex(8)
"""Tells this process from others: its runs have it in common."""


def launch() -> dict[str, Any] | None:
    """The command of this process, with its folder and the part of its environment that names the run.

    Returns:
        ``command``, a list; ``folder``; ``environment``; ``process``, which the runs of one process have
        in common. ``None`` where there is no command that could be run again: an interpreter at a prompt,
        a notebook, a script that came by a pipe, a process that another one made of itself.
    """
    if not sys.executable or _FOLDER is None or _is_interactive() or _is_a_part():
        return None
    return {
        "command": [os.path.abspath(sys.executable), *sys.orig_argv[1:]],
        "folder": _FOLDER,
        "environment": {name: os.environ[name] for name in _KEPT if name in os.environ},
        "process": _PROCESS,
    }


def fork_launch(launch: Mapping[str, Any] | None, parent: str, run_id: str) -> dict[str, Any] | None:
    """The command that starts a fork: that of its parent, which then trains the fork.

    Args:
        launch: The parent's, ``None`` where there is none.
        parent: The parent's id.
        run_id: The fork's.
    """
    if launch is None:
        return None
    environment = launch.get("environment", {})
    named = environment.get(FORK_VARIABLE, parent).partition(":")[0]  # what the script itself names
    names = {RUN_ID_VARIABLE: run_id, FORK_VARIABLE: f"{named}:{run_id}"}
    return {**launch, "environment": {**environment, **names}, "process": secrets.token_hex(8)}


def _is_interactive() -> bool:
    """Whether the program does not come from a file, a module or the command line."""
    at_a_prompt = hasattr(sys, "ps1") or hasattr(builtins, "__IPYTHON__")
    return at_a_prompt or bool(sys.flags.interactive) or sys.argv[:1] in ([], [""], ["-"])


def _is_a_part() -> bool:
    """Whether it is a process of `multiprocessing`: its command line starts no script."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None
