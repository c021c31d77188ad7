"""The order of the samples of an epoch under way, where each process takes its share of a drawn order.

Lightning puts a sampler of its own around one that it does not know, as that of a ``StatefulDataLoader``:
each time that it is iterated over it has the inner one draw an order anew. A loader that goes on in the
middle of an epoch iterates more often than one that begins with it, and would go on in another order.

Read off Lightning 2.6; `tests/test_ranks.py` fails loudly when a private name changes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lightning.fabric.utilities.data import _set_sampler_epoch
from lightning.fabric.utilities.distributed import DistributedSamplerWrapper
from lightning.pytorch import Trainer

from .commits.rng import generator_states, set_generator_states


class SampleOrders:
    """With which random numbers the order of an epoch was drawn, for each training loader.

    Args:
        trainer: The trainer, before its loops set data up; they are changed until `remove`.
    """

    def __init__(self, trainer: Trainer) -> None:
        loop: Any = trainer.fit_loop
        self._loop = loop
        self._drawn_with: dict[str, Any] = {}
        self._again: dict[str, Any] = {}
        loop._load_combined_loader_states = partial(self._watch_and, loop._load_combined_loader_states)

    @property
    def drawn_with(self) -> dict[str, Any]:
        """The state of the generators before the last order was drawn, by loader."""
        return dict(self._drawn_with)

    def draw_again(self, drawn_with: dict[str, Any]) -> None:
        """Have each order drawn as `drawn_with` told, until `training_started`."""
        self._again = dict(drawn_with)

    def training_started(self) -> None:
        """From here on orders are drawn anew."""
        self._again = {}

    def remove(self) -> None:
        """Leave the loop as it was."""
        self._loop.__dict__.pop("_load_combined_loader_states", None)
        for inner in self._inner().values():
            inner.__dict__.pop("reset", None)

    def _watch_and(self, load: Any) -> None:
        if self._loop.restarting:
            # Lightning tells it only after loaders have gone on, in the order of the first epoch.
            for loader in self._loop._combined_loader.flattened:
                _set_sampler_epoch(loader, self._loop.epoch_progress.current.processed)
        for name, inner in self._inner().items():
            inner.reset = partial(self._draw, name, inner)
        load()

    def _inner(self) -> dict[str, Any]:
        combined = self._loop._combined_loader
        loaders = combined.flattened if combined is not None else []
        wrappers = {str(index): _wrapper_of(loader) for index, loader in enumerate(loaders)}
        return {name: wrapper.dataset for name, wrapper in wrappers.items() if wrapper is not None}

    def _draw(self, name: str, inner: Any) -> None:
        if name in self._again:
            set_generator_states({name: inner}, self._again[name])
        self._drawn_with[name] = generator_states({name: inner})
        type(inner).reset(inner)


def _wrapper_of(loader: Any) -> DistributedSamplerWrapper | None:
    batches = getattr(loader, "batch_sampler", None)
    samplers = getattr(loader, "sampler", None), getattr(batches, "sampler", None)
    return next((each for each in samplers if isinstance(each, DistributedSamplerWrapper)), None)
