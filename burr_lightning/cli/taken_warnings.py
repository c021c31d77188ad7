"""Warnings that a command says itself, where the terminal or the order of its lines is its own."""

from __future__ import annotations

import logging


class TakenWarnings(logging.Handler):
    """Takes what this library warns of while the ``with`` block lasts: the command says it in its place."""

    newest: str | None = None
    """The newest warning, ``None`` where there was none."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        self.newest = record.getMessage()

    def __enter__(self) -> TakenWarnings:
        self._logger = logging.getLogger(__package__.partition(".")[0])
        self._propagated, self._logger.propagate = self._logger.propagate, False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagated
