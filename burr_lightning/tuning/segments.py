"""A segment: what a trial trains of a member of a population."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """Some epochs in the life of a member of a population: what one trial trains.

    Attributes:
        member: Which one, 0-based.
        parent: The trial that it goes on from, whose run it forks; ``None`` for one that begins anew.
        max_epochs: How many epochs are trained where it ends, those of its ancestors included.
    """

    member: int
    parent: int | None
    max_epochs: int


class OfMember:
    """What is known of a trial that may be a segment."""

    segment: Segment | None

    @property
    def parent(self) -> int | None:
        """The trial whose run it forks, ``None`` where it begins anew."""
        return self.segment.parent if self.segment is not None else None

    @property
    def member(self) -> int | None:
        """Which member of a population it trains, 0-based, ``None`` where there is none."""
        return self.segment.member if self.segment is not None else None
