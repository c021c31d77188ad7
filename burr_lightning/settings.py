"""What the user configured of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from burr.core.graph import Graph
from burr.core.persistence import BaseStatePersister
from burr.lifecycle.base import LifecycleAdapter, PostRunStepHook

from .commits import Checkpoints
from .errors import ArgumentError
from .metric import Mode
from .pausing import Block, OnPause
from .persisters import SCHEMES, PersisterUrl, Place
from .shadow import Shadows


@dataclass(frozen=True)
class RunSettings:
    """What the user configured of a run."""

    run_id: str
    project: str
    root: Path
    machine: Graph
    initial_state: Mapping[str, Any]
    monitor: str | None
    mode: Mode | None
    shadow: Shadows
    checkpoints: Checkpoints
    hooks: Sequence[LifecycleAdapter]
    stream_every_n_batches: int
    persister: Place | None
    tracker: bool | LifecycleAdapter
    wait: Block | Literal["exit", "prompt"]
    on_pause: OnPause | None
    spawned_by: Mapping[str, Any] | None = None
    """The study that it is a trial of: ``run_id``, and the ``sequence_id`` of the step that launched it."""

    def __post_init__(self) -> None:
        if not isinstance(self.checkpoints, Checkpoints):
            self._refuse("checkpoints", "Checkpoints(keep_last=..., keep_best=...)")
        if self.persister is not None and not isinstance(self.persister, (PersisterUrl, BaseStatePersister)):
            self._refuse(
                "persister", f"a synchronous Burr persister, as SQLitePersister(path), or a URL: {SCHEMES}"
            )
        if not isinstance(self.tracker, (bool, PostRunStepHook)):
            self._refuse("tracker", "True, False, or a tracking client of Burr's")
        if not isinstance(self.hooks, Sequence) or isinstance(self.hooks, str):
            self._refuse("hooks", "a list of lifecycle adapters of Burr's, as [ConsoleHook()] is")
        for hook in self.hooks:
            _refuse_what_is_never_called(hook)
        every = self.stream_every_n_batches
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            self._refuse("stream_every_n_batches", "a whole number of batches, 1 or more")
        if self.root.exists() and not self.root.is_dir():
            raise ArgumentError(f"BurrCallback(root_dir='{self.root}'): this is a file, not a folder.")

    def _refuse(self, argument: str, rule: str) -> None:
        given = getattr(self, argument)
        raise ArgumentError(f"BurrCallback({argument}={given!r}): it must be {rule}.")


def _refuse_what_is_never_called(hook: object) -> None:
    kinds = [kind for kind in get_args(LifecycleAdapter) if isinstance(hook, kind)]
    if isinstance(hook, type):
        raise ArgumentError(
            f"BurrCallback(hooks=[{hook.__name__}]): this is a class, and a hook is one of it. Give "
            f"{hook.__name__}(...)."
        )
    if not kinds:
        raise ArgumentError(
            f"BurrCallback(hooks=[{hook!r}]): each must be a lifecycle adapter of Burr's, as a "
            f"subclass of burr.lifecycle.PostRunStepHook is."
        )
    names = {kind.__name__ for kind in kinds}
    twins = {name: name.removesuffix("Async") for name in sorted(names) if name.endswith("Async")}
    alone = {name: twin for name, twin in twins.items() if twin not in names}
    if alone:
        raise ArgumentError(
            f"BurrCallback(hooks=[{hook!r}]): Lightning's loop is synchronous, so that nobody would call "
            f"what this hook is as {', '.join(alone)}. Subclass {', '.join(alone.values())} instead."
        )
