"""What is asked of a machine's graph: what follows what, and why."""

from __future__ import annotations

from typing import Any

from burr.core import Condition, State
from burr.core.graph import Graph

from .actions import PhaseAction
from .actions.ordinary import PROVIDED_INPUTS as PROVIDED_INPUTS
from .conditions import StopCondition, explain, metrics_of
from .errors import BurrLightningError, ConditionError, UnknownMetricError


def _may_pause(state: State[Any]) -> tuple[bool | None, str]:
    return bool(state["can_pause"]), ""


def _may_stop(state: State[Any]) -> tuple[bool | None, str]:
    return bool(state["can_stop"]), ""


VALIDATION_DUE = Condition.when(validation_due=True)
"""Lightning validates next."""
FINISHED = Condition.when(finished=True)
"""Lightning's own limits were reached."""
CAN_STOP = StopCondition("can_stop", ["can_stop"], _may_stop)
"""Lightning's ``min_epochs`` and ``min_steps`` are met."""
CAN_PAUSE = StopCondition("can_pause", ["can_pause"], _may_pause)
"""The run can be committed: at the end of an epoch, and inside one with a loader that can go on."""


def asked_inputs(graph: Graph, action: str) -> set[str]:
    """The inputs that an action declares, those it can do without included."""
    found = graph.get_action(action)
    assert found is not None
    return set().union(*found.optional_and_required_inputs)


def entrypoint(graph: Graph) -> str:
    """The action that a machine begins with: ``process_data`` where there is one, else the first."""
    names = [action.name for action in graph.actions]
    return "process_data" if "process_data" in names else str(names[0])


def is_terminal(graph: Graph, action: str) -> bool:
    """Whether no transition leaves an action."""
    return not any(transition.from_.name == action for transition in graph.transitions)


def follow(graph: Graph, position: str | None, state: State[Any]) -> tuple[str | None, Condition | None]:
    """The action that follows a position in a state, and the condition that leads to it.

    Args:
        graph: The machine.
        position: The action that ran last, ``None`` before the first.
        state: The state after it.

    Returns:
        The name of the next action, ``None`` where the machine ends, and the condition of the
        transition, ``None`` at the entry point and at the end.

    Raises:
        ConditionError: If a condition on the way fails.
    """
    if position is None:
        return entrypoint(graph), None
    for transition in graph.transitions:
        if transition.from_.name == position and _holds(transition.condition, state):
            return transition.to.name, transition.condition
    return None, None


def _holds(condition: Condition, state: State[Any]) -> bool:
    try:
        return bool(condition.run(state)[Condition.KEY])
    except BurrLightningError:
        raise
    except Exception as error:
        raise ConditionError(condition.name, error, state["history"].names) from error


def reason_of(condition: Condition | None, state: State[Any]) -> str | None:
    """Why a machine took a transition, in words; ``None`` where its condition says nothing."""
    if isinstance(condition, StopCondition):
        return explain(condition, state).reason
    if condition is None or condition.name == "default" or state["finished"]:
        return None
    return f"{condition.name} is true"


def refuse_unknown_metrics(graph: Graph, state: State[Any]) -> None:
    """See that every metric that is read has been logged, once everything has had its turn.

    Raises:
        UnknownMetricError: If a condition of the graph reads another, or another is monitored.
    """
    history = state["history"]
    for condition in dict.fromkeys(transition.condition for transition in graph.transitions):
        for metric in sorted(metrics_of(condition)):
            if metric not in history:
                raise UnknownMetricError(metric, history.names, f"The condition {condition.name!r}")
    monitor = state["monitor"]
    if monitor is not None and monitor["metric"] not in history:
        asked_by = f"BurrCallback(monitor={monitor['metric']!r})"
        raise UnknownMetricError(monitor["metric"], history.names, asked_by)


def is_phase(graph: Graph, action: str | None) -> bool:
    """Whether an action stands for a phase of Lightning's loop."""
    return action is not None and isinstance(graph.get_action(action), PhaseAction)


def leaves_training(graph: Graph, action: str | None) -> bool:
    """Whether a machine that goes on to an action can reach no phase any more."""
    return action is None or not any(is_phase(graph, name) for name in reachable(graph, action))


def leads_at_once_to(graph: Graph, action: str, kind: type[PhaseAction]) -> bool:
    """Whether a phase of a kind can come next, with nothing but ordinary actions before it."""
    return any(
        isinstance(graph.get_action(name), kind) for name in reachable(graph, action, through_phases=False)
    )


def reachable(graph: Graph, start: str, *, through_phases: bool = True) -> set[str]:
    """The actions that a path leads to from one, itself included.

    Args:
        graph: The machine.
        start: Where the paths begin.
        through_phases: Whether they lead on from a phase.
    """
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if through_phases or not is_phase(graph, name):
            waiting += successors(graph, name)
    return seen


def successors(graph: Graph, action: str) -> list[str]:
    """The actions that transitions lead to from one."""
    return [transition.to.name for transition in graph.transitions if transition.from_.name == action]
