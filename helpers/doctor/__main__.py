"""`python -m helpers.doctor`."""

import sys

from helpers.console import run
from helpers.doctor.page import main

sys.exit(run(main))
