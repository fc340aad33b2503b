"""`python -m helpers.doctor`."""

import sys

from helpers.console import run
from helpers.doctor.report import main

sys.exit(run(main))
