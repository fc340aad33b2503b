"""A real JupyterLab server for the lab's tests, and what they do in its page."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import nbformat
from matplotlib import font_manager
from nbformat import NotebookNode
from playwright.sync_api import Locator, Page, expect

from tools.execution import ENVIRONMENT

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
def jupyter(folder: Path) -> Iterator[str]:
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
    environment |= ENVIRONMENT | {
        "PYTHONPATH": str(ROOT),
        "HELPERS_MODEL": "aozora-mini",
        "OMP_NUM_THREADS": "1",
        "JUPYTER_PREFER_ENV_PATH": "1",
        # On a new machine matplotlib lists the fonts, and says so on stderr: here, not in a lesson.
        "MPLCONFIGDIR": matplotlib.get_cachedir(),
    }
    font_manager.findfont("DejaVu Sans")
    log = (folder / ".jupyter" / "server.log").open("w")
    server = subprocess.Popen(
        [
            sys.executable,
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
        server.wait(60)
        log.close()


def _address(server: subprocess.Popen, runtime: Path) -> str:
    until = time.monotonic() + 240
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


def close_files(page: Page) -> None:
    """Close JupyterLab's list of files, which on a narrow page covers the notebook."""
    page.evaluate("() => jupyterapp.shell.collapseLeft()")
    page.wait_for_function("() => jupyterapp.shell.leftCollapsed")


def open_notebook(page: Page, address: str, name: str) -> None:
    """Open a notebook in JupyterLab and wait until its kernel answers."""
    page.goto(f"{address}lab/tree/{name}?token=lab&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    # Running cells before the session is there makes JupyterLab ask which kernel to use.
    page.wait_for_function(_READY, timeout=120_000)


def command(page: Page, name: str, **arguments: object) -> None:
    """Run one of JupyterLab's commands, as its menu does."""
    # Not waited for: running all cells ends only when the kernel is done.
    page.evaluate(
        "([name, values]) => void jupyterapp.commands.execute(name, values)", [name, arguments]
    )


def change_theme(page: Page, dark: bool) -> None:
    """Take JupyterLab's dark or light theme. It is kept on the server: the next page has it too."""
    command(page, "apputils:change-theme", theme=f"JupyterLab {'Dark' if dark else 'Light'}")
    light = str(not dark).lower()
    page.wait_for_function(f"() => document.body.dataset.jpThemeLight === '{light}'")


def run_all(page: Page, timeout: int = 120_000) -> None:
    """Run all cells, and wait until the lab is there, in milliseconds at most."""
    command(page, "notebook:run-all-cells")
    expect(page.get_by_label("prompt", exact=True)).to_be_visible(timeout=timeout)


def cells_shown(page: Page) -> list[dict]:
    """The open notebook's code cells as JupyterLab holds them, outputs included."""
    cells = page.evaluate("() => jupyterapp.shell.currentWidget.context.model.toJSON().cells")
    return [cell for cell in cells if cell["cell_type"] == "code"]


def lab_output(page: Page) -> Locator:
    """The output that the lab is in."""
    return page.locator(".jp-OutputArea-output", has=page.get_by_label("prompt", exact=True))


# What lies in a box of its own that scrolls makes nothing wider, nor does the bar without ink on which a handle moves.
_OVERFLOWING = """output => {
    const edge = output.getBoundingClientRect();
    const scrolls = element => {
        for (let box = element.parentElement; box !== output; box = box.parentElement)
            if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)
                && box.getAttribute("role") === "group") return true;
        return false;
    };
    const wide = [...output.querySelectorAll("*")].filter(element => {
        const place = element.getBoundingClientRect();
        return place.width > 0 && !element.matches(".noUi-origin") && (place.right > edge.right + 1 || place.left < edge.left - 1)
            && !scrolls(element);
    });
    if (output.scrollWidth > output.clientWidth + 1) wide.unshift(output);
    return wide.map(element => element.outerHTML.slice(0, 160));
}"""


def overflowing(page: Page) -> list[str]:
    """The elements of the lab that do not fit into its width."""
    return lab_output(page).evaluate(_OVERFLOWING)


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


def type_and_see_the_slider_follow(page: Page, name: str, value: float) -> None:
    """Type a number, and wait until the slider's handle has moved."""
    before = slider(page, name).bounding_box()["x"]
    type_number(page, name, value)
    for _ in range(1200):
        if abs(slider(page, name).bounding_box()["x"] - before) > 1:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"The slider of {name} did not follow the number typed, {value}.")


def picture_rows(page: Page) -> list[list[str]]:
    """The next-token picture's rows as text: token, bar, model, drawn with, zone, id."""
    rows = (
        lab_output(page).locator("table", has=page.locator("th", has_text=re.compile("^id$"))).first
    )
    # JupyterLab does not draw what is out of sight, and what is not drawn has no text.
    rows.evaluate("table => table.scrollIntoView({block: 'nearest'})")
    return rows.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.children].map(cell => cell.innerText.trim()))"
    )
