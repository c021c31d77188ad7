"""What a replay's two processes tell each other, in a folder that the environment names."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import ReplayError
from ..layout import REPLAY_VARIABLE, read_json, write_json


def inside(name: str, key: object) -> str:
    """The name of what a container called ``name`` has under a key, as it would be written in Python.

    Example:
        >>> print(inside("optimizer_states", 0), inside("callbacks", "Timer"), inside("callbacks", "Stop()"))
        optimizer_states[0] callbacks.Timer callbacks['Stop()']
    """
    if isinstance(key, str) and all(part.isidentifier() for part in key.split(".")):
        return f"{name}.{key}" if name else key
    return f"{name}[{key!r}]"


@dataclass(frozen=True)
class ReplayTask:
    """Which epoch of which run is to be trained again."""

    run_id: str
    project: str
    epoch: int


@dataclass(frozen=True)
class ReplayReport:
    """What the process that trains says of itself."""

    run_id: str
    """The run that its script fits."""
    project: str
    ignored: tuple[str, ...] = ()
    """Names in a checkpoint that are not to be compared: what was left out, and what tells the time."""


class ReplayFolder:
    """The folder of one replay: a root folder with a copy of the run, and what the two sides say.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def from_environment() -> ReplayFolder | None:
        """The folder that this process is to replay in, ``None`` where it does not replay."""
        path = os.environ.get(REPLAY_VARIABLE)
        return ReplayFolder(Path(path)) if path else None

    def write_task(self, task: ReplayTask) -> None:
        """Say what is to be trained."""
        write_json(self.path / "task.json", asdict(task))

    def task(self) -> ReplayTask:
        """What is to be trained.

        Raises:
            ReplayError: If the folder is not one of a replay.
        """
        stored = read_json(self.path / "task.json")
        if stored is None:
            raise ReplayError(
                f"{REPLAY_VARIABLE}={os.fspath(self.path)!r}: nothing is to be trained again there. Only "
                f"'burr-lightning verify RUN --replay EPOCH -- COMMAND' sets this variable; unset it."
            )
        return ReplayTask(**stored)

    def write_report(self, report: ReplayReport) -> None:
        """Say what the script fits."""
        write_json(self.path / "report.json", asdict(report))

    def report(self) -> ReplayReport | None:
        """What the script fits, ``None`` where it did not come that far."""
        stored = read_json(self.path / "report.json")
        return ReplayReport(stored["run_id"], stored["project"], tuple(stored["ignored"])) if stored else None
