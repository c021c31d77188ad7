"""What tests share: options of pytest, a trainer, servers."""

from __future__ import annotations

import os

# Before torch is imported: with a process of tests on each core, more threads only wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from typing import Any

import pytest
import servers
import torch
from lightning.pytorch import Trainer
from ports import free_port

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # at its import Ray reads it: it stays on loopback
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --kills 1000` kills more than the gate does."""
    parser.addoption("--kills", type=int, default=60, help="SIGKILLs in the kill campaign")
    parser.addoption("--long", action="store_true", help="also the tests that the gate has no time for")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, and say how to have it; and what needs a GPU, where there is none."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if on_gpu and not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(
                pytest.mark.skip(reason="it needs an NVIDIA GPU: torch.cuda.is_available() is False")
            )
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="it takes long: run it with pytest --long"))


@pytest.fixture
def own_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that Lightning starts meet at a port that nobody else is given meanwhile."""
    monkeypatch.setenv("MASTER_PORT", str(free_port()))


@pytest.fixture
def make_trainer() -> Any:
    """A quiet trainer on the CPU: `make_trainer(burr, max_epochs=3)`."""

    def make(*callbacks: Any, **options: Any) -> Trainer:
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        return Trainer(callbacks=list(callbacks), accelerator="cpu", **{**quiet, **options})

    return make


@pytest.fixture(scope="session")
def postgresql() -> Iterator[servers.Server]:
    """A real PostgreSQL."""
    with servers.postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[servers.Server]:
    """A real Redis."""
    with servers.redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def mongodb() -> Iterator[servers.Server]:
    """A real MongoDB, where one is installed."""
    with servers.mongodb_server() as server:
        yield server


@pytest.fixture(scope="session")
def mongodb_stand_in() -> Iterator[Any]:
    """What stands in for MongoDB where none is."""
    with servers.mongodb_stand_in() as server:
        yield server
