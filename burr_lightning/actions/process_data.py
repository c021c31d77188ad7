"""Remember which data a run was started on."""

from __future__ import annotations

from typing import Any

from burr.core import State
from burr.core.action import Action


class ProcessData(Action):
    """Write the fingerprint of the data to the state; a resume on other data is refused by it.

    Runs after Lightning's ``prepare_data`` and ``setup``. Whoever drives the machine gives the
    fingerprint as the input ``fingerprint``. Reads: nothing. Writes: `data`.

    Example:
        >>> from burr.core import State
        >>> action = ProcessData()
        >>> action.update(action.run(State(), fingerprint={"train": "1437 samples"}), State())["data"]
        {'train': '1437 samples'}
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def reads(self) -> list[str]:
        return []

    @property
    def writes(self) -> list[str]:
        return ["data"]

    @property
    def inputs(self) -> list[str]:
        return ["fingerprint"]

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """The fingerprint."""
        return {"data": inputs["fingerprint"]}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The state that knows the data."""
        return state.update(data=result["data"])
