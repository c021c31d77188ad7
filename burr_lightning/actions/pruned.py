"""The end of a run that a search has given up."""

from __future__ import annotations

from .best_model import BestModel


class Pruned(BestModel):
    """End a run that is not worth going on with; name its best epoch, and why it was given up.

    Reads: `best`, `checkpoint`, `stop_reason`. Writes: `best`.

    Example:
        >>> Pruned().writes
        ['best']
    """
