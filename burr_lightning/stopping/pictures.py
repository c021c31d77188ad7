"""Pictures of comparisons: whether they can be drawn, where they are written, what their legends say."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, MissingExtraError

if TYPE_CHECKING:
    from .comparison import Comparison

_ENDINGS = (".png", ".svg", ".pdf")


def check_place(path: str | os.PathLike[str], call: str) -> None:
    """See that a picture can be drawn and written there, before anything is computed for it.

    Args:
        path: The file.
        call: What the user wrote, for errors.

    Raises:
        ArgumentError: If its ending is that of no picture, or its folder is not there.
        MissingExtraError: Without matplotlib.
    """
    _import_figure(call)
    place = Path(path)
    if place.suffix.lower() not in _ENDINGS:
        raise ArgumentError(f"{call}: a picture is a file that ends in {', '.join(_ENDINGS)}.")
    if not place.absolute().parent.is_dir():
        raise ArgumentError(
            f"{call}: there is no folder {place.absolute().parent}. Make it, or write elsewhere."
        )


def written(
    draw: Callable[[Comparison], Any],
    comparison: Comparison,
    path: str | os.PathLike[str] | None,
    function: str,
) -> Any:
    """Draw a figure, and write it where a path is given.

    Raises:
        ArgumentError: As `check_place`.
        MissingExtraError: Without matplotlib.
    """
    if path is None:
        _import_figure(f"{function}()")
        return draw(comparison)
    check_place(path, f"{function}({os.fspath(path)!r})")
    figure = draw(comparison)
    figure.savefig(os.fspath(path), dpi=150)
    return figure


def _import_figure(call: str) -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError(call, "matplotlib", "plot") from error
    return Figure


def new_figure(**options: Any) -> Any:
    """An empty figure that makes room for its legend."""
    from matplotlib.figure import Figure

    return Figure(layout="constrained", **options)


def add_legend(figure: Any, handles: Sequence[Any], names: Sequence[str], **options: Any) -> None:
    """A legend with names as they are; matplotlib hides those that begin with an underscore."""
    legend = figure.legend(list(handles), [f"{number}" for number in range(len(handles))], **options)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
        text.set_parse_math(False)
