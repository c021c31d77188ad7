"""What is written down each time that a job's command is started, and when it has ended."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ..layout import flush, write_json
from ..locks import is_held
from .jobs import JobFolder, known, stored_in


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
    seen: tuple[str, ...] = ()
    """The answers that its runs had when it was started: clocks do not tell, for they are set back."""
    seen_at_end: tuple[str, ...] = ()
    """Those that they had when it had ended."""

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
        return tuple(_read(path) for path in sorted(self._path.glob("*.json")) if path.stem.isdigit())

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


def _read(path: Path) -> Attempt:
    """An attempt; of one whose file is damaged it is known that it was, and nobody knows its end."""
    try:
        stored = stored_in(path)
        lists = {name: tuple(stored.get(name) or ()) for name in ("seen", "seen_at_end")}
        return Attempt(**known(Attempt, stored | lists))
    except (OSError, TypeError, ValueError):
        return Attempt(int(path.stem), os.stat(path).st_mtime, progress=0)
