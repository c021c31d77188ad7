"""Conditions as text: what is no condition is refused, with the place and what to write instead."""

import warnings
from datetime import timedelta

import pytest

from burr_lightning.conditions import max_time, parse_condition
from burr_lightning.errors import ExpressionError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plateau(a, patience=3, patience=4)", r"\(character 1\) says patience= more than once"),
        ("  plateau(a) and plateau(b)", r"\(character 3\) is no condition: write & for and"),
        ("plateau(a) & (not_finite(a) or spike(b))", r"\(character 15\) is no condition: write \| for or"),
        ("not plateau(a)", r"'not plateau\(a\)' \(character 1\) is no condition: write ~ for not"),
        ("plateau(a) | other(1)", r"'other\(1\)' \(character 14\) is no condition\."),
        ("plateau('\u00e9') | other(1)", r"'other\(1\)' \(character 16\)"),
        ("(plateau(a) |\n other(2))", r"'other\(2\)' \(character 16\)"),
        ("plateau(a, patience=x + 1)", r"'x \+ 1' \(character 21\) is no number"),
        ("plateau(**a)", r"'a' \(character 11\) cannot be unpacked here"),
        ("plateau(a, wait=3)", r"unexpected keyword argument 'wait' \(character 1\)"),
        ("  plateau(a) ? 3", r"invalid syntax \(character 14\)"),
        ("plateau(a, 9223372036854775808)", "the number at character 12 is too large"),
        ("max_time('99999999999999999:00:00:00')", "a time is at most 999999999 days"),
    ],
)
def test_what_is_no_condition_is_refused_at_its_place(text, message):
    with pytest.raises(ExpressionError, match=message):
        parse_condition(text)


def test_a_condition_that_overflows_is_no_condition(monkeypatch):
    def overflows(*arguments):
        raise OverflowError("int too large to convert to float")

    monkeypatch.setitem(parse_condition.__globals__["_MADE_BY"], "plateau", overflows)
    with pytest.raises(ExpressionError, match="int too large"):
        parse_condition("plateau(a)")


def test_a_backslash_in_a_name_gives_no_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert parse_condition(r'plateau("val\d")').metrics == {"val\\d"}
    assert caught == []


def test_the_longest_time_is_said():
    with pytest.raises(ValueError, match=r"^max_time\('99999999999:00:00:00'\): a time is at most"):
        max_time("99999999999:00:00:00")
    assert max_time(timedelta(days=2)).name == "max_time(172800)"
