"""Whether what a JSON file holds is of the types that are declared; a hand may have been in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

_Stored = TypeVar("_Stored")


def known(kind: type[_Stored], stored: dict[str, Any]) -> _Stored | None:
    """What a file holds, without what a newer version has added.

    ``None`` where it lacks what it must have, or something in it is of another type than it must be.
    """
    hints = _hints(kind)  # type: ignore[arg-type]
    given = {name: value for name, value in stored.items() if name in hints}
    try:
        return kind(**given) if all(fits(value, hints[name]) for name, value in given.items()) else None
    except TypeError:
        return None


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of JSON is of a type.

    Args:
        value: The value.
        hint: Plain types, lists and dicts of them, literals, unions; ``Annotated`` with checks of the value.

    Example:
        >>> fits([1, 2.5], list[float]), fits("1", float | None), fits(True, int)
        (True, False, False)
    """
    kind, parts = get_origin(hint), get_args(hint)
    if kind is Annotated:
        return fits(value, parts[0]) and all(check(value) for check in parts[1:])
    if kind in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if kind is Literal:
        return value in parts
    if kind is list:
        return isinstance(value, list) and all(fits(item, parts[0]) for item in value)
    if kind is dict:
        return isinstance(value, dict) and all(fits(item, parts[1]) for item in value.values())
    return _is_plain(value, hint)


def _is_plain(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    if isinstance(value, bool) and hint in (int, float):
        return False
    return isinstance(value, (int, float) if hint is float else NoneType if hint is None else hint)


def with_keys(must: Mapping[str, Any], may: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], bool]:
    """A check of a dict: it has some keys and may have others, each of its type; it may have more.

    Args:
        must: Keys that it has, and their types.
        may: Others, and their types.
    """

    def check(value: Mapping[str, Any]) -> bool:
        known = {**must, **may}
        return must.keys() <= value.keys() and all(
            fits(value[k], known[k]) for k in known.keys() & value.keys()
        )

    return check


def is_moment(value: float) -> bool:
    """Whether a number of seconds since 1970 is a date that a calendar has."""
    try:
        datetime.fromtimestamp(value)
    except (OverflowError, ValueError, OSError):
        return False
    return True
