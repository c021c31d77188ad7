"""What Burr's page is told of a run: its newest steps, made once for every state of the log.

Burr 0.43 reads the whole log at every request, twice a second for an open page, and its page has a row for
each step: after 5,000 epochs that is an answer of 30 MB, at which the page stands still for minutes.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from burr.tracking import LocalTrackingClient
from pydantic import BaseModel

from ..layout import read_json
from ..steps import log_entry
from .log_window import LogWindow, read_window

STEPS = 500
"""How many steps Burr's page is given: with these it is there within seconds, on a laptop."""
_MARKED = 100
"""How many older steps are given beside them, because a fork left there or somebody wrote a note."""
_KEPT = 8
"""Answers that are kept, each of about 2 MB."""
_ANNOTATIONS = "annotations.jsonl"
"""In a project's folder: the notes that were written in Burr's page."""


@dataclass(frozen=True)
class Answer:
    """An answer as it is sent."""

    body: bytes
    zipped: bytes
    tag: str
    """The entity tag: another one as soon as one of the files has changed."""
    window: LogWindow
    """The steps in it, without their lines."""


class NotTrackedError(Exception):
    """There is no such run in the folder of Burr's tracker."""


class RunLogs:
    """The logs below a tracker's folder, as Burr's page asks for them.

    Args:
        folder: Where Burr's server looks.
        schema: Burr's models of its answers: a log is read as it reads it.
        most: How many steps are given.
    """

    def __init__(self, folder: Path, schema: Any, most: int = STEPS) -> None:
        self._folder, self._schema, self.most = folder, schema, most
        self._kept: OrderedDict[tuple[str, str, int | None], Answer] = OrderedDict()
        self._lock = Lock()
        self._salt = secrets.token_hex(8)

    def answer(self, project: str, run_id: str, before: int | None = None) -> Answer:
        """What Burr's page is told of a run.

        Args:
            project: The tracker's project.
            run_id: The run.
            before: Only steps with a smaller number; ``None`` for the newest.

        Raises:
            NotTrackedError: If it is not there, or has no graph.
        """
        key = (project, run_id, before)
        with self._lock:  # two pages that ask at once have it read once
            tag = self._tag(key)
            kept = self._kept.pop(key, None)
            answer = kept if kept is not None and kept.tag == tag else self._made(key, tag)
            self._kept[key] = answer
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return answer

    def _tag(self, key: tuple[str, str, int | None]) -> str:
        """Told by the files' looks, without reading them, before they are read."""
        looks = [_look(path) for path in self._files(key[0], key[1])]
        return f'"{hashlib.sha256(repr((self._salt, key, looks)).encode()).hexdigest()[:32]}"'

    def _files(self, project: str, run_id: str) -> list[Path]:
        folder, names = self._folder / project / run_id, LocalTrackingClient
        of_run = [names.LOG_FILENAME, names.GRAPH_FILENAME, names.METADATA_FILENAME, names.CHILDREN_FILENAME]
        return [*(folder / name for name in of_run), folder.parent / _ANNOTATIONS]

    def _made(self, key: tuple[str, str, int | None], tag: str) -> Answer:
        project, run_id, before = key
        log, graph_file, metadata_file, children_file, notes = self._files(project, run_id)
        graph = _graph(graph_file)
        if graph is None:
            raise NotTrackedError(run_id)
        metadata = read_json(metadata_file) or {}
        children = list(_entries(children_file))
        marked = {entry.get("sequence_id") for entry in children}
        marked |= {note.get("step_sequence_id") for note in _entries(notes) if note.get("app_id") == run_id}
        window = read_window(log, self.most, before, _newest_numbers(marked))
        told: BaseModel = self._schema.ApplicationLogs(
            application=graph,
            children=children,
            steps=self._schema.Step.from_logs(list(window.lines)),
            parent_pointer=metadata.get("parent_pointer"),
            spawning_parent_pointer=metadata.get("spawning_parent_pointer"),
        )
        body = told.model_dump_json().encode()
        return Answer(body, gzip.compress(body, 1), tag, replace(window, lines=()))


def _graph(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path)
    except (OSError, ValueError):  # a name that no file can have
        return None


def _newest_numbers(marked: set[Any]) -> list[int]:
    return sorted(number for number in marked if isinstance(number, int))[-_MARKED:]


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a small file of the tracker; one that is being written is left out."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    yield from filter(None, map(log_entry, lines))


def _look(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
