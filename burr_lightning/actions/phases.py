"""Phase actions: the Burr streaming actions that are open while Lightning is inside a phase."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Generator
from typing import Any

from burr.core import State
from burr.core.action import StreamingAction

from ..state import PhaseReport, recorded


class PhaseFeed:
    """What flows into an open phase action: its batches as they happen, its report at the end.

    Burr copies an action when it is named, so an open phase is kept outside the action.

    Example:
        >>> feed = PhaseFeed()
        >>> feed.saw(0), feed.saw(1)
        (None, None)
        >>> feed.first_batch, feed.last_batch
        (0, 1)
    """

    def __init__(self) -> None:
        self.first_batch: int | None = None
        self.last_batch: int | None = None
        self.waiting: deque[dict[str, Any]] = deque()
        self.report: PhaseReport | None = None

    def saw(self, batch_idx: int) -> None:
        """A batch is done."""
        if self.first_batch is None:
            self.first_batch = batch_idx
        self.last_batch = batch_idx

    def __repr__(self) -> str:
        return "Lightning's loop"


class PhaseAction(StreamingAction):
    """An action that stands for a phase of Lightning's own loop.

    Its stream items are the batches, each a dictionary with its number, ``batch``, and what the step
    returned, ``outputs``, as it is on the device; its result is the phase's report. Whoever drives the
    machine gives it a `PhaseFeed` as the input ``phase``.

    Reads: everything that `recorded` reads. Writes: `metrics`, `history`, `global_step`,
    `seconds`, `shadow`, `validation_due`, `can_stop`, and at the end of an epoch `epoch`, `best`,
    `finished`, `stop_reason`.

    Example:
        >>> issubclass(TrainEpoch, PhaseAction), TrainEpoch().inputs
        (True, (['phase'], ['__tracer']))
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def reads(self) -> list[str]:
        return ["metrics", "history", "monitor", "best", "shadow"]

    @property
    def writes(self) -> list[str]:
        phase = ["metrics", "history", "global_step", "seconds", "shadow", "validation_due", "can_stop"]
        return [*phase, "epoch", "best", "finished", "stop_reason"]

    @property
    def inputs(self) -> tuple[list[str], list[str]]:
        return ["phase"], ["__tracer"]

    def stream_run(self, state: State[Any], **inputs: Any) -> Generator[dict[str, Any], None, None]:
        """One item per batch, and the report at the end; its metrics become attributes of the step.

        What a hook raises for the attributes is handed to `update`: raised here, Burr 0.43 would swallow it,
        and take the last batch for the report.
        """
        feed: PhaseFeed = inputs["phase"]
        while feed.report is None or feed.waiting:
            yield feed.waiting.popleft() if feed.waiting else {"batch": None}
        if feed.report.metrics and (tracer := inputs.get("__tracer")) is not None:
            try:
                tracer.log_attributes(**feed.report.metrics)
            except Exception as error:
                yield {"raised": error}
                return
        yield feed.report.as_result()

    def get_source(self) -> str:
        """What Burr's page shows as the code of the action: all of it, not only the subclass."""
        try:
            return "\n\n".join(inspect.getsource(part) for part in (type(self), PhaseAction, recorded))
        except (OSError, TypeError):
            return super().get_source()

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The state after the phase."""
        if "raised" in result:
            raise result["raised"]
        return recorded(state, PhaseReport(**result))


class TrainEpoch(PhaseAction):
    """One epoch of training, or the part of it up to a validation in its middle.

    Example:
        >>> from burr.core.graph import GraphBuilder
        >>> from burr_lightning.actions import BestModel, ProcessData, TrainEpoch
        >>> from burr_lightning.machines import FINISHED
        >>> actions = dict(process_data=ProcessData(), train_epoch=TrainEpoch(), best_model=BestModel())
        >>> ways = [("process_data", "train_epoch"), ("train_epoch", "best_model", FINISHED)]
        >>> without_validation = (
        ...     GraphBuilder()
        ...     .with_actions(**actions)
        ...     .with_transitions(*ways, ("train_epoch", "train_epoch"))
        ...     .build()
        ... )
    """


class Validate(PhaseAction):
    """One pass over the validation data; the last one of an epoch closes with the epoch.

    Example:
        >>> from burr_lightning import default_machine
        >>> [action.name for action in default_machine().actions if isinstance(action, Validate)]
        ['validate']
    """
