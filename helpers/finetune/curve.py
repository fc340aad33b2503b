"""The curve of a training run, shown while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from helpers.language import say

if TYPE_CHECKING:
    from helpers.finetune.training_run import TrainingRun


def live_curve(every: float = 0.5) -> Callable[[TrainingRun], None]:
    """Shows a run as it goes, in the output of the cell: for `fine_tune(..., show=live_curve())`.

    It is HTML that is replaced, not a widget: it looks the same with every version of ipywidgets, and the last picture
    stays in the notebook without a kernel.

    Args:
        every: seconds between two pictures.
    """
    from IPython.display import display

    from helpers import charts

    handle, last = None, 0.0

    def show(run: TrainingRun) -> None:
        nonlocal handle, last
        now = time.monotonic()
        if now - last < every and not run.stopped:
            return
        last = now
        done, total = len(run.losses), run.settings.steps
        kept = done
        if run.held_out and (run.settings.keep_best or run.stopped == "nan"):
            kept = run.best[0]
        left = run.seconds / max(1, done) * (total - done)
        note = {
            "": say(
                f"{done}/{total} ステップ、残り約 {left:.0f} 秒",
                f"step {done}/{total}, about {left:.0f} s left",
            ),
            "user": say("停止しました。", "stopped."),
            "nan": say(
                "損失が NaN になり、止まりました。", "the loss became NaN, and training stopped."
            ),
            "finished": say("終わりました。", "done."),
        }[run.stopped]
        if run.measuring is not None and not run.stopped:
            note = say(
                f"{done}/{total} ステップ、取り分けた文章で測っています（{run.measuring:.0%}）",
                f"step {done}/{total}, measuring the held-out text ({run.measuring:.0%})",
            )
        if run.stopped:
            note = say(
                f"{note}{done}/{total} ステップ、{run.seconds:.0f} 秒。残した重み: ステップ {kept}",
                f"{note} {done}/{total} steps, {run.seconds:.0f} s. Weights kept: step {kept}",
            )
        picture = charts.loss_curve(run.losses, run.held_out, total, note)
        if handle is None:
            handle = display(picture, display_id=True)
        else:
            handle.update(picture)

    return show
