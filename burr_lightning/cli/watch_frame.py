"""One picture of a run that is watched: as lines for people, as facts for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..questions import shown
from ..runs.words import status_in_words
from .curves import DrawnCurves
from .events import Event, events_of, newest
from .facts import summary
from .output import LABEL_WIDTH, NONE, duration, number, pairs, status_text
from .pace import Pace, pace_of, training_phases

if TYPE_CHECKING:
    from .following import Look

_FEWEST_EVENTS = 3
_MOST_EVENTS = 8
_LOWEST_CURVES, _HIGHEST_CURVES = 8, 14
"""Lines of the terminal."""


@dataclass(frozen=True)
class Frame:
    """What is shown of a run at one moment."""

    look: Look
    now: datetime
    pace: Pace
    events: list[Event]

    @staticmethod
    def of(look: Look, now: datetime) -> Frame:
        """The frame of a look.

        Args:
            look: What was found.
            now: When, local time.
        """
        monitor = look.info.monitor
        return Frame(look, now, pace_of(look, now), events_of(look.steps, look.run.reviews, monitor))

    @property
    def signature(self) -> Any:
        """Another one whenever something happened; that time went by is nothing that happened."""
        look, run = self.look, self.look.run
        newest = look.steps[-1].step if look.steps else None
        asks = run.question.fingerprint if run.question else None
        stands = look.status, look.owner, newest, run.position, run.epoch, asks, look.warning
        return *stands, look.lineage, self.events[-1:]

    def facts(self) -> dict[str, Any]:
        """What `--json` tells."""
        look, run, step = self.look, self.look.run, self.look.open_step
        question = run.question
        return {
            **summary(run),
            "forks": [run_id for run_id, _ in look.lineage.forks],
            "process": look.owner,
            "action": step.step.action if step is not None else None,
            "since": step.step.started.astimezone().isoformat() if step is not None else None,
            "batch": look.progress.batch if look.progress is not None and step is not None else None,
            "global_step": run.state["global_step"] if run.state is not None else None,
            "metrics": run.state["metrics"] if run.state is not None else None,
            "limits": look.info.limits,
            "pace": asdict(self.pace),
            "question": question.as_json() if question is not None else None,
            "stop_reason": run.stop_reason,
            "error": run.error,
            "warning": look.warning,
            "events": [
                {"at": event.at.astimezone().isoformat(), "kind": event.kind, "text": event.text}
                for event in newest(self.events, _MOST_EVENTS)
            ],
        }

    def rendered(
        self, to: Console, height: int | None = None, drawn_curves: DrawnCurves | None = None
    ) -> RenderableType:
        """The picture.

        Args:
            to: Where it will be shown.
            height: How many lines there are, ``None`` for as many as it takes.
            drawn_curves: Draws the learning curves; ``None`` leaves them out.
        """
        fields = grid(self._fields())
        left = height - len(to.render_lines(fields)) if height is not None else 1000
        most_events = _MOST_EVENTS if height is None else _FEWEST_EVENTS
        lines = min(left - most_events - 1, _HIGHEST_CURVES)
        drawn: list[str] = []
        if drawn_curves is not None and lines >= _LOWEST_CURVES:
            history, monitor = self.look.run.history, self.look.info.monitor
            drawn = drawn_curves.lines(history, monitor, to, lines)
        left -= len(drawn)
        events = newest(self.events, min(left - 1, _MOST_EVENTS))
        return Group(fields, *map(Text.from_ansi, drawn), *self._events(events))

    def _events(self, events: list[Event]) -> Iterator[Text]:
        if events:
            yield Text("last events", style="bold")
        for event in events:
            when = f"{event.at:%H:%M:%S}" if event.at.date() == self.now.date() else f"{event.at:%b %d}  "
            line = Text(f"{when}  {shown(event.text)}", style=event.style)
            line.no_wrap, line.overflow = True, "ellipsis"
            yield line

    def _fields(self) -> Iterator[tuple[str, Text | str]]:
        look, run = self.look, self.look.run
        yield "run", f"{run.run_id}, project {run.project}"
        owner = f", {shown(look.owner)}" if look.owner else ""
        yield "status", Text.assemble(status_text(status_in_words(run)), owner)
        if look.lineage:
            yield "lineage", str(look.lineage)
        if run.stop_reason is not None and look.has_ended:
            yield "why it stopped", run.stop_reason
        if run.error is not None and look.has_ended:
            yield "error", Text(shown(run.error.strip()), style="red")
        if (question := run.question) is not None:
            yield (
                "it asks",
                Text(f"{shown(question.text)}  burr-lightning review {run.run_id}", style="magenta"),
            )
        if look.warning is not None:
            yield "not readable", Text(shown(look.warning), style="yellow")
        yield "epoch", self._epoch()
        if not look.has_ended:
            yield "now", self._action()
        yield "pace", self._pace()
        if not look.has_ended:
            yield "time left", self._time_left()
        yield "best epoch", self._best()
        metrics = run.state["metrics"] if run.state is not None else {}
        yield "metrics", pairs({name: number(value) for name, value in metrics.items()})

    def _epoch(self) -> str:
        run, limit = self.look.run, (self.look.info.limits or {}).get("max_epochs")
        if run.state is None or run.epoch < 0:
            return f"none has ended{f' of {limit}' if limit else ''}"
        ended = f"{run.epoch + 1} of {limit} have ended" if limit else f"{run.epoch + 1} have ended"
        return f"{run.epoch} ({ended}), global step {run.state['global_step']}"

    def _action(self) -> str:
        look, run, step = self.look, self.look.run, self.look.open_step
        if not look.steps:
            return f"{NONE} ({run.untracked})"
        if step is None:
            return f"between two steps, after {look.steps[-1].step.action}"
        so_far = max((self.now - step.step.started).total_seconds(), 0.0)
        at = f", batch {look.progress.batch + 1}{self._of_batches()}" if look.progress is not None else ""
        return f"{step.step.action}, since {step.step.started:%H:%M:%S} ({duration(so_far)}){at}"

    def _of_batches(self) -> str:
        """Of how many, where the loaders that are trained on say so and it is those that are counted."""
        data = self.look.run.state["data"] if self.look.run.state is not None else None
        step, progress = self.look.open_step, self.look.progress
        loaders = (data or {}).get("train") or [{}]
        trained = {phase.action for phase in training_phases(self.look.steps)}
        of_training = step is not None and step.step.action in trained
        count = loaders[0].get("batches") if of_training and len(loaders) == 1 else None
        return f" of {count}" if count and progress is not None and progress.batch < count else ""

    def _pace(self) -> str:
        pace = self.pace
        parts = []
        if pace.batches_per_second is not None:
            where = f" (in the last {pace.counted_in})" if pace.counted_in else ""
            parts.append(f"{number(pace.batches_per_second)} batches/s{where}")
        if pace.seconds_per_epoch is not None:
            parts.append(f"{duration(pace.seconds_per_epoch)} per epoch")
        return ", ".join(parts) or NONE

    def _time_left(self) -> str:
        pace = self.pace
        if pace.seconds_left is None:
            return f"unknown: {pace.unknown}"
        return f"at most {duration(pace.seconds_left)}, to {pace.limit}"

    def _best(self) -> str:
        best, monitor = self.look.run.best, self.look.info.monitor
        if best is None or best["value"] is None or monitor is None:
            return NONE if monitor else f"{NONE} (no metric is monitored)"
        return f"{best['epoch']}, {monitor} {number(best['value'])}"


def grid(fields: Iterator[tuple[str, RenderableType]]) -> Table:
    """Labels and what belongs to each, below each other."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=LABEL_WIDTH, style="bold")
    table.add_column(overflow="fold")
    for label, value in fields:
        table.add_row(label, shown(value) if isinstance(value, str) else value)
    return table
