"""Which room of helpers may import which: `pytest tests/test_arrows.py`. Imports for types count too; nothing is run."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# From the ground up. A file may import what stands on a lower floor, or beside it in its own folder.
FLOORS = [
    {"language", "masking"},
    {"errors", "memory", "catalogue"},
    {"device", "environment", "settings", "hub"},
    {"console", "results", "tokenizer"},
    {"device_errors"},
    {"engines"},
    {"models"},
    {"prompts"},
    {"sampling"},
    {"charts"},
    {"answers", "lab", "open", "rehearse", "finetune", "doctor", "generate"},
    {"fast", "int8"},  # old paths, for notebooks that readers saved
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: Path) -> str:
    """The first part of a module's name below helpers: a folder, or a file of its own."""
    return module.with_suffix("").parts[0]


def arrows(helpers: Path) -> dict[tuple[str, str], str]:
    """Each pair of rooms of which the first imports the second, with one of the places where it does."""
    found = {}
    for file in helpers.rglob("*.py"):
        inside = file.relative_to(helpers)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                # `from .hub import x` in helpers/lab/view.py means helpers.lab.hub.
                above = ["helpers", *inside.parts[:-1]]
                base = above[: len(above) - node.level + 1] if node.level else []
                base += (node.module or "").split(".") if node.module else []
                names = [".".join([*base, alias.name]) for alias in node.names]
            for name in names:
                package, *there = name.split(".")
                if package == "helpers" and there and there[0] != room_of(inside):
                    found[room_of(inside), there[0]] = f"helpers/{inside.as_posix()}:{node.lineno}"
    return found


def climbing(helpers: Path) -> list[str]:
    """The arrows that do not lead down, in words."""
    return [
        f"{place}: {here} imports {there}"
        for (here, there), place in sorted(arrows(helpers).items())
        if there in FLOOR and FLOOR[here] <= FLOOR[there]
    ]


def test_no_import_climbs():
    assert climbing(ROOT / "helpers") == []


def test_every_room_has_a_floor():
    rooms = {
        room_of(file.relative_to(ROOT / "helpers")) for file in (ROOT / "helpers").rglob("*.py")
    }
    assert rooms - {"__init__"} - FLOOR.keys() == set()


@pytest.mark.parametrize(
    "line",
    [
        "from helpers.lab import SamplingLab",
        "import helpers.lab",
        "from helpers import language, lab",
        "from .lab import SamplingLab",
        "from . import lab",
        "if TYPE_CHECKING:\n    from helpers.lab import SamplingLab",
        "def late():\n    from helpers.lab.view import Pane",
    ],
)
def test_an_import_that_climbs_is_named(tmp_path, line):
    (tmp_path / "hub").mkdir()
    (tmp_path / "charts.py").write_text(f"import os\n{line}\n", encoding="utf-8")
    (tmp_path / "hub" / "cache.py").write_text("from ..charts import Html\n", encoding="utf-8")
    (tmp_path / "lab.py").write_text("from helpers import charts\n", encoding="utf-8")
    at = 3 if "\n" in line else 2
    assert climbing(tmp_path) == [
        f"helpers/charts.py:{at}: charts imports lab",
        "helpers/hub/cache.py:1: hub imports charts",
    ]
