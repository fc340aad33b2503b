"""That the run on Google Colab's versions had them: `make test`, which makes the environment for it."""

import ast
import json
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from packaging.utils import canonicalize_name

from tools.check_notebooks import code_cells
from tools.colab_environment import (
    INSTEAD,
    LINKED,
    NEAREST,
    colab_versions,
    differences,
    installed_here,
)
from tools.execution import execute
from tools.lessons import build, lesson_sources
from tools.project import ROOT

pytestmark = [pytest.mark.process, pytest.mark.colab]
# What lessons load and Colab lacks: lesson 01's Japanese font, which the setup cell adds there, and the fast engine.
ADDED = {"matplotlib-fontja", "ctranslate2"}
LIST_MODULES = """
import json, sys
print(json.dumps([m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)]))
"""


def test_each_package_is_colabs():
    different = {line.split(":")[0] for line in differences(installed_here())}
    nearest = set(NEAREST.read_text("utf-8").split())
    assert different <= {"Python", LINKED, *INSTEAD, *nearest}
    # For what everything depends on, the nearest is not good enough.
    assert not nearest & {"transformers", "tokenizers", "ipywidgets", "ipykernel", "ipython"}


def test_what_colab_lacks_is_missing():
    """IPython asks for these; Colab goes without."""
    assert [name for name in ("jedi", "stack_data") if find_spec(name)] == []


def imports_of(notebook: nbformat.NotebookNode) -> list[str]:
    """The import statements of a notebook's cells."""
    return [
        ast.unparse(statement)
        for cell in code_cells(notebook)
        for statement in ast.walk(ast.parse(cell.source))
        if isinstance(statement, ast.Import | ast.ImportFrom)
    ]


def test_what_lessons_load_is_what_colab_has(tmp_path: Path):
    """In a kernel that imports all that the lessons import, generates and shows the lab: each file's package."""
    imports = dict.fromkeys(
        line for lesson in lesson_sources() for line in imports_of(build(lesson, "ja"))
    )
    work = """
from helpers.models import load_model
from helpers.sampling import SamplingSettings, generate
lm = load_model("aozora-mini", device="cpu")
generate(lm, "雪", SamplingSettings(min_length=0, max_length=9))
SamplingLab(lm)
"""
    sources = [
        f"home = {str(ROOT)!r}\nimport sys\nsys.path.insert(0, home)",
        "\n".join(imports),
        work,
        LIST_MODULES,
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    execute(notebook, tmp_path)
    (listed,) = [o.text for o in notebook.cells[-1].outputs if o.get("name") == "stdout"]

    owners = {}
    for distribution in metadata.distributions():
        name = canonicalize_name(distribution.name)  # parses its metadata: once, not for each file
        owners |= {str(distribution.locate_file(file)): name for file in distribution.files or []}
    site = str(Path(metadata.distribution("transformers").locate_file("")))
    loaded = {file for file in json.loads(listed) if "site-packages" in file}
    assert {
        file for file in loaded if not file.startswith((site, str(Path(site).resolve())))
    } == set()
    packages = {owners[file] for file in loaded if file in owners}
    assert {"transformers", "ipykernel", "ipywidgets", "matplotlib", "peft"} <= packages
    assert packages - set(colab_versions()) - ADDED == set()
