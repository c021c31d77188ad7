"""The contract of a persister: what a run that is kept in it relies on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from burr.core import State
from burr.core.persistence import BaseStatePersister

from ..rows import StateRows
from ..state import PhaseReport, initial_state, recorded
from .holding import hold

_EPOCHS = 20
_ODD = {"loss": 1e-7, "acc": math.nan, "large": 1e300, "zero": -0.0, "endless": math.inf}


def check_persister(opens: Callable[[], BaseStatePersister]) -> None:
    """Hold a Burr persister to what a run that is kept in it relies on.

    Rows have to come back from another connection as they were written, numbers to the last bit; the newest
    row and each older one have to be found; and no row may be taken for one of another run or project.

    Args:
        opens: Opens the persister, ready to be used, on a store that has no rows of ``check-persister``;
            it is called several times, as by processes one after another; each is closed in the end,
            where it has a ``cleanup``.

    Raises:
        AssertionError: If it breaks a rule; the text says which.

    Example:
        >>> from burr.core.persistence import SQLitePersister
        >>> def opens():
        ...     persister = SQLitePersister("rows.db")
        ...     persister.initialize()
        ...     return persister
        >>> check_persister(opens)
    """
    states = list(_states())
    with ExitStack() as opened:

        def connected(project: str, run_id: str) -> StateRows:
            persister = opens()
            if hasattr(persister, "cleanup"):
                opened.callback(persister.cleanup)
            return StateRows(persister, project, run_id)

        _check(states, connected)


def _check(states: list[State[Any]], connected: Callable[[str, str], StateRows]) -> None:
    rows = connected("check-persister", "run")
    hold(rows.newest() is None, "It gives a row of a run that has none.")
    for number, state in enumerate(states):
        rows.save(2 * number, "validate", state)
    connected("check-persister", "another").save(999, "train_epoch", states[0])
    connected("check-persister-too", "run").save(999, "train_epoch", states[0])
    again = connected("check-persister", "run")
    for number, state in enumerate(states):
        row = again.at(2 * number)
        if row is None:
            raise AssertionError(f"It has lost the row of step {2 * number}.")
        _check_same(row.state, state)
    hold(again.at(1) is None, "It gives a row of a step that has none.")
    newest = again.newest()
    if newest is None:
        raise AssertionError("It has rows, and gives no newest one.")
    place = newest.sequence_id, newest.position
    hold(place == (2 * _EPOCHS - 2, "validate"), f"It says that the newest row is {place}.")
    _check_same(newest.state, states[-1])


def _check_same(found: State[Any], written: State[Any]) -> None:
    for key, value in written.get_all().items():
        # As text, for NaN is not equal to itself, and -0.0 is to 0.0.
        same = found.get(key) == value if key == "history" else repr(found.get(key)) == repr(value)
        hold(same, f"It gives {key!r} back as {found.get(key)!r}; written was {value!r}.")


def _states() -> Iterator[State[Any]]:
    state: State[Any] = State(initial_state({"name": "é\n😀", "rate": 1e-5, "large": 10**40}, "loss", None))
    for epoch in range(_EPOCHS):
        report = PhaseReport(epoch, 0, 9, 10 * epoch, {**_ODD, "val_loss": 1 / (epoch + 1)}, ends_epoch=True)
        state = recorded(state, report)
        yield state
