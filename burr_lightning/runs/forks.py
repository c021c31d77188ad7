"""The forks of a stored run, and its parent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from ..commits.run_files import RunFiles
from ..layout import new_run_id
from ..persisters import connected
from ..rows import StateRows
from ..stored_rows import StoredRows
from .family import ForkPoint, children_of, fork_point
from .forking import ForkRequest, fork, forkable_epochs
from .opened import OpenedRun


class ForkableRun(OpenedRun):
    """The part of a `Run` that forks it, and that knows its parent and its forks."""

    @property
    def parent(self) -> ForkPoint | None:
        """Where it was forked from another run, ``None`` where it was not."""
        return fork_point(self._info)

    @property
    def is_untrained(self) -> bool:
        """Whether it is a fork that no process has begun to train.

        Its `status` is ``interrupted`` then, for it can be gone on with, and what it has is its parent's.
        """
        is_fork_alone = self.parent is not None and not self._folder.lock.exists()
        return is_fork_alone and (self._row is None or self._stands_where_it_left)

    @property
    def _stands_where_it_left(self) -> bool:
        """Whether its newest row is the one that it has from its parent."""
        parent, row = self.parent, self._row
        return parent is not None and row is not None and row.sequence_id == parent.sequence_id

    @property
    def _has_its_parents_end(self) -> bool:
        """Whether what its newest row says of an end is its parent's: it has come to none itself."""
        outcome = self._folder.outcome()
        return self._stands_where_it_left and (outcome is None or outcome.status != "finished")

    @property
    def launched(self) -> bool:
        """Whether it is known which command starts it, as `burr-lightning resume` does."""
        return self._info.launch is not None

    def children(self) -> list[Self]:
        """The runs that were forked from this one, the oldest first."""
        with StoredRows(self._given, "Run.children", strict=False) as rows:
            return [type(self)(folder, info, rows) for folder, info in children_of(self._folder)]

    @property
    def forkable(self) -> list[int]:
        """The epochs that can be forked: those whose checkpoint is there, without a copy at a URL."""
        with StoredRows(self._given, "Run.forkable", strict=False) as rows:
            files = RunFiles(
                self._folder
            )  # those of the copy are not asked for: pages list this again and again
            return forkable_epochs(files, self._info, rows.rows(self._folder, self._info))

    def fork(
        self,
        epoch: int | Literal["best", "last"] = "last",
        run_id: str | None = None,
        hparams: Mapping[str, Any] | None = None,
        *,
        known: Mapping[str, Any] | None = None,
    ) -> Self:
        """Make a new run that goes on from the end of an epoch of this one.

        Nothing is trained here: the same script trains the fork, where its ``BurrCallback`` is given the
        fork's ``run_id``, and `burr-lightning resume` starts it with the command of this run. The fork has
        this run's history up to the epoch, and its checkpoint without a copy where the file system can
        link. With nothing changed it comes to the same weights, bit for bit. This run may be training
        meanwhile.

        Args:
            epoch: The epoch, 0-based, of those that are `forkable`; ``"best"`` is that of the best
                monitored value, ``"last"`` the newest.
            run_id: The new run; ``None`` is a new id.
            hparams: Hyperparameters that are others from there on. ``module.hparams`` has them when the
                fork is trained. Unless the module has an `on_hparams_change` of its own, the learning
                rate (``lr`` or ``learning_rate``) changes in proportion in all groups of the optimizers and
                in what schedulers compute it from, and others, as ``weight_decay`` or ``betas``, in the
                groups that have the old value. What a module has built from one in its ``__init__`` stays;
                a warning names those that nothing else has.
            known: Hyperparameters that this run has beside those that its module has saved, as the ``lr`` of
                one that saves none: with it the rate changes in proportion.

        Returns:
            The new run.

        Raises:
            RunIdError: If ``run_id`` cannot name a folder.
            RunExistsError: If there is a run of that name.
            EpochNotForkableError: If the epoch's checkpoint is not there, or damaged.
            UnknownHparamError: If the run has no hyperparameter of such a name.
            ForkError: If a value is of another kind than the run's, or cannot be kept.
            BurrLightningError: If the rows cannot be reached; see `rows_error`.

        Example:
            >>> from burr_lightning.testing import scripted_run
            >>> run = scripted_run("digits", val_loss=[0.9, 0.5])
            >>> fork = run.fork(epoch=0, run_id="lower-lr", hparams={"lr": 1e-4})
            >>> fork.run_id, list(fork.history["val_loss"])
            ('lower-lr', [0.9])
        """
        new = run_id if run_id is not None else new_run_id()
        with StoredRows(self._given, "Run.fork", strict=True) as stored:
            rows = stored.rows(self._folder, self._info)
            wanted = ForkRequest(self._folder, self._info, rows, epoch, new, hparams or {}, known or {})
            persister = connected(stored.place(self._folder, self._info), new)
            try:
                folder = fork(wanted, StateRows(persister, self.project, new), self._row)
            finally:
                persister.cleanup()
        info = folder.info()
        assert info is not None
        with StoredRows(self._given, "Run.fork", strict=True) as stored:
            return type(self)(folder, info, stored)
