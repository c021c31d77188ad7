"""One picture of a study that is watched: as lines for people, as facts for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from ...amounts import duration, number
from ...questions import shown
from ..output import NONE, status_text
from ..watch_frame import grid
from .events import StudyEvent, newest_events
from .facts import details, when
from .words import best_text, counts_text, params_text, value_names

if TYPE_CHECKING:
    from ...tuning import TrialRecord
    from ...tuning.looking import StudyLook

_BAR = 30
"""Columns of the progress bar."""
_MOST_EVENTS, _FEWEST_EVENTS = 8, 3
_MOST_RUNNING = 16


@dataclass(frozen=True)
class StudyFrame:
    """What is shown of a study at one moment."""

    look: StudyLook
    now: float
    """Seconds since 1970."""

    @property
    def signature(self) -> Any:
        """Another one whenever something happened; that time went by is nothing that happened."""
        look = self.look
        scores = {trial: look.scores.get(trial) for trial in look.under_way}
        return look.status, look.owner, look.study.ledger.events, look.study.stop_reason, scores

    @property
    def seconds_left(self) -> float | None:
        """The time to ``n_trials`` at the pace so far; ``None`` where that is not known."""
        state, ledger = self.look.study.state, self.look.study.ledger
        wanted: int | None = state["n_trials"]
        over = ledger.over
        if wanted is None or over == 0 or self.look.owner is None:
            return None
        since = self.now - max(trial.ended or 0.0 for trial in ledger)
        return max((wanted - over) * float(state["seconds"]) / over - max(since, 0.0), 0.0)

    def facts(self) -> dict[str, Any]:
        """What `--json` tells."""
        ledger = self.look.study.ledger
        return {
            **details(self.look, [ledger[trial] for trial in self.look.under_way]),
            "seconds_left": self.seconds_left,
            "events": [
                {
                    "at": when(event.at.timestamp()) if event.at is not None else None,
                    "kind": event.kind,
                    "text": event.text,
                }
                for event in newest_events(ledger, _MOST_EVENTS)
            ],
        }

    def rendered(self, to: Console, height: int | None = None) -> RenderableType:
        """The picture.

        Args:
            to: Where it will be shown.
            height: How many lines there are, ``None`` for as many as it takes.
        """
        fields = grid(self._fields())
        left = height - len(to.render_lines(fields)) if height is not None else 1000
        running = self._running(max(min(left - _FEWEST_EVENTS - 2, _MOST_RUNNING), 0))
        left -= len(running)
        events = newest_events(self.look.study.ledger, min(left - 1, _MOST_EVENTS))
        return Group(fields, *running, *self._events(events))

    def _fields(self) -> Iterator[tuple[str, RenderableType]]:
        look, study = self.look, self.look.study
        yield "study", f"{look.info.run_id}, project {look.info.project}"
        owner = f", {shown(look.owner)}" if look.owner else ""
        yield "status", Text.assemble(status_text(look.status), owner)
        if study.stop_reason is not None:
            yield "why it stopped", study.stop_reason
        yield "looks for", value_names(look)
        wanted = study.state["n_trials"]
        if wanted is not None:
            yield "", _bar(study.ledger.over / wanted)
        yield "trials", counts_text(look)
        if look.owner is not None:
            yield "time left", self._time_left()
        yield "best", best_text(look)
        if study.best is not None:
            yield "", params_text(study.best.params)

    def _time_left(self) -> str:
        wanted, over = self.look.study.state["n_trials"], self.look.study.ledger.over
        if wanted is None:
            return "unknown: no n_trials was given, and when a condition holds cannot be foreseen"
        if self.seconds_left is None:
            return "unknown: no trial is over yet"
        each = float(self.look.study.state["seconds"]) / over
        return f"at most {duration(self.seconds_left)}, to n_trials={wanted} ({duration(each)} per trial)"

    def _running(self, most: int) -> list[RenderableType]:
        """The trials that run, each on a line."""
        trials = [self.look.study.ledger[trial] for trial in self.look.under_way]
        if not trials or most < 1:
            return []
        fitting = trials if len(trials) <= most else trials[: most - 1]
        lines = [self._line(trial) for trial in fitting]
        if len(trials) > len(fitting):
            lines.append(Text(f"and {len(trials) - len(fitting)} more"))
        return [Text("running trials", style="bold"), *lines]

    def _line(self, trial: TrialRecord) -> Text:
        score = self.look.scores.get(trial.number)
        monitor = self.look.info.monitor or "value"
        at = f"epoch {score.epoch}, {monitor} {number(score.value)}" if score is not None else NONE
        took = duration(max(self.now - trial.started, 0.0)) if trial.started is not None else NONE
        attempt = f", attempt {trial.attempts}" if trial.attempts > 1 else ""
        text = f"{trial.number:>4}  {at}  ({took}{attempt})  {params_text(trial.params)}"
        return Text(shown(text), style="cyan", no_wrap=True, overflow="ellipsis")

    def _events(self, events: list[StudyEvent]) -> Iterator[Text]:
        if events:
            yield Text("last events", style="bold")
        today = datetime.fromtimestamp(self.now).date()
        for event in events:
            if event.at is None:
                at = " " * 8
            else:
                at = f"{event.at:%H:%M:%S}" if event.at.date() == today else f"{event.at:%b %d}  "
            yield Text(f"{at}  {shown(event.text)}", style=event.style, no_wrap=True, overflow="ellipsis")


def _bar(share: float) -> Text:
    """How far it is, also where there is no color."""
    done = round(_BAR * min(share, 1.0))
    return Text.assemble(("━" * done, "green"), ("╌" * (_BAR - done), "dim"))
