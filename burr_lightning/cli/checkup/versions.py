"""Which versions are installed, by what their packages say: nothing is imported for it."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from .finding import Finding

_US = "burr-lightning"
_SHOWN = ("torch", "lightning", "apache-burr", "torchmetrics", "numpy")
_NOT_SHOWN = ("test",)
"""Extras that only those need who work on this package."""
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_AT_LEAST = re.compile(r">=\s*([0-9][0-9.]*)")


@dataclass(frozen=True)
class _Need:
    """A package that is needed, always or for an extra."""

    package: str
    extra: str | None
    at_least: str | None


def versions() -> dict[str, str | None]:
    """The versions that count, ``None`` for what is not installed."""
    return {
        "python": platform.python_version(),
        _US: installed(_US),
        **{package: installed(package) for package in _SHOWN},
    }


def extras() -> dict[str, list[str]]:
    """Of each extra, the packages that are missing or too old; none where all of it is there."""
    found: dict[str, list[str]] = {}
    for need in _needs():
        if need.extra is not None and need.extra not in _NOT_SHOWN:
            wrong = _wrong(need)
            missing = found.setdefault(need.extra, [])
            missing += [wrong] if wrong and wrong not in missing else []
    return found


def check_versions() -> Iterator[Finding]:
    """What is installed, and whether it is enough."""
    shown = ", ".join(f"{name} {number or 'not installed'}" for name, number in versions().items())
    yield Finding("versions", "fine", f"{shown}, {platform.system()} {platform.machine()}")
    for need in _needs():
        if need.extra is None and (wrong := _wrong(need)):
            yield Finding("versions", "problem", f"{wrong}: pip install --upgrade {_US}")
    known = extras()
    if not known:
        yield Finding("extras", "note", f"{_US} is not installed as a package, so what it needs is not known")
        return
    there = ", ".join(name for name, missing in known.items() if not missing)
    yield Finding("extras", "fine", there or "none is installed")
    for name, missing in known.items():
        if missing:
            yield Finding("extras", "note", f"{name}: {', '.join(missing)}; pip install '{_US}[{name}]'")


def installed(package: str) -> str | None:
    """The version of a package, ``None`` where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _needs() -> Iterator[_Need]:
    try:
        lines = requires(_US) or []
    except PackageNotFoundError:
        return
    for line in lines:
        match = _REQUIREMENT.fullmatch(line)
        if match is None or match[1] == _US:
            continue
        extra = _EXTRA.search(match[3] or "")
        least = _AT_LEAST.search(match[2])
        yield _Need(match[1], extra[1] if extra else None, least[1] if least else None)


def _wrong(need: _Need) -> str | None:
    """What is wrong with a package that is needed, ``None`` where nothing is."""
    found = installed(need.package)
    if found is None:
        return f"{need.package} is not installed"
    if need.at_least is not None and _numbers(found) < _numbers(need.at_least):
        return f"{need.package} {found} is older than {need.at_least}"
    return None


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers that a version begins with, to be compared.

    Example:
        >>> _numbers("2.13.0+cpu"), _numbers("6.0rc1")
        ((2, 13, 0), (6, 0))
    """
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(map(int, found[0].split("."))) if found else ()
