"""What it takes until a trial runs in a process of its own: from the call to its first line, and to its end.

Run it as ``python benchmarks/local_processes.py``. The call does nothing, so that the time is that of the
process: forked from a server that has imported Lightning and this library, or a Python of its own that
imports them. ``--repeats`` and ``--spawns`` say how often.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from burr_lightning.tuning.local import LocalProcesses


def first_line() -> float:
    """When the call's first line ran, by a clock that all processes of a machine share."""
    return time.monotonic()


def first_line_with_imports() -> float:
    """The same for a process that must import first."""
    import burr_lightning.tuning.preloaded  # noqa: F401

    return time.monotonic()


def spent(pool: LocalProcesses, call: Callable[[], float], repeats: int) -> list[tuple[float, float]]:
    """The seconds of each call until its first line, and until its future is done and its process gone."""
    measured = []
    for _ in range(repeats):
        submitted = time.monotonic()
        began = pool.submit(call).result()
        measured.append((began - submitted, time.monotonic() - submitted))
    return measured


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--spawns", type=int, default=3)
    asked = parser.parse_args()
    print(" " * 44, *(f"{heading:>9}" for heading in ["n", "ms begun", "ms ended", "slowest"]))
    with LocalProcesses() as pool:
        _print("forked, the first, while the server imports", spent(pool, first_line, 1))
        _print("forked from a warm server", spent(pool, first_line, asked.repeats))
    with LocalProcesses(start="spawn") as pool:
        _print(
            "a Python of its own that imports Lightning", spent(pool, first_line_with_imports, asked.spawns)
        )


def _print(name: str, measured: list[tuple[float, float]]) -> None:
    began, ended = ([1e3 * seconds for seconds in column] for column in zip(*measured, strict=True))
    times = f"{statistics.median(began):9.1f} {statistics.median(ended):9.1f} {max(ended):9.1f}"
    print(f"{name:44} {len(measured):9} {times}")


if __name__ == "__main__":
    main()
