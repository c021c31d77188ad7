"""What a condition costs and gains over many histories, beside two baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .stops import Stop

TO_THE_END = "train to the end"
"""The baseline that never stops."""


@dataclass(frozen=True)
class Quartiles:
    """The middle of some numbers, ``None`` where there are none.

    Example:
        >>> Quartiles.of([1.0, 2.0, 4.0, None])
        Quartiles(lower=1.5, median=2.0, upper=3.0)
    """

    lower: float | None
    """A quarter of them lies below."""
    median: float | None
    """Half of them does."""
    upper: float | None
    """Three quarters do."""

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Quartiles:
        """The quartiles of the numbers that are known, linear between two; infinities are numbers too."""
        known = sorted(value for value in values if value is not None)
        if not known:
            return cls(None, None, None)
        return cls(*(_at_share(known, share) for share in (0.25, 0.5, 0.75)))


def _at_share(numbers: Sequence[float], share: float) -> float:
    """The number below which a share of sorted numbers lies; NumPy has NaN for it beside an infinite one."""
    part, place = math.modf(share * (len(numbers) - 1))
    lower, upper = numbers[int(place)], numbers[min(int(place) + 1, len(numbers) - 1)]
    return float(lower + (upper - lower) * part if part and lower != upper else lower)


@dataclass(frozen=True)
class Summary:
    """What one condition, or one baseline, does over all histories.

    Example:
        >>> from burr_lightning import compare_stopping
        >>> from burr_lightning.conditions import plateau
        >>> history = [{"val_loss": loss} for loss in (0.9, 0.5, 0.6, 0.55, 0.4)]
        >>> comparison = compare_stopping(history, {"impatient": plateau("val_loss", 2)}, "val_loss")
        >>> summary = comparison.summaries[0]
        >>> summary.stopped, summary.mean_epochs
        (1, 4.0)
    """

    condition: str
    """Its name."""
    stopped: int
    """In how many histories it stops at all."""
    histories: int
    """How many there are."""
    epochs: Quartiles
    """Epochs trained."""
    regret: Quartiles
    """Regret, in the metric's unit."""
    epochs_saved: Quartiles
    """Epochs not trained."""
    seconds_saved: Quartiles
    """Seconds of training saved, where they were recorded."""
    mean_epochs: float
    """Epochs trained, on average: the cost."""
    mean_regret: float | None
    """Regret, on average over the histories that have one, the same ones for every condition; infinite where
    one is."""
    same_cost_regret: float | None
    """The mean regret of i-Epoch at the same cost: the fewest epochs, the same for all histories, that cost
    as much on average or more."""

    def to_dict(self) -> dict[str, Any]:
        """All of it, by name."""
        return asdict(self)


@dataclass(frozen=True)
class FixedEpochs:
    """i-Epoch: every history is trained for the same number of epochs, or to its end where that comes first.

    After the baseline of arXiv 2404.04111, which drops all but the best candidates after i epochs and holds
    the predictive performance that is found in the end against the epochs consumed. Here nothing is chosen
    between histories: what counts is the mean of each one's own regret.

    Example:
        >>> import numpy as np
        >>> FixedEpochs.of([np.array([0.5, 0.1, 0.0])]).regrets.tolist()
        [0.5, 0.1, 0.0]
    """

    costs: NDArray[np.float64]
    """The mean number of epochs trained, for 1, 2, ... epochs."""
    regrets: NDArray[np.float64]
    """The mean regret, for 1, 2, ... epochs; infinite where a history has no finite value by then, NaN
    where no history has a regret."""

    @classmethod
    def of(cls, regrets_by_epoch: Sequence[NDArray[np.float64]]) -> FixedEpochs:
        """The baseline for every number of epochs.

        Args:
            regrets_by_epoch: For each history, its regret after 1, 2, ... epochs; all NaN where it has none.
        """
        epochs = np.arange(1, max(map(len, regrets_by_epoch), default=0) + 1)
        costs, totals, counted = np.zeros(len(epochs)), np.zeros(len(epochs)), 0
        for regrets in regrets_by_epoch:
            costs += np.minimum(epochs, len(regrets)) / len(regrets_by_epoch)
            if len(regrets) and not np.isnan(regrets[-1]):
                totals[: len(regrets)] += regrets
                totals[len(regrets) :] += regrets[-1]
                counted += 1
        return cls(costs, totals / counted if counted else np.full(len(epochs), math.nan))

    def at_the_cost_of(self, epochs: float) -> float | None:
        """The mean regret of the fewest epochs that cost as much on average, or more."""
        found = np.flatnonzero(self.costs >= epochs - 1e-9)
        return self._known(int(found[0])) if len(found) else None

    def as_good_as(self, regret: float) -> int:
        """The fewest epochs whose mean regret is no higher."""
        found = np.flatnonzero(self.regrets <= regret + 1e-12 * abs(regret))
        return int(found[0]) + 1 if len(found) else len(self.regrets)

    def _known(self, index: int) -> float | None:
        regret = float(self.regrets[index])
        return None if math.isnan(regret) else regret


def summary_of(name: str, stops: Sequence[Stop], fixed: FixedEpochs) -> Summary:
    """What one condition does over all histories."""
    cost = float(np.mean([stop.epochs for stop in stops]))
    regrets = [stop.regret for stop in stops if stop.regret is not None]
    return Summary(
        condition=name,
        stopped=sum(stop.epoch is not None for stop in stops),
        histories=len(stops),
        epochs=Quartiles.of([stop.epochs for stop in stops]),
        regret=Quartiles.of(regrets),
        epochs_saved=Quartiles.of([stop.epochs_saved for stop in stops]),
        seconds_saved=Quartiles.of([stop.seconds_saved for stop in stops]),
        mean_epochs=cost,
        mean_regret=float(np.mean(regrets)) if regrets else None,
        same_cost_regret=fixed.at_the_cost_of(cost),
    )
