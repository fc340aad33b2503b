"""One page on whether the lessons can run here, and what to do where they cannot: `python -m helpers.doctor`.

Each line is `[OK]`, `[NG]` with the next step, or `[--]`: something is absent that the lessons do without, such as
a GPU or the network. The exit status is 1 if any line is `[NG]`.
"""

from helpers.doctor.finding import NG, NOTE, OK, Finding
from helpers.doctor.packages import WIDGET_MAJORS
from helpers.doctor.report import diagnose, examine, main

__all__ = ["NG", "NOTE", "OK", "WIDGET_MAJORS", "Finding", "diagnose", "examine", "main"]
