"""What prose takes from the executed lesson: numbers, words, pictures, and claims that must hold.

A code cell tagged `build` runs in the lesson's kernel when a notebook is built, and is not part of it. It may call

- `fill(share=percent(0.25))`: prose says `{{share}}`;
- `claim("ほとんどは「。」の前です。", share > 0.5)`: the build fails with that sentence if it is false;
- `picture("opening", html, alt)`: prose shows it by `{{picture opening}}`; `width=760` is for a wide one, in CSS pixels.

What it names or draws at random leaves no trace in the lesson. A cell tagged `cases`, below a self-check, holds the
answers that try it: `RIGHT`, a list of code, and `WRONG`, code with words of the reason it must be given.
"""

from __future__ import annotations

import ast
import contextlib
import io
import random
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

WIDTH = 560  # of a picture: drawn at one and a half times that, large on a screen and legible on a phone
MIME = "application/vnd.yukiguni.facts+json"


def calls(source: str, function: str) -> list[ast.Call]:
    """The calls of `fill`, `claim` or `picture` in a build cell, read off its code."""
    return [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function
    ]


def filled(source: str) -> set[str]:
    """The placeholders that a build cell gives a value to."""
    return {word.arg for call in calls(source, "fill") for word in call.keywords if word.arg}


def firsts(source: str, function: str) -> list[str]:
    """The first argument of each call: the name of a picture, the sentence of a claim."""
    arguments = [call.args[0] for call in calls(source, function)]
    return [str(node.value) for node in arguments if isinstance(node, ast.Constant)]


# In the kernel


def calling(source: str) -> str:
    """The code by which a kernel runs a build cell: an expression, so that it leaves no name behind."""
    return f"__import__('tools.facts', fromlist=['collect']).collect({source!a}, globals())"


def trying(check: str, cases: str) -> str:
    """The code by which a kernel gives a self-check the answers of its cases."""
    return f"__import__('tools.facts', fromlist=['try_answers']).try_answers({check!a}, {cases!a}, globals())"


def collect(source: str, lesson: dict[str, Any]) -> None:
    """Run a build cell among the lesson's names, without changing them, and display what it found."""
    found = _nothing()

    def fill(**values: object) -> None:
        found["fill"] |= {name: _markdown(value) for name, value in values.items()}

    def claim(sentence: str, holds: object) -> None:
        if not holds:
            found["problems"].append(f"no longer true, rewrite it: {sentence}")

    def picture(name: str, html: str, alt: str | None = None, width: int = WIDTH) -> None:
        if not str(html).strip():
            found["problems"].append(f"the picture {name} is empty")
        found["pictures"][name] = [str(html), alt or getattr(html, "alt", ""), width]

    with _random_states_kept():
        names = {"fill": fill, "claim": claim, "picture": picture}
        exec(compile(source, "<build cell>", "exec"), {**lesson, **names})
    _display(found)


def try_answers(check: str, cases: str, lesson: dict[str, Any]) -> None:
    """Run a self-check on each answer of its cases, and display which verdict is not what it should be."""
    found = _nothing()
    answers: dict[str, Any] = {}
    exec(cases, answers)
    right, wrong = answers.get("RIGHT", []), answers.get("WRONG", {})
    if min(len(right), len(wrong)) < 2:
        found["problems"].append("a self-check is tried with two right and two wrong answers")
    for code, reason in [*((code, "✓") for code in right), *wrong.items()]:
        names = dict(lesson)
        said = io.StringIO()
        with _random_states_kept(), contextlib.redirect_stdout(said):
            exec(compile(code, "<answer>", "exec"), names)
            said.seek(said.truncate(0))
            exec(compile(check, "<check>", "exec"), names)
        verdict = said.getvalue()
        if not verdict.startswith("✓" if code in right else "✗") or reason not in verdict:
            found["problems"].append(f"a self-check says of {code!r}: {verdict!r}, not {reason!r}")
    _display(found)


def _nothing() -> dict[str, Any]:
    return {"fill": {}, "problems": [], "pictures": {}}


def _display(found: dict[str, Any]) -> None:
    from IPython.display import display

    display({MIME: found}, raw=True)


@contextlib.contextmanager
def _random_states_kept() -> Iterator[None]:
    torch = sys.modules.get("torch")
    states = random.getstate(), torch and torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        if torch:
            torch.set_rng_state(states[1])


def _markdown(value: object) -> str:
    """A value as Markdown that shows just its characters."""
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", str(value))


# In the builder


def gather(notebook: NotebookNode) -> dict[str, Any]:
    """What the builder's cells of an executed notebook found, all together; the cells are taken out."""
    found, ours = _nothing(), []
    for cell in notebook.cells:
        if not {"build", "cases"} & {*cell.metadata.get("tags", [])}:
            ours.append(cell)
            continue
        for facts in (o.data[MIME] for o in cell.outputs if MIME in o.get("data", {})):
            found["fill"] |= facts["fill"]
            found["problems"] += facts["problems"]
            found["pictures"] |= facts["pictures"]
    notebook.cells = ours
    return found
