"""Call any function as an action."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from burr.core import State
from burr.core.action import Action

from ..errors import ArgumentError

_GIVEN = frozenset({"state", "trainer", "pl_module", "datamodule"})


class Call(Action):
    """Call a function at a boundary.

    Its parameters say what it is given: ``state``, and ``trainer``, ``pl_module`` and ``datamodule``, all
    by name. Before one without a default that is none of these the machine waits for a human to give it.
    One that asks for ``trainer``, ``pl_module`` or ``datamodule`` is followed by a commit. A
    function that is called again after a crash must bear that: its effects outside of the training are not
    taken back.

    Reads: what ``reads`` names. Writes: what ``writes`` names, from the dictionary that it returns.

    Args:
        function: The function. It returns a dictionary with the keys of ``writes``, or ``None`` where
            there are none.
        reads: The keys of the state that it reads.
        writes: The keys of the state that it writes.

    Raises:
        ArgumentError: If ``function`` is no function.

    Example:
        >>> Call(lambda state: {"note": f"epoch {state['epoch']}"}, reads=["epoch"], writes=["note"]).inputs
        []
    """

    def __init__(
        self, function: Callable[..., Any], *, reads: Sequence[str] = (), writes: Sequence[str] = ()
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if not callable(function):
            raise ArgumentError(f"Call({function!r}): it must be a function.")
        self.function, self._reads, self._writes = function, list(reads), list(writes)
        self._parameters = [
            name
            for name, parameter in inspect.signature(function).parameters.items()
            if name in _GIVEN or _must_be_given(parameter)
        ]

    @property
    def reads(self) -> list[str]:
        return self._reads

    @property
    def writes(self) -> list[str]:
        return self._writes

    @property
    def inputs(self) -> list[str]:
        return [name for name in self._parameters if name != "state"]

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """What the function returns."""
        given = {"state": state, **inputs}
        returned = self.function(**{name: given[name] for name in self._parameters})
        result = dict(returned) if isinstance(returned, Mapping) else {}
        missing = [key for key in self._writes if key not in result]
        if missing or (returned is not None and not isinstance(returned, Mapping)):
            raise ArgumentError(
                f"Call({_named(self.function)}, writes={self._writes!r}): it returned {returned!r}, and "
                f"must return a dictionary with {', '.join(self._writes) or 'no keys, or None'}."
            )
        return {key: result[key] for key in self._writes}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The state with what the function returned."""
        return state.update(**result)

    def get_source(self) -> str:
        """What Burr's page shows as the code of the action: the function's."""
        try:
            return inspect.getsource(self.function)
        except (OSError, TypeError):
            return super().get_source()


def _must_be_given(parameter: inspect.Parameter) -> bool:
    several = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in several


def _named(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))
