"""Stop conditions held against recorded histories."""

from __future__ import annotations

from .comparing import compare_stopping
from .comparison import Comparison
from .sources import recordings
from .stops import Stop
from .summaries import FixedEpochs, Quartiles, Summary

__all__ = ["Comparison", "FixedEpochs", "Quartiles", "Stop", "Summary", "compare_stopping", "recordings"]
