"""What a figure really shows: the texts as they are drawn, and the colors."""

from dataclasses import dataclass
from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox

DOTS = 150
AIR = 1.0
"""Dots by which two boxes may touch: those of letters have some room around them."""


@dataclass
class DrawnText:
    """A line of text, and where it stands in dots from the lower left corner."""

    text: str
    box: Bbox


class Recorder(RendererAgg):
    """Draws, and notes where each text comes to stand: only what is really drawn comes by here."""

    def __init__(self, width, height):
        super().__init__(width, height, DOTS)
        self.height, self.texts = height, []

    def draw_text(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        wide, high, descent = self.get_text_width_height_descent(s, prop, ismath)
        left, bottom = x, self.height - y
        if angle == 90:
            box = Bbox.from_bounds(left - high + descent, bottom, high, wide)
        else:
            box = Bbox.from_bounds(left, bottom - descent, wide, high)
        if s.strip():
            self.texts.append(DrawnText(f"as mathematics: {s}" if ismath else s, box))
        super().draw_text(gc, x, y, s, prop, angle, ismath=ismath, mtext=mtext)


def drawn_texts(figure):
    """All texts of a figure, as they are drawn."""
    figure.set_dpi(DOTS)
    FigureCanvasAgg(figure)
    width, height = (side * DOTS for side in figure.get_size_inches())
    recorder = Recorder(width, height)
    figure.draw(recorder)
    return recorder.texts


def overlapping(figure):
    """Pairs of texts that are drawn over one another."""
    smaller = [(each.text, each.box.padded(-AIR)) for each in drawn_texts(figure)]
    return [(one, other) for (one, a), (other, b) in combinations(smaller, 2) if a.overlaps(b)]


def cut_off(figure):
    """Texts that do not fit into their figure."""
    width, height = (side * DOTS for side in figure.get_size_inches())
    found = drawn_texts(figure)
    inside = Bbox.from_extents(-AIR, -AIR, width + AIR, height + AIR)
    return [t.text for t in found if not (inside.contains(*t.box.min) and inside.contains(*t.box.max))]


def colors(figure):
    """The colors of everything that shows data."""
    lines = [line for axis in figure.axes for line in axis.get_lines()]
    found = {to_hex(line.get_color()) for line in lines if isinstance(line, Line2D)}
    for axis in figure.axes:
        for bars in axis.collections:
            assert isinstance(bars, PolyCollection)
            found |= {to_hex(color) for color in bars.get_facecolor()}
        found |= {to_hex(bar.get_facecolor()) for bar in axis.patches if isinstance(bar, Rectangle)}
    return found
