"""Every error of this library: one base, and each error carries its facts as attributes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

_SHOWN = 10
"""How many names an error lists."""


class BurrLightningError(Exception):
    """The base of every error that this library raises; each one can be pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[BurrLightningError], args: tuple[Any, ...], facts: dict[str, Any]) -> Any:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(facts)
    return error


class RunIdError(BurrLightningError, ValueError):
    """A run id or a project name that cannot name a folder and a row.

    Attributes:
        value: What was given.
    """

    def __init__(self, value: object, argument: str, rule: str) -> None:
        self.value = value
        super().__init__(f"BurrCallback({argument}={value!r}): {rule}")


class ArgumentError(BurrLightningError, TypeError):
    """An argument of another kind than it has to be."""


class MissingExtraError(BurrLightningError, ImportError):
    """A package is not installed that an optional part of this library needs.

    Attributes:
        package: The package.
        extra: The extra of this library that brings it.
    """

    def __init__(self, call: str, package: str, extra: str, instead: str = "") -> None:
        self.package, self.extra = package, extra
        needed = f"{call}: this needs the package {package}: pip install 'burr-lightning[{extra}]'."
        super().__init__(f"{needed} {instead}" if instead else needed)


class MachineError(BurrLightningError, ValueError):
    """A graph that cannot drive a training run."""


class MetricsError(BurrLightningError, ValueError):
    """Metrics that cannot be kept for a module."""


class UnknownMetricError(BurrLightningError, LookupError):
    """A metric was asked for that nothing has logged.

    Attributes:
        metric: The name that was asked for.
        available: The names that do exist, sorted.
    """

    def __init__(self, metric: str, available: Iterable[str], asked_by: str) -> None:
        self.metric = metric
        self.available = sorted(available)
        known = ", ".join(self.available) or "none yet"
        super().__init__(
            f"{asked_by} needs the metric {metric!r}, and nothing logged it. Metrics logged so far: {known}. "
            f"Log it with self.log({metric!r}, ...), or use one of those names."
        )


class HistoryError(BurrLightningError, ValueError):
    """A recorded history cannot be found or read."""


class ConditionError(BurrLightningError, RuntimeError):
    """A condition of the machine failed while it was evaluated.

    Attributes:
        condition: The condition's name.
        available: The metrics that exist at this boundary, sorted.
    """

    def __init__(self, condition: str, error: BaseException, available: Iterable[str]) -> None:
        self.condition = condition
        self.available = sorted(available)
        known = ", ".join(self.available) or "none yet"
        super().__init__(
            f"The condition {condition!r} raised {type(error).__name__}: {error}. "
            f"Metrics logged so far: {known}. A condition must be able to read the state at every "
            f"boundary: use metrics.get(name) or a condition of burr_lightning.conditions."
        )


class ExpressionError(BurrLightningError, ValueError):
    """A text that stands for no stop condition.

    Attributes:
        text: What was given.
        available: The functions that a text may call, sorted.
    """

    def __init__(self, text: str, why: str, available: Iterable[str]) -> None:
        self.text = text
        self.available = sorted(available)
        super().__init__(
            f"{text!r} stands for no stop condition: {why.rstrip('.')}. Write calls such as "
            f'plateau("val_loss", patience=3), combined with &, |, ~ and brackets. The functions are '
            f"{', '.join(self.available)}."
        )


class TrainerError(BurrLightningError, TypeError):
    """The callback was put into something that is not a `lightning.pytorch.Trainer`."""


class ResumeError(BurrLightningError, RuntimeError):
    """A run cannot go on from where it stopped."""


class PersisterError(ResumeError):
    """The rows of a run cannot be written or read.

    Attributes:
        run_id: The run.
        step: The step of the machine whose row it is, ``None`` where no row was to be written.
        store: Where the rows are, without a password.
        error: The last error, in words.
    """

    def __init__(self, run_id: str, step: int | None, store: str, error: str, rule: str) -> None:
        self.run_id, self.step, self.store, self.error = run_id, step, store, error
        what = "read its rows from" if step is None else f"write the row of step {step} to"
        super().__init__(f"Run {run_id!r} cannot {what} {store}: {error}. {rule}")


class UnreadableRowError(ResumeError):
    """One row of a run is damaged.

    Attributes:
        sequence_id: The step of the machine whose row it is, ``None`` where that cannot be found out.
        store: Where the rows are, without a password.
        error: What is wrong with it, in words.
    """

    def __init__(self, run_id: str, sequence_id: int | None, store: str, error: str) -> None:
        self.sequence_id, self.store, self.error = sequence_id, store, error
        which = "its newest row" if sequence_id is None else f"the row of step {sequence_id}"
        super().__init__(
            f"Run {run_id!r}: {which} in {store} is damaged ({error}). Restore the database from a backup, "
            f"or start a new run with another run_id."
        )


class LostRowsError(ResumeError):
    """A run has checkpoints, and the database that was given has no row of it.

    Attributes:
        folder: The run's folder.
        store: Where its rows were looked for.
    """

    def __init__(self, run_id: str, folder: str, epoch: int, store: str, trained_with: str | None) -> None:
        self.folder, self.store = folder, store
        before = f" It was trained with persister={trained_with!r}." if trained_with else ""
        super().__init__(
            f"Run {run_id!r} has checkpoints up to epoch {epoch} in {folder}, and {store} has no row of the "
            f"newest: its folder was moved without its database, or this is another database.{before} Put "
            f"the rows back (state.sqlite, with state.sqlite-wal where there is one, beside the projects' "
            f"folders; or the persister= that it was trained with). To start a new run instead, move the "
            f"folder away or give another run_id."
        )


class DataChangedError(ResumeError):
    """The data of a resumed run is not the data that it was started on.

    Attributes:
        changes: For each place that differs, the value of then and the value of now.
    """

    def __init__(self, run_id: str, changes: dict[str, tuple[object, object]]) -> None:
        self.changes = changes
        listed = "; ".join(f"{where}: was {was}, is {now}" for where, (was, now) in changes.items())
        super().__init__(
            f"Run {run_id!r} was started on other data ({listed}). A resumed run must go on with the "
            f"data it began with: restore it, or start a new run with another run_id."
        )


class CommitError(BurrLightningError, RuntimeError):
    """A checkpoint could not be written; the commit before it is untouched.

    Attributes:
        run_id: The run.
        path: Where the checkpoint was to be.
    """

    def __init__(self, run_id: str, path: Path, error: OSError) -> None:
        self.run_id = run_id
        self.path = path
        super().__init__(
            f"Run {run_id!r}: the checkpoint {path.name} could not be written to {path.parent} ({error}). "
            f"The commit before it is whole. Make room or access there and start the same script again: "
            f"it goes on from that commit."
        )


class NoCheckpointError(BurrLightningError, LookupError):
    """A checkpoint was asked for that is not there, or holds too little."""


class RunLockedError(BurrLightningError, RuntimeError):
    """Another process owns this run.

    Attributes:
        run_id: The run.
        holder: What the other process wrote about itself.
    """

    def __init__(self, run_id: str, holder: str) -> None:
        self.run_id = run_id
        self.holder = holder
        super().__init__(
            f"Run {run_id!r} is being trained by {holder}. "
            f"Wait for it, stop it, or start a run of your own with another run_id."
        )


class RunNotFoundError(BurrLightningError, LookupError):
    """No stored run has this name, or more than one may be meant.

    Attributes:
        wanted: What was asked for.
        available: The runs that exist there, or those that may be meant.
    """

    def __init__(self, wanted: str, available: Iterable[str], where: str, *, several: bool = False) -> None:
        self.wanted = wanted
        self.available = sorted(available)
        more = f" and {len(self.available) - _SHOWN} more" if len(self.available) > _SHOWN else ""
        known = (", ".join(self.available[:_SHOWN]) or "none") + more
        if several:
            text = f"{wanted!r} may mean {known} in {where}. Give more of the id, or its project."
        else:
            text = f"No run matches {wanted!r} in {where}. Runs there: {known}."
        super().__init__(text)


class ReplayError(BurrLightningError, RuntimeError):
    """An epoch could not be trained again.

    Attributes:
        output: The end of what the command printed, empty where it was not started.
    """

    def __init__(self, message: str, output: str = "") -> None:
        self.output = output
        super().__init__(f"{message}\n{output}" if output else message)


class EpochNotReplayableError(ReplayError, LookupError):
    """An epoch whose commit, or the one before it, is not there.

    Attributes:
        epoch: The epoch that was asked for.
        available: Those that can be trained again, in order.
    """

    def __init__(self, run_id: str, epoch: int, why: str, available: Iterable[int]) -> None:
        self.epoch = epoch
        self.available = sorted(available)
        more = f" and {len(self.available) - _SHOWN} older ones" if len(self.available) > _SHOWN else ""
        known = (", ".join(map(str, self.available[-_SHOWN:])) or "none") + more
        super().__init__(
            f"Epoch {epoch} of run {run_id!r} cannot be trained again: {why}. It takes the checkpoint "
            f"of the commit before the epoch and that of the one after it. Epochs that have both: {known}. "
            f"BurrCallback(checkpoints=Checkpoints(keep_last=...)) keeps more of them."
        )


class AnswerError(BurrLightningError, ValueError):
    """An answer that does not fit what was asked.

    Attributes:
        question: What was asked.
    """

    def __init__(self, run_id: str, question: str, why: str, fits: str) -> None:
        self.question = question
        super().__init__(f"Run {run_id!r} asks {question!r}: {why}. It takes {fits}.")


class NotAskedError(BurrLightningError, RuntimeError):
    """An answer was given to a run that does not wait for it.

    Attributes:
        run_id: The run.
        status: How it stands.
    """

    def __init__(self, run_id: str, status: str, answered: str | None, instead: str = "") -> None:
        self.run_id, self.status = run_id, status
        waits = "waits for no answer" + (f": {answered}, and an answer is used once" if answered else "")
        waits = f"asks something else now: {instead!r}" if instead else waits
        super().__init__(f"Run {run_id!r} is {status} and {waits}.")


class ListenError(BurrLightningError, OSError):
    """The web page cannot, or must not, listen on an address.

    Attributes:
        host: The address.
        port: The port.
    """

    def __init__(self, host: str, port: int, why: str) -> None:
        self.host, self.port = host, port
        super().__init__(f"burr-lightning ui --host {host} --port {port}: {why.rstrip('.')}.")
