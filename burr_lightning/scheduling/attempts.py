"""What is written down each time that a job's command is started, and when it has ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from ..layout import flush, read_json, write_json
from ..locks import is_held
from .jobs import JobFolder


@dataclass(frozen=True)
class Attempt:
    """One start of a job's command."""

    number: int
    """1 for the first."""
    started: float
    """Seconds since 1970."""
    progress: int
    """How far the job's runs had been committed then; it grows with each commit."""
    anew: bool = False
    """Whether a human had a say before it, by an answer or ``resume``: failures before it do not count."""
    process: int | None = None
    """The command's process id, ``None`` before there is one."""
    ended: float | None = None
    """Seconds since 1970; ``None`` while it runs, and where what looked after it was killed."""
    code: int | None = None
    """The command's exit code, negative for a signal; ``None`` where it is not known."""
    stopped: str | None = None
    """The signal that asked it to end, by its name, ``None`` where nobody asked."""

    @property
    def ended_well(self) -> bool:
        """Whether the command said so."""
        return self.code == 0

    @property
    def failed(self) -> bool:
        """Whether it ended by itself, and not well; for one without an end nobody asked either."""
        return not self.ended_well and self.stopped is None


class Attempts:
    """The attempts of one job; only the holder of its lease writes them.

    Args:
        folder: The job's folder.
    """

    def __init__(self, folder: JobFolder) -> None:
        self._path = folder.path / "attempts"

    def all(self) -> tuple[Attempt, ...]:
        """Those there were, in order."""
        found = (read_json(path) for path in sorted(self._path.glob("*.json")))
        return tuple(Attempt(**stored) for stored in found if stored is not None)

    def write(self, attempt: Attempt) -> None:
        """Keep what is known of an attempt, on the disk when this returns."""
        self._path.mkdir(exist_ok=True)
        write_json(self._path / f"{attempt.number:06d}.json", asdict(attempt), lasting=True)
        flush(self._path)

    def lock(self, attempt: Attempt) -> Path:
        """A file that is locked as long as the attempt's command, or what that started, has it open."""
        return self._path / f"{attempt.number:06d}.lock"

    def is_alone(self, attempt: Attempt) -> bool:
        """Whether its command lives on, although what looked after it was killed before it could end."""
        return attempt.ended is None and is_held(self.lock(attempt))
