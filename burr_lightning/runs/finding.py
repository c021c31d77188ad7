"""Which stored runs there are, and the one that a name means."""

from __future__ import annotations

import os

from ..known_runs import known_runs, meant_runs, only_run
from ..layout import home
from ..persisters import Place
from ..stored_rows import StoredRows
from .html import runs_as_html
from .run import Run


class Runs(list[Run]):
    """Runs, as a table in a notebook.

    Example:
        >>> Runs() == []
        True
    """

    def _repr_html_(self) -> str:
        return runs_as_html(self)


def list_runs(
    project: str | None = None,
    *,
    root_dir: str | os.PathLike[str] | None = None,
    persister: str | Place | None = None,
) -> Runs:
    """All runs, or those of one project, the newest first.

    Args:
        project: The project; ``None`` lists all.
        root_dir: Where runs are kept, as in `BurrCallback`.
        persister: A persister for all of them, or the URL of those that were trained with it, with the
            password; ``None`` is the one that each run's folder names.

    A run whose rows cannot be read is listed without a state, and its `Run.rows_error` says why; one whose
    ``run.json`` cannot be read is left out, and `burr-lightning runs` and `doctor` name it.

    Example:
        >>> from burr_lightning import list_runs
        >>> list_runs(project="a-project-that-has-no-runs")
        []
    """
    known = known_runs(home(root_dir), project)
    with StoredRows(persister, "list_runs", strict=False) as rows:
        runs = [Run(folder, info, rows) for folder, info in known.items()]
    return Runs(sorted(runs, key=lambda run: run.created, reverse=True))


def find_run(
    wanted: str,
    project: str | None = None,
    *,
    root_dir: str | os.PathLike[str] | None = None,
    persister: str | Place | None = None,
) -> Run:
    """Open a run as one types it: its id, a beginning of it that no other run has, or ``latest``.

    Args:
        wanted: Which run.
        project: Its project; ``None`` looks through all of them.
        root_dir: Where runs are kept, as in `BurrCallback`.
        persister: The persister it was trained with, as in `Run.open`.

    Raises:
        RunNotFoundError: If no run, or more than one, is meant.

    Example:
        >>> from burr_lightning.errors import RunNotFoundError
        >>> try:
        ...     find_run("latest")
        ... except RunNotFoundError as error:
        ...     print(type(error).__name__)
        RunNotFoundError
    """
    root = home(root_dir)
    known = known_runs(root, project)
    with StoredRows(persister, "find_run", strict=True) as rows:
        return Run(*only_run(meant_runs(known, wanted), known, wanted, root), rows)
