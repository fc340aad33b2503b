"""What readers do to a kernel: `pytest tests/test_kernel_habits.py`.

Real kernels, driven as a notebook's page drives them: cells in the wrong order and twice, a cell interrupted while
it generates, a restart, and two notebooks at once.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager
from local_hub import serve
from rinna_layout import make_model

from helpers.models import load_model
from helpers.sampling import SamplingSettings, generate
from tools.check_notebooks import code_cells, varies
from tools.execution import ENVIRONMENT, make_workspace
from tools.lessons import build, lesson_sources, notebook_path
from tools.project import ROOT

pytestmark = pytest.mark.kernel

# Each runs four times: in a class the first three are at work, the others wait for `make test-all`.
HABITS = [
    pytest.param(
        path, marks=[] if path.stem[:3] in ("01_", "02_", "03_") else pytest.mark.slow, id=path.stem
    )
    for path in lesson_sources()
]

OPENING = "国境の長いトンネルを抜けると雪国であった。"
SILENCE_SECONDS = 240  # below pytest's own limit, which would not say what was being run
ADVICE = "has not been run yet: find it above and run it first"
IN_THE_CHECKOUT = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from helpers.environment import prepare
prepare("en")
"""


@dataclass
class Cell:
    """What running a cell showed."""

    outputs: list[object] = field(default_factory=list)
    printed: str = ""
    error: str = ""
    message: str = ""


@dataclass
class Kernel:
    """A kernel and the page before it."""

    manager: KernelManager
    client: BlockingKernelClient

    def run(self, code: str, interrupt_at: str = "") -> Cell:
        """Run a cell to its end; with `interrupt_at`, press the stop button as soon as this has been printed."""
        message, cell = self.client.execute(code, stop_on_error=False), Cell()
        silent_since = time.monotonic()
        while True:
            try:
                # Asked again and again: jupyter_client 7 may sleep on although a message has come.
                said = self.client.get_iopub_msg(timeout=2)
            except Empty:
                silence = time.monotonic() - silent_since
                if silence > SILENCE_SECONDS or not self.manager.is_alive():
                    alive = "alive" if self.manager.is_alive() else "dead"
                    pytest.fail(f"{silence:.0f} s without a word; the kernel is {alive}: {code}")
                continue
            silent_since = time.monotonic()
            if said["parent_header"].get("msg_id") != message:
                continue
            kind, content = said["msg_type"], said["content"]
            if kind == "stream":
                cell.printed += content["text"]
            elif kind in ("execute_result", "display_data", "update_display_data"):
                texts = {k: v for k, v in content["data"].items() if k.startswith("text/")}
                is_widget = "application/vnd.jupyter.widget-view+json" in content["data"]
                cell.outputs.append("widget" if is_widget else texts)
            elif kind == "error":
                cell.error, cell.message = content["ename"], content["evalue"]
            elif kind == "status" and content["execution_state"] == "idle":
                return cell
            if interrupt_at and interrupt_at in cell.printed:
                self.manager.interrupt_kernel()
                interrupt_at = ""

    def restart(self) -> None:
        """Restart as the menu does: all names are gone."""
        self.manager.restart_kernel(now=True)
        self.client.wait_for_ready(timeout=120)


@contextmanager
def kernel(folder: Path, **environment: str) -> Iterator[Kernel]:
    """A kernel of this Python, with `folder` as working directory."""
    manager = KernelManager(kernel_name="python3")
    own = {**os.environ, **ENVIRONMENT, "IPYTHONDIR": str(folder / ".ipython"), **environment}
    manager.start_kernel(cwd=str(folder), env=own)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("lesson", HABITS)
def test_cells_in_the_wrong_order_and_then_each_one_twice(
    lesson: Path, tmp_path: Path, record_property: Callable[[str, object], None]
):
    """From the bottom up a cell works or names what it lacks; after that the lesson runs, and again cell by cell."""
    record_property("lesson", f"{lesson.stem}, twice")
    folder = (make_workspace(tmp_path) / notebook_path(lesson, "en")).parent
    setup, *cells = code_cells(build(lesson, "en"))
    with kernel(folder) as reader:
        assert reader.run(setup.source).error == ""
        for cell in reversed(cells):
            shown = reader.run(cell.source)
            assert shown.error == "" or says_what_to_run(shown), f"{cell.source}\n{shown.message}"
        assert reader.run(setup.source).error == ""
        for cell in cells:
            # A cell that draws without a seed of its own writes the same from the same random numbers.
            reader.run("_drawn = __import__('torch').get_rng_state()")
            first = reader.run(cell.source)
            reader.run("__import__('torch').set_rng_state(_drawn)")
            second = reader.run(cell.source)
            assert first.error == "", f"{cell.source}\n{first.message}"
            # What a cell makes itself, it can make and delete again.
            if deleted := [
                name
                for name in re.findall(r"^del (\w+)", cell.source, re.MULTILINE)
                if not re.search(rf"^{name} = ", cell.source, re.MULTILINE)
            ]:
                assert says_what_to_run(second, deleted), f"{cell.source}\n{second.message}"
                continue
            assert second.error == "", f"{cell.source}\n{second.message}"
            if not varies(cell):
                assert (second.printed, second.outputs) == (first.printed, first.outputs), (
                    cell.source
                )


def says_what_to_run(cell: Cell, names: Sequence[str] = ()) -> bool:
    """Whether a cell ended with an unknown name (one of these, if any are given) and the advice for it."""
    unknown = re.match(r"name '(\w+)' is not defined\n", cell.message)
    return (
        cell.error == "NameError"
        and unknown is not None
        and f"The cell that defines {unknown[1]} {ADVICE}" in cell.message
        and (not names or unknown[1] in names)
    )


# Long enough to be interrupted, and told when it is on its way: after the 20th forward pass.
LONG = """
from helpers.models import load_model
from helpers.sampling import SamplingSettings, generate, stream
import torch

lm = load_model("aozora-mini", device="cpu")
settings = SamplingSettings(min_length=0, max_length=40, seed=5)
endless = SamplingSettings(min_length=500, max_length=512, seed=5, num_return_sequences=8)
ids = lm.tokenizer.encode(OPENING, add_special_tokens=False, return_tensors="pt")
passes = [0]


def tell(*_):
    passes[0] += 1
    if passes[0] == 20:
        print("under way", flush=True)


def plain(seed=5, **changes):
    torch.manual_seed(seed)
    arguments = {"do_sample": True, "max_length": 40, "pad_token_id": lm.tokenizer.pad_token_id}
    return lm.model.generate(ids, attention_mask=torch.ones_like(ids), **(arguments | changes))


lm.model.register_forward_hook(tell)
torch.manual_seed(123)
state = torch.get_rng_state()
"""
PRINT = "print([s.token_ids for s in generate(lm, OPENING, settings).sequences])"


@pytest.mark.timeout(900)
def test_an_interrupted_cell_can_be_run_again_and_the_lab_still_works(tmp_path: Path):
    lm = load_model("aozora-mini", device="cpu")
    settings = SamplingSettings(min_length=0, max_length=40, seed=5)
    undisturbed = str([s.token_ids for s in generate(lm, OPENING, settings).sequences])
    with kernel(tmp_path) as reader:
        assert reader.run(IN_THE_CHECKOUT + f"OPENING = {OPENING!r}\n" + LONG).error == ""
        for call in (
            "generate(lm, OPENING, endless)",
            "for event in stream(lm, OPENING, endless): pass",
        ):
            stopped = reader.run(f"passes[0] = 0\n{call}", interrupt_at="under way")
            assert stopped.error == "KeyboardInterrupt", stopped.printed
            assert reader.run("torch.equal(torch.get_rng_state(), state)").outputs == [
                {"text/plain": "True"}
            ]
            assert reader.run(PRINT).printed.strip() == undisturbed

        reader.run("before = plain()")
        long = "passes[0] = 0\nplain(min_length=500, max_length=512, num_return_sequences=8)"
        assert reader.run(long, interrupt_at="under way").error == "KeyboardInterrupt"
        assert reader.run("torch.equal(plain(), before)").outputs == [{"text/plain": "True"}]

        # The lab writes while no cell runs. The stop button of the page is not for it, and does it no harm.
        assert (
            reader.run(
                "from helpers.lab import SamplingLab\nlab = SamplingLab(lm, OPENING, settings)\nlab"
            ).error
            == ""
        )
        reader.run("lab.generate_button.click()")
        reader.manager.interrupt_kernel()
        until = time.monotonic() + 120
        while reader.run("print(len(lab.history))").printed != "1\n":
            assert time.monotonic() < until, reader.run("print(lab.error)").printed
        shown = reader.run("print([s.token_ids for s in lab.generation.sequences])")
        assert shown.printed.strip() == undisturbed

        reader.restart()
        assert reader.run("lm").error == "NameError"
        assert reader.run(IN_THE_CHECKOUT).error == ""
        assert "defines lm has not been run yet" in reader.run("lm").message
        again = reader.run(f"OPENING = {OPENING!r}\n" + LONG + PRINT)
        assert again.printed.splitlines()[-1] == undisturbed


def test_two_notebooks_share_one_cache(tmp_path: Path):
    """Both download the same model at the same time; afterwards none needs the hub."""
    name = "rinna/japanese-gpt2-xsmall"
    model = make_model(tmp_path / "model")
    load = f"""
from helpers.models import load_model
from helpers.sampling import SamplingSettings, generate
lm = load_model({name!r}, device="cpu")
print(generate(lm, "雪", SamplingSettings(min_length=0, max_length=20, seed=1)).sequences[0].token_ids)
"""
    here = load_model(model, device="cpu")
    settings = SamplingSettings(min_length=0, max_length=20, seed=1)
    expected = f"{generate(here, '雪', settings).sequences[0].token_ids}\n"
    shared = {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}

    def read(reader: Kernel) -> Cell:
        return reader.run(IN_THE_CHECKOUT + load)

    with serve({name: model}) as address, ThreadPoolExecutor() as pool:
        shared["HF_ENDPOINT"] = address
        with kernel(tmp_path, **shared) as one, kernel(tmp_path, **shared) as two:
            cells = list(pool.map(read, [one, two]))
    assert [cell.error for cell in cells] == ["", ""], cells
    assert all(cell.printed.endswith(expected) for cell in cells), cells
    # The hub is gone. Its port stays taken, so that nothing else comes to listen there.
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(address.rsplit(":", 1)[1])))
        with kernel(tmp_path, **shared) as later:
            assert read(later).printed.endswith(expected)
