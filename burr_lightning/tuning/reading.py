"""A study as one reads it: its trials, the best one, tables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from burr.core import State

from ..errors import MissingExtraError
from .attempts import Attempt, attempts_of
from .ledger import Ledger
from .lineage import as_tree
from .optuna_access import copied
from .params import hashable_params, hashable_space
from .scores import Scores, scores_by_trial
from .trial_record import TrialRecord

if TYPE_CHECKING:
    import optuna
    import pandas as pd


class StudyReader:
    """What a study knows of its trials, whether it runs here or was opened from outside."""

    run_id: str

    @property
    def state(self) -> State[Any]:
        """The state of its machine; see ``burr_lightning.tuning.state`` for its keys."""
        raise NotImplementedError

    @property
    def space(self) -> Mapping[str, Any]:
        """The distribution of each parameter."""
        raise NotImplementedError

    @property
    def scores(self) -> Scores:
        """What its trials came to after each epoch."""
        raise NotImplementedError

    @property
    def is_run(self) -> bool:
        """Whether a process runs it, or did so when it was opened."""
        raise NotImplementedError

    @property
    def monitor(self) -> str | None:
        """The metric that says how good a trial is, ``None`` where the objective says it."""
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
    def best_trials(self) -> Sequence[TrialRecord]:
        """The best one, or with several directions all that no other one beats; empty while there is none.

        One beats another that is as good in every direction, and better in one.
        """
        return best_trials(self.ledger)

    @property
    def attempts(self) -> Sequence[Attempt]:
        """Every time that a trial was begun, by whom, when, and how that ended; in order."""
        return tuple(attempts_of(self.ledger))

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

    def plot(self, kind: str = "history", path: str | os.PathLike[str] | None = None) -> Any:
        """Draw it.

        Args:
            kind: ``history`` of the best value, ``parallel`` coordinates, ``slices`` by parameter,
                ``importance`` of parameters, or ``workers``: where the time of each one went.
            path: Where to write the picture, by its ending PNG, SVG or PDF; ``None`` writes none.

        Returns:
            A matplotlib figure.

        Raises:
            ArgumentError: If there is no such kind, or the path is none of a picture.
            NotDrawnError: If the study has too little that could be drawn so.
            MissingExtraError: Without matplotlib, which the extra ``plot`` brings.
        """
        from .figures import written_figure

        return written_figure(self, kind, path)

    def to_optuna(self, storage: str | None = None) -> optuna.Study:
        """An Optuna study with all of these trials, for its figures, importance and dashboard.

        Choices that are lists or dicts are their JSON texts in it. Parameters whose distribution is not
        known, as those of a sampler of one's own without a space, are not in it.

        Args:
            storage: A storage of Optuna's to copy it to, as ``"sqlite:///study.db"``, which optuna-dashboard
                opens; ``None`` for a study in memory.

        Raises:
            optuna.exceptions.DuplicatedStudyError: If the storage has a study of that name.
        """
        from .deciding import as_optuna

        scores = scores_by_trial(self.scores)
        made = as_optuna(
            self.run_id,
            self.ledger,
            hashable_space(self.space),
            scores=lambda trial: scores[trial.number],
            params=lambda trial: hashable_params(trial.params),
        )
        return made if storage is None else copied(made, storage)


def best_trials(ledger: Ledger) -> Sequence[TrialRecord]:
    """The trials that no other one beats, as `StudyReader.best_trials` has them."""
    if len(ledger.directions) == 1:
        return () if ledger.best is None else (ledger.best,)
    signs = [1 if mode == "min" else -1 for mode in ledger.directions]
    costs = {
        trial.number: [sign * value for sign, value in zip(signs, trial.values, strict=True)]
        for trial in ledger
        if trial.status == "finished" and trial.values is not None
    }
    return tuple(
        ledger[number]
        for number, cost in costs.items()
        if not any(_is_better(other, cost) for other in costs.values())
    )


def _is_better(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether costs are as low as others in all, and lower in one."""
    return list(one) != list(other) and all(a <= b for a, b in zip(one, other, strict=True))


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
