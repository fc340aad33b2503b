"""Self-checks say right, wrong and why, or not written yet, and raise nothing: `pytest tests/test_answers.py`."""

from collections.abc import Callable
from typing import Any

import pytest

from helpers.answers import check

pytestmark = pytest.mark.usefixtures("english")


def doubles(function: Callable[[int], int]) -> str:
    # Not `assert`, into which pytest writes words of its own.
    if function(4) != 8:
        raise AssertionError("4 becomes 8")
    return "twice"


def unwritten_body(x): ...


def unwritten_below_a_docstring(x):
    """What it should do."""
    ...


def unwritten_step(x):
    twice = ...
    return twice


@pytest.mark.parametrize(
    "answer", [..., None, "", "  ", unwritten_body, unwritten_below_a_docstring, unwritten_step]
)
def test_what_is_not_written_is_said_to_be(answer: Any, capsys: pytest.CaptureFixture[str]):
    check(answer, doubles)
    assert capsys.readouterr().out == "… Not written yet.\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: x + x, "✓ Right. twice\n"),
        (lambda x: x << 1, "✓ Right. twice\n"),
        (lambda x: x**2, "✗ Not right yet. 4 becomes 8\n"),
        (lambda x: 3, "✗ Not right yet. 4 becomes 8\n"),
        (
            lambda x: x / 0,
            "✗ Your code stopped on the way (ZeroDivisionError: division by zero).\n",
        ),
        (0, "✗ Your code stopped on the way (TypeError: 'int' object is not callable).\n"),
    ],
)
def test_the_verdict_has_its_reason(answer: Any, said: str, capsys: pytest.CaptureFixture[str]):
    check(answer, doubles)
    assert capsys.readouterr().out == said
