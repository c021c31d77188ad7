"""Conditions from text, as a command line has them: a small grammar, and nothing is ever evaluated."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ExpressionError
from .base import StopCondition
from .limits import max_epochs, max_steps, max_time
from .overfitting import overfitting
from .plateau import plateau
from .prechelt import consecutive_increases, generalization_loss, progress_quotient
from .reached import diverged, not_finite, reached
from .slope import slope_below
from .spike import spike

_MADE_BY: Mapping[str, Callable[..., StopCondition]] = {
    function.__name__: function
    for function in (
        *(plateau, reached, diverged, not_finite, max_epochs, max_steps, max_time),
        *(overfitting, slope_below, spike),
        *(generalization_loss, progress_quotient, consecutive_increases),
    )
}
_LONGEST = 2000
"""Characters of an expression."""
_DEEPEST = 50
"""Brackets and operators within each other."""
_LARGEST = 2**63 - 1
"""The largest whole number: columns of numbers cannot be compared with a larger one."""


def parse_condition(text: str) -> StopCondition:
    """The condition that a text stands for.

    Args:
        text: Calls of this package's conditions with names of metrics, texts and numbers, combined with
            ``&``, ``|``, ``~`` and brackets. A metric whose name is a word needs no quotes, so what
            ``stop_reason`` names can be pasted.

    Raises:
        ExpressionError: If it is anything else.

    Example:
        >>> parse_condition('plateau("val_loss", patience=3) & ~reached(val_acc, 0.9, mode="max")').name
        "plateau(val_loss, patience=3) & ~reached(val_acc, 0.9, mode='max')"
        >>> parse_condition("__import__('os').system('ls')")
        Traceback (most recent call last):
        burr_lightning.errors.ExpressionError: ...
    """
    if len(text) > _LONGEST:
        raise ExpressionError(text[:50] + "...", f"it is longer than {_LONGEST} characters", _MADE_BY)
    try:
        return _condition(_parsed(text), text, _DEEPEST)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        if isinstance(error, ExpressionError):
            raise
        why = _broken(text, error) if isinstance(error, SyntaxError) else str(error)
        raise ExpressionError(text, why, _MADE_BY) from error


def _parsed(text: str) -> ast.expr:
    """A text as Python reads it, without a warning for a backslash that stands for itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text.strip(), mode="eval").body


def _broken(text: str, error: SyntaxError) -> str:
    """Why a text is no Python, and where."""
    if not error.offset:
        return error.msg
    return f"{error.msg} (character {_place(text, error.lineno or 1, error.offset - 1)})"


def _place(text: str, line: int, before: int) -> int:
    """The number of a character in a text, 1 for the first, from its line and how many are before it."""
    lines = text.strip().splitlines(keepends=True)
    blanks = len(text) - len(text.lstrip())
    return blanks + sum(map(len, lines[: line - 1])) + before + 1


def _condition(node: ast.expr, text: str, deeper: int) -> StopCondition:
    if deeper < 0:
        raise ExpressionError(text, f"it is nested more than {_DEEPEST} deep", _MADE_BY)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr)):
        left, right = _condition(node.left, text, deeper - 1), _condition(node.right, text, deeper - 1)
        return left & right if isinstance(node.op, ast.BitAnd) else left | right
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
        return ~_condition(node.operand, text, deeper - 1)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MADE_BY:
        return _called(node, text)
    raise _refusal(node, text, f"is no condition{_hint(node)}")


def _hint(node: ast.expr) -> str:
    """What is written here for Python's own words."""
    if isinstance(node, ast.BoolOp):
        return ": write & for and, with brackets" if isinstance(node.op, ast.And) else ": write | for or"
    is_not = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    return ": write ~ for not" if is_not else ""


def _called(node: ast.Call, text: str) -> StopCondition:
    assert isinstance(node.func, ast.Name)
    positional = [_literal(argument, text) for argument in node.args]
    named: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise _refusal(keyword.value, text, "cannot be unpacked here")
        if keyword.arg in named:
            raise _refusal(node, text, f"says {keyword.arg}= more than once")
        named[keyword.arg] = _literal(keyword.value, text)
    try:
        return _MADE_BY[node.func.id](*positional, **named)
    except TypeError as error:
        raise ExpressionError(text, f"{error} (character {_start(node, text)})", _MADE_BY) from error


def _literal(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Name):
        return float("inf") if node.id == "inf" else node.id
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _literal(node.operand, text)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return -value
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float, type(None))):
        if isinstance(node.value, int) and node.value > _LARGEST:
            why = f"the number at character {_start(node, text)} is too large"
            raise ExpressionError(text, why, _MADE_BY)
        return node.value
    raise _refusal(node, text, "is no number, text or metric")


def _refusal(node: ast.expr, text: str, why: str) -> ExpressionError:
    return ExpressionError(text, f"{ast.unparse(node)!r} (character {_start(node, text)}) {why}", _MADE_BY)


def _start(node: ast.expr, text: str) -> int:
    """The number of the character that a part of a text begins with, 1 for the first."""
    line = text.strip().splitlines()[node.lineno - 1]
    return _place(text, node.lineno, len(line.encode()[: node.col_offset].decode()))
