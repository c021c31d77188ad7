"""Reading checkpoints that are folders, as torch.distributed.checkpoint and Lightning write them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

_REST = "meta.pt"
"""What Lightning calls the file of all that is neither weights nor optimizers."""
_WEIGHTS = "state_dict"
"""What Lightning calls the weights among the parts."""


def rest_of(folder: Path) -> Path:
    """The file of what a checkpoint holds beside weights and optimizers."""
    return folder / _REST


def weights_of(folder: Path, device: Any) -> dict[str, Any]:
    """The weights that a checkpoint holds, put together from the parts of all processes."""
    import torch  # here, for a run's files can be looked at without it
    from torch.distributed.checkpoint.filesystem import FileSystemReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata
    from torch.distributed.checkpoint.state_dict_loader import load

    facts = FileSystemReader(folder).read_metadata()
    parts: dict[str, Any] = {}
    names: dict[str, str] = {}
    for key, kind in facts.state_dict_metadata.items():
        place = (facts.planner_data or {}).get(key, ())
        if not place or place[0] != _WEIGHTS:
            continue
        names[key] = str(place[1])
        parts[key] = None
        if isinstance(kind, TensorStorageMetadata):
            parts[key] = torch.empty(kind.size, dtype=kind.properties.dtype, device=device)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # as it is asked for
        load(parts, checkpoint_id=folder, no_dist=True)
    return {name: parts[key] for key, name in names.items()}
