"""When a run is committed, and what goes into its checkpoints."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from burr.core import Application
from lightning.pytorch import LightningModule, Trainer

from . import lightning_access as access
from . import lightning_data as data
from . import lightning_loops as loops
from . import lightning_sharding as sharding
from .burr_access import position_of
from .commits import Committer, FollowingCommitter
from .commits.committer import Content
from .commits.folders import WrittenFolder, begin_parts
from .rank_buffers import differing_buffers
from .ranks import Ranks
from .training_state import KEY, training_state

log = logging.getLogger(__name__)


class RunCommits:
    """Makes a run's commits, at the instants that its policy asks for.

    Args:
        trainer: The trainer.
        module: The module in training.
        app: The run's application.
        committer: Makes the commits durable; ``None`` leaves nothing on disk.
        kept: What a checkpoint is to hold beside the state of the training.
        ranks: The processes that train: each has a part of what a checkpoint holds, the first writes it.
    """

    def __init__(
        self,
        trainer: Trainer,
        module: LightningModule,
        app: Application[Any],
        committer: Committer | FollowingCommitter | None,
        kept: Callable[[], dict[str, Any]],
        ranks: Ranks,
    ) -> None:
        self._trainer, self._module, self._app, self._ranks = trainer, module, app, ranks
        self._committer, self._kept = committer, kept
        self._behind = False
        self._every_n_steps = committer.keep.every_n_steps if committer is not None else None
        self._inside_epochs = False
        self._recorded: Callable[[], list[str]] | None = None
        self._steps = 0
        self.stepped()

    def training_started(self) -> None:
        """The loaders are there: see whether a run can go on in the middle of an epoch."""
        self._inside_epochs = data.goes_on_inside_epoch(self._trainer)
        if self._every_n_steps is None:
            return
        self._steps = self._trainer.global_step // self._every_n_steps
        if not self._inside_epochs and self._ranks.leads:
            kinds = ", ".join(type(loader).__name__ for loader in data.train_loaders(self._trainer))
            log.warning(
                "Checkpoints(every_n_steps=%d): no commits are made inside an epoch, for its training data "
                "(%s) has no state_dict and could not be gone on with. After a kill the epoch under way is "
                "trained again from its beginning. torchdata's StatefulDataLoader has one.",
                self._every_n_steps,
                kinds,
            )

    def stepped(self) -> None:
        """The machine has made a step."""
        self._sequence_id, self._position = self._app.sequence_id, position_of(self._app)

    def trainer_moves_on(self) -> None:
        """The trainer trains: no row may be written without a checkpoint of its own."""
        self._behind = True

    def validated(self) -> None:
        """The machine has validated by itself: what was measured is committed."""
        self.action_ran(touched=True, acted=False)

    def action_ran(self, *, touched: bool, acted: bool = True) -> None:
        """An ordinary action has run at a boundary.

        One that touched the trainer is committed with a checkpoint. Before the first epoch there is
        none to put the change into, nor is there in the middle of one: it runs again at a resume.
        """
        if touched and self._app.state["epoch"] >= 0 and not loops.is_inside_epoch(self._trainer):
            self.commit(acted=acted)
            return
        self._behind |= touched
        if self._committer is not None and not self._behind:
            with self._measured():
                self._make(lambda committer: committer.commit(*self._point(), self._app.state, None))
            self._take_names()

    def epoch_ended(self, is_last: Callable[[], bool]) -> None:
        """An epoch has ended: commit it, if it is due.

        Args:
            is_last: Tells whether the machine goes on to no other; asked only where that matters, for a
                condition that fails must not cost the epoch.
        """
        if self._committer is None:
            return
        keep, state = self._committer.keep, self._app.state
        is_best = (
            keep.keep_best > 0 and state["best"] is not None and state["best"]["epoch"] == state["epoch"]
        )
        due = (state["epoch"] + 1) % keep.every_n_epochs == 0
        if due or is_best or state["finished"] or self._trainer.received_sigterm or is_last():
            self.commit()

    @contextmanager
    def between_batches(self, recorded: Callable[[], list[str]]) -> Iterator[None]:
        """Say that what the ``with`` block does is done between two batches.

        Args:
            recorded: Tells which logged metrics are in the state.
        """
        self._recorded = recorded
        try:
            yield
        finally:
            self._recorded = None

    def before_waiting(self) -> bool:
        """Have all that has happened on the disk, before a human is waited for.

        Returns:
            Whether the run can be gone on with from here: at the end of an epoch, and between two batches
            where the loader can.
        """
        if self._behind and loops.is_inside_epoch(self._trainer):
            if self._recorded is None or not self.can_commit_inside_epoch():
                return False
            self.commit_inside_epoch(None, self._recorded())
            self._behind = False
        elif self._behind and self._app.state["epoch"] >= 0:
            self.commit()
        self.settle()
        return True

    def training_ends(self) -> None:
        """Lightning trains no more: commit the last epoch, if it was not."""
        if self._behind and self._app.state["epoch"] >= 0 and not loops.is_inside_epoch(self._trainer):
            self.commit()

    def commit(self, *, acted: bool = False) -> None:
        """Commit a boundary, with a checkpoint.

        Args:
            acted: Whether an action has changed the training since the epoch ended.
        """
        if self._committer is not None:
            with self._measured():
                content, state = self._content(), self._app.state
                self._make(lambda committer: committer.commit(*self._point(), state, content, acted=acted))
            self._behind = False
            self._take_names()

    def is_due_inside_epoch(self) -> bool:
        """Finish what was written meanwhile; tell whether to commit between these two batches."""
        if self._committer is None:
            return False
        if isinstance(self._committer, Committer) and self._committer.is_writing:
            with self._measured(waits=True):
                self._committer.settle(wait=False)
        if self._every_n_steps is None or not self._inside_epochs:
            return False
        due = self._trainer.global_step // self._every_n_steps > self._steps
        return due and self._has_stepped and loops.epoch_goes_on(self._trainer)

    def can_commit_inside_epoch(self) -> bool:
        """Whether this is the middle of an epoch that could be gone on with from here."""
        between = loops.is_inside_epoch(self._trainer) and loops.batches_done(self._trainer)
        return self._committer is not None and self._inside_epochs and self._has_stepped and bool(between)

    @property
    def _has_stepped(self) -> bool:
        """Whether there is a row to go on from: none, in the first epoch of a machine that begins with it."""
        return self._sequence_id is not None

    def commit_inside_epoch(self, first_batch: int | None, recorded: list[str]) -> None:
        """Commit between two batches.

        Args:
            first_batch: The first batch of the phase that is open, ``None`` where none is.
            recorded: The metrics that had been logged before it.
        """
        place = {
            "epoch": self._trainer.current_epoch,
            "batch": loops.batches_done(self._trainer),
            "first_batch": first_batch,
        }
        if self._ranks.size > 1:
            place["ranks"] = self._ranks.size
        with self._measured():
            state, content = self._app.state, self._content(first_batch=first_batch, recorded=recorded)
            self._make(lambda committer: committer.commit_inside_epoch(*self._point(), state, content, place))
        if self._every_n_steps is not None:
            self._steps = self._trainer.global_step // self._every_n_steps

    def settle(self, *, wait: bool = True) -> None:
        """Finish what was being written.

        Args:
            wait: Whether to wait for it; else it is finished if it is written, or has failed, by now.

        Raises:
            CommitError: If it could not be written.
            CopyError: If it could not be copied.
        """
        if self._committer is not None:
            with self._measured(waits=True):
                self._make(lambda committer: committer.settle(wait=wait or committer.has_ended))
            self._take_names()

    def bring_best(self) -> None:
        """Have the best epoch's checkpoint on the disk, which another machine may have trained."""
        if self._committer is not None and self._committer.keep.copy_to is not None:
            self._make(lambda committer: committer.bring_best(self._app.state))

    def finish(self) -> None:
        """Wait for what is being written, where the other ranks may be anywhere.

        Raises:
            CommitError: If it could not be written.
        """
        if isinstance(self._committer, Committer):
            with self._measured(waits=True):
                self._committer.settle(wait=True)
            self._app.update_state(self._committer.named(self._app.state))

    def _make(self, make: Callable[[Committer], None]) -> None:
        """Have the first rank do something for a commit, and all know of the newest checkpoint."""
        committer = self._committer
        if committer is None:
            return

        def first() -> dict[str, Any] | None:
            assert isinstance(committer, Committer)
            make(committer)
            return committer.facts

        facts = self._ranks.agreed(first)
        if not self._ranks.leads:
            committer.facts = facts

    def _measured(self, *, waits: bool = False) -> AbstractContextManager[None]:
        if isinstance(self._committer, Committer):
            return self._committer.times.measured(self._sequence_id, waits=waits)
        return nullcontext()

    def _content(self, **place: Any) -> Content:
        """The checkpoint, with what each rank has of its own; it is whole on the first one."""
        in_parts = sharding.writes_folders(self._trainer)
        content = self._ranks.together(self._part if in_parts else self._whole)
        own = training_state(self._trainer, self._module) | self._kept() | place
        if self._ranks.size > 1:
            own["loader_states"] = data.loader_states(self._trainer)
        if sharding.shards(self._trainer):
            own["with_states"] = sharding.with_states(self._trainer, self._module)
            # The checkpoint holds those of one rank, be it the first or another.
            own["buffers"] = differing_buffers(self._module, self._ranks)
        of_all = self._ranks.collected(own)
        if of_all is not None:
            content[KEY] = own | ({"other_ranks": of_all[1:]} if len(of_all) > 1 else {})
        return self._written(content) if in_parts else content

    def _part(self) -> dict[str, Any]:
        return sharding.part_of_checkpoint(self._trainer)

    def _whole(self) -> dict[str, Any]:
        content = access.checkpoint_content(self._trainer)
        if sharding.shards(self._trainer):
            sharding.refuse_without_states(self._trainer, content)
        return content

    def _written(self, part: dict[str, Any]) -> WrittenFolder:
        """Have all ranks write their parts of a checkpoint into one folder."""
        committer = self._committer
        assert committer is not None
        folder = self._ranks.agreed(lambda: begin_parts(committer.checkpoints))
        try:
            self._ranks.together(lambda: sharding.write_folder(self._trainer, part, folder))
        except BaseException:
            if self._ranks.leads:  # the others do not know whether it is being given its name already
                shutil.rmtree(folder, ignore_errors=True)
            raise
        return WrittenFolder(folder, self._trainer.global_step)

    def _point(self) -> tuple[int, str]:
        assert self._sequence_id is not None
        assert self._position is not None
        return self._sequence_id, self._position

    def _take_names(self) -> None:
        if self._committer is not None:
            self._app.update_state(self._committer.named(self._app.state))
