"""`python -m helpers.doctor`."""

import sys

from helpers.doctor.page import main

sys.exit(main())
