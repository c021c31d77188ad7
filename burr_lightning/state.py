"""The state of a run: the name, the default and the stored form of every key.

| key | what it holds |
|---|---|
| `epoch` | the last finished epoch, -1 before the first |
| `global_step` | optimizer steps taken, as Lightning counts them |
| `seconds` | seconds of training until the newest check, of all processes that trained the run |
| `metrics` | the newest value of each metric |
| `history` | `MetricHistory`: every metric of every epoch |
| `monitor` | the monitored metric and its direction, `None` where none is monitored |
| `best` | epoch, value and checkpoint of the best value of the monitored metric |
| `checkpoint` | the last commit: path, epoch, SHA-256, and the step of the machine that wrote it |
| `hparams` | the module's hyperparameters |
| `changed_hparams` | those that a human or a fork has changed, with what they are since |
| `fork` | where a fork has left its parent, and the `hparams` that it changes, from `old` ones |
| `data` | the fingerprint of the data |
| `validation_due` | whether Lightning validates next |
| `can_stop` | whether Lightning's `min_epochs` and `min_steps` are met |
| `can_pause` | whether the run can be committed here: where an epoch ends, or with a loader that can go on |
| `finished` | whether Lightning's own limits were reached |
| `stop_reason` | what ended the run, in words |
| `shadow` | `condition`, `epoch` and `reason` of each shadow condition, `None` while it would not stop |
| `rollback` | the newest return to a commit: `count`, `epoch`, `check`, `to`, `checkpoint`, `times`, `lr` |
| `learning_rates` | of each parameter group, as `SetLearningRate` left them |
| `frozen` | how many parameters do not train (`frozen`), of how many (`of`), as `Freeze` left them |
| `stage` | the stage that `BeginStage` began: `name`, `number`, `epoch`, `check`, `step`, `seconds` |
| `restarts` | how often `RestartSchedule` ran |
| `data_settings` | what `SwapData` changed |
| `evaluated` | the newest `Evaluate`: `epoch`, `weights`, `metrics` |
| `review` | the open question, or the last answer |
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from burr.core import State, serde

from .errors import ArgumentError
from .history import MetricHistory
from .long_values import LONGEST, CutValue, cut
from .metric import Mode, MonitoredMetric


def initial_state(hparams: Mapping[str, Any], monitor: str | None, mode: Mode | None) -> dict[str, Any]:
    """The state of a run before its first action."""
    return {
        "epoch": -1,
        "global_step": 0,
        "seconds": 0.0,
        "metrics": {},
        "history": MetricHistory(),
        "monitor": {"metric": monitor, "mode": mode} if monitor else None,
        "best": None,
        "checkpoint": None,
        "hparams": short(hparams),
        "changed_hparams": None,
        "fork": None,
        "data": None,
        "validation_due": False,
        "can_stop": True,
        "can_pause": True,
        "finished": False,
        "stop_reason": None,
        "shadow": {},
        "rollback": None,
        "learning_rates": None,
        "frozen": None,
        "stage": None,
        "restarts": None,
        "data_settings": None,
        "evaluated": None,
        "review": None,
    }


def written_since(before: State[Any], now: State[Any]) -> dict[str, Any]:
    """What has been written to a state, but for what Burr keeps in it itself."""
    keys = [key for key in now.keys() if not key.startswith("__")]  # noqa: SIM118 - a State is no dict
    return {key: now[key] for key in keys if key not in before or now[key] is not before[key]}


def parent_of(state: State[Any]) -> dict[str, Any] | None:
    """What a run was forked from, as its folder keeps it."""
    fork = state["fork"]
    return {key: fork[key] for key in ("run_id", "epoch", "sequence_id")} if fork else None


def changed_by_fork(state: State[Any]) -> dict[str, tuple[Any, Any]]:
    """What a fork has otherwise than its parent: of each hyperparameter the parent's value and its own.

    The parent's is ``None`` where that has no such hyperparameter. The ``hparams`` of a fork are those that
    its module is told: where its parent was a fork that was never trained, they hold what that has changed.
    """
    fork = state["fork"] or {"hparams": {}, "old": {}}
    before = fork.get("changed")
    if before is None:  # an older version has made it
        before = {name: fork["old"].get(name) for name in fork["hparams"]}
    return {name: (old, fork["hparams"][name]) for name, old in before.items()}


def is_at_fork(state: State[Any]) -> bool:
    """Whether a fork stands where it has left its parent: its training is still that of the parent."""
    fork, checkpoint = state["fork"], state["checkpoint"]
    return bool(fork and checkpoint and checkpoint["path"] == fork["checkpoint"])


def checked_keys(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a user's machine begins with, when it can be kept in a row.

    Raises:
        ArgumentError: If a key is one of every run's, or a value is such that JSON cannot hold it.
    """
    taken = sorted(given.keys() & initial_state({}, None, None).keys())
    if taken:
        raise ArgumentError(
            f"BurrCallback(initial_state={{{taken[0]!r}: ...}}): every run has a key of that "
            f"name. Choose another."
        )
    changed = {key: value for key, value in given.items() if not survives(key, value)}
    if changed:
        raise ArgumentError(
            f"BurrCallback(initial_state={changed!r}): it is kept in the rows of the run, which would give "
            f"back another value. Use numbers, texts, lists, and dicts with texts as keys."
        )
    return dict(given)


def survives(key: str, value: Any) -> bool:
    """Whether a key's value comes back from a row as it was: a tuple, or a number as a key, does not."""
    try:
        read = State.deserialize(json.loads(json.dumps(State({key: value}).serialize())))[key]
        return repr(read) == repr(value) or bool(read == value)
    except (TypeError, ValueError):
        return False


@dataclass(frozen=True)
class PhaseReport:
    """What Lightning did during a phase: the result of the phase's action."""

    epoch: int
    """The epoch the phase belongs to, 0-based."""
    first_batch: int | None
    """The index of its first batch within the epoch, ``None`` where it had none."""
    last_batch: int | None
    """The index of its last batch."""
    global_step: int
    """Optimizer steps taken so far."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What was logged in it."""
    directions: dict[str, Mode] = field(default_factory=dict)
    """The direction of each metric that declares one."""
    checked: dict[str, float] = field(default_factory=dict)
    """What a validation logged that cut the epoch short: a check of its own, before the epoch's end."""
    is_check: bool = True
    """Whether its metrics count as a check; those in the middle of an epoch's training do not."""
    ends_epoch: bool = False
    """Whether the epoch ended with it."""
    validation_due: bool = False
    """Whether Lightning validates next."""
    can_stop: bool = True
    """Whether Lightning's ``min_epochs`` and ``min_steps`` are met."""
    can_pause: bool = True
    """Whether the run can be committed here."""
    limit: str | None = None
    """Which of Lightning's own limits was reached, in words."""
    seconds: float = 0.0
    """Seconds of training so far, of all processes."""
    shadow: dict[str, Any] = field(default_factory=dict)
    """The shadow conditions that would have stopped the run for the first time."""

    def as_result(self) -> dict[str, Any]:
        """The report as the result of an action."""
        copied = {name: dict(value) for name, value in vars(self).items() if isinstance(value, dict)}
        return {**vars(self), **copied, "shadow": {name: dict(seen) for name, seen in self.shadow.items()}}


def recorded(state: State[Any], report: PhaseReport) -> State[Any]:
    """The state after a phase: the reducer of every phase action."""
    history: MetricHistory = state["history"]
    when: dict[str, Any] = {
        "directions": report.directions,
        "step": report.global_step,
        "seconds": report.seconds,
    }
    if report.checked:
        history = history.append(report.epoch, report.checked, ends_epoch=False, **when)
    if report.is_check:
        history = history.append(report.epoch, report.metrics, ends_epoch=report.ends_epoch, **when)
    state = state.update(
        metrics={**state["metrics"], **report.checked, **report.metrics},
        history=history,
        global_step=report.global_step,
        seconds=report.seconds,
        shadow={**state["shadow"], **report.shadow},
        validation_due=report.validation_due,
        can_stop=report.can_stop,
        can_pause=report.can_pause,
    )
    if not report.ends_epoch:
        return state
    return state.update(
        epoch=report.epoch,
        best=better(state["best"], history, state["monitor"]),
        finished=report.limit is not None,
        stop_reason=report.limit,
    )


def better(
    best: Mapping[str, Any] | None, history: MetricHistory, monitor: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """The best epoch, now that another one has ended: by the value at its end, which its checkpoint has."""
    metric = monitored(history, monitor)
    known = dict(best) if best is not None else None
    if metric is None or metric.name not in history:
        return known
    epoch, value = len(history) - 1, history[metric.name][-1]
    if not metric.improves(value, over=known["value"] if known else metric.worst):
        return known
    return {"epoch": epoch, "value": value, "checkpoint": None}


def best_of(history: MetricHistory, monitor: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The best epoch of a whole history."""
    metric = monitored(history, monitor)
    if metric is None or metric.name not in history:
        return None
    best: dict[str, Any] | None = None
    for epoch, value in enumerate(history[metric.name]):
        if metric.improves(value, over=best["value"] if best else metric.worst):
            best = {"epoch": epoch, "value": value, "checkpoint": None}
    return best


def monitored(history: MetricHistory, monitor: Mapping[str, Any] | None) -> MonitoredMetric | None:
    """The monitored metric, with its declared direction where the user gave none, else ``"min"``."""
    if monitor is None:
        return None
    name = monitor["metric"]
    return MonitoredMetric(name, monitor["mode"] or history.direction(name) or "min")


def committed(state: State[Any], checkpoint: Mapping[str, Any]) -> State[Any]:
    """The state that names a checkpoint which is whole on disk; the best epoch's is one from its end."""
    best = state["best"]
    of_best = best is not None and best["epoch"] == checkpoint["epoch"] and "batch" not in checkpoint
    # A commit after an action holds what that has made of the epoch.
    if of_best and best["checkpoint"] is None and not checkpoint.get("acted"):
        best = {**best, "checkpoint": checkpoint.get("weights", checkpoint["path"])}
    if best is state["best"] and state.get("checkpoint") == checkpoint:  # which an action may not have read
        return state  # Burr copies what it replaces, and this is asked several times for each commit
    return state.update(checkpoint=dict(checkpoint), best=best)


def json_value(value: Any) -> Any:
    """A value as JSON can hold it: infinities, NaN and unknown types become strings."""
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_value(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)


def short(hparams: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters as JSON, each cut where it is long: they are part of every row.

    Those that were cut before stay as they are.
    """
    shortened: dict[str, Any] = {}
    for name, value in hparams.items():
        text = json.dumps(json_value(value))
        is_long = len(text) > LONGEST and CutValue.of(value) is None
        shortened[str(name)] = cut(text) if is_long else json.loads(text)
    return shortened


@serde.serialize.register
def _summary(value: MetricHistory, **kwargs: Any) -> dict[str, Any]:
    """What Burr's trackers write of a history: `metrics`, beside it, has the newest values."""
    return {"epochs": len(value), "checks": value.checks}
