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


class MachineError(BurrLightningError, ValueError):
    """A graph that cannot drive a training run."""


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
            f"{asked_by} needs the metric {metric!r}, and nothing logged it. "
            f"Metrics logged so far: {known}. "
            f"Log it with self.log({metric!r}, ...), or use one of those names."
        )


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


class TrainerError(BurrLightningError, TypeError):
    """The callback was put into something that is not a `lightning.pytorch.Trainer`."""


class ResumeError(BurrLightningError, RuntimeError):
    """A run cannot go on from where it stopped."""


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
