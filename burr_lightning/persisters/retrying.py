"""A persister that tries again what fails for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Literal, NoReturn, Protocol, TypeVar, runtime_checkable

from burr.core import State
from burr.core.persistence import BaseStatePersister

from ..errors import BurrLightningError, PersisterError, UnreadableRowError
from ..rows import DIGEST
from .failures import Failure, kind_of

log = logging.getLogger(__name__)

PATIENCE = 20.0
"""Seconds from the first failure until trying is given up."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
"""Seconds between two tries; each pause is twice the one before."""

_SAFE = (
    "The last commit is safe, and nothing is lost but what came after it. When {store} can be written "
    "again, run the same script: the run goes on from there."
)
_UNCHANGED = "Nothing was changed. Try again when {store} can be read."
_DAMAGED = (
    "The file is damaged. It was left as it is, and no run was started in its place. Restore it from a "
    "backup, with the -wal file beside it; or save what can be read of it with "
    "'sqlite3 {store} .recover | sqlite3 recovered.sqlite', and put that in its place. To start anew, move "
    "it away together with the folders of its runs."
)
_TAKEN = (
    "Another row of that step is there: does another process train a run of the same project and run_id, "
    "from another root_dir? Give one of them another run_id."
)

_Result = TypeVar("_Result")


@runtime_checkable
class _KnowsNewest(Protocol):
    def newest_sequence_id(self, partition_key: str, app_id: str) -> int | None: ...


class RetryingPersister(BaseStatePersister):
    """A run's persister, asked again with growing pauses where it fails for a while.

    Args:
        opens: Gives the persister, connected.
        run_id: The run, for what is said.
        store: Where the rows are, in words, without a password.
        reconnects: Whether the persister may be closed and opened again after a failure; what the user
            opened is left open.
        patience: Seconds from the first failure until trying is given up, 0 for one try.
        hide: Takes out of a text what must not be seen.
    """

    def __init__(
        self,
        opens: Callable[[], BaseStatePersister],
        run_id: str,
        store: str,
        *,
        reconnects: bool,
        patience: float | None = None,
        hide: Callable[[str], str] = str,
    ) -> None:
        self._opens, self._run_id, self._store = opens, run_id, store
        self._reconnects, self._hide = reconnects, hide
        self._patience = PATIENCE if patience is None else patience
        self._persister: BaseStatePersister | None = None

    def __str__(self) -> str:
        return self._store

    def load(
        self, partition_key: str, app_id: str | None, sequence_id: int | None = None, **kwargs: Any
    ) -> Any:
        """A row, as Burr's persisters give it; ``None`` where there is none.

        Raises:
            UnreadableRowError: If it is damaged.
            PersisterError: If the store could not be read for as long as was tried.
        """

        def read(persister: BaseStatePersister) -> Any:
            try:
                return persister.load(partition_key, app_id, sequence_id, **kwargs)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                number = sequence_id
                if number is None and isinstance(persister, _KnowsNewest):
                    number = persister.newest_sequence_id(partition_key, str(app_id))
                raise UnreadableRowError(self._run_id, number, self._store, in_words(error)) from error

        return self._persistently(read, None)

    def save(
        self,
        partition_key: str | None,
        app_id: str,
        sequence_id: int,
        position: str,
        state: State[Any],
        status: Literal["completed", "failed"],
        **kwargs: Any,
    ) -> None:
        """Write a row. After an error it is looked whether it was written all the same.

        Raises:
            PersisterError: If it could not be written for as long as was tried.
        """
        unsure = False

        def write(persister: BaseStatePersister) -> None:
            nonlocal unsure
            if unsure and (there := persister.load(str(partition_key), app_id, sequence_id)) is not None:
                if there["state"].get(DIGEST) != state.get(DIGEST):
                    raise PersisterError(self._run_id, sequence_id, self._store, "the step has a row", _TAKEN)
                return
            unsure = True
            persister.save(partition_key, app_id, sequence_id, position, state, status, **kwargs)

        self._persistently(write, sequence_id)

    def list_app_ids(self, partition_key: str, **kwargs: Any) -> list[str]:
        """The runs of a project that have rows."""
        return self._persistently(lambda persister: persister.list_app_ids(partition_key, **kwargs), None)

    def cleanup(self) -> None:
        """Close the connection, unless the user opened it."""
        persister, self._persister = self._persister, None
        if persister is not None and self._reconnects:
            with suppress(Exception):
                persister.cleanup()  # type: ignore[attr-defined]

    def _persistently(self, work: Callable[[BaseStatePersister], _Result], step: int | None) -> _Result:
        began: float | None = None
        pauses = growing_pauses()
        while True:
            try:
                result = work(self._connected(step))
            except Exception as error:
                now = time.monotonic()
                left = self._patience if began is None else began + self._patience - now
                self._raise_unless_passing(error, left, step)
                if began is None:
                    log.warning(
                        "Run %r: %s failed (%s). It is tried again for %g s; the training waits.",
                        *(self._run_id, self._store, self._shown(error), self._patience),
                    )
                began = began or now
            else:
                if began is not None:
                    waited = time.monotonic() - began
                    log.warning("Run %r: %s works again, after %.1f s.", self._run_id, self._store, waited)
                return result
            self._reset()
            time.sleep(min(next(pauses), left))

    def _connected(self, step: int | None) -> BaseStatePersister:
        if self._persister is None:
            try:
                self._persister = self._opens()
            except Exception as error:
                if kind_of(error) is Failure.OF_THE_CALLER and not isinstance(error, BurrLightningError):
                    self._give_up(error, Failure.LASTING, step)
                raise
        return self._persister

    def _reset(self) -> None:
        """Leave nothing of what failed: a new connection, or at least no open transaction."""
        if self._reconnects:
            self.cleanup()
            return
        connection = getattr(self._persister, "connection", None)
        with suppress(Exception):
            connection.rollback()  # type: ignore[union-attr]

    def _raise_unless_passing(self, error: Exception, left: float, step: int | None) -> None:
        failure = kind_of(error)
        if failure is Failure.OF_THE_CALLER:
            raise error
        if failure is not Failure.PASSING or left <= 0:
            self._give_up(error, failure, step)

    def _give_up(self, error: Exception, failure: Failure, step: int | None) -> NoReturn:
        shown = self._shown(error)
        rule = _DAMAGED if failure is Failure.DAMAGE else _UNCHANGED if step is None else _SAFE
        # What a driver says may hold the password, and a traceback would print it.
        cause = error if str(error) == self._hide(str(error)) else None
        raise PersisterError(
            self._run_id, step, self._store, shown, rule.format(store=self._store)
        ) from cause

    def _shown(self, error: Exception) -> str:
        return self._hide(in_words(error))


def growing_pauses() -> Iterator[float]:
    """Seconds to wait before each try but the first."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)


def in_words(error: Exception) -> str:
    """An error in one line, without a full stop."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(".")
