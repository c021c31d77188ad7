"""What every part of a `Run` works on: its folder and its newest row, as they stood when it was opened."""

from __future__ import annotations

from dataclasses import replace

from ..answering import waiting
from ..layout import RunFolder, RunInfo
from ..reviews import Asked
from ..stored_rows import StoredRows
from ..waiting import question_in_state


class OpenedRun:
    """A run that was opened.

    Args:
        folder: Its folder.
        info: What that says of it.
        rows: What reads its rows.
    """

    def __init__(self, folder: RunFolder, info: RunInfo, rows: StoredRows) -> None:
        self._folder, self._info, self._given = folder, info, rows.given
        self._row, self._rows_error = rows.newest(folder, info)
        asked = self._waiting()
        if self._row is not None and asked is not None and asked.answer is None:
            open_question = question_in_state(asked.question)
            self._row = replace(self._row, state=self._row.state.update(review=open_question))

    @property
    def run_id(self) -> str:
        """The run's id: the Burr application's."""
        return self._info.run_id

    @property
    def project(self) -> str:
        """The run's project: the partition key of its rows, and the project in Burr's UI."""
        return self._info.project

    def _waiting(self) -> Asked | None:
        """What it stands at, answered or not, until something has gone on with it."""
        return waiting(self._folder, self._row.sequence_id if self._row else None)
