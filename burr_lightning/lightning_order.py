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
from torch.utils.data import DistributedSampler

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
        self._seeds: dict[str, int] = {}
        loop._load_combined_loader_states = partial(self._watch_and, loop._load_combined_loader_states)

    @property
    def kept(self) -> dict[str, Any]:
        """What a commit holds: the generators before the last order was drawn, and seeds, by loader."""
        return {"drawn_with": dict(self._drawn_with), "seeds": dict(self._seeds)}

    def draw_again(self, kept: dict[str, Any]) -> None:
        """Have orders drawn as an earlier process drew them.

        Args:
            kept: What it has kept. The generators count until `training_started`, the seeds always.
        """
        self._again = dict(kept.get("drawn_with", {}))
        self._seeds = dict(kept.get("seeds", {}))

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
            # Lightning tells the epoch only after loaders have gone on, in the order of the first epoch.
            for loader in self._loop._combined_loader.flattened:
                _set_sampler_epoch(loader, self._loop.epoch_progress.current.processed)
        self.made("train", self._loop)
        for name, inner in self._inner().items():
            inner.reset = partial(self._draw, name, inner)
        load()

    def made(self, kind: str, loop: Any) -> None:
        """Loaders were made: Lightning takes the seed of the script, which may be another today.

        Args:
            kind: What for.
            loop: The loop that has them.
        """
        for name, sampler in _samplers(loop).items():
            if not hasattr(sampler, "seed"):
                continue  # one of the user's own
            sampler.seed = self._seeds.setdefault(f"{kind} {name}", sampler.seed)

    def _inner(self) -> dict[str, Any]:
        samplers = _samplers(self._loop).items()
        return {name: each.dataset for name, each in samplers if isinstance(each, DistributedSamplerWrapper)}

    def _draw(self, name: str, inner: Any) -> None:
        if name in self._again:
            set_generator_states({name: inner}, self._again[name])
        self._drawn_with[name] = generator_states({name: inner})
        type(inner).reset(inner)


def _samplers(loop: Any) -> dict[str, DistributedSampler[Any]]:
    combined = loop._combined_loader
    loaders = combined.flattened if combined is not None else []
    return {str(i): each for i, loader in enumerate(loaders) if (each := _sampler_of(loader)) is not None}


def _sampler_of(loader: Any) -> DistributedSampler[Any] | None:
    batches = getattr(loader, "batch_sampler", None)
    samplers = getattr(loader, "sampler", None), getattr(batches, "sampler", None)
    return next((each for each in samplers if isinstance(each, DistributedSampler)), None)
