"""The run of a segment: a fork of the run that it goes on from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningModule

from ..errors import ForkError, RunExistsError, RunNotFoundError
from ..hparams import of_module
from ..layout import RunFolder
from ..optimizer_names import OF_GROUPS, RATES
from ..runs import Run
from ..state import short
from .trial import TrialTask

log = logging.getLogger(__name__)


def see_to_fork(task: TrialTask, module: LightningModule) -> None:
    """Make the run of a trial that goes on from another's, unless it is there already.

    A trial that is begun again finds the fork that its first process has made; one that was cut off is no run
    yet, and is made again.

    Args:
        task: The trial.
        module: What the objective has built from its hyperparameters.

    Raises:
        ForkError: If there is nothing to go on from.
    """
    if task.parent is None or RunFolder(task.root, task.project, task.run_id).info() is not None:
        return
    parent = _run_of_parent(task)
    new, known = changes(task, parent.hparams, of_module(module))
    try:
        parent.fork("last", task.run_id, new, known=known)
    except RunExistsError:
        log.info("Run %r was forked by another process, and is gone on with.", task.run_id)


def _run_of_parent(task: TrialTask) -> Run:
    assert task.parent is not None
    try:
        return Run.open(task.parent.run_id, task.project, root_dir=task.root, persister=task.persister)
    except RunNotFoundError as error:
        raise ForkError(
            f"Trial {task.number} goes on from trial {task.parent.number}, and there is no run "
            f"{task.parent.run_id!r}: it was deleted. Keep the runs of a population until its study "
            f"has ended."
        ) from error


def changes(
    task: TrialTask, of_parent: Mapping[str, Any], of_module: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The hyperparameters that the fork has otherwise than its parent, for its optimizer above all.

    Whatever they are called in the search space: the module says what the objective has made of them. Of a
    module that has not saved any, those are taken that the optimizers have under the same name.

    Args:
        task: The trial.
        of_parent: The hyperparameters that the parent's run has.
        of_module: Those that the module was built with.

    Returns:
        What changes, and what else the parent had.
    """
    assert task.parent is not None
    old = task.parent.params
    changed = {name: value for name, value in task.params.items() if old.get(name, value) != value}
    if not changed:
        return {}, {}  # also what a human has changed meanwhile goes on
    now = short(of_module)
    new = {
        name: of_module[name]
        for name in now.keys() & of_parent.keys()
        if now[name] != of_parent[name] and _is_plain(of_module[name])
    }
    names = set(OF_GROUPS) | (set() if of_parent.keys() & set(RATES) else set(RATES))
    by_name = {name: changed[name] for name in names & changed.keys() - of_parent.keys()}
    if not new and not by_name:
        _tell_of_lost(task.number, changed)
    return {**new, **by_name}, {name: old[name] for name in by_name}


def _is_plain(value: Any) -> bool:
    """Whether it is no object, whose text may be another one in each process."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _tell_of_lost(number: int, changed: Mapping[str, Any]) -> None:
    log.warning(
        "Trial %d has %s, and its module does not know: the optimizer goes on with what its parent's had. "
        "Call self.save_hyperparameters() in the module's __init__, or give the optimizer's parameters "
        "the names lr, weight_decay, momentum and betas in the space.",
        number,
        ", ".join(f"{name}={value!r}" for name, value in changed.items()),
    )
