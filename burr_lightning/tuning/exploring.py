"""Exploring: other hyperparameters than those that have proved good, not far from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler

from . import optuna_access as access
from .population import PopulationBased


def drawn(space: Mapping[str, BaseDistribution], seed: int, number: int) -> dict[str, Any]:
    """Parameters at random: those that Optuna's ``RandomSampler`` gives this trial of a study of this seed.

    Args:
        space: The distribution of each.
        seed: The study's seed.
        number: The trial.
    """
    sampler = access.seeded(RandomSampler(), np.random.SeedSequence([seed, number]))
    with access.quiet():
        study = optuna.create_study(sampler=sampler)
    return dict(access.ask(study, space).params)


def explored(
    params: Mapping[str, Any],
    anew: Mapping[str, Any],
    space: Mapping[str, BaseDistribution],
    how: PopulationBased,
    random: np.random.Generator,
) -> dict[str, Any]:
    """Parameters near others.

    Args:
        params: The others.
        anew: Those to take where one is drawn anew.
        space: The distribution of each.
        how: How far away, and how probably anew.
        random: What chooses.
    """
    found: dict[str, Any] = {}
    for name, distribution in space.items():
        is_anew = random.random() < how.resample
        factor = float(how.factors[int(random.integers(len(how.factors)))])
        if is_anew or name not in params:
            found[name] = anew[name]
        else:
            found[name] = perturbed(params[name], distribution, factor, anew[name])
    return found


def perturbed(value: Any, distribution: BaseDistribution, factor: float, anew: Any) -> Any:
    """A value of a parameter near another.

    Args:
        value: The other.
        distribution: The parameter's.
        factor: What a number is multiplied by; of choices, whether the next larger or smaller one.
        anew: What to take where no factor changes it, for it is 0.

    Example:
        >>> perturbed(0.1, FloatDistribution(0.0, 0.11), 1.25, 0.05)
        0.11
        >>> perturbed(2, IntDistribution(1, 8), 1.25, 5)
        3
        >>> perturbed(32, CategoricalDistribution([64, 32, 16]), 0.8, 64)
        16
    """
    if isinstance(distribution, CategoricalDistribution):
        return _neighbour(value, list(distribution.choices), factor)
    if not isinstance(distribution, (FloatDistribution, IntDistribution)) or distribution.single():
        return value
    if value == 0:
        return anew
    low, high, step = distribution.low, distribution.high, distribution.step
    wanted = value * factor
    if step is not None:
        wanted = _on_step(value, wanted, low, step)
    inside = min(max(wanted, low), high)
    return int(inside) if isinstance(distribution, IntDistribution) else float(inside)


def _on_step(value: float, wanted: float, low: float, step: float) -> float:
    """The step next to what is wanted, another one than the value's unless that is wanted."""
    was, now = round((value - low) / step), round((wanted - low) / step)
    if now == was and wanted != value:
        now += 1 if wanted > value else -1
    return low + now * step


def _neighbour(value: Any, choices: list[Any], factor: float) -> Any:
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in choices)
    if not numbers or value not in choices or factor == 1:
        return value
    ordered = sorted(choices)
    place = ordered.index(value) + (1 if factor > 1 else -1)
    return ordered[min(max(place, 0), len(ordered) - 1)]
