"""Say in one sentence what this Python lacks, before anything is installed.

Kept to what old Pythons can read too: one that cannot read the file cannot be refused politely.
"""

import sys
from importlib.util import find_spec

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        "Python 3.11 or newer is needed, and this one is %d.%d." % sys.version_info[:2]  # noqa: UP031
        + " Name a newer one, for example: make run PYTHON=python3.12"
    )

if not (find_spec("venv") and find_spec("ensurepip")):
    sys.exit(
        "This Python cannot make virtual environments."
        " On Debian or Ubuntu, add what is missing: sudo apt install python3-venv"
    )
