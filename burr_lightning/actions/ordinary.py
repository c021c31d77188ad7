"""What ready-made ordinary actions share, and what they ask of the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol

from burr.core import State
from burr.core.action import Action

Kept = Literal["best", "last"] | int
"""A commit: of the best epoch, the newest one before the epoch that has just ended, or of an epoch."""


PROVIDED_INPUTS = frozenset({"training", "trainer", "pl_module", "datamodule", "fingerprint"})
"""What an ordinary action can ask for by declaring it as an input."""


class Training(Protocol):
    """What ready-made actions ask of the training: the input ``training``, given at a boundary.

    Actions decide; whoever drives the machine acts on the trainer.

    Example:
        >>> from burr_lightning.actions import SetLearningRate
        >>> class Notes:  # for a test of an action; a run's own acts on the trainer
        ...     def scale_learning_rates(self, factor, groups=None):
        ...         return [0.1 * factor]
        >>> SetLearningRate(factor=0.5).run({}, training=Notes())["learning_rates"]
        [0.05]
    """

    def roll_back(self, to: Kept, state: State[Any], *, skip_data: bool) -> dict[str, Any]:
        """Put the training back to a commit, with the random numbers unless data is skipped; tell which."""
        ...

    def scale_learning_rates(self, factor: float, groups: Sequence[int] | None = None) -> list[float]:
        """Multiply learning rates, those that schedulers start from included; tell the new ones."""
        ...

    def set_learning_rates(self, lr: float, groups: Sequence[int] | None = None) -> list[float]:
        """Set learning rates, those that schedulers start from included; tell the new ones."""
        ...

    def restart_schedules(self) -> None:
        """Put learning rates and schedulers back to where the run began."""
        ...

    def freeze(self, patterns: Sequence[str]) -> dict[str, Any]:
        """Train these parameters no more; tell how many do not."""
        ...

    def unfreeze(self, patterns: Sequence[str], lr: float | None) -> dict[str, Any]:
        """Train these parameters; tell how many do not."""
        ...

    def swap_data(
        self,
        settings: Mapping[str, Any],
        train: Callable[[], Any] | None,
        validation: Callable[[], Any] | None,
    ) -> None:
        """Have the data made anew, with other settings or from other loaders."""
        ...

    def evaluate(self, weights: Literal["current", "best"], state: State[Any]) -> dict[str, float]:
        """Run the test loop; tell what it logged."""
        ...


class OrdinaryAction(Action):
    """A ready-made ordinary action: it runs at a boundary, while Lightning waits.

    Example:
        >>> class HalveRates(OrdinaryAction):
        ...     # halves all learning rates; the state key `rates` is this user's own
        ...     WRITES = ("rates",)
        ...     def run(self, state, **inputs):
        ...         return {"rates": inputs["training"].scale_learning_rates(0.5)}
        >>> HalveRates().inputs, HalveRates().writes
        (['training'], ['rates'])
    """

    READS: ClassVar[tuple[str, ...]] = ()
    WRITES: ClassVar[tuple[str, ...]] = ()
    changes_training: ClassVar[bool] = True
    """Whether it leaves the training otherwise than a checkpoint of before has it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def reads(self) -> list[str]:
        return list(self.READS)

    @property
    def writes(self) -> list[str]:
        return list(self.WRITES)

    @property
    def inputs(self) -> list[str]:
        return ["training"]

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Act on the training, and tell what was done."""
        raise NotImplementedError

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The state that knows what was done."""
        return state.update(**{key: result[key] for key in self.WRITES})
