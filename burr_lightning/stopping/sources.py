"""Recorded histories of any kind, read into `Recording`s."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..errors import UnknownMetricError
from ..persisters import Place
from ..recording import Recording
from .kinds import Call, Source, several
from .naming import unique_names
from .tables import recording_of


def recordings(
    histories: Any,
    monitor: str,
    metrics: Iterable[str] = (),
    *,
    project: str | None = None,
    root_dir: str | os.PathLike[str] | None = None,
    persister: str | Place | None = None,
) -> list[Recording]:
    """Read recorded histories, so that stop conditions can be replayed on them.

    A recording has one check at each value of the monitored metric and one at each epoch's end; the last
    validation of an epoch and its end are one check, unless steps were taken in between. What was logged
    between two checks enters at the second, where the newest value counts. The checks of a run, or of a
    `MetricHistory`, are those at which its machine was asked.

    Args:
        histories: One history, several in a list, or several in a dict that names them. A history is:

            - a `MetricHistory`, a `Recording` or a `Run`;
            - a string: the path of a log if there is such a file or folder, else a run's id, an
              unambiguous beginning of one, or ``"latest"``;
            - the path of a log of Lightning's ``CSVLogger`` (``metrics.csv``) or ``TensorBoardLogger``,
              or of the folder that it is in. An epoch that logged nothing between others that did is a
              check of its own. What ``trainer.validate`` and ``trainer.test`` logged after the training
              is left out. What ``trainer.validate`` logged before it, into the same log, is a check of
              epoch 0: nothing in the log tells it apart. The last epoch is taken to be over. A log that
              says no epochs has one per value of the monitored metric;
            - a list of dicts, one per epoch or check. A missing key or ``None`` is a metric that was not
              logged, NaN is a value;
            - a pandas ``DataFrame``, one row per epoch or check. NaN is a metric that was not logged. Levels
              of its index that are named as the keys below are read as columns. A frame of a
              ``metrics.csv`` has that file's steps: add 1 to ``step``, as is done where the path is given;
            - a dict of columns: the sequences of numbers of each metric, read as a list of dicts is.
              A dict whose values are histories names several.

            The keys ``epoch`` (0-based, as Lightning counts), ``step`` (optimizer steps taken until then)
            and ``seconds`` (of training until then) are read where they are there; without ``epoch``
            each row is an epoch. Rows must be in the order in which they were logged.
        monitor: The monitored metric.
        metrics: Other metrics that must be there.
        project: The runs' project; ``None`` looks through all of them.
        root_dir: Where runs are kept, as in `BurrCallback`.
        persister: The persister that the runs were trained with, as in `Run.open`.

    Returns:
        One recording each. Steps and seconds are ``None`` where nobody recorded them, and NaN at single
        checks. Steps from a log are its ``step`` column and one: batches that took an optimizer step, so
        a module that steps several optimizers by hand counts fewer of them. Seconds from event files
        begin with the first event. Of a list, columns, a frame or a log, only the metrics that were
        asked for are read. The names are the run's id, the log's folder or file, or the dict's key, made
        longer where two are the same.

    Raises:
        UnknownMetricError: If a history does not have one of the metrics.
        HistoryError: If one is not found, or cannot be read.
        MissingExtraError: If one is an event file, and tensorboard is not installed.
        ArgumentError: If one is of another kind.

    Example:
        >>> [recording] = recordings([{"val_loss": 0.9}, {"val_loss": 0.7}], "val_loss")
        >>> recording.name, recording.epochs.tolist(), recording.series["val_loss"].values
        ('history 0', [0, 1], [0.9, 0.7])
        >>> [run.name for run in recordings({"a": {"loss": [3, 2]}, "b": {"loss": [3, 1]}}, "loss")]
        ['a', 'b']
    """
    call = Call("recordings", monitor, project, root_dir, persister)
    return read(histories, {metric: f", metrics=[{metric!r}])" for metric in metrics}, call)


def read(histories: Any, needed: Mapping[str, str], call: Call) -> list[Recording]:
    """What `recordings` does, for the function that the user called.

    Args:
        histories: The histories.
        needed: The metrics beside the monitored one, and how an error goes on, behind the function and the
            history, to say what needs each.
        call: The call.

    Raises:
        UnknownMetricError, HistoryError, MissingExtraError, ArgumentError: As `recordings` does.
    """
    sources = several(histories, call)
    others = {metric: needed_by for metric, needed_by in needed.items() if metric != call.monitor}
    wanted = {call.monitor: f", monitor={call.monitor!r})", **others}
    names = unique_names([source.address for source in sources])
    return [_recording(source, name, wanted, call) for source, name in zip(sources, names, strict=True)]


def _recording(source: Source, name: str, wanted: Mapping[str, str], call: Call) -> Recording:
    history = source.history
    if isinstance(history, Recording):
        _refuse_missing(wanted, history.series, lambda: history.series, source, call)
        return replace(history, name=name)
    table = history(list(wanted), f"{call.function}({source.shown})")
    _refuse_missing(wanted, table.series, table.logged, source, call)
    return recording_of(table, call.monitor, name, f"{call.function}({source.shown})")


def _refuse_missing(
    wanted: Mapping[str, str],
    there: Mapping[str, Any],
    logged: Callable[[], Iterable[str]],
    source: Source,
    call: Call,
) -> None:
    for metric, needed_by in wanted.items():
        if metric not in there:
            asked_by = f"{call.function}({source.shown}{needed_by}"
            if source.hint and metric == call.monitor:
                asked_by += f": a dict of columns is one history (for several, {source.hint}). It"
            raise UnknownMetricError(metric, logged(), asked_by)
