"""The checks that any machine passes before it drives a training run."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from burr.core.graph import Graph

from .actions import (
    BestModel,
    Call,
    Evaluate,
    OrdinaryAction,
    PhaseAction,
    ProcessData,
    Review,
    Rollback,
    TrainEpoch,
)
from .errors import MachineError
from .graphs import PROVIDED_INPUTS, entrypoint, is_terminal, reachable, successors
from .state import initial_state
from .waiting import inputs_of_a_human


def checked_machine(graph: object, keys: Collection[str] = ()) -> Graph:
    """The graph itself, when it can drive a training run.

    Args:
        graph: What was given as a machine.
        keys: The keys of the state that are there from the beginning, beside those of every run.

    Raises:
        MachineError: If it is no Burr graph, has no `TrainEpoch` action, has actions that cannot be
            reached or transitions that cannot be taken, ends nowhere, has actions from which it never
            returns to the training, an action that asks for an input which looks mistyped, a
            condition that reads a key which nobody writes, or an action of the user's that writes one
            of the run's own.
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
    found = reachable(graph, start)
    unreachable = sorted(set(names) - found)
    if unreachable:
        raise MachineError(
            f"BurrCallback(machine=...): no path leads from {start!r}, where the machine begins (at "
            f"'process_data', else at the first action), to {', '.join(unreachable)}. Add a transition to "
            f"each, or leave it out."
        )
    if not any(is_terminal(graph, name) for name in found):
        raise MachineError(
            "BurrCallback(machine=...): the machine ends nowhere. Add an action that no transition leaves, "
            "as BestModel(), and a transition to it: (phase, 'best_model', burr_lightning.machines.FINISHED)."
        )
    _refuse_endless_phases(graph)
    _refuse_weights_before_the_end(graph)
    _refuse_dead_transitions(graph)
    _refuse_unknown_inputs(graph)
    _refuse_traps(graph)
    _refuse_unwritten_keys(graph, keys)
    _refuse_keys_of_the_run(graph)
    return graph


def _refuse_endless_phases(graph: Graph) -> None:
    for action in graph.actions:
        ends = any(is_terminal(graph, name) for name in reachable(graph, action.name))
        if isinstance(action, PhaseAction) and not ends:
            raise MachineError(
                f"BurrCallback(machine=...): from {action.name!r} no path leads to an action that no "
                f"transition leaves, so the machine would never end. Add one, as ({action.name!r}, "
                f"'best_model', burr_lightning.machines.FINISHED)."
            )


def refuse_what_is_not_kept(graph: Graph, monitor: str | None, keep_last: int, keep_best: int) -> None:
    """See that the checkpoints are kept that actions go back to.

    Args:
        graph: The machine.
        monitor: The monitored metric.
        keep_last: The checkpoints of how many epochs are kept.
        keep_best: Those of how many of the best.

    Raises:
        MachineError: If an action goes to one that is not.
    """
    for action in graph.actions:
        to: object = action.weights if isinstance(action, Evaluate) else None
        to = action.to if isinstance(action, Rollback) else to
        if to == "best" and monitor is None:
            why = "needs to know which epoch is the best: give BurrCallback(monitor=...)"
        elif to == "best" and keep_best == 0:
            why = "needs the checkpoint of the best epoch: give Checkpoints(keep_best=1) or more"
        elif to == "last" and keep_last == 1 and (monitor is None or keep_best == 0):
            why = "needs the checkpoint before the newest: give Checkpoints(keep_last=2) or more"
        else:
            continue
        raise MachineError(f"BurrCallback(machine=...): {action.name!r}, {action!r}, {why}.")


def _refuse_weights_before_the_end(graph: Graph) -> None:
    for action in graph.actions:
        gives = isinstance(action, BestModel) and (action.load_weights or action.export is not None)
        if gives and not is_terminal(graph, action.name):
            raise MachineError(
                f"BurrCallback(machine=...): {action.name!r} loads or exports the best weights, which is "
                f"done when the training has ended, and a transition leads on from it. Make it the last one."
            )


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
        if action.is_async():
            raise MachineError(
                f"BurrCallback(machine=...): the action {action.name!r} is asynchronous, and Lightning's "
                f"loop is not. Make it a plain function, with asyncio.run(...) for what is asynchronous."
            )
        if isinstance(action, PhaseAction):
            unknown = sorted(name for name in required - {"phase"} if not name.startswith("__"))
            why = "A phase is Lightning's own, and waits for nobody. Put an ordinary action before it."
        else:
            unknown = [name for name in inputs_of_a_human(action) if _is_mistyped(name)]
            why = f"It can ask for {_GIVEN}; what a human is to give needs a name that is less like those."
        if unknown:
            raise MachineError(
                f"BurrCallback(machine=...): the action {action.name!r} asks for the input "
                f"{', '.join(unknown)}, which nobody gives. {why}"
            )


_GIVEN = "trainer, pl_module and datamodule"
_LIVE = {
    *("model", "module", "lightning_module", "optimizer", "optimizers", "dataloader", "data_module"),
    *("args", "kwargs"),
}
"""Names of what no human can give."""


def _is_mistyped(name: str) -> bool:
    """Whether an input seems to ask for one that is provided: it would wait for a human for ever."""
    return name in _LIVE or bool(get_close_matches(name, PROVIDED_INPUTS, n=1, cutoff=0.85))


def _refuse_traps(graph: Graph) -> None:
    """Ordinary actions that go round among themselves, and nothing that they do leads out."""
    for action in graph.actions:
        name = action.name
        if isinstance(action, TrainEpoch) or name not in _after(graph, name):
            continue
        circle = sorted(
            other
            for other in _after(graph, name)
            if _is_between(graph, other) and name in _after(graph, other)
        )
        written = {key for other in circle for key in graph.get_action(other).writes}  # type: ignore[union-attr]
        ways_out = [t for t in graph.transitions if t.from_.name in circle and t.to.name not in circle]
        inner = [t for t in graph.transitions if t.from_.name in circle and t.to.name in circle]
        read = {key for t in [*ways_out, *inner] for key in t.condition.reads}
        if not ways_out or not read & written:
            why = (
                "no condition on the way reads a key that these actions write"
                if ways_out
                else "none leads out"
            )
            raise MachineError(
                f"BurrCallback(machine=...): from {name!r} the machine goes round through "
                f"{', '.join(circle)} and would never return to the training: of their transitions, {why}. "
                f"Add one to a TrainEpoch action, with a condition that comes to hold."
            )


def _is_between(graph: Graph, name: str) -> bool:
    return not isinstance(graph.get_action(name), TrainEpoch)


def _after(graph: Graph, name: str) -> set[str]:
    """What can come after an action without any training in between."""
    seen: set[str] = set()
    waiting = successors(graph, name)
    while waiting:
        other = waiting.pop()
        if other not in seen and _is_between(graph, other):
            seen.add(other)
            waiting += successors(graph, other)
    return seen


def _refuse_unwritten_keys(graph: Graph, keys: Collection[str]) -> None:
    known = {
        *initial_state({}, None, None),
        *keys,
        *(key for action in graph.actions for key in action.writes),
    }
    for transition in graph.transitions:
        unknown = sorted(key for key in set(transition.condition.reads) - known if not key.startswith("__"))
        if unknown:
            raise MachineError(
                f"BurrCallback(machine=...): the condition {transition.condition.name!r}, from "
                f"{transition.from_.name!r} to {transition.to.name!r}, reads {', '.join(unknown)}, which no "
                f"action writes. The keys are {', '.join(sorted(known))}. Have an action write it, or give "
                f"BurrCallback(initial_state={{{unknown[0]!r}: ...}})."
            )


_OF_THE_TRAINING = {
    *("epoch", "global_step", "seconds", "metrics", "history", "monitor", "checkpoint"),
    *("validation_due", "can_stop", "can_pause", "finished"),
}


def _refuse_keys_of_the_run(graph: Graph) -> None:
    all_keys = {*initial_state({}, None, None)} - {"stop_reason"}
    for action in graph.actions:
        ready_made = isinstance(action, (OrdinaryAction, ProcessData, BestModel, Review))
        of_the_run = _OF_THE_TRAINING if ready_made and not isinstance(action, Call) else all_keys
        taken = sorted(of_the_run & {*action.writes})
        if taken and not isinstance(action, PhaseAction):
            raise MachineError(
                f"BurrCallback(machine=...): the action {action.name!r} writes {', '.join(taken)}, "
                f"which is the run's own. Write a key of another name."
            )
