"""The ledger of a study: every trial and how it went; immutable to its readers, O(1) to append to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from ..metric import Mode
from .params import as_text, of_text
from .segments import Segment
from .trial_record import OVER, TrialRecord

Event = Mapping[str, Any]
"""What happened to one trial, as a row holds it."""


class Ledger:
    """Every trial of a study, and how it went.

    Each method that tells it something returns a new ledger, which shares its storage with the old one; the
    old one stays as it was. Copying one, deeply or not, gives the same object back.

    Args:
        directions: In which direction each value gets better.

    Example:
        >>> ledger = Ledger(["min"]).suggested({"lr": 0.1}, "search-0").launched(0, at=1.0)
        >>> ledger = ledger.ended(0, "finished", values=[0.3], at=2.0)
        >>> ledger[0].value, ledger.best.number, len(ledger.running)
        (0.3, 0, 0)
    """

    __slots__ = ("_log", "_size")

    def __init__(self, directions: Sequence[Mode] = ("min",)) -> None:
        self._log = _Log(tuple(directions))
        self._size = 0

    # What is told

    def suggested(
        self,
        params: Mapping[str, Any],
        run_id: str,
        *,
        attributes: Mapping[str, Any] | None = None,
        study_attributes: Mapping[str, Any] | None = None,
        segment: Mapping[str, Any] | None = None,
    ) -> Ledger:
        """A trial that waits for a worker.

        Args:
            params: Its hyperparameters, such that JSON can hold them.
            run_id: The run that it will train.
            attributes: What the sampler keeps of it.
            study_attributes: What the sampler keeps of the study, where that has changed.
            segment: What it trains of a member of a population: what `Segment` has.
        """
        event: dict[str, Any] = {
            "what": "suggested",
            "trial": len(self),
            "params": as_text(params),
            "run": run_id,
        }
        return self._and(event, attributes=attributes, study=study_attributes, segment=segment)

    def launched(self, trial: int, *, at: float, worker: str | None = None) -> Ledger:
        """A worker has begun with it, or goes on with it."""
        return self._and({"what": "launched", "trial": trial, "at": at}, worker=worker)

    def ended(
        self,
        trial: int,
        status: Literal["finished", "pruned", "failed"],
        *,
        at: float,
        values: Sequence[float] | None = None,
        step: int | None = None,
        reason: str | None = None,
        place: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Ledger:
        """It is over."""
        numbers = None if values is None else [repr(float(value)) for value in values]
        event = {"what": "ended", "trial": trial, "status": status, "at": at}
        more = {"reason": reason, "place": place, "attributes": attributes}
        return self._and(event, values=numbers, step=step, **more)

    def set_back(
        self, trial: int, reason: str, *, died: bool, at: float | None = None, place: str | None = None
    ) -> Ledger:
        """It waits for a worker again, which goes on from the run's last commit.

        Args:
            trial: Which one.
            reason: What became of its worker.
            died: Whether the worker died by itself, and was not interrupted together with the study.
            at: When that was, ``None`` where it is not known.
            place: Where that ran.
        """
        return self._and(
            {"what": "set_back", "trial": trial, "reason": reason, "died": died}, at=at, place=place
        )

    def _and(self, event: dict[str, Any], **more: Any) -> Ledger:
        event |= {key: value for key, value in more.items() if value is not None and value != {}}
        log = self._log if self._is_newest else self._log.copied(self._size)
        log.append(event)
        return _at_tip(log)

    # What is asked

    @property
    def directions(self) -> tuple[Mode, ...]:
        """In which direction each value gets better."""
        return self._log.directions

    @property
    def trials(self) -> Sequence[TrialRecord]:
        """All of them, in order."""
        return self._folded.trials

    def __len__(self) -> int:
        return len(self._folded.trials)

    def __getitem__(self, number: int) -> TrialRecord:
        return self._folded.trials[number]

    def __iter__(self) -> Iterator[TrialRecord]:
        return iter(self._folded.trials)

    @property
    def waiting(self) -> list[int]:
        """The trials that wait for a worker, those first that have waited longest."""
        return list(self._folded.waiting)

    @property
    def running(self) -> list[int]:
        """The trials that a worker has."""
        return list(self._folded.running)

    @property
    def over(self) -> int:
        """How many are over."""
        return self._folded.over

    @property
    def best(self) -> TrialRecord | None:
        """The best one that has finished, of a study with one direction; ``None`` while there is none."""
        best = self._folded.best
        return None if best is None else self._folded.trials[best]

    @property
    def since_best(self) -> int:
        """How many trials are over since the best one was."""
        return self._folded.since_best

    @property
    def study_attributes(self) -> Mapping[str, Any]:
        """What the sampler keeps of the study."""
        return self._folded.study

    # How it is stored

    @property
    def events(self) -> int:
        """How many events there are."""
        return self._size

    def extends(self, other: Ledger) -> bool:
        """Whether it is another one with more in it."""
        return self._log is other._log and self._size >= other._size

    def chunk(self, first: int) -> dict[str, Any]:
        """What a row holds: the events from one on."""
        return {"first": first, "events": self._log.events[first : self._size]}

    @staticmethod
    def from_chunks(directions: Sequence[Mode], chunks: Iterable[Mapping[str, Any]]) -> Ledger:
        """The ledger whose rows hold these, the oldest first."""
        log = _Log(tuple(directions))
        for chunk in chunks:
            for event in chunk["events"][len(log.events) - chunk["first"] :]:
                log.append(event)
        return _at_tip(log)

    @property
    def _is_newest(self) -> bool:
        return self._size == len(self._log.events)

    @property
    def _folded(self) -> _Log:
        return self._log if self._is_newest else self._log.copied(self._size)

    def __copy__(self) -> Ledger:
        return self

    def __deepcopy__(self, memo: object) -> Ledger:
        return self

    def __repr__(self) -> str:
        counts = dict.fromkeys(("waiting", "running", *OVER), 0)
        for trial in self:
            counts[trial.status] += 1
        shown = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        return f"Ledger({shown or 'no trials'})"


def _at_tip(log: _Log) -> Ledger:
    ledger = Ledger.__new__(Ledger)
    ledger._log, ledger._size = log, len(log.events)
    return ledger


class _Log:
    """Events, and what they come to."""

    def __init__(self, directions: tuple[Mode, ...]) -> None:
        self.directions = directions
        self.events: list[Event] = []
        self.trials: list[TrialRecord] = []
        self.waiting: dict[int, None] = {}
        self.running: dict[int, None] = {}
        self.over = 0
        self.best: int | None = None
        self.since_best = 0
        self.study: dict[str, Any] = {}

    def copied(self, size: int) -> _Log:
        """One with so many of the events."""
        log = _Log(self.directions)
        for event in self.events[:size]:
            log.append(event)
        return log

    def append(self, event: Event) -> None:
        """Take one event more."""
        self.events.append(event)
        getattr(self, f"_{event['what']}")(event, event["trial"])

    def _suggested(self, event: Event, trial: int) -> None:
        attributes = event.get("attributes", {})
        segment = Segment(**event["segment"]) if "segment" in event else None
        params = of_text(event["params"])
        record = TrialRecord(trial, params, event["run"], attributes=attributes, segment=segment)
        self.trials.append(record)
        self.study |= event.get("study", {})
        self.waiting[trial] = None

    def _launched(self, event: Event, trial: int) -> None:
        del self.waiting[trial]
        self.running[trial] = None
        attempts = self.trials[trial].attempts + 1
        self._change(
            trial, status="running", attempts=attempts, started=event["at"], worker=event.get("worker")
        )

    def _set_back(self, event: Event, trial: int) -> None:
        self.running.pop(trial, None)
        self.waiting[trial] = None
        deaths = self.trials[trial].deaths + event["died"]
        place = event.get("place")
        self._change(trial, status="waiting", reason=event["reason"], deaths=deaths, place=place)

    def _ended(self, event: Event, trial: int) -> None:
        self.running.pop(trial, None)
        self.waiting.pop(trial, None)
        values = event.get("values")
        numbers = None if values is None else tuple(float(value) for value in values)
        attributes = {**self.trials[trial].attributes, **event.get("attributes", {})}
        self._change(
            trial,
            status=event["status"],
            values=numbers,
            ended=event["at"],
            step=event.get("step"),
            reason=event.get("reason"),
            place=event.get("place"),
            attributes=attributes,
        )
        self.over += 1
        if self._is_best(self.trials[trial]):
            self.best, self.since_best = trial, 0
        else:
            self.since_best += 1

    def _is_best(self, trial: TrialRecord) -> bool:
        if trial.status != "finished" or trial.value is None or len(self.directions) != 1:
            return False
        if self.best is None:
            return True
        best = self.trials[self.best].value
        assert best is not None
        return trial.value < best if self.directions[0] == "min" else trial.value > best

    def _change(self, trial: int, **changes: Any) -> None:
        self.trials[trial] = replace(self.trials[trial], **changes)
