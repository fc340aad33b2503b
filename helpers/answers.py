"""Self-checks of the exercises: right, wrong and why, or not written yet. Nothing is raised."""

import dis
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from helpers.language import say


def check(answer: Any, test: Callable[[Any], str]) -> None:
    """Print whether an answer is right, and why.

    Args:
        answer: what the reader wrote, a value or a function. `...`, None, an empty text, and a function that
            still contains a `...` count as not written yet.
        test: called with the answer, it returns why it is right; an `assert` with a sentence says what is wrong.
            Any other exception is reported as raised by the answer.
    """
    if _is_unwritten(answer):
        print(say("… まだ書かれていません。", "… Not written yet."))
        return
    try:
        reason = test(answer)
    except AssertionError as wrong:
        print(say("✗ まだ違います。", "✗ Not right yet."), wrong)
    except Exception as error:
        print(
            say(
                f"✗ あなたのコードは、途中で止まりました（{type(error).__name__}: {error}）。",
                f"✗ Your code stopped with an error ({type(error).__name__}: {error}).",
            )
        )
    else:
        print(say("✓ 正解です。", "✓ Right."), reason)


def _is_unwritten(answer: Any) -> bool:
    answer = inspect.unwrap(answer) if isinstance(answer, FunctionType) else answer
    if isinstance(answer, FunctionType):
        return ... in answer.__code__.co_consts or _does_nothing(answer)
    return answer is ... or answer is None or (isinstance(answer, str) and not answer.strip())


def _does_nothing(function: FunctionType) -> bool:
    """Whether a body is `...` or `pass` alone, below a docstring or not: it only returns None."""
    steps = list(dis.get_instructions(function))
    returns = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    return {step.opname for step in steps} <= returns and all(
        step.argval is None for step in steps if "CONST" in step.opname
    )
