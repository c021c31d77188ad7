"""What tests share: options of pytest, a trainer, servers."""

from __future__ import annotations

import os
import signal
from collections import Counter

# Before torch is imported: with a process of tests on each core, more threads only wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from typing import Any

import pytest
import servers
import torch
from hypothesis import HealthCheck, settings
from lightning.pytorch import Trainer
from ports import free_port

_LONG_FILES = {
    f"test_{name}.py"
    for name in (
        "study_on_ray",
        "study_killed",
        "documents",
        "examples",
        "local_processes",
        "human_in_the_loop",
        "cli_demo",
        "kill_campaign",
        "pausing_exact",
        "exactness",
        "machines_exact",
        "forking_exact",
        "ranks_exact",
        "ranks_launched",
        "ranks_stored",
        "ranks_of_trials",
        "study_on_dask",
        "study_monitor",
        "copies_on_s3",
        "persisters_in_training",
    )
}
"""What takes long for its number of tests: begun last, such a file would keep one process busy in the end."""

# The same examples in each run, and no limits of time: on a busy machine an example takes seconds.
settings.register_profile(
    "gate", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gate")

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # at its import Ray reads it: it stays on loopback
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --kills 1000` kills more than the gate does."""
    parser.addoption("--kills", type=int, default=60, help="SIGKILLs in the kill campaign")
    parser.addoption("--long", action="store_true", help="also the tests that the gate has no time for")


def pytest_configure(config: pytest.Config) -> None:
    """Have pytest-xdist begin files in the order below, not by number of tests; have Ctrl-C be heard."""
    config.option.loadscopereorder = False
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with long files; leave out, saying why, what takes long and what needs a GPU where none is."""
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.name not in _LONG_FILES, -tests[item.path]))
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


@pytest.fixture(scope="module", autouse=True)
def left_as_found() -> Iterator[None]:
    """A file of tests finds nothing of those before it: Ray, for one, leaves its SIGTERM handler."""
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    environment, folder = dict(os.environ), os.getcwd()
    yield
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)


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
