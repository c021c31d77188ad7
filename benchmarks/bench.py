"""All that is to be measured, in one table: `make bench`.

Run it as ``python benchmarks/bench.py``; ``--full`` measures more often and on more, as for
`docs/benchmarks.md`. It prints a table, and writes it as JSON and as a figure, ``bench.png``, which
that page has as ``docs/images/benchmarks.png``. Each part runs in a process of
its own, one after the other: leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from measured import Measured, machine, write
from rich.console import Console
from rich.table import Table

PARTS = ("epoch_cost", "batch_cost", "growth", "commit_wait", "starting", "study", "early_stopping")


def measured(part: str, full: bool) -> list[Measured]:
    """The rows of a part."""
    rows: list[Measured] = importlib.import_module(part).measure(full=full)
    return rows


def in_a_process(part: str, full: bool) -> list[Measured]:
    """The rows of a part, measured in a process that has done nothing else."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(measured, part, full).result()


def shown(row: Measured, value: float) -> str:
    """A value with its unit."""
    return f"{value:.2f}" if row.unit == "times" else f"{value:.2f} {row.unit}"


TITLES = ("what", "against", "median", "least to most", "must be", "")


def cells(row: Measured) -> tuple[str, ...]:
    """What was measured, and what must be, in words."""
    spread = f"{shown(row, min(row.values))} to {shown(row, max(row.values))}"
    bound = f"{'at least' if row.at_least else 'at most'} {row.bound:g}"
    verdict = "reached" if row.is_reached else "missed"
    return row.what, row.against, shown(row, row.median), spread, bound, verdict


def table(rows: list[Measured]) -> Table:
    """The rows for a terminal."""
    made = Table(*TITLES, title="burr_lightning beside what one would use otherwise")
    for row in rows:
        *told, verdict = cells(row)
        made.add_row(*told, verdict if row.is_reached else f"[bold red]{verdict}")
    return made


def markdown(rows: list[Measured]) -> str:
    """The rows for a page, and below them the medians that they are made of."""
    lines = [TITLES, ("---",) * len(TITLES), *(cells(row) for row in rows)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    sides = {f"{row.what}: {name}": value for row in rows for name, value in row.sides.items()}
    return text + "\n\n" + "\n".join(f"- {name}: {value:.3g}" for name, value in sides.items()) + "\n"


def figure(rows: list[Measured], path: Path) -> None:
    """Each median as a part of what it may be, with its spread; left of the line is reached."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    drawn, axes = pyplot.subplots(figsize=(10, 0.45 * len(rows) + 1.2), layout="constrained")
    for place, row in enumerate(reversed(rows)):
        parts = sorted(
            row.bound / value if row.at_least else value / row.bound for value in (*row.values, row.median)
        )
        part = row.bound / row.median if row.at_least else row.median / row.bound
        color = "tab:green" if row.is_reached else "tab:red"
        least = 0.003  # what is faster than bare has nothing to show on this scale
        axes.plot([max(parts[0], least), max(parts[-1], least)], [place, place], color=color, alpha=0.4, lw=6)
        axes.plot(max(part, least), place, "o", color=color)
    axes.axvline(1, color="black", lw=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(
        range(len(rows)), [f"{row.what}\n{_short(row.against)}" for row in reversed(rows)], fontsize=7
    )
    axes.set_xlabel("measured / what it may be at most (log scale; the line is the bound)")
    drawn.savefig(path, dpi=120)
    pyplot.close(drawn)


def _short(text: str) -> str:
    return text if len(text) < 50 else f"{text[:47]}..."


def main() -> None:
    """Measure all, or some parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--full", action="store_true", help="more often, and on more")
    parser.add_argument("--out", type=Path, default=Path("bench_results"), help="where JSON and figure go")
    asked = parser.parse_args()
    if unknown := [part for part in asked.parts if part not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    rows: list[Measured] = []
    console = Console()
    for part in asked.parts or PARTS:
        console.print(f"measuring {part} ...", style="dim")
        rows += in_a_process(part, asked.full)
    console.print(table(rows))
    console.print(machine(), style="dim")
    write(asked.out / "bench.json", rows)
    (asked.out / "bench.md").write_text(markdown(rows))
    figure(rows, asked.out / "bench.png")
    console.print(f"bench.json, bench.md and bench.png are in {asked.out}")


if __name__ == "__main__":
    main()
