"""The command line, `burr-lightning`."""

from __future__ import annotations

try:
    from .app import main
except ModuleNotFoundError as missing:
    if missing.name not in ("click", "rich"):
        raise
    from .without_extra import main  # type: ignore[assignment]

__all__ = ["main"]
