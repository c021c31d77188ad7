"""What is told of a run that waits, and to whom."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from ..questions import Question

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pause:
    """A run that waits for an answer, as ``on_pause`` is told of it.

    Example:
        >>> def on_pause(pause):  # given to BurrCallback(on_pause=...)
        ...     print(f"{pause.run_id} waits: {pause.command}")
    """

    run_id: str
    project: str
    question: Question
    command: str
    """What answers it, in a shell."""
    folder: Path | None
    """The run's folder."""

    def as_json(self) -> dict[str, Any]:
        """The pause as JSON; ``text`` is what chat programs show."""
        reason = f" ({self.question.reason})" if self.question.reason else ""
        return {
            "text": f"Run {self.run_id} waits after epoch {self.question.epoch}: {self.question.text}{reason}"
            f"\n{self.command}",
            "run_id": self.run_id,
            "project": self.project,
            "folder": str(self.folder) if self.folder else None,
            "command": self.command,
            "question": self.question.as_json(),
        }


OnPause = Callable[[Pause], object]


def checked_on_pause(on_pause: object) -> OnPause | None:
    """What is told of a pause, when it can be called.

    Raises:
        ArgumentError: If it cannot.
    """
    if on_pause is not None and not callable(on_pause):
        raise ArgumentError(
            f"BurrCallback(on_pause={on_pause!r}): it must be a function of a Pause, as post_to(url) of "
            f"burr_lightning.pausing gives one."
        )
    return on_pause


def tell(on_pause: OnPause | None, pause: Pause) -> None:
    """Tell of a pause; what fails there is logged and goes no further."""
    if on_pause is None:
        return
    try:
        on_pause(pause)
    except Exception:
        log.exception("BurrCallback(on_pause=...) failed, and run %r waits all the same.", pause.run_id)
