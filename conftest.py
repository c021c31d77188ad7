"""Every test and every doctest has a home of its own: Burr's tracker, the runs and the working folder."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of a test lands in the user's home, and no test sees another's runs."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path / "runs"))
    monkeypatch.delenv("BURR_LIGHTNING_RUN_ID", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)  # processes of pytest-xdist have it, and pipes have no width
    monkeypatch.chdir(tmp_path)
    return tmp_path
