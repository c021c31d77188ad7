"""Ready-made machines, built with Burr's own GraphBuilder, and the checks that any machine passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from burr.core import Condition, State
from burr.core.graph import Graph, GraphBuilder

from .actions import BestModel, PhaseAction, ProcessData, TrainEpoch, Validate
from .conditions import StopCondition, explain, metrics_of
from .errors import BurrLightningError, ConditionError, MachineError, UnknownMetricError


def _may_stop(state: State[Any]) -> tuple[bool | None, str]:
    return bool(state["can_stop"]), ""


PROVIDED_INPUTS = frozenset({"trainer", "pl_module", "datamodule", "fingerprint", "reason"})
"""What an ordinary action can ask for by declaring it as an input."""
VALIDATION_DUE = Condition.when(validation_due=True)
"""Lightning validates next."""
FINISHED = Condition.when(finished=True)
"""Lightning's own limits were reached."""
CAN_STOP = StopCondition("can_stop", ["can_stop"], _may_stop)
"""Lightning's ``min_epochs`` and ``min_steps`` are met."""


def default_machine(stop_when: Condition | None = None) -> Graph:
    """The machine that a user gets without asking.

    ``process_data → train_epoch → validate → train_epoch → … → best_model``

    Args:
        stop_when: When to leave the training for ``best_model``; ``None`` leaves that to Lightning's
            own limits. Lightning's ``min_epochs`` and ``min_steps`` are honoured.

    Returns:
        A Burr graph.

    Example:
        >>> from burr_lightning.conditions import plateau
        >>> machine = default_machine(plateau("val_loss", patience=5))
        >>> [action.name for action in machine.actions]
        ['process_data', 'train_epoch', 'validate', 'best_model']
    """
    stops = []
    if stop_when is not None:
        stop = CAN_STOP & stop_when
        stops = [(phase, "best_model", stop) for phase in ("train_epoch", "validate")]
    return (
        GraphBuilder()
        .with_actions(
            process_data=ProcessData(),
            train_epoch=TrainEpoch(),
            validate=Validate(),
            best_model=BestModel(),
        )
        .with_transitions(
            ("process_data", "best_model", FINISHED),
            ("process_data", "train_epoch"),
            ("train_epoch", "validate", VALIDATION_DUE),
            *stops,
            (["train_epoch", "validate"], "best_model", FINISHED),
            (["train_epoch", "validate"], "train_epoch"),
        )
        .build()
    )


def chosen_machine(machine: Graph | Callable[[], Graph] | None, stop_when: Condition | None) -> Graph:
    """The machine that `BurrCallback` was asked for.

    Raises:
        MachineError: If ``stop_when`` is no condition, or is given beside a machine, or the machine
            cannot drive a training run.
    """
    if stop_when is not None and not isinstance(stop_when, Condition):
        raise MachineError(
            f"BurrCallback(stop_when={stop_when!r}): it must be a Burr condition, as those of "
            f"burr_lightning.conditions or burr.core.Condition.expr(...) are."
        )
    if machine is None:
        return default_machine(stop_when)
    if stop_when is not None:
        raise MachineError(
            "BurrCallback(machine=..., stop_when=...): stop_when belongs to the default machine. In "
            "a machine of your own, put the condition on a transition that leaves the training."
        )
    return checked_machine(machine if isinstance(machine, Graph) or not callable(machine) else machine())


def checked_machine(graph: object) -> Graph:
    """The graph itself, when it can drive a training run.

    Raises:
        MachineError: If it is no Burr graph, has no `TrainEpoch` action, has actions that cannot be
            reached or transitions that cannot be taken, ends nowhere, or has an action that asks for
            an input which nobody gives.
    """
    if not isinstance(graph, Graph):
        raise MachineError(
            f"BurrCallback(machine={graph!r}): a machine is a Burr Graph, made with "
            f"burr.core.graph.GraphBuilder, or a function that returns one."
        )
    names = [action.name for action in graph.actions]
    if not any(isinstance(action, TrainEpoch) for action in graph.actions):
        raise MachineError(
            f"BurrCallback(machine=...): the graph has no train_epoch, so it cannot train. Its actions "
            f"are {', '.join(names)}. Add burr_lightning.actions.TrainEpoch() as 'train_epoch'."
        )
    start = entrypoint(graph)
    reachable = _reachable(graph, start)
    unreachable = sorted(set(names) - reachable)
    if unreachable:
        raise MachineError(
            f"BurrCallback(machine=...): no path leads from {start!r}, where the machine begins (at "
            f"'process_data', else at the first action), to {', '.join(unreachable)}. Add a transition to "
            f"each, or leave it out."
        )
    if not any(is_terminal(graph, name) for name in reachable):
        raise MachineError(
            "BurrCallback(machine=...): the machine ends nowhere. Add an action that no transition leaves, "
            "as BestModel(), and a transition to it: (phase, 'best_model', burr_lightning.machines.FINISHED)."
        )
    _refuse_dead_transitions(graph)
    _refuse_unknown_inputs(graph)
    return graph


def _refuse_dead_transitions(graph: Graph) -> None:
    taken_always: dict[str, str] = {}
    for transition in graph.transitions:
        source, target = transition.from_.name, transition.to.name
        if source in taken_always:
            raise MachineError(
                f"BurrCallback(machine=...): the transition from {source!r} to {target!r} is never taken: "
                f"the default one to {taken_always[source]!r} comes before it. Put the default last."
            )
        if transition.condition.name == "default":
            taken_always[source] = target


def _refuse_unknown_inputs(graph: Graph) -> None:
    for action in graph.actions:
        required, _ = action.optional_and_required_inputs
        given = {"phase"} if isinstance(action, PhaseAction) else PROVIDED_INPUTS
        unknown = sorted(name for name in required - given if not name.startswith("__"))
        if unknown:
            raise MachineError(
                f"BurrCallback(machine=...): the action {action.name!r} asks for the input "
                f"{', '.join(unknown)}, which nobody gives. It can ask for {', '.join(sorted(given))}."
            )


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
    return action is None or not any(is_phase(graph, name) for name in _reachable(graph, action))


def _reachable(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [t.to.name for t in graph.transitions if t.from_.name == name]
    return seen
