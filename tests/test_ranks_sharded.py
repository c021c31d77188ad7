"""A module that is sharded over processes: its commits are whole, and a resume is exact."""

import pytest
from ranked import Ranked
from sharded import SHARDED, train_sharded


def trained(size, training, in_parts):
    """Train to the end; how that was on each rank."""
    ranks = Ranked(size, train_sharded, training, in_parts)
    statuses, told = ranks.ended()
    assert statuses == [0] * size, ranks.printed
    return [ending for _, ending in told]


@pytest.mark.parametrize("in_parts", [False, True], ids=["one-file", "in-parts"])
def test_thin(in_parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path / "whole"))
    whole = trained(2, SHARDED, in_parts)
    print(whole)
    import subprocess

    print(subprocess.run("find . -path '*checkpoints*'", shell=True, capture_output=True, text=True).stdout)
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path / "a"))
    for epochs in (1, 2, 3):
        trained(2, SHARDED.but(epochs=epochs), in_parts)
    again = trained(2, SHARDED, in_parts)
    assert again == whole
