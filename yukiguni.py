"""What a lesson's first cell imports: it finds `helpers`, wherever the notebook runs.

The same file lies beside the notebooks; the builder copies it there.
"""

import sys
from pathlib import Path

# The folder of the lessons, this one or one above it; where they are installed as a package, site-packages.
HOME = next(
    folder
    for folder in Path(__file__).resolve().parents
    if (folder / "helpers" / "environment.py").is_file()
)
sys.path[:] = [str(HOME), *(p for p in sys.path if p not in (str(HOME), "yukiguni-notebooks"))]

# A reader's own module of that name, imported before: their variables keep it, and the lessons get ours.
_found = getattr(sys.modules.get("helpers"), "__file__", None)
if _found is None or Path(_found).resolve().parent != HOME / "helpers":
    for _name in [name for name in sys.modules if name.split(".")[0] == "helpers"]:
        del sys.modules[_name]

from helpers.environment import prepare as prepare  # noqa: E402
