"""Running a notebook as a reader would, and keeping of its outputs what a page can show."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import zmq
from matplotlib import font_manager
from nbclient import NotebookClient
from nbformat import NotebookNode, from_dict

from tools.lessons import METADATA
from tools.project import ROOT, project_files

WIDGET = "application/vnd.jupyter.widget-view+json"
# Lessons are built and tested as on a machine without a GPU and without a hub: "auto" is the bundled model there.
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    "HELPERS_MODEL": "",
    "HF_HUB_OFFLINE": "1",
    "PYTHONUTF8": "1",
    # A deprecation in our own code ends the cell; one in the cell itself is printed there, which is refused as well.
    # It takes whole names of modules, no pattern.
    "PYTHONWARNINGS": ",".join(
        f"error:::{'.'.join(module.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')}"
        for module in sorted((ROOT / "helpers").rglob("*.py"))
    ),
}


def make_workspace(folder: Path) -> Path:
    """Copy the project into `folder`, so that running lessons leaves nothing in the tree."""
    for name in project_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def execute(
    notebook: NotebookNode,
    folder: Path,
    timeout: int = 300,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a notebook's cells in order, with `folder` as working directory, on this very Python.

    Afterwards the notebook holds tidied outputs. `timeout` is in seconds for each cell.

    Raises:
        nbclient.exceptions.CellExecutionError: as soon as a cell raises, as Run All stops there.
        RuntimeError: if an error was printed into an output widget, where no cell reports it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # On a new machine matplotlib lists the fonts, and says so on stderr: here, not in a lesson.
    font_manager.findfont("DejaVu Sans")
    # `python3` always means the Python that runs this, whatever kernels are installed.
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
    )
    with tempfile.TemporaryDirectory() as profile:
        # A profile of its own: the builder's own start-up files are not part of a lesson.
        own = {"IPYTHONDIR": profile, **ENVIRONMENT, **(environment or {})}
        # In an event loop of its own, not in the one that jupyter_client 7 shares between all its clients.
        with asyncio.Runner() as runner:
            runner.run(_execute_and_keep_looking(client, {**os.environ, **own}))
    for widget in client.widget_state.values():
        for output in widget.get("outputs", []):
            if output["output_type"] == "error":
                raise RuntimeError(f"An output widget shows {output['ename']}: {output['evalue']}")
    tidy(notebook)


async def _execute_and_keep_looking(client: NotebookClient, environment: dict[str, str]) -> None:
    """Run all cells, and see messages of which nothing told the event loop.

    jupyter_client sends through a second handle of a socket. What has come in by then is told once, and may be told to that
    handle: ZeroMQ's file descriptor is edge-triggered. Asking pyzmq's asynchronous socket for its events finds it.
    """

    async def keep_looking() -> None:
        while True:
            await asyncio.sleep(1)
            if client.kc is not None:
                for channel in (client.kc.shell_channel, client.kc.iopub_channel):
                    if channel.is_alive():
                        channel.socket.get(zmq.EVENTS)

    looking = asyncio.create_task(keep_looking())
    try:
        await client.async_execute(env=environment)
    finally:
        looking.cancel()


def tidy(notebook: NotebookNode) -> None:
    """Bring outputs into a form that is the same on every build and shows without a kernel.

    A widget cannot live without its kernel: its view goes, and what is displayed beside it stays.
    """
    notebook.metadata = from_dict(METADATA)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            for output in cell.outputs:
                if WIDGET in output.get("data", {}):
                    del output["data"][WIDGET]
                    output["metadata"].pop(WIDGET, None)
            cell.outputs = _joined(o for o in cell.outputs if o.get("data") != {})


def _joined(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """Outputs with neighbouring pieces of one stream joined: how it was cut into pieces is chance."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.output_type == "stream" and output.name == last.get("name"):
            last["text"] += output.text
        else:
            joined.append(output)
    return joined
