"""What prose takes from the executed lesson: numbers, words, pictures, and claims that must hold.

A code cell tagged `build` runs in the lesson's kernel when a notebook is built and is no part of it. It may call

- `fill(share=percent(0.25))`: prose says `{{share}}`;
- `claim("ほとんどは「。」の前です。", share > 0.5)`: the build fails with that sentence if it is false;
- `picture("opening", html, alt)`: prose shows it by `{{picture opening}}`;
- `opening(tokenizer, sequence, prompt)`: the HTML of a first screen's picture.

What it names or draws at random leaves no trace in the lesson.
"""

import ast
import random
import re
import sys
from html import escape
from typing import Any

from nbformat import NotebookNode

MIME = "application/vnd.yukiguni.facts+json"


def names_in(source: str) -> set[str]:
    """The placeholders that a build cell fills, read off its code."""
    return {
        word.arg
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "fill"
        for word in node.keywords
        if word.arg
    }


def pictures_in(source: str) -> set[str]:
    """The pictures that a build cell makes, read off its code."""
    return {
        ast.literal_eval(node.args[0])
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "picture"
    }


# In the kernel


def calling(source: str) -> str:
    """The code by which a kernel runs a build cell."""
    # An expression, so that it leaves no name behind.
    return f"__import__('tools.facts', fromlist=['collect']).collect({source!a}, globals())"


def collect(source: str, lesson: dict[str, Any]) -> None:
    """Run a build cell among the lesson's names, without changing them, and display what it found."""
    from IPython.display import display

    facts: dict[str, Any] = {"fill": {}, "claims": [], "pictures": {}}

    def fill(**values: object) -> None:
        facts["fill"] |= {name: _markdown(value) for name, value in values.items()}

    def claim(sentence: str, holds: object) -> None:
        facts["claims"].append([sentence, bool(holds)])

    def picture(name: str, html: str, alt: str | None = None) -> None:
        facts["pictures"][name] = [str(html), alt or getattr(html, "alt", "")]

    states = random.getstate(), _torch_state()
    names = {"fill": fill, "claim": claim, "picture": picture, "opening": opening}
    try:
        exec(compile(source, "<build cell>", "exec"), {**lesson, **names})
    finally:
        random.setstate(states[0])
        if states[1] is not None:
            sys.modules["torch"].set_rng_state(states[1])
    display({MIME: facts}, raw=True)


def opening(tokenizer: Any, sequence: Any, prompt: str) -> str:
    """The first screen's picture: the opening line, its tokens, and one continuation in the colours of surprise.

    Args:
        tokenizer: the model's.
        sequence: one `helpers.results.Sequence` that continues `prompt`.
        prompt: the opening line.
    """
    from helpers.charts import probability_text, token_chips

    line = f'<div style="font-size:25px;font-weight:600;margin-bottom:10px">{escape(prompt)}</div>'
    return f"{line}{token_chips(tokenizer, prompt)}<div style='height:12px'></div>{probability_text(sequence, tokenizer)}"


def _torch_state() -> Any:
    torch = sys.modules.get("torch")
    return None if torch is None else torch.get_rng_state()


def _markdown(value: object) -> str:
    """A value as Markdown that shows just its characters."""
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", str(value))


# In the builder


def gather(notebook: NotebookNode) -> dict[str, Any]:
    """What the build cells of an executed notebook found, all together; the cells are taken out."""
    found: dict[str, Any] = {"fill": {}, "claims": [], "pictures": {}}
    for cell in notebook.cells:
        if "build" in cell.metadata.get("tags", []):
            for output in cell.outputs:
                facts = output.get("data", {}).get(MIME, {"fill": {}, "claims": [], "pictures": {}})
                found["fill"] |= facts["fill"]
                found["claims"] += facts["claims"]
                found["pictures"] |= facts["pictures"]
    notebook.cells = [c for c in notebook.cells if "build" not in c.metadata.get("tags", [])]
    return found


def broken_claims(facts: dict[str, Any], prose: str) -> list[str]:
    """Claims that are false, or whose sentence the prose does not hold."""
    problems = []
    for sentence, holds in facts["claims"]:
        if _plain(sentence) not in _plain(prose):
            problems.append(f"no prose says what is claimed: {sentence}")
        elif not holds:
            problems.append(f"no longer true, write it anew: {sentence}")
    return problems


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text)
