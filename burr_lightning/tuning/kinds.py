"""What a study is given must be of the right kind: it is found when it is made, and not by a trial."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

from burr.core.persistence import BaseStatePersister

from ..errors import ArgumentError
from ..persisters import SCHEMES, PersisterUrl


def refuse_other_kinds(given: Mapping[str, Any]) -> None:
    """Refuse arguments of a study that are of another kind than they have to be.

    Args:
        given: The arguments, by their names.

    Raises:
        ArgumentError: If one is.
    """
    seed, monitor, persister = given["seed"], given["monitor"], given["persister"]
    is_seed = isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0
    rules = {
        "executor": (
            given["executor"] is None or isinstance(given["executor"], Executor),
            "an executor of concurrent.futures, as LocalProcesses(2) is",
        ),
        "sampler": (not isinstance(given["sampler"], type), "a sampler, and not its class"),
        "pruner": (not isinstance(given["pruner"], type), "a pruner, and not its class"),
        "seed": (seed is None or is_seed, "a whole number, 0 or more, or None"),
        "monitor": (monitor is None or isinstance(monitor, str), "the name of a metric"),
        "persister": (
            persister is None or isinstance(persister, (PersisterUrl, BaseStatePersister)),
            f"a synchronous Burr persister, or a URL: {SCHEMES}",
        ),
    }
    for name, (is_right, rule) in rules.items():
        if not is_right:
            raise ArgumentError(f"Study({name}={given[name]!r}): it must be {rule}.")
