"""What a resumed run puts back beside what Lightning restores, and when."""

from __future__ import annotations

import logging
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from . import lightning_access as access
from . import lightning_data as data
from . import lightning_loops as loops
from .commits.rng import cuda_devices
from .errors import OlderCheckpointError, ResumeError
from .fingerprint import draws_random_numbers
from .lightning_sharding import reshard
from .ranks import Ranks
from .running_metrics import RunningMeans
from .training_state import frozen, optimization, put_back, random_state, set_frozen, set_random_state

log = logging.getLogger(__name__)

_SHOWN = 3

_NEEDED = frozenset({
    *("random", "logged", "metric_states", "running_means", "gradients", "schedulers", "reload_epochs"),
    *("frozen", "lasting_workers", "optimization", "loaders_made", "wants_to_stop", "recorded"),
})  # fmt: skip
"""What a checkpoint must hold of ours; what came later has a default where it is read."""


class GoingOn:
    """A run that goes on from a checkpoint, until the epoch that it goes on with has ended.

    Args:
        trainer: The trainer, in ``on_train_start``.
        module: The module in training.
        kept: What the checkpoint holds of ours.
        run_id: The run, for the error.
        ranks: The processes that go on.

    Raises:
        ResumeError: If there are other optimizers or schedulers than those that the run was started with.
    """

    def __init__(
        self, trainer: Trainer, module: LightningModule, kept: dict[str, Any], run_id: str, ranks: Ranks
    ) -> None:
        self._trainer, self._module, self._kept = trainer, module, kept
        reshard(trainer)
        is_new = ranks.rank >= kept["ranks"]
        _refuse_other_optimization(run_id, kept["optimization"], optimization(trainer))
        put_back(trainer, module, kept)
        set_frozen(module, kept["frozen"])
        trainer.should_stop = trainer.should_stop or kept["wants_to_stop"]
        self._random, self._frozen = kept["random"], kept["frozen"]
        if is_new:  # the numbers of the first one are its own
            self._random = random_state(trainer, module)
        set_random_state(trainer, module, self._random)
        self._means = RunningMeans(trainer, kept["running_means"] or {}) if self.inside_epoch else None
        self.steps_to_come: list[list[Any]] | None = kept["schedulers"]
        """The steps of schedulers that are still to be made, ``None`` once they are."""

    @property
    def inside_epoch(self) -> bool:
        """Whether it goes on in the middle of an epoch."""
        return self._kept["running_means"] is not None

    @property
    def first_batch(self) -> int | None:
        """The first batch of the phase that was open, ``None`` where none was."""
        batch: int | None = self._kept.get("first_batch")
        return batch

    @property
    def recorded(self) -> list[str]:
        """The logged metrics that were in the state already."""
        return list(self._kept["recorded"])

    def step_schedulers(self) -> None:
        """Make the steps of schedulers that are still to be made."""
        loops.step_schedulers(self._trainer, self.steps_to_come or [])
        self.steps_to_come = []

    def actions_ran(self) -> None:
        """The actions that were due have run: they may have drawn random numbers, and frozen parameters."""
        self._random = random_state(self._trainer, self._module)
        self._frozen = frozen(self._module)

    def go_on(self) -> None:
        """Be where the interrupted process was when the commit was made and all that follows it.

        Whatever hooks have drawn at the start of this process is undone.
        """
        if self.inside_epoch:
            loops.continue_epoch(self._trainer)
        else:
            loops.begin_next_epoch(self._trainer)
        loops.step_schedulers(self._trainer, self.steps_to_come or [])
        self.steps_to_come = None
        reshard(self._trainer)
        set_frozen(self._module, self._frozen)
        data.start_workers(self._trainer, self._kept["lasting_workers"])
        set_random_state(self._trainer, self._module, self._random)

    def batch_completed(self) -> None:
        """A batch is done: what it logged is added to what had been logged before."""
        if self._means is not None and self._trainer.is_last_batch:
            self._means.fold_rest(self._module)
        elif self._means is not None:
            self._means.fold()

    def end(self) -> None:
        """The epoch that it goes on with has ended, or none was gone on with."""
        if self._means is not None:
            self._means.end()


def tell_of_what_differs(kept: dict[str, Any], ranks: Ranks) -> None:
    """Say that a run goes on with other processes or devices than those that have made its last commit."""
    if not ranks.leads:
        return
    if kept["ranks"] != ranks.size:
        log.warning(
            "The run was trained by %d process%s and goes on with %d: from here on each has another share of "
            "the data, and draws other random numbers, than if it had gone on as before.",
            kept["ranks"],
            "" if kept["ranks"] == 1 else "es",
            ranks.size,
        )
    state = kept["random"]["global"]
    then, now = len(state["cuda"]), cuda_devices()
    if "cuda_device" in state and then != now:
        what = "what the one that trains draws goes on as before, what others draw may not"
        if not then or not now:
            what = "from here on it draws other random numbers, and rounds otherwise"
        log.warning(
            "The run was trained %s and goes on %s: %s.", _with_devices(then), _with_devices(now), what
        )


def _with_devices(count: int) -> str:
    return f"with {count} CUDA device{'' if count == 1 else 's'}" if count else "without CUDA"


def tell_of_workers(trainer: Trainer, going_on: GoingOn | None) -> None:
    """Say where workers of the data loader have drawn, or will draw, numbers that cannot be put back."""
    inside_epoch = going_on is not None and going_on.inside_epoch
    for loader in data.workers_that_go_on(trainer, inside_epoch=inside_epoch):
        if not draws_random_numbers(loader):
            continue
        if inside_epoch:
            log.warning(
                "The data set draws random numbers in workers, and the run goes on in the middle of an "
                "epoch: they are others than before. From the end of an epoch, or with num_workers=0, it "
                "is exact."
            )
        else:
            log.warning(
                "The data set draws random numbers in workers that outlive an epoch "
                "(persistent_workers=True): after a resume they are others, and the run is not exact. "
                "Without that argument it is."
            )


def holds_enough(kept: dict[str, Any], run_id: str, *, goes_on: bool) -> bool:
    """Whether a checkpoint holds what a run needs to go on.

    Raises:
        OlderCheckpointError: If it was written by a version that kept less, and the run goes on.
    """
    missing = _NEEDED - kept.keys()
    if missing and goes_on:
        raise OlderCheckpointError(run_id, missing)
    return not missing


def refuse_other_module(trainer: Trainer, module: LightningModule, run_id: str) -> None:
    """See that the weights of the checkpoint which is about to be restored fit the module.

    Raises:
        ResumeError: If they do not.
    """
    found = access.weights_that_do_not_fit(trainer, module)
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ResumeError(
            f"Run {run_id!r} was started with another module ({'; '.join(found[:_SHOWN])}{more}). Give it "
            f"that one, or start a new run with another run_id."
        )


def _refuse_other_optimization(run_id: str, then: dict[str, list[str]], now: dict[str, list[str]]) -> None:
    for kind, names in then.items():
        if names != now[kind]:
            was, is_ = (", ".join(names) or "none" for names in (names, now[kind]))
            raise ResumeError(
                f"Run {run_id!r} was started with other {kind} (was {was}, is {is_}). Their state fits no "
                f"others: configure those again, or start a new run with another run_id."
            )
