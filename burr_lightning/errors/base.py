"""The base of every error of this library."""

from __future__ import annotations

from typing import Any


class BurrLightningError(Exception):
    """The base of every error that this library raises; each one can be pickled.

    Example:
        >>> from burr_lightning import Run
        >>> try:
        ...     Run.open("no-such-run")
        ... except BurrLightningError as error:
        ...     print(type(error).__name__, error.wanted)
        RunNotFoundError no-such-run
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[BurrLightningError], args: tuple[Any, ...], facts: dict[str, Any]) -> Any:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(facts)
    return error
