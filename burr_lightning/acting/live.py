"""A training that is under way, as ready-made actions see it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from burr.core import State
from lightning.pytorch import LightningModule, Trainer

from .. import lightning_access as access
from .. import lightning_loops as loops
from .. import lightning_sharding as sharding
from .. import parameter_groups
from ..actions import Kept
from ..commits import Committer, FollowingCommitter, KeptCheckpoints
from ..commits.kept import KeptPlace, write_weights
from ..errors import NoCheckpointError
from ..lightning_testing import evaluate
from ..rank_buffers import put_buffers
from ..ranks import Ranks
from ..training_state import KEY, kept_of, random_state, set_frozen, set_random_state
from . import freezing, swapping

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """Whoever runs the training, told of what has to wait for another instant."""

    rolled_back: Callable[[], None]
    """The training was put back: what an epoch's end still has in store for schedulers is void."""
    swapped: Callable[[], None]
    """The loaders are to be made anew."""
    schedules: Callable[[], parameter_groups.Schedules]
    """Gives the learning rates and schedulers that the run began with."""


class LiveTraining:
    """What ready-made actions ask of the training; see `burr_lightning.actions.Training`.

    Args:
        trainer: The trainer, at a boundary.
        module: The module in training.
        committer: Knows the run's checkpoints; ``None`` where nothing is left on disk.
        run_id: The run, for errors.
        told: Whoever runs the training.
        ranks: The processes that train; each acts on its own trainer, and the first knows what is on disk.
    """

    def __init__(
        self,
        trainer: Trainer,
        module: LightningModule,
        committer: Committer | FollowingCommitter | None,
        run_id: str,
        told: Told,
        ranks: Ranks,
    ) -> None:
        self._trainer, self._module, self._ranks = trainer, module, ranks
        self._committer, self._run_id, self._told = committer, run_id, told

    def __repr__(self) -> str:
        return "the training"

    def roll_back(self, to: Kept, state: State[Any], *, skip_data: bool) -> dict[str, Any]:
        """Put weights, optimizers, schedulers and what is frozen back to a commit; tell which.

        Raises:
            NoCheckpointError: If there is none, or it holds the weights alone.
            TrainerError: If averaged weights cannot be taken back.
        """
        call = f"Rollback(to={to!r})"
        access.refuse_to_undo_averaging(self._trainer, call)
        place = self._find(to, state, call)
        in_place, checkpoints = sharding.shards(self._trainer), self._kept(call)
        content = checkpoints.load_rest(place.path) if in_place else checkpoints.load(place.path)
        if KEY not in content:
            raise NoCheckpointError(
                f"{call}: {place.path} holds the weights alone. Leave out Checkpoints(save_weights_only_best="
                f"True), or roll back to 'last'."
            )
        kept = content[KEY]
        parameter_groups.lay_out(self._trainer, self._module, kept.get("groups", []), self._run_id)
        if in_place:
            with sharding.room_for_states(self._trainer, self._module, kept.get("with_states")):
                content = sharding.load_in_place(self._trainer, place.path)
        own = kept_of(kept, self._ranks.rank)
        access.restore_training(self._trainer, content)
        put_buffers(self._module, own.get("buffers", {}))
        loops.step_schedulers(self._trainer, kept["schedulers"] or [])
        set_frozen(self._module, kept["frozen"])
        for optimizer in self._trainer.optimizers:
            optimizer.zero_grad()
        if not skip_data:
            set_random_state(self._trainer, self._module, own["random"])
        self._told.rolled_back()
        return {"to": place.epoch, "checkpoint": place.relative}

    def scale_learning_rates(self, factor: float, groups: Sequence[int] | None = None) -> list[float]:
        """Multiply learning rates, those that schedulers start from included; tell the new ones."""
        if factor != 1.0:
            for optimizer, number in parameter_groups.groups_of(self._trainer, groups):
                parameter_groups.scale(self._trainer, optimizer, number, factor)
        return self._rates()

    def set_learning_rates(self, lr: float, groups: Sequence[int] | None = None) -> list[float]:
        """Set learning rates, those that schedulers start from included; tell the new ones."""
        for optimizer, number in parameter_groups.groups_of(self._trainer, groups):
            parameter_groups.set_rate(self._trainer, optimizer, number, lr)
        return self._rates()

    def restart_schedules(self) -> None:
        """Put learning rates and schedulers back to where the run began."""
        parameter_groups.put_schedules_back(self._trainer, self._told.schedules())

    def freeze(self, patterns: Sequence[str]) -> dict[str, Any]:
        """Train these parameters no more; tell how many do not."""
        freezing.freeze(self._module, patterns, f"Freeze({', '.join(map(repr, patterns))})")
        return freezing.frozen_in_numbers(self._module)

    def unfreeze(self, patterns: Sequence[str], lr: float | None) -> dict[str, Any]:
        """Train these parameters; tell how many do not."""
        call = f"Unfreeze({', '.join(map(repr, patterns))})"
        freezing.unfreeze(self._trainer, self._module, patterns, lr, call)
        return freezing.frozen_in_numbers(self._module)

    def swap_data(
        self,
        settings: Mapping[str, Any],
        train: Callable[[], Any] | None,
        validation: Callable[[], Any] | None,
    ) -> None:
        """Have the data made anew, with other settings or from other loaders."""
        swapping.swap(self._trainer, self._module, settings, train, validation)
        self._told.swapped()

    def evaluate(self, weights: Literal["current", "best"], state: State[Any]) -> dict[str, float]:
        """Run the test loop; tell what it logged."""
        call = f"Evaluate({weights!r})"
        random = random_state(self._trainer, self._module)
        with self._weights(state if weights == "best" else None, call):
            metrics = evaluate(self._trainer, self._module, call)
        set_random_state(self._trainer, self._module, random)
        return metrics

    def give_best_weights(self, state: State[Any], *, load: bool, export: str | None) -> None:
        """Load the weights of the best epoch into the module, and write them to a file.

        Raises:
            NoCheckpointError: If they are not there.
        """
        if not load and export is None:
            return
        call = f"BestModel(load_weights={load}, export={export!r})"
        if self._committer is None:
            log.info("%s: Trainer(fast_dev_run=True) leaves no checkpoints, so nothing is done here.", call)
            return
        kept, path = self._kept(call), self._find("best", state, call).path
        if load:
            self._load(kept, path)
        if export is not None and self._ranks.leads:
            write_weights(kept.root / export, kept.load(path)["state_dict"])

    @contextmanager
    def _weights(self, best_of: State[Any] | None, call: str) -> Any:
        if best_of is None:
            yield
            return
        kept, path = self._kept(call), self._find("best", best_of, call).path
        in_parts = sharding.shards(self._trainer)
        state = self._module.state_dict
        own = sharding.own_weights(self._trainer) if in_parts else {n: v.clone() for n, v in state().items()}
        self._load(kept, path)
        try:
            yield
        finally:
            self._put(own)

    def _load(self, checkpoints: KeptCheckpoints, path: Path) -> None:
        if path.is_dir():
            sharding.load_weights(self._trainer, path)
            own = kept_of(checkpoints.load_rest(path)[KEY], self._ranks.rank)
            put_buffers(self._module, own["buffers"])
        else:
            self._put(checkpoints.load(path)["state_dict"], whole=True)

    def _put(self, weights: dict[str, Any], *, whole: bool = False) -> None:
        if sharding.shards(self._trainer):
            sharding.put_weights(self._trainer, weights, whole=whole)
        else:
            self._module.load_state_dict(weights, strict=self._module.strict_loading)

    def _find(self, which: Kept, state: State[Any], call: str) -> KeptPlace:
        """A checkpoint that is whole: one that was being written when the action began is, by now."""

        def first() -> KeptPlace:
            kept = self._kept(call)
            assert self._committer is not None
            inside = loops.is_inside_epoch(self._trainer)
            return kept.find(which, self._committer.named(state), call, inside_epoch=inside)

        return self._ranks.agreed(first)

    def _kept(self, call: str) -> KeptCheckpoints:
        if self._committer is None:
            raise NoCheckpointError(
                f"{call}: Trainer(fast_dev_run=True) leaves no checkpoints. Try the machine with a few "
                f"epochs and batches instead: Trainer(max_epochs=3, limit_train_batches=2)."
            )
        if isinstance(self._committer, Committer):
            self._committer.settle(wait=True)
        return self._committer.kept_checkpoints

    def _rates(self) -> list[float]:
        groups = [group for optimizer in self._trainer.optimizers for group in optimizer.param_groups]
        return [float(group["lr"]) for group in groups]
