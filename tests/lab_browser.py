"""A real JupyterLab server for the lab's tests, and what they do in its page."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from playwright.sync_api import Locator, Page, expect

ROOT = Path(__file__).resolve().parent.parent
QUIET = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}


_READY = """() => {
    const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
    return context?.isReady && context.session?.kernel?.status === "idle";
}"""


@contextmanager
def jupyter(folder: Path, python: str) -> Iterator[str]:
    """A JupyterLab that serves `folder` and writes nowhere else; gives its address, token included."""
    places = {
        name: folder / ".jupyter" / name.lower()
        for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")
    } | {"JUPYTER_RUNTIME_DIR": folder / ".jupyter" / "runtime"}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    settings = places["JUPYTER_CONFIG_DIR"] / "labconfig"
    settings.mkdir(exist_ok=True)
    (settings / "default_setting_overrides.json").write_text(json.dumps(QUIET))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY_"))}
    environment |= {name: str(place) for name, place in places.items()}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "HELPERS_MODEL": "aozora-mini",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    log = (folder / ".jupyter" / "server.log").open("w")
    server = subprocess.Popen(
        [
            python,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            "--port=0",
            "--IdentityProvider.token=lab",
            "--LabApp.expose_app_in_browser=True",
            f"--ServerApp.root_dir={folder}",
        ],
        env=environment,
        cwd=folder,
        stdout=log,
        stderr=log,
    )
    try:
        yield _address(server, places["JUPYTER_RUNTIME_DIR"])
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def _address(server: subprocess.Popen, runtime: Path) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        for file in runtime.glob("jpserver-*.json"):
            try:
                url = json.loads(file.read_text())["url"]
                urllib.request.urlopen(f"{url}api?token=lab", timeout=5)
            except (ValueError, OSError):
                continue
            return url
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start; see {runtime.parent / 'server.log'}")


def cells_for(notebook: NotebookNode, needed: str) -> list[str]:
    """A notebook's code cells that a certain cell stands on, that cell last: the first one, and all that give a
    name which a later one of them uses."""
    first, *others = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    (place,) = [i for i, source in enumerate(others) if needed in source]
    taken, wanted = [others[place]], _names(others[place], ast.Load)
    for source in reversed(others[:place]):
        given = _names(source, ast.Store)
        if given & wanted:
            taken.append(source)
            wanted = (wanted - given) | _names(source, ast.Load)
    return [first, *reversed(taken)]


def _names(source: str, context: type) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, context):
            names.add(node.id)
        elif isinstance(node, ast.alias) and context is ast.Store:
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.FunctionDef) and context is ast.Store:
            names.add(node.name)
    return names


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, path)


def open_notebook(page: Page, address: str, name: str) -> None:
    """Open a notebook in JupyterLab and wait until its kernel answers."""
    page.goto(f"{address}lab/tree/{name}?token=lab&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    # Running cells before the session is there makes JupyterLab ask which kernel to use.
    page.wait_for_function(_READY, timeout=60_000)


def command(page: Page, name: str) -> None:
    """Run one of JupyterLab's commands, as its menu does."""
    # Not waited for: running all cells ends only when the kernel is done.
    page.evaluate(f"() => void jupyterapp.commands.execute('{name}')")


def run_all(page: Page, timeout: int = 60_000) -> None:
    """Run all cells, and wait until the lab is there."""
    command(page, "notebook:run-all-cells")
    expect(page.get_by_label("prompt", exact=True)).to_be_visible(timeout=timeout)


def number_box(page: Page, name: str) -> Locator:
    """The typed number of a setting."""
    return page.get_by_label(name, exact=True)


def slider(page: Page, name: str) -> Locator:
    """The handle of a setting's slider, on ipywidgets 8 and 7."""
    row = page.locator(".widget-hbox", has=number_box(page, name)).last
    return row.locator("[role=slider], .ui-slider-handle").first


def type_number(page: Page, name: str, value: float) -> None:
    """Type a number into a setting's box, and press Enter."""
    box = number_box(page, name)
    box.fill(str(value))
    box.press("Enter")


def picture_rows(page: Page) -> list[list[str]]:
    """The next-token picture's rows as text: token, bar, model, drawn with, zone, id."""
    rows = page.locator("table", has=page.locator("th", has_text=re.compile("^id$"))).first
    return rows.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.children].map(cell => cell.innerText.trim()))"
    )
