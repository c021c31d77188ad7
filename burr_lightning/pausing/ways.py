"""How a process waits for a human."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from burr.core import State
from burr.core.graph import Graph

from ..errors import AnswerError, ArgumentError
from ..waiting import question_of, waits


@dataclass(frozen=True)
class Block:
    """Wait within the process, which keeps the GPU and the run, until there is an answer.

    Args:
        timeout: Seconds to wait, more than 0; ``None`` waits for as long as it takes.
        default: What is answered when the time is over: a verdict, or the values by name. ``None`` lets
            the process end then, as ``wait="exit"`` does.

    Raises:
        ArgumentError: If ``timeout`` is no time, or there is a ``default`` without one.

    Example:
        >>> Block(timeout=3600, default="go").values
        {'verdict': 'go'}
    """

    timeout: float | None = None
    default: str | Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        number = isinstance(self.timeout, (int, float)) and not isinstance(self.timeout, bool)
        if self.timeout is not None and not (number and self.timeout > 0):
            raise ArgumentError(f"Block(timeout={self.timeout!r}): it must be seconds, more than 0, or None.")
        if self.default is not None and self.timeout is None:
            raise ArgumentError(
                f"Block(default={self.default!r}): without a timeout it would never be used. Give both."
            )

    @property
    def values(self) -> dict[str, Any] | None:
        """The values of the default answer, ``None`` where there is none."""
        if self.default is None:
            return None
        return {"verdict": self.default} if isinstance(self.default, str) else dict(self.default)


Wait = Literal["exit", "block", "prompt"] | Block


def checked_wait(wait: object, graph: Graph) -> Block | Literal["exit", "prompt"]:
    """How a process waits, when the machine takes the answer that it would give by itself.

    Raises:
        ArgumentError: If it is none of the ways, or an action does not take the default.
    """
    if wait == "block":
        return Block()
    if wait == "exit" or wait == "prompt":
        return wait
    if not isinstance(wait, Block):
        raise ArgumentError(
            f"BurrCallback(wait={wait!r}): it must be 'exit', 'block', 'prompt', or "
            f"Block(timeout=..., default=...) of burr_lightning.pausing."
        )
    if wait.values is not None:
        for action in graph.actions:
            if waits(graph, action.name):
                try:
                    question_of(action, 0, State({"epoch": -1}), None).checked(wait.values, "")
                except AnswerError as error:
                    raise ArgumentError(
                        f"BurrCallback(wait={wait!r}): {action.name!r} does not take this default. "
                        f"{str(error).partition(': ')[2]}"
                    ) from None
    return wait
