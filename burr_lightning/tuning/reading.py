"""A study as one reads it: its trials, the best one, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from burr.core import State

from ..errors import MissingExtraError
from .ledger import Ledger, TrialRecord
from .lineage import as_tree

if TYPE_CHECKING:
    import optuna
    import pandas as pd


class StudyReader:
    """What a study knows of its trials, whether it runs here or was opened from outside."""

    run_id: str

    @property
    def state(self) -> State[Any]:
        """The state of its machine; see `burr_lightning.tuning.state` for its keys."""
        raise NotImplementedError

    @property
    def space(self) -> Mapping[str, Any]:
        """The distribution of each parameter."""
        raise NotImplementedError

    @property
    def ledger(self) -> Ledger:
        """Every trial, and how it went."""
        ledger: Ledger = self.state["ledger"]
        return ledger

    @property
    def trials(self) -> Sequence[TrialRecord]:
        """Its trials, in the order in which they were suggested."""
        return tuple(self.ledger)

    @property
    def best(self) -> TrialRecord | None:
        """The best trial that has finished; ``None`` while there is none, and with several directions."""
        return self.ledger.best

    @property
    def stop_reason(self) -> str | None:
        """What ended it, in words; ``None`` while it goes on."""
        reason: str | None = self.state["stop_reason"]
        return reason

    def tree(self) -> str:
        """Its trials in words, each under the one that it goes on from; see `PopulationBased`."""
        return as_tree(self.ledger)

    def to_pandas(self) -> pd.DataFrame:
        """One row for each trial: its number, status, values, parameters, run, attempts and times.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise MissingExtraError("Study.to_pandas()", "pandas", "pandas") from None
        return pd.DataFrame([_as_row(trial) for trial in self.ledger])

    def to_optuna(self) -> optuna.Study:
        """An Optuna study in memory with all of these trials, for its figures, importance and dashboard."""
        from .deciding import as_optuna

        return as_optuna(self.run_id, self.ledger, self.space)


def _as_row(trial: TrialRecord) -> dict[str, Any]:
    values = {"value": trial.value}
    if trial.values is not None and len(trial.values) > 1:
        values = {f"value_{number}": value for number, value in enumerate(trial.values)}
    times = {"started": trial.started, "ended": trial.ended}
    return {
        "trial": trial.number,
        "status": trial.status,
        **values,
        **_of_population(trial),
        **{f"params_{name}": value for name, value in trial.params.items()},
        "run_id": trial.run_id,
        "attempts": trial.attempts,
        **times,
    }


def _of_population(trial: TrialRecord) -> dict[str, Any]:
    if trial.segment is None:
        return {}
    return {"member": trial.member, "parent": trial.parent, "max_epochs": trial.segment.max_epochs}
