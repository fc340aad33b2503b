"""Self-checks say right, wrong and why, or not written yet, and raise nothing: `pytest tests/test_answers.py`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.answers import check
from helpers.models import load_model

ROOT = Path(__file__).resolve().parent.parent

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


@torch.no_grad()
def unwritten_and_decorated(x):
    return x + ...


def unwritten_step(x):
    twice = ...
    return twice


@pytest.mark.parametrize(
    "answer",
    [
        ...,
        None,
        "",
        "  ",
        unwritten_body,
        unwritten_below_a_docstring,
        unwritten_step,
        unwritten_and_decorated,
    ],
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
            "✗ Your code stopped with an error (ZeroDivisionError: division by zero).\n",
        ),
        (0, "✗ Your code stopped with an error (TypeError: 'int' object is not callable).\n"),
    ],
)
def test_the_verdict_has_its_reason(answer: Any, said: str, capsys: pytest.CaptureFixture[str]):
    check(answer, doubles)
    assert capsys.readouterr().out == said


@pytest.fixture(scope="module")
def bundled():
    return load_model("aozora-mini", device="cpu")


BLANKS = {
    "chances = ...": "chances = logits.softmax(-1)",
    "new_id = ...": "new_id = torch.multinomial(chances, num_samples=1)",
    "ids = ...": "ids = torch.cat([ids, new_id[None]], dim=1)",
}


@pytest.mark.parametrize("edition", ["", "en/", "start/", "start/en/"])
def test_the_loop_of_lesson_3_has_three_places_and_filled_in_it_is_generate(edition, bundled):
    path = ROOT / "notebooks" / f"{edition}03_generate.ipynb"
    cells = ["".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    (code,) = [cell for cell in cells if "def continue_text" in cell and "= ..." in cell]
    assert code.count("...") == 3
    for blank, filled in BLANKS.items():
        assert code.count(blank) == 1
        code = code.replace(blank, filled)
    names = {"torch": torch, "model": bundled.model}
    exec(code, names)
    ids = bundled.tokenizer.encode("雪が降る。", return_tensors="pt", add_special_tokens=False)
    torch.manual_seed(5)
    expected = bundled.model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=True, top_k=0
    )
    assert names["continue_text"](ids, 8, 5).tolist() == expected.tolist()
