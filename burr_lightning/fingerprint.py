"""What tells one data set from another, taken without moving a random number generator."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from torch.utils.data import DataLoader, IterableDataset, Subset

from .commits.rng import generator_states, set_generator_states
from .errors import DataChangedError
from .ranks import Ranks

_SAMPLES = 2


def data_fingerprint(trainer: Trainer) -> dict[str, Any]:
    """The sizes, batch counts and first samples of the training and validation data.

    Call it once the trainer has set its data up. A part that cannot be told (the size of iterable
    data, a hash of samples that differ each time they are read) is ``None``.
    """
    return {
        "train": _loaders(trainer.train_dataloader, [trainer.num_training_batches]),
        "validation": _loaders(trainer.val_dataloaders, trainer.num_val_batches),
    }


def fingerprint(ranks: Ranks, trainer: Trainer) -> dict[str, Any]:
    """What `data_fingerprint` gives on the first rank."""
    return ranks.agreed(lambda: data_fingerprint(trainer))


def refuse_other_data(ranks: Ranks, trainer: Trainer, run_id: str, then: dict[str, Any] | None) -> None:
    """See that a run goes on with the data that it was started with.

    Args:
        ranks: The processes that go on; the first one looks.
        trainer: The trainer, once it has set its data up.
        run_id: The run, for the error.
        then: The fingerprint of before, ``None`` where none was taken.

    Raises:
        DataChangedError: If it is other data.
    """
    if then is None:
        return
    found = ranks.agreed(lambda: changes(then, data_fingerprint(trainer)))
    if found:
        raise DataChangedError(run_id, found)


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    """Where two fingerprints are not of the same data; batch counts may differ."""
    found: dict[str, tuple[object, object]] = {}
    for part in ("train", "validation"):
        if then[part] is None or now[part] is None:
            continue
        if len(then[part]) != len(now[part]):
            found[f"{part} data loaders"] = (len(then[part]), len(now[part]))
            continue
        for index, (was, is_) in enumerate(zip(then[part], now[part], strict=True)):
            for fact in ("samples", "first_samples"):
                if None not in (was[fact], is_[fact]) and was[fact] != is_[fact]:
                    found[f"{part} data {index}, {fact}"] = (was[fact], is_[fact])
    return found


def _loaders(loaders: Any, batches: Sequence[float]) -> list[dict[str, Any]] | None:
    if loaders is None:
        return None
    facts = [_loader(loader) for loader in _flattened(loaders)]
    for fact, count in zip(facts, batches, strict=False):
        fact["batches"] = int(count) if count != float("inf") else None
    return facts


def _flattened(loaders: Any) -> Iterator[Any]:
    if isinstance(loaders, Mapping):
        loaders = list(loaders.values())
    if isinstance(loaders, (list, tuple)):
        for loader in loaders:
            yield from _flattened(loader)
    else:
        yield loaders


def _loader(loader: Any) -> dict[str, Any]:
    dataset = getattr(loader, "dataset", None)
    if not isinstance(loader, DataLoader) or isinstance(dataset, IterableDataset):
        return {"samples": None, "first_samples": None, "batches": None}
    samples = len(dataset) if isinstance(dataset, Sized) else None
    return {"samples": samples, "first_samples": _first_samples(loader, samples), "batches": None}


def _first_samples(loader: DataLoader[Any], samples: int | None) -> str | None:
    """The hash of the first samples; ``None`` where they cannot be read, or differ when read again."""
    if not samples:
        return None
    held = generator_states({"loader": loader})
    with isolate_rng():
        once, again = _read(loader, samples), _read(loader, samples)
    set_generator_states({"loader": loader}, held)
    return once if once == again else None


def draws_random_numbers(loader: Any) -> bool:
    """Whether the first samples of map-style data are others with other random numbers."""
    dataset = getattr(loader, "dataset", None)
    if not isinstance(loader, DataLoader) or isinstance(dataset, IterableDataset):
        return False
    samples = len(dataset) if isinstance(dataset, Sized) else 0
    held = generator_states({"loader": loader})
    with isolate_rng():
        drawn = {_read(loader, samples, seed) for seed in (0, 1)}
    set_generator_states({"loader": loader}, held)
    return len(drawn) > 1


def _read(loader: DataLoader[Any], samples: int, seed: int = 0) -> str | None:
    """The hash of the first samples, read with fixed seeds so that augmentation does not change it.

    Where the loader has workers, a worker reads them: a file that the data set opens at first use must
    not be open in this process when the next workers are forked from it.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    digest = hashlib.sha256()
    try:
        reader = DataLoader(
            Subset(loader.dataset, range(min(_SAMPLES, samples))),
            batch_size=None,
            num_workers=min(1, loader.num_workers),
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context if loader.num_workers else None,
        )
        for sample in reader:
            for piece in _pieces(sample):
                digest.update(piece)
    except Exception:  # whatever a data set raises for a sample that training may never ask for
        return None
    return digest.hexdigest()[:16]


def _pieces(sample: Any) -> Iterator[bytes]:
    if isinstance(sample, torch.Tensor):
        yield str(sample.dtype).encode()
        yield sample.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(sample, (np.ndarray, np.generic)):
        yield str(sample.dtype).encode() + sample.tobytes()
    elif isinstance(sample, Mapping):
        for key, value in sample.items():
            yield str(key).encode()
            yield from _pieces(value)
    elif isinstance(sample, (list, tuple)):
        for value in sample:
            yield from _pieces(value)
    elif isinstance(sample, (str, bytes, int, float, bool)) or sample is None:
        yield repr(sample).encode()
    else:
        raise TypeError(f"a sample of type {type(sample).__name__} has no bytes to compare")
