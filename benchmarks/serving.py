"""A class on one server: thirty readers at once, one after another, and each on a process of its own.

`python -m benchmarks.serving` starts vLLM on this machine's CPU (`make serve`'s settings), so readers and server share its
cores here; in a class they do not. Texts have 85 new tokens, three to a reader, as the article's settings give.
"""

import argparse
import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import psutil
import torch

from benchmarks.measure import ROOT, fresh, in_words, machine
from helpers.console import run
from helpers.models import load_model
from helpers.sampling import SamplingSettings

KEY = "benchmark234"
PROMPT = "国境の長いトンネルを抜けると雪国であった。"
NEW = 85


def settings_for(tokens: int, seed: int) -> SamplingSettings:
    """The article's settings, for as many new tokens in each text."""
    return SamplingSettings(min_length=tokens + NEW, max_length=tokens + NEW, seed=seed)


def write(language_model, seed: int) -> tuple[int, float, float]:
    """New tokens, seconds until the first, and until the last."""
    ids = language_model.tokenizer.encode(PROMPT, add_special_tokens=False)
    start, tokens, first = time.perf_counter(), 0, 0.0
    rows = language_model.runner.steps(torch.tensor([ids]), settings_for(len(ids), seed))
    for row in rows:
        first = first or time.perf_counter() - start
        tokens += sum(step is not None for step in row)
    return tokens, first, time.perf_counter() - start


@contextmanager
def serving(port: int):
    """The server's address and its process, while it runs."""
    python = str(ROOT / ".venv-server" / "bin" / "python")
    # All readers have one address here; in a class each has a machine.
    command = [python, "-m", "tools.serve", "aozora-mini", "--port", str(port), "--key", KEY]
    command += ["--pupil", "1000"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "Ctrl-C" in line:
            break
    else:
        sys.exit("the server did not start: see build/")
    print(f"started in {time.perf_counter() - begun:.0f} s", flush=True)
    try:
        yield f"http://127.0.0.1:{port}/#key={KEY}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


class Relay:
    """Passes a connection on and counts its bytes in both directions, headers and all."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.target = (parts.hostname, parts.port)
        self.sent = self.received = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/#{parts.fragment}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            reader, _ = self.listener.accept()
            server = socket.create_connection(self.target)
            for source, target, name in ((reader, server, "sent"), (server, reader, "received")):
                arguments = (source, target, name)
                threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, name: str) -> None:
        try:
            while piece := source.recv(65536):
                setattr(self, name, getattr(self, name) + len(piece))
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            # One side has closed.
            pass


def at_once(language_model, readers: int) -> tuple[float, list[float], list[float]]:
    """Tokens a second together, and each reader's seconds until its first and its last token."""
    start = time.perf_counter()
    with ThreadPoolExecutor(readers) as pool:
        written = list(pool.map(lambda seed: write(language_model, seed), range(readers)))
    seconds = time.perf_counter() - start
    tokens, firsts, lasts = zip(*written, strict=True)
    return sum(tokens) / seconds, list(firsts), list(lasts)


def memory(process: psutil.Process) -> float:
    """MB that a process and its children hold, what they share counted once."""
    every = [process, *process.children(recursive=True)]
    return sum(each.memory_full_info().pss for each in every) / 1e6


def local(seconds: float) -> None:
    """One local process that writes for so long: prints its tokens a second."""
    language_model = load_model("aozora-mini", device="cpu")
    torch.set_num_threads(1)
    write(language_model, 0)
    start, tokens, seed = time.perf_counter(), 0, 0
    while time.perf_counter() - start < seconds:
        seed += 1
        tokens += write(language_model, seed)[0]
    print(json.dumps(tokens / (time.perf_counter() - start)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--readers", type=int, default=30)
    parser.add_argument("--processes", type=int, default=6, help="local ones (0.5 GB each)")
    parser.add_argument("--port", type=int, default=8179)
    parser.add_argument("--local", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.local:
        return local(options.local)
    print(machine())
    with serving(options.port) as (url, process):
        idle = memory(process)
        language_model = load_model("aozora-mini", url=url)
        write(language_model, 1)
        together, slowest, alone, firsts = [], [], [], []
        for _ in range(options.runs):
            rate, first, last = at_once(language_model, options.readers)
            together.append(rate)
            slowest.append(max(last))
            firsts.append(max(first))
            tokens, _, seconds = write(language_model, 1)
            alone.append(tokens / seconds)
        print(f"{options.readers} readers at once: {in_words(together, ' tokens/s', 0)} together")
        print(
            f"  the slowest waited {in_words(slowest, ' s', 1)}; first token {in_words(firsts, ' s', 2)}"
        )
        print(f"one after another: {in_words(alone, ' tokens/s', 0)}")
        print(f"memory of the server: {idle:.0f} MB idle, {memory(process):.0f} MB afterwards")
        relay = Relay(url)
        through = load_model("aozora-mini", url=relay.url)
        ids = torch.tensor([through.tokenizer.encode(PROMPT, add_special_tokens=False)])
        prompt = ids[0].tolist()
        rows = list(through.runner.steps(ids, settings_for(len(prompt), 3)))
        texts = [[row[i] for row in rows] for i in range(3)]
        for name, work in (
            ("a run of three texts", lambda: write(through, 3)),
            (
                "the model's own probabilities of its tokens",
                lambda: through.runner.complete(prompt, texts),
            ),
            ("the picture of a next token", lambda: through.runner.logits(ids)),
        ):
            relay.sent = relay.received = 0
            start = time.perf_counter()
            work()
            seconds = time.perf_counter() - start
            time.sleep(0.2)
            print(
                f"{name}: {relay.sent:,} bytes sent, {relay.received:,} received, {seconds:.2f} s"
            )
    one = [fresh("benchmarks.serving", "--local", "8") for _ in range(options.runs)]
    print(f"one local process: {in_words(one, ' tokens/s', 0)}")
    with ThreadPoolExecutor(options.processes) as pool:
        every = [
            pool.submit(fresh, "benchmarks.serving", "--local", "15")
            for _ in range(options.processes)
        ]
        rates = [each.result() for each in every]
    print(f"{options.processes} local processes at once: {sum(rates):.0f} tokens/s together")


if __name__ == "__main__":
    sys.exit(run(main))
