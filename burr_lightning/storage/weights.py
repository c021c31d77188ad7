"""Taking the weights of an epoch out of a stored run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ..commits.checkpoints import CheckpointName
from ..commits.files import sha256
from ..commits.run_files import RunFiles
from ..commits.weights import NotPlainError, StoredWeights, write_weights_to
from ..errors import BurrLightningError, ExportError, NoWeightsError
from ..layout import RunFolder
from ..runs import Run
from .targets import write_target

Epoch = int | Literal["best", "last"]

_LOOKS = 5
"""How often a checkpoint is looked for, where a run that trains has pruned the one that was found."""


@dataclass(frozen=True)
class WrittenWeights:
    """Weights that were written to a file."""

    path: Path
    epoch: int
    checkpoint: str
    """What they were taken from, relative to the run's folder."""
    unchecked: str | None
    """Why it was not compared with its SHA-256, ``None`` where it was."""


def folder_of(run: Run) -> RunFolder:
    """The folder of a run."""
    return RunFolder(run.folder.parent.parent, run.project, run.run_id)


def stored_weights(run: Run) -> StoredWeights:
    """The checkpoints of a run that hold weights."""
    folder = folder_of(run)
    return StoredWeights(RunFiles.of_stored(folder, folder.info()))


def export_weights(look: Callable[[], Run], epoch: Epoch, path: Path) -> WrittenWeights:
    """Write the weights of an epoch as a ``state_dict``.

    Args:
        look: Opens the run, again where it has gone on meanwhile.
        epoch: The epoch, 0-based; ``"best"`` is that of the best monitored value, the last one where
            nothing is monitored.
        path: Where to.

    Raises:
        NoWeightsError: If they are not there.
        ExportError: If their checkpoint is damaged, or the file cannot be written.
    """
    for _ in range(_LOOKS):
        run = look()
        stored = stored_weights(run)
        name = meant(run, stored, epoch)
        try:
            unchecked = _checked(run, stored, name)
            weights = _loaded(run, stored, name)
        except FileNotFoundError:
            continue
        write_target(path, partial(write_weights_to, weights=weights))
        relative = stored.paths[name].relative_to(run.folder).as_posix()
        return WrittenWeights(path, name.epoch, relative, unchecked)
    raise NoWeightsError(run.run_id, "it prunes faster than it can be read. Try again", stored.epochs)


def meant(run: Run, stored: StoredWeights, epoch: Epoch) -> CheckpointName:
    """The checkpoint of an epoch.

    Raises:
        NoWeightsError: If it is not there.
    """
    if epoch == "best":
        return _best(run, stored)
    name = stored.newest() if epoch == "last" else stored.of_epoch(epoch)
    if name is None:
        raise NoWeightsError(run.run_id, _why(run, epoch), stored.epochs)
    return name


def _best(run: Run, stored: StoredWeights) -> CheckpointName:
    if run.state is None and run.rows_error is not None:
        why = f"which epoch is the best is not known ({run.rows_error}). Give --epoch"
        raise NoWeightsError(run.run_id, why, stored.epochs)
    best = run.best
    if best is None and run.state is not None and run.state["monitor"] is not None:
        why = "no epoch has been the best yet: every value was NaN. Give --epoch"
        raise NoWeightsError(run.run_id, why, stored.epochs)
    if best is None:
        return meant(run, stored, "last")
    name = stored.named(best["checkpoint"]) or stored.of_epoch(best["epoch"])
    if name is None:
        why = f"the checkpoint of the best epoch, {best['epoch']}, is not there"
        raise NoWeightsError(run.run_id, why, stored.epochs)
    return name


def _why(run: Run, epoch: Epoch) -> str:
    if epoch == "last":
        return "no epoch has been committed yet"
    if isinstance(epoch, int) and epoch > run.epoch:
        return f"epoch {epoch} has not been trained, the newest is {run.epoch}"
    return f"the checkpoint of epoch {epoch} was pruned"


def _checked(run: Run, stored: StoredWeights, name: CheckpointName) -> str | None:
    """Compare a checkpoint with what its row says; why that cannot be done, ``None`` where it was."""
    path = stored.paths[name]
    digest, unchecked = _digest_of(run, name, path)
    others = [epoch for epoch in stored.epochs if epoch != name.epoch]
    if not path.exists() and stored.files.has(path) and not stored.files.fetched(path, digest):
        why = f"the checkpoint of epoch {name.epoch} {stored.files.state_of(path)}"
        raise NoWeightsError(run.run_id, f"{why} ({unchecked})" if unchecked else why, others)
    if digest is not None and sha256(path) != digest:
        raise NoWeightsError(run.run_id, f"the checkpoint of epoch {name.epoch} is damaged", others)
    return unchecked


def _digest_of(run: Run, name: CheckpointName, path: Path) -> tuple[str | None, str | None]:
    """The SHA-256 that a checkpoint has to have, or why that is not known."""
    try:
        with run.rows() as rows:
            row = rows.stored(name.commit)
    except BurrLightningError as error:
        return None, str(error)
    named = row.checkpoint if row is not None and row.checkpoint is not None else {}
    if name.weights:
        digest = named.get("weights_sha256")
        return digest, None if digest else "of weights alone no SHA-256 is kept"
    if "path" not in named or Path(named["path"]).name != path.name:
        return None, "no row names it"
    return named["sha256"], None


def _loaded(run: Run, stored: StoredWeights, name: CheckpointName) -> dict[str, Any]:
    try:
        return stored.load(name)
    except FileNotFoundError:
        raise
    except NotPlainError as error:
        raise ExportError(
            f"Run {run.run_id!r}: its state_dict holds more than weights ({error}), and could not be loaded "
            f"with weights_only=True. Load the checkpoint itself: torch.load('{stored.paths[name]}', "
            f"weights_only=False)['state_dict']"
        ) from error
    except Exception as error:  # torch raises errors of many kinds over a damaged file
        others = [epoch for epoch in stored.epochs if epoch != name.epoch]
        why = f"the checkpoint of epoch {name.epoch} cannot be read ({type(error).__name__}: {error})"
        raise NoWeightsError(run.run_id, why, others) from error
