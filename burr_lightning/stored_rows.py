"""The newest rows of stored runs, each where its run says they are."""

from __future__ import annotations

import logging

from burr.core.persistence import BaseStatePersister

from .errors import BurrLightningError, PersisterError, ResumeError
from .layout import DATABASE, RunFolder, RunInfo
from .persisters import PersisterUrl, Place, RetryingPersister, opened_to_read
from .rows import Row, StateRows

log = logging.getLogger(__name__)

_PASSWORD = (
    " A password is not written down with the run: give persister=... with it (the commands: --persister), "
    "or for PostgreSQL PGPASSWORD or ~/.pgpass."
)


class StoredRows:
    """Reads the newest rows of runs; each database is opened once.

    Args:
        given: The persister that the caller gave, ``None`` for none: a persister that is open is asked for
            every run, a URL for the runs that were trained with it, whose password it brings.
        strict: Whether what was given counts for every run, and a store that cannot be read is an error.
            Where a run's rows are on a server and nothing was given, and where rows are damaged, that is
            told with the run in any case.
        asked_by: The call that it was an argument of, for errors.
    """

    def __init__(self, given: str | Place | None, asked_by: str, *, strict: bool) -> None:
        self.given = PersisterUrl.parse(given, asked_by) if isinstance(given, str) else given
        self._strict = strict
        self._opened: dict[PersisterUrl, BaseStatePersister | Exception] = {}

    def __enter__(self) -> StoredRows:
        return self

    def __exit__(self, *error: object) -> None:
        for persister in self._opened.values():
            if hasattr(persister, "cleanup"):
                persister.cleanup()

    def rows(self, folder: RunFolder, info: RunInfo) -> StateRows:
        """The rows of a run.

        Raises:
            BurrLightningError: If it is not known where they are.
        """
        return StateRows(self._persister(folder, info), folder.project, folder.run_id)

    def newest(self, folder: RunFolder, info: RunInfo) -> tuple[Row | None, str | None]:
        """The newest row of a run that can be read, and where none can, why.

        Raises:
            BurrLightningError: If the rows cannot be reached, see ``strict``.
        """
        return self.read(folder, info)

    def read(
        self, folder: RunFolder, info: RunInfo, known: Row | None = None
    ) -> tuple[Row | None, str | None]:
        """What `newest` gives; of a run of which a row is known, what is newer is read."""
        elsewhere = self.given is None and info.persister is not None
        try:
            return self.rows(folder, info).newest(known), None
        except BurrLightningError as error:
            damaged = isinstance(error, ResumeError) and not isinstance(error, PersisterError)
            if self._strict and not (elsewhere or damaged):
                raise
            if damaged and not elsewhere:
                log.warning("%s", error)
            return None, f"{error}{_PASSWORD if '://' in (info.persister or '') else ''}"

    def _persister(self, folder: RunFolder, info: RunInfo) -> RetryingPersister:
        place = self.place(folder, info)
        if not isinstance(place, PersisterUrl):
            return RetryingPersister(
                lambda: place, info.run_id, f"its {type(place).__name__}", reconnects=False, patience=0
            )
        return RetryingPersister(
            lambda: self._open(place),
            info.run_id,
            str(place),
            reconnects=False,
            patience=0,
            hide=place.hide,
        )

    def place(self, folder: RunFolder, info: RunInfo) -> Place:
        """Where the rows of a run are.

        Raises:
            BurrLightningError: If that is not known.
        """
        given = self.given
        if isinstance(given, PersisterUrl) and not self._strict and given.stored != info.persister:
            given = None
        if given is not None:
            return given
        if info.persister is None:
            return PersisterUrl.of_file(folder.root / DATABASE)
        if "://" not in info.persister:
            raise ResumeError(
                f"Run {info.run_id!r}: its rows are in a {info.persister} that its script opened. With "
                f"Run.open({info.run_id!r}, persister=...) they are read there."
            )
        return PersisterUrl.parse(info.persister, "Run.open")

    def _open(self, url: PersisterUrl) -> BaseStatePersister:
        """The persister of a URL; one that did not answer is not asked again for the next run."""
        if url not in self._opened:
            try:
                self._opened[url] = opened_to_read(url)
            except Exception as error:
                self._opened[url] = error
        opened = self._opened[url]
        if isinstance(opened, Exception):
            raise opened
        return opened
