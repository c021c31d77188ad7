"""Where the steps of a machine lie on the axis of epochs, and on which lines: what a band is drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..steps import Step
from ..tracked import PhaseKind

Span = tuple[float, float]
"""Where something begins on the axis of epochs, and how wide it is."""


@dataclass(frozen=True)
class Lane:
    """One line of a band: an action, or the same action of several stages."""

    label: str
    seconds: float
    """What its steps took."""
    phase: PhaseKind | None
    bars: tuple[Span, ...]
    """Its phases."""
    points: tuple[float, ...]
    """Its ordinary actions that did not fail."""
    failed: tuple[float, ...]
    """What failed."""


@dataclass(frozen=True)
class StageSpan:
    """A stage of a run."""

    name: str
    at: float
    width: float


def phase_of(step: Step) -> PhaseKind | None:
    """Which phase a step is; where Burr's graph is not there to say it, by its name."""
    if step.phase is not None or step.epoch is None:
        return step.phase
    return "validate" if step.action.startswith("val") else "train"


def stages(steps: Sequence[Step]) -> list[StageSpan]:
    """The stages that steps began, each up to the next one."""
    spans = places(steps)
    begun = [(step.stage, at) for step, (at, _) in zip(steps, spans, strict=True) if step.stage]
    ends = [*(at for _, at in begun[1:]), sum(spans[-1]) if spans else 0.0]
    return [StageSpan(name, at, end - at) for (name, at), end in zip(begun, ends, strict=False) if end > at]


def lanes(steps: Sequence[Step]) -> list[Lane]:
    """The lines of a band, in the order in which their actions first ran.

    The actions that begin stages have none: where the stages are drawn, they say the same.
    """
    names = {step.stage for step in steps if step.stage}
    beginning = {step.action for step in steps if step.stage}
    found: dict[str, list[tuple[Step, Span]]] = {}
    for step, span in zip(steps, places(steps), strict=True):
        if step.action not in beginning:
            found.setdefault(_without_stage(step.action, names), []).append((step, span))
    return [_lane(label, own) for label, own in found.items()]


def _without_stage(action: str, names: Iterable[str]) -> str:
    """An action's name, with a star for the stage that it is named after.

    Example:
        >>> _without_stage("train_head", ["head", "all"])
        'train_*'
    """
    ends = [name for name in names if action.endswith(f"_{name}")]
    return f"{action.removesuffix(max(ends, key=len))}*" if ends else action


def _lane(label: str, own: Sequence[tuple[Step, Span]]) -> Lane:
    return Lane(
        label,
        sum(step.seconds or 0.0 for step, _ in own),
        next((kind for step, _ in own if (kind := phase_of(step))), None),
        tuple(span for step, span in own if step.epoch is not None),
        tuple(at for step, (at, _) in own if step.epoch is None and not step.failed),
        tuple(at for step, (at, _) in own if step.failed),
    )


def places(steps: Sequence[Step]) -> list[Span]:
    """Where each step lies; a step without an epoch has no width.

    The phases of an epoch share the place around its number.
    """
    shares = Counter(step.epoch for step in steps)
    drawn: Counter[int | None] = Counter()
    found, at = [], next((step.epoch for step in steps if step.epoch is not None), 0) - 0.5
    for step in steps:
        width = 0.0
        if step.epoch is not None:
            width = 1 / shares[step.epoch]
            at = step.epoch - 0.5 + width * drawn[step.epoch]
            drawn[step.epoch] += 1
        found.append((at, width))
        at += width
    return found
