"""Go back to a commit, and train on from there."""

from __future__ import annotations

from typing import Any

from burr.core import State

from ..errors import ArgumentError
from .ordinary import Kept, OrdinaryAction, Training


class Rollback(OrdinaryAction):
    """Put weights, optimizers, schedulers and what is frozen back to an earlier commit.

    The run goes on with its next epoch: epochs and the metric history are not taken back, for they
    happened. At the end of an epoch, a scheduler that monitors a metric (``ReduceLROnPlateau``) is not told
    of the value that the epoch ended with: it goes on from where it was at that commit. Rolled back to the
    same commit again, the factor counts once more, so that a second attempt is not the first one over again.

    Reads: `epoch`, `best`, `monitor`, `history`, `rollback`. Writes: `rollback`: how many there were in all
    (`count`), after which epoch the newest was (`epoch`) and after how many checks of the history (`check`),
    to which epoch (`to`) and its `checkpoint`, how often in a row to that commit (`times`), and the learning
    rates (`lr`).

    Args:
        to: ``"best"``, the best epoch of the monitored metric; ``"last"``, the newest commit before the
            epoch that has just ended, or that is under way; or an epoch, 0-based, whose checkpoint is kept.
        lr_factor: What the learning rates of that commit are multiplied with, more than 0; ``None`` leaves
            them.
        skip_data: Whether the data goes on where it is: the random number generators are not put
            back, so that the next epoch meets other batches than those that followed the commit.
            ``False`` puts them back as well, and what followed the commit is trained again.

    Raises:
        ArgumentError: If an argument is none of these.

    Example:
        >>> Rollback(to="best", lr_factor=0.5)
        Rollback(to='best', lr_factor=0.5)
    """

    READS = ("epoch", "best", "monitor", "history", "rollback")
    WRITES = ("rollback",)

    def __init__(self, to: Kept = "best", *, lr_factor: float | None = None, skip_data: bool = True) -> None:
        super().__init__()
        is_epoch = isinstance(to, int) and not isinstance(to, bool) and to >= 0
        if to not in ("best", "last") and not is_epoch:
            raise ArgumentError(f"Rollback(to={to!r}): it must be 'best', 'last', or an epoch, 0 or more.")
        if lr_factor is not None and not lr_factor > 0:
            raise ArgumentError(f"Rollback(lr_factor={lr_factor!r}): it must be more than 0, or None.")
        self.to, self.lr_factor, self.skip_data = to, lr_factor, skip_data

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Roll back, and tell to where."""
        training: Training = inputs["training"]
        before = state["rollback"]
        point = training.roll_back(self.to, state, skip_data=self.skip_data)
        again = before is not None and before["checkpoint"] == point["checkpoint"]
        times = before["times"] + 1 if before is not None and again else 1
        rates = training.scale_learning_rates((self.lr_factor or 1.0) ** times)
        count = 1 if before is None else before["count"] + 1
        return {
            "rollback": {
                "count": count,
                "epoch": state["epoch"],
                "check": state["history"].checks,
                "times": times,
                "lr": rates,
                **point,
            },
        }

    def __repr__(self) -> str:
        skip_data = "" if self.skip_data else ", skip_data=False"
        return f"Rollback(to={self.to!r}, lr_factor={self.lr_factor!r}{skip_data})"
