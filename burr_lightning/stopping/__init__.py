"""Stop conditions held against recorded histories."""

from __future__ import annotations

from .sources import recordings

__all__ = ["recordings"]
