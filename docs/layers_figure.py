"""Makes ``docs/images/layers.png`` again: the layers of the code, and which of them import from which.

Run it as ``PYTHONPATH=tests python docs/layers_figure.py``. The layers are those that
`tests/test_layering.py` holds, their names those of the table in `CONTRIBUTING.md`, and the numbers those of
the modules that really import. Look at the figure before you commit it.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image
from test_layering import LAYERS, MODULES, PACKAGE, imports_of, layer_of

from burr_lightning.plots.style import BLACK, DOTS, GRAY, LINES, PALE, SMALL, TEXT, WIDTH

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "layers.png"
LETTERS = 84
"""In a line of modules."""
COLUMN = 0.3
"""Inches that the imports of a layer are wide."""
LINE, BETWEEN = 0.12, 0.12
"""Inches of a line of modules, and between two layers."""


def layer_names() -> list[str]:
    """What `CONTRIBUTING.md` calls the layers."""
    table = (ROOT / "CONTRIBUTING.md").read_text().split("| layer | modules |")[1].split("\n\n")[0]
    names = re.findall(r"^\| ([^|-][^|]*) \| `", table, re.MULTILINE)
    assert len(names) == len(LAYERS), f"{len(names)} layers have a name, and there are {len(LAYERS)}"
    return names


def modules_of(layer: int) -> list[str]:
    """The modules of a layer, in lines; those that are folders end with a slash."""
    named = (f"{name}/" if (PACKAGE / name).is_dir() else name for name in sorted(LAYERS[layer]))
    return textwrap.wrap("  ".join(named), LETTERS)


def imports() -> Counter[tuple[int, int]]:
    """How many modules of a layer import from another one."""
    found: Counter[tuple[int, int]] = Counter()
    for path in MODULES:
        own = layer_of(path)
        found.update((own, other) for other in {layer_of(module) for module in imports_of(path)[0]} - {own})
    upwards = [pair for pair in found if pair[1] > pair[0]]
    assert not upwards, f"imports that point up: {upwards}"
    return found


def draw() -> Figure:
    """A box for each layer, what builds on it above it; beside them, a line down for each layer's imports."""
    names, found = layer_names(), imports()
    boxes = [modules_of(layer) for layer in range(len(LAYERS))]
    heights = [0.27 + LINE * len(lines) for lines in boxes]
    height = sum(heights) + BETWEEN * (len(heights) + 1)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.axis("off")
    left, bottom = WIDTH - COLUMN * len(LAYERS), BETWEEN
    middles = []
    for name, lines, tall in zip(names, boxes, heights, strict=True):
        look = {"facecolor": "white", "edgecolor": GRAY, "linewidth": 0.8}
        axes.barh(bottom + tall / 2, left - 0.1, tall, left=0.05, **look)
        text = {"va": "top", "ha": "left"}
        axes.text(0.12, bottom + tall - 0.06, name, fontsize=TEXT, weight="bold", **text)
        axes.text(0.12, bottom + tall - 0.22, "\n".join(lines), fontsize=SMALL - 1, linespacing=1.3, **text)
        middles.append(bottom + tall / 2)
        bottom += tall + BETWEEN
    for middle in middles:
        axes.plot([left - 0.05, WIDTH - 0.05], [middle, middle], color=PALE, linewidth=0.6, zorder=0)
    for layer in range(1, len(LAYERS)):
        column = left + COLUMN * (len(LAYERS) - layer - 0.5)
        imports_down(axes, column, layer, middles, {to: n for (own, to), n in found.items() if own == layer})
    return figure


def imports_down(axes: Any, x: float, layer: int, middles: list[float], found: dict[int, int]) -> None:
    """A line from a layer down, with an arrow and the number of importing modules at each that it imports."""
    color = (*LINES[:5], GRAY, BLACK, LINES[0], LINES[1])[layer]
    if found:
        axes.plot([x, x], [middles[layer], middles[min(found)]], color=color, linewidth=1)
    axes.plot(x, middles[layer], "o", color=color, markersize=5)
    for other, number in found.items():
        axes.plot(x, middles[other], "v", color=color, markersize=5)
        axes.text(x + 0.05, middles[other] + 0.03, str(number), fontsize=SMALL - 1, va="bottom", ha="left")


if __name__ == "__main__":
    draw().savefig(PICTURE, dpi=DOTS)
    with Image.open(PICTURE) as drawn:
        fewer = drawn.convert("RGB").quantize(96)
    fewer.save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")
