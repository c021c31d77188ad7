"""`burr-lightning doctor`: whether all is well where runs are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from ..questions import shown
from .options import json_option, persister_option, root_dir_option
from .output import console, print_field, print_json
from .taken_warnings import TakenWarnings

if TYPE_CHECKING:
    from .checkup.finding import Finding

_PROBLEM = 1
_SIGNS = {"fine": ("", ""), "note": ("· ", "yellow"), "problem": ("✗ ", "bold red")}


@click.command()
@root_dir_option
@persister_option
@json_option
@click.pass_context
def doctor(context: click.Context, root_dir: Path | None, persister: str | None, as_json: bool) -> None:
    """Look whether all is well: versions, storage, permissions, orphaned files, locks, the queue.

    Nothing is changed, and runs may be training. A problem (✗) stays until somebody does something about it;
    a note (·) is harmless. The lock of a process that died is free, and its file harmless.

    \b
    Exit codes:
        0  no problem was found
        1  a problem was found
    """  # noqa: D301 (click reads the backspace as: do not wrap what follows)
    from ..layout import home

    root = home(root_dir)
    with TakenWarnings():
        findings = list(_findings(root, persister))
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        print_json(_facts(root, findings))
    else:
        _print(console(), findings, problems)
    context.exit(_PROBLEM if problems else 0)


def _findings(root: Path, persister: str | None) -> Iterator[Finding]:
    from ..errors import BurrLightningError
    from .checkup.finding import Finding
    from .checkup.versions import check_versions

    yield from check_versions()
    try:
        yield from _of_store(root, persister)
    except (OSError, ImportError, BurrLightningError) as error:
        # A package is missing, as the versions say, or a folder may not be read, as the permissions say.
        yield Finding("the rest", "problem", f"it could not be looked at: {error}")


def _of_store(root: Path, persister: str | None) -> Iterator[Finding]:
    from ..runs import list_runs
    from .checkup.leftovers import check_leftovers
    from .checkup.locked import check_locks, check_queue
    from .checkup.storage import check_permissions, check_storage
    from .checkup.stored import check_database, check_runs

    yield from check_storage(root)
    if not root.is_dir():
        return
    yield from check_permissions(root)
    yield from check_database(root)
    runs = list_runs(root_dir=root, persister=persister)
    yield from check_runs(runs)
    yield from check_leftovers(root, runs)
    yield from check_locks(root, runs)
    yield from check_queue(root)


def _facts(root: Path, findings: list[Finding]) -> dict[str, Any]:
    from .checkup.versions import extras, versions

    return {
        "root": root,
        "sound": not any(finding.level == "problem" for finding in findings),
        "versions": versions(),
        "extras": {name: not missing for name, missing in extras().items()},
        "findings": [asdict(finding) for finding in findings],
    }


def _print(to: Console, findings: list[Finding], problems: int) -> None:
    before = None
    for finding in findings:
        sign, style = _SIGNS[finding.level]
        label = finding.section if finding.section != before else ""
        print_field(to, label, Text(f"{sign}{shown(finding.text)}", style=style))
        before = finding.section
    many = f"{problems} problem{'' if problems == 1 else 's'} found" if problems else "no problem was found"
    print_field(to, "in all", Text(many, style="bold red" if problems else "green"))
