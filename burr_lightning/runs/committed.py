"""The commits of a stored run, as a user looks at them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import UnreadableRowError
from ..layout import RunFolder
from ..rows import StateRows


@dataclass(frozen=True)
class Commit:
    """A commit: a row, and the checkpoint that it names.

    Example:
        >>> from burr_lightning.testing import scripted_run
        >>> newest = scripted_run("digits", val_loss=[0.9, 0.5]).commits[-1]
        >>> newest.epoch, newest.exists
        (1, True)
    """

    sequence_id: int
    """The step of the machine that it was made after."""
    action: str
    """The action of that step."""
    epoch: int
    """The last finished epoch, -1 before the first."""
    path: Path | None
    """Its checkpoint, ``None`` before the first epoch's end."""

    @property
    def exists(self) -> bool:
        """Whether its checkpoint is still there: older ones are pruned."""
        return self.path is not None and self.path.exists()


def commits_of(folder: RunFolder, rows: StateRows) -> list[Commit]:
    """The commits of a run, the oldest first; one whose row is damaged is left out."""
    newest = rows.newest_sequence_id()
    found: list[Commit] = []
    for sequence_id in range(newest + 1 if newest is not None else 0):
        try:
            row = rows.stored(sequence_id)
        except UnreadableRowError:
            continue
        if row is not None:
            path = folder.path / row.checkpoint["path"] if row.checkpoint else None
            found.append(Commit(row.sequence_id, row.position, row.epoch, path))
    return found
