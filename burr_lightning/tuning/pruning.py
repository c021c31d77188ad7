"""Pruning: a condition in a trial's own machine that looks at what the other trials came to."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from burr.core import Condition, State
from burr.core.graph import Graph, Transition
from burr.lifecycle.base import PostRunStepHook
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from ..actions import PhaseAction, Pruned
from ..conditions.base import StopCondition
from ..history import MetricHistory
from ..metric import Mode
from . import optuna_access as access
from .scores import Scores
from .trial import TrialTask

__all__ = ["Scores", "is_pruned", "prunes", "reports_to", "with_pruning"]

_STATES = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def with_pruning(graph: Graph, condition: Condition) -> Graph:
    """A machine that also ends in ``pruned``, wherever a phase is over and the condition holds.

    Args:
        graph: The machine.
        condition: When the trial is pruned.
    """
    pruned = Pruned().with_name("pruned")
    phases = [action for action in graph.actions if isinstance(action, PhaseAction)]
    first = [Transition(phase, pruned, condition) for phase in phases]
    return Graph(actions=[*graph.actions, pruned], transitions=[*first, *graph.transitions])


def is_pruned(graph: Graph, position: str | None) -> bool:
    """Whether a machine has ended in ``pruned``."""
    return position is not None and isinstance(graph.get_action(position), Pruned)


def reports_to(scores: Scores, task: TrialTask) -> PostRunStepHook:
    """The hook that tells the other trials what an epoch came to."""
    return _Reports(scores, task.run_id, task.number, str(task.monitor))


class _Reports(PostRunStepHook):
    def __init__(self, scores: Scores, run_id: str, trial: int, monitor: str) -> None:
        self._scores, self._run_id, self._trial, self._monitor = scores, run_id, trial, monitor
        self._told = -1

    def post_run_step(
        self, *, app_id: str, state: State[Any], exception: Exception | None, **future_kwargs: Any
    ) -> None:
        """Called by Burr after every step."""
        if app_id != self._run_id or exception is not None or state["epoch"] <= self._told:
            return
        self._told = state["epoch"]
        value = _newest(state["history"], self._monitor)
        if value is not None:
            self._scores.tell(self._trial, epoch=state["epoch"], value=repr(value))


def _newest(history: MetricHistory, monitor: str) -> float | None:
    """What the newest epoch that is over logged, NaN too; ``None`` where it did not log the metric."""
    if monitor not in history or not len(history):
        return None
    value = history[monitor][-1]
    return None if math.isnan(value) and not _was_logged(history, monitor, len(history) - 1) else value


def _was_logged(history: MetricHistory, monitor: str, epoch: int) -> bool:
    """Whether an epoch logged a metric: a history has NaN for what was not logged as well."""
    back, at = 0, history.latest(monitor)[0]
    try:
        while at > epoch:  # in the epoch that is under way
            back += 1
            at = history.latest(monitor, back)[0]
    except IndexError:
        return False
    return at == epoch


def _before(history: MetricHistory, monitor: str, epoch: int) -> dict[int, float]:
    """What a run came to before an epoch."""
    rows = history.to_dicts()
    return {row["epoch"]: row[monitor] for row in rows if row["epoch"] < epoch and monitor in row}


def prunes(task: TrialTask, scores: Scores) -> StopCondition:
    """Holds where the pruner gives the trial up, after an epoch that logged the monitored metric, be it NaN.

    Args:
        task: The trial.
        scores: What all trials came to.
    """
    assert task.pruner is not None
    assert task.monitor is not None
    peers = Peers(task.study_id, task.number, task.directions[0], task.pruner, scores)
    monitor = task.monitor

    def check(state: State[Any]) -> tuple[bool | None, str]:
        value = _newest(state["history"], monitor)
        if value is None:
            return None, f"{monitor} was not logged"
        before = {} if peers.were_asked else _before(state["history"], monitor, state["epoch"])
        gives_up = peers.give_up(state["epoch"], {**before, state["epoch"]: value})
        return gives_up, f"epoch {state['epoch']}: {monitor} {value:g}, against {peers.others} other trials"

    name = f"pruned by {type(task.pruner).__name__}"
    return StopCondition(name, ["history", "epoch"], check)


class Peers:
    """The other trials of a study, as Optuna's pruners want to see them.

    A trial whose process died has told of epochs that it trains again, after its last commit. Of the trial
    that is asked about they are not to be known: what it came to is read in its own history, and of what the
    pruner keeps of it, what belongs to epochs before the one it is asked about.

    Args:
        study_id: The study.
        number: The trial that is asked about.
        direction: In which direction the value gets better.
        pruner: Optuna's pruner.
        scores: What all trials came to.
    """

    def __init__(
        self, study_id: str, number: int, direction: Mode, pruner: BasePruner, scores: Scores
    ) -> None:
        self._number, self._pruner, self._scores = number, pruner, scores
        with access.quiet():
            self._study = optuna.create_study(
                study_name=study_id,
                pruner=pruner,
                direction="minimize" if direction == "min" else "maximize",
            )
        self._asked: dict[int, bool] = {}

    @property
    def were_asked(self) -> bool:
        """Whether this process has asked before."""
        return bool(self._asked)

    @property
    def others(self) -> int:
        """How many other trials have told what they came to."""
        return sum(bool(each.intermediate_values) for each in self._study.get_trials(deepcopy=False)) - 1

    def give_up(self, epoch: int, values: Mapping[int, float]) -> bool:
        """Whether the pruner gives the trial up after an epoch; asked again, it says what it said.

        Args:
            epoch: The epoch.
            values: What the trial itself came to, by its epochs since it was asked last, or from the first.
        """
        if epoch not in self._asked:
            newer = [fact for fact in self._scores.newer() if self._is_known(fact, epoch)]
            for fact in newer if self._asked else self._all_at_once(newer):
                self._take(fact)
            for at, value in values.items():
                self._take({"trial": self._number, "epoch": at, "value": value})
            before = dict(access.trial_attributes(self._study, self._number))
            self._asked[epoch] = access.prunes(self._pruner, self._study, self._number)
            after = access.trial_attributes(self._study, self._number)
            rungs = {key: kept for key, kept in after.items() if before.get(key) != kept}
            if rungs:
                self._scores.tell(self._number, epoch=epoch, attributes=rungs)
        return self._asked[epoch]

    def _is_known(self, fact: Mapping[str, Any], epoch: int) -> bool:
        """Whether the pruner is to know something after an epoch of the trial."""
        if int(fact["trial"]) != self._number:
            return True
        # Older files do not say of which epoch it is what a pruner keeps.
        return "attributes" in fact and int(fact.get("epoch", -1)) < epoch

    def _all_at_once(self, facts: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Take what is known at first, each trial that is over in one piece: many of them take no time.

        Returns:
            What is left to be taken one by one.
        """
        by_trial: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for fact in facts:
            by_trial[int(fact["trial"])].append(fact)
        for number in range(max(by_trial, default=-1) + 1):
            of_trial = by_trial[number]
            over = next((at for at, fact in enumerate(of_trial) if "status" in fact), None)
            if over is None or number == self._number:
                access.add_running(self._study)
                yield from of_trial
            else:
                access.add_trial(self._study, _over(number, of_trial[: over + 1]))

    def _take(self, fact: Mapping[str, Any]) -> None:
        number = int(fact["trial"])
        while access.trials(self._study) <= number:
            access.add_running(self._study)
        if "value" in fact:
            access.report(self._study, number, int(fact["epoch"]), float(fact["value"]))
        access.set_trial_attributes(self._study, number, fact.get("attributes", {}))
        if "status" in fact and number != self._number:
            access.set_over(self._study, number, *_end(fact))


def _over(number: int, facts: Sequence[Mapping[str, Any]]) -> FrozenTrial:
    """A trial that is over, from all that was told of it until then."""
    attributes: dict[str, Any] = {}
    for fact in facts:
        attributes |= fact.get("attributes", {})
    state, values = _end(facts[-1])
    return access.frozen_trial(
        number=number,
        state=state,
        values=values,
        params={},
        distributions={},
        attributes=attributes,
        facts={},
        intermediate={int(fact["epoch"]): float(fact["value"]) for fact in facts if "value" in fact},
        started=None,
        ended=None,
    )


def _end(fact: Mapping[str, Any]) -> tuple[TrialState, list[float] | None]:
    """How a trial has ended; one that has finished without a value has failed to Optuna."""
    values = [float(value) for value in fact["values"]] if fact.get("values") else None
    state = _STATES[fact["status"]]
    return (TrialState.FAIL if values is None and state is TrialState.COMPLETE else state), values
