"""Which room of helpers may import which: `pytest tests/test_arrows.py`. Imports for types count too; nothing is run."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
# From the ground up. A file may import what stands on a lower floor, or beside it in its own folder.
FLOORS = [
    {"__init__"},
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
# What is built on helpers, and is not installed with them.
OUTSIDE = {"tools", "training", "benchmarks", "tests", "lessons"}


class Arrow(NamedTuple):
    """One place where a room names another."""

    place: str
    here: str
    there: str


def room_of(module: Path) -> str:
    """The first part of a module's name below helpers: a folder, or a file of its own."""
    return module.with_suffix("").parts[0]


def named_modules(node: ast.AST, folder: list[str]) -> list[str]:
    """The modules that a line names: imported, as `helpers.lab.Pane`, or as a string for `import_module`."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            # `from .hub import x` in helpers/lab/view.py means helpers.lab.hub.
            base = folder[: len(folder) - node.level + 1] if node.level else []
            base += (node.module or "").split(".") if node.module else []
            return [".".join([*base, alias.name]) for alias in node.names]
        case ast.Attribute(value=ast.Name(id="helpers")):
            return [f"helpers.{node.attr}"]
        case ast.Constant(value=str(text)) if re.fullmatch(r"helpers(\.\w+)+", text):
            return [text]
    return []


def arrows(helpers: Path) -> list[Arrow]:
    """Each place where a file names another room, or a package that is built on helpers."""
    rooms = {room_of(file.relative_to(helpers)) for file in helpers.rglob("*.py")}
    found = []
    for file in sorted(helpers.rglob("*.py")):
        inside = file.relative_to(helpers)
        here, folder = room_of(inside), ["helpers", *inside.parts[:-1]]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for name in named_modules(node, folder):
                package, *there = name.split(".")
                place = f"helpers/{inside.as_posix()}:{getattr(node, 'lineno', 0)}"
                if package in OUTSIDE:
                    found.append(Arrow(place, here, package))
                elif package == "helpers" and there and there[0] in rooms - {here}:
                    found.append(Arrow(place, here, there[0]))
    return found


def climbing(helpers: Path) -> list[str]:
    """The arrows that do not lead down, in words."""
    top = len(FLOORS)  # a room without a floor, or outside
    return [
        f"{place}: {here} imports {there}"
        for place, here, there in arrows(helpers)
        if FLOOR.get(here, top) <= FLOOR.get(there, top)
    ]


def test_no_import_climbs():
    assert climbing(ROOT / "helpers") == []


def test_every_room_has_a_floor():
    rooms = {
        room_of(file.relative_to(ROOT / "helpers")) for file in (ROOT / "helpers").rglob("*.py")
    }
    assert rooms - FLOOR.keys() == set()


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
        'import_module("helpers.lab")',
        "pane = helpers.lab.Pane",
    ],
)
def test_an_import_that_climbs_is_named(tmp_path, line):
    (tmp_path / "hub").mkdir()
    (tmp_path / "charts.py").write_text(f"import os\n{line}\n", encoding="utf-8")
    (tmp_path / "hub" / "cache.py").write_text("from ..charts import Html\n", encoding="utf-8")
    (tmp_path / "lab.py").write_text("from helpers import charts\n", encoding="utf-8")
    (tmp_path / "hub" / "files.py").write_text("import tools.site\n", encoding="utf-8")
    (tmp_path / "__init__.py").write_text("from helpers.hub import cache\n", encoding="utf-8")
    (tmp_path / "attic.py").write_text(
        "import helpers.lab\nimport helpers.cellar", encoding="utf-8"
    )
    (tmp_path / "cellar.py").write_text("", encoding="utf-8")
    at = 3 if "\n" in line else 2
    assert climbing(tmp_path) == [
        "helpers/__init__.py:1: __init__ imports hub",
        "helpers/attic.py:2: attic imports cellar",
        f"helpers/charts.py:{at}: charts imports lab",
        "helpers/hub/cache.py:1: hub imports charts",
        "helpers/hub/files.py:1: hub imports tools",
    ]
