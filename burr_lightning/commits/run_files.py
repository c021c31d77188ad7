"""The files of a run: in its folder first, and in the copy of them at a URL, where there is one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ..errors import CopyError, UnreadableRowError
from ..layout import RunFolder, RunInfo
from ..persisters import retrying
from ..rows import StateRows
from .checkpoints import CheckpointName, Checkpoints
from .deletions import Deletions
from .files import is_whole, temporary_of, without_temporary
from .folders import remove_checkpoint
from .partial import PARTIAL, read_partial, temporarily_written
from .remote import RemoteFiles, joined

log = logging.getLogger(__name__)

_CHECKPOINTS = "checkpoints"


class RunFiles:
    """Where the files of one run are, and how they come from one place to the other.

    Args:
        folder: The run's folder.
        rows: The run's rows, which know the SHA-256 of a checkpoint that is only at the URL.
        remote: The copy; ``None`` for a run without one.
        looks: Whether the run is only looked at: then nothing is written here to find out what is there,
            and a copy that is out of reach counts as none, which is said.
    """

    def __init__(
        self,
        folder: RunFolder,
        rows: StateRows | None = None,
        remote: RemoteFiles | None = None,
        *,
        looks: bool = False,
    ) -> None:
        self.folder, self.remote = folder, remote
        self._rows, self._looks = rows, looks
        self._there: dict[str, int] | None = None
        """The names at the URL and their sizes; what this process writes and deletes there is known."""
        self._deletions = Deletions(remote, self._still_there) if remote is not None else None

    @staticmethod
    def of_training(folder: RunFolder, rows: StateRows, keep: Checkpoints) -> RunFiles:
        """The files of a run that is to be trained."""
        if keep.copy_to is None:
            return RunFiles(folder, rows)
        url = joined(keep.copy_to, folder.project, folder.run_id)
        return RunFiles(folder, rows, RemoteFiles(url, folder.run_id, keep.storage_options))

    @staticmethod
    def of_stored(folder: RunFolder, info: RunInfo | None, rows: StateRows | None = None) -> RunFiles:
        """The files of a run that is looked at, with the copy that its folder names."""
        if info is None or info.copied_to is None:
            return RunFiles(folder, rows)
        remote = RemoteFiles(info.copied_to, folder.run_id, patience=0)
        return RunFiles(folder, rows, remote, looks=True)

    def checkpoints(self) -> dict[CheckpointName, Path]:
        """All checkpoints by what their names say, and where each one is, or would be, in the folder."""
        folder = self.folder.checkpoints
        here = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        paths = (folder / name for name in {*here, *self._names_there()})
        return {name: path for path in paths if (name := CheckpointName.parse(path)) is not None}

    def relative(self, path: Path) -> str:
        """What a file is called in the run's folder, and at the URL."""
        return path.relative_to(self.folder.path).as_posix()

    def has(self, path: Path) -> bool:
        """Whether a checkpoint is in one of the places, whole or not."""
        return path.exists() or path.name in self._names_there()

    def is_whole(self, path: Path, digest: str) -> bool:
        """Whether a checkpoint is whole; one that is so only at the URL is brought here, but for a look.

        Raises:
            CopyError: If the copy cannot be read, and this is no look.
        """
        if is_whole(path, digest):
            return True
        if self.remote is None or path.name not in self._names_there():
            return False
        if not self._looks:
            return self._brought(path, digest)
        try:
            return self.remote.digest(self.relative(path)) == digest
        except CopyError as error:
            self._out_of_reach(error)
            return False

    def state_of(self, path: Path) -> str:
        """What is wrong with a checkpoint that is not whole, in words."""
        here = "is damaged" if path.exists() else "is missing"
        if self.remote is None:
            return here
        there = "is damaged" if path.name in self._names_there() else "is missing"
        return f"{here}, and its copy at {self.remote} {there}"

    def fetched(self, path: Path, digest: str | None = None) -> bool:
        """Have a checkpoint in the folder; one that is there is taken as it is, unless the copy is better.

        Args:
            path: Where it is, or would be.
            digest: Its SHA-256; ``None`` takes what its row says, and without that none is brought.

        Raises:
            CopyError: If the copy cannot be read.
        """
        if path.name not in self._names_there():
            return path.exists()
        digest = digest or self._digest_of(path)
        if digest is None:
            return path.exists()
        # What is here may be damaged, or of an epoch that another machine has trained again.
        return is_whole(path, digest) or self._brought(path, digest)

    def _brought(self, path: Path, digest: str) -> bool:
        assert self.remote is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        brought = self.remote.get(self.relative(path), path, digest)
        if brought:
            log.info("%s was brought from %s.", self.relative(path), self.remote)
        else:
            log.warning("The copy of %s at %s is damaged, and is not used.", self.relative(path), self.remote)
        return brought

    def _digest_of(self, path: Path) -> str | None:
        """What the row of a checkpoint says; ``None`` where no row that can be read names it."""
        name = CheckpointName.parse(path)
        if name is None or self._rows is None:
            return None
        try:
            row = self._rows.stored(name.commit)
        except UnreadableRowError:
            return None
        facts = row.checkpoint if row is not None and row.checkpoint is not None else {}
        digests = {facts.get("path"): facts.get("sha256"), facts.get("weights"): facts.get("weights_sha256")}
        return digests.get(self.relative(path))

    def put(self, path: Path) -> None:
        """Have a checkpoint that is whole in the folder at the URL too.

        Raises:
            CopyError: If it could not be copied.
        """
        if self.remote is None or self._deletions is None:
            return
        there, relative = self._names_there(), self.relative(path)
        self._deletions.wait_for(relative)
        self.remote.put(path, relative)
        there[path.name] = path.stat().st_size

    def put_missing(self, named: Path | None) -> None:
        """Have all checkpoints of the folder at the URL: a fork's parent had them, or the run had no URL.

        Args:
            named: The one that the newest row names, which must have the right size there.

        Raises:
            CopyError: If one could not be copied.
        """
        if self.remote is None:
            return
        there = self._names_there()
        for name in [
            name for name in there if without_temporary(name) != name
        ]:  # of a process that was killed
            self.remote.remove(f"{_CHECKPOINTS}/{name}")
            del there[name]
        for path in sorted(self.folder.checkpoints.iterdir()):
            if path.is_dir():
                if CheckpointName.parse(path) is not None:
                    log.warning("%s is a folder, and is not copied to %s.", self.relative(path), self.remote)
                continue
            is_torn = path == named and there.get(path.name) != path.stat().st_size
            if CheckpointName.parse(path) is not None and (path.name not in there or is_torn):
                self.put(path)
        inside = read_partial(self.folder.path)
        if inside is not None and named is not None and inside["path"] == self.relative(named):
            self.put_partial(inside)

    def put_info(self) -> None:
        """Have at the URL what the run is.

        Raises:
            CopyError: If nothing can be written there.
        """
        if self.remote is not None:
            self.remote.put(self.folder.marker, self.folder.marker.name)

    def bring_info(self) -> None:
        """Have here what the run is, where another machine has begun it.

        Raises:
            CopyError: If the copy cannot be read.
        """
        if self.remote is not None and not self.folder.marker.exists():
            self.remote.get(self.folder.marker.name, self.folder.marker)

    def put_partial(self, facts: dict[str, Any]) -> None:
        """Name the newest checkpoint from inside an epoch at the URL, once that is there.

        It is left there when the epoch has ended: its commit is older than the newest row's then.

        Raises:
            CopyError: If it could not be copied.
        """
        if self.remote is not None:
            with temporarily_written(self.folder.path, facts) as path:
                self.remote.put(path, PARTIAL)

    def partials(self) -> list[dict[str, Any]]:
        """What names checkpoints from inside an epoch, the newest first; another machine may be further.

        Raises:
            CopyError: If the copy cannot be read.
        """
        found = [read_partial(self.folder.path)]
        if self.remote is not None and not self._looks:
            fetched = temporary_of(self.folder.path / f"{PARTIAL}-copy")
            try:
                if self.remote.get(PARTIAL, fetched):
                    found.append(read_partial(self.folder.path, fetched.name))
            finally:
                fetched.unlink(missing_ok=True)
        known = {(facts["commit"], facts["batch"], facts["sha256"]): facts for facts in found if facts}
        return [known[key] for key in sorted(known, reverse=True)]

    def remove(self, path: Path) -> None:
        """Delete a checkpoint, at the URL in the background."""
        remove_checkpoint(path)
        if self._deletions is not None and self._names_there().pop(path.name, None) is not None:
            self._deletions.add(self.relative(path))

    def close(self) -> None:
        """Wait for what is being deleted at the URL, as long as a store has that fails for a while."""
        if self._deletions is not None:
            self._deletions.close(retrying.PATIENCE)

    def _names_there(self) -> dict[str, int]:
        if self.remote is None:
            return {}
        if self._there is None:
            try:
                self._there = self.remote.names(_CHECKPOINTS)
            except CopyError as error:
                self._out_of_reach(error)
                self._there = {}
        return self._there

    def _out_of_reach(self, error: CopyError) -> None:
        if not self._looks:
            raise error
        log.warning("The copy at %s is out of reach (%s); what is here is looked at.", error.url, error.error)

    def _still_there(self, relative: str) -> None:
        self._names_there()[relative.rpartition("/")[2]] = 0
