"""One GPU for a class: `make serve` and `make class`. Starts vLLM for one model and says how to reach it.

The server is vLLM's own, with the settings that `helpers.engines.server` needs; `tools.serve_gate` stands in front of it.
This runs in `.venv-server` (`tools.server_environment`).
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import math
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import BUNDLED_MODEL
from helpers.console import run
from helpers.errors import Explained, InputError
from helpers.hub import local_folder
from tools.network import address_in_the_network
from tools.project import ROOT
from tools.serve_limits import Limits, Offer

if TYPE_CHECKING:
    import segno
from tools.server_environment import has_gpu

LOGS = ROOT / "build"
# Letters and digits that are not mistaken for each other: pupils may have to type them.
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
# A class: thirty pupils, three texts of a hundred tokens each.
TOKENS_AT_ONCE = 30 * 3 * 100
STARTS = 3  # failures in a row after which a server that ran before is given up


def offer_of(model: str, site: Path | None = None) -> Offer:
    """What is known of a model from its files, which are downloaded if need be.

    Raises:
        InputError, ModelUnavailable: see `helpers.hub.local_folder`; InputError also for a model that is no GPT-2.
    """
    folder = local_folder(model)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if missing := {"vocab_size", "n_positions", "eos_token_id"} - config.keys():
        raise InputError(
            f"{model} の config.json に {', '.join(sorted(missing))} がありません。GPT-2 の形のモデルを指定してください。",
            f"the config.json of {model} has no {', '.join(sorted(missing))}: name a model of GPT-2's kind.",
        )
    return Offer(
        model=Path(model).resolve().name if Path(model).is_dir() else model,
        folder=str(folder.resolve()),
        vocab_size=config["vocab_size"],
        n_positions=config["n_positions"],
        eos_token_id=config["eos_token_id"],
        site=str(site.resolve()) if site else "",
    )


def command(offer: Offer, host: str, port: int, gpu: bool, more: Sequence[str] = ()) -> list[str]:
    """vLLM with the settings that the notebooks need; `more` goes to vLLM as it is."""
    return [
        *(sys.executable, "-m", "vllm.entrypoints.launchers.api_server.entry"),
        *("--model", offer.folder, "--served-model-name", offer.model),
        *("--host", host, "--port", str(port)),
        # On a CPU the numbers are those of the notebooks; a GPU without bfloat16 has half precision.
        *("--dtype", "half" if gpu else "float32"),
        "--enable-prefix-caching",
        # vLLM 0.32 ends on a CPU when it reads a prompt in two parts for a request that has a seed.
        *(() if gpu else ("--no-enable-chunked-prefill",)),
        # Ids go in and out: the tokenizer is the notebook's, and no setting hides in the model's files.
        *("--skip-tokenizer-init", "--generation-config", "vllm"),
        # What a token was drawn with. Without settings that is the model's own distribution, all of it if asked for.
        *("--logprobs-mode", "processed_logprobs", "--max-logprobs", "-1"),
        *("--middleware", "tools.serve_gate.Gate"),
        # Nobody's address is written down.
        *("--disable-uvicorn-access-log", "--disable-log-stats"),
        *more,
    ]


def environment(offer: Offer, key: str, gpu: bool) -> dict[str, str]:
    """The environment of vLLM's process. The key goes this way: a command line can be read by everybody."""
    ours = {
        "VLLM_API_KEY": key,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        # Its own processes talk to each other; with several machines, the address that they share.
        "VLLM_HOST_IP": os.environ.get("VLLM_HOST_IP", "127.0.0.1"),
        "PYTHONPATH": str(ROOT),
    }
    if not gpu:
        config = json.loads(Path(offer.folder, "config.json").read_text(encoding="utf-8"))
        # Keys and values in float32.
        each = 2 * config["n_layer"] * config["n_embd"] * 4
        space = math.ceil(TOKENS_AT_ONCE * each / 2**30)
        ours |= {"VLLM_CPU_KVCACHE_SPACE": str(space), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    return os.environ | ours | offer.to_environment()


def new_key() -> str:
    """Ten characters, 50 bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(10))


def address_for_the_class(host: str, port: int) -> str:
    """The address to write on the board: if the server listens everywhere, that of this machine's network."""
    if host in ("0.0.0.0", "::", ""):
        host = address_in_the_network() or socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def announcement(offer: Offer, url: str, key: str, log_file: Path) -> str:
    """What the teacher is told, once: the address, the cell and the command; with a site also a QR code."""
    full = f"{url}/#key={key}"
    lines = [
        "",
        f"{offer.model} の準備ができました。クラスのアドレス（# の後ろは鍵です）:",
        f"{offer.model} is ready. The address for the class (the part after # is the key):",
        f"\n    {full}\n",
        "ノートブックのセル / the cell in a notebook:",
        "\n    from helpers.models import load_model",
        f'    lm = load_model("{offer.model}", engine="server", url="{full}")\n',
        'または、"auto" がこのサーバーを使うようにレッスンを開く / or open the lessons so that "auto" uses it:',
        f"\n    HELPERS_SERVER='{full}' make lab\n",
    ]
    if offer.site:
        import segno

        with_code = _written(segno.make(full, error="m"))
        lines += ["タブレットではこのコード / tablets, this code:", "", with_code]
    if _is_this_machine_only(url):
        lines += [
            "このアドレスは、このパソコンからしか使えません。クラスに開くには、HOST= にこのパソコンの",
            "ネットワークのアドレスを付けます。/ Only this machine can use that address: to let the class in,",
            f"name its address in the network: HOST={address_for_the_class('', 0).split('/')[2].rsplit(':', 1)[0]}",
        ]
    log = os.path.relpath(log_file)
    lines += [f"終わるには Ctrl-C。記録は {log} / Ctrl-C ends it; the log is {log}"]
    return "\n".join(lines)


def _written(code: segno.QRCode) -> str:
    import io

    out = io.StringIO()
    code.terminal(out, compact=True)
    return out.getvalue()


def _is_this_machine_only(url: str) -> bool:
    host = url.split("/")[2].rsplit(":", 1)[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def can_listen(host: str, port: int) -> bool:
    """Whether the address is this machine's, and nothing else listens there."""
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as probe:
        # As the server does: what an earlier one has just left may be taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):  # a port above 65535
            return False
    return True


def wait_until_ready(process: subprocess.Popen[bytes], host: str, port: int) -> bool:
    """Whether the server answers; False if its process ended instead."""
    inside = "127.0.0.1" if host in ("0.0.0.0", "") else "::1" if host == "::" else host
    url = f"http://{f'[{inside}]' if ':' in inside else inside}:{port}/health"
    # Not through a proxy: it is this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while process.poll() is None:
        try:
            with opener.open(url, timeout=5) as answer:
                if answer.status == 200:
                    return True
        except OSError:
            pass
        time.sleep(0.5)
    return False


def why_it_ended(log_file: Path, start: int) -> str:
    """What the log says since byte `start`: the first error of the engine, the last lines, and where all of it is."""
    with log_file.open("rb") as log:
        log.seek(start)
        lines = log.read().decode("utf-8", errors="replace").splitlines()
    # The last lines only say that the engine did not start; why stands where its own process failed.
    first = [line for line in lines[:-15] if re.search(r"\b\w*Error\b.*: ", line)][:3]
    path = os.path.relpath(log_file)
    return "\n".join([*first, *lines[-15:], f"全部の記録 / the whole log: {path}"])


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and the processes that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=20)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C. A server that ends by itself is started again, with the same address and key."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=BUNDLED_MODEL)
    parser.add_argument("--host", default="127.0.0.1", help="this machine's address in the network")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--key", default=os.environ.get("HELPERS_SERVER_KEY"))
    parser.add_argument(
        "--site", type=Path, help="a folder of pages to serve from the same address"
    )
    parser.add_argument(
        "--pupil",
        type=int,
        default=Limits().pupil,
        help="concurrent requests from one address (raise it where many learners share one)",
    )
    parser.add_argument("--vllm", default="", help="options that go to vLLM as they are")
    options = parser.parse_args(arguments)
    if options.site and not (options.site / "index.html").is_file():
        parser.error(f"{options.site}: no index.html there; make site builds it")
    try:
        offer = offer_of(options.model, options.site)
    except Explained as error:
        sys.exit(str(error))
    offer = replace(offer, limits=replace(offer.limits, pupil=options.pupil))
    key, gpu = options.key or new_key(), has_gpu()
    # It goes into an address, a shell command and a cell as it is.
    if not re.fullmatch(r"[A-Za-z0-9_.~-]{1,200}", key):
        parser.error("--key, HELPERS_SERVER_KEY: 使えるのは / it may hold A-Z a-z 0-9 _ . ~ -")
    if not can_listen(options.host, options.port):
        sys.exit(
            f"{options.host}:{options.port} は使えません。別の PORT= か、このパソコンの HOST= を付けてください。\n"
            f"{options.host}:{options.port} cannot be used: give another PORT=, or a HOST= of this machine."
        )
    log_file = LOGS / f"serve-{options.port}.log"
    log_file.parent.mkdir(exist_ok=True)
    # Ended, or its terminal closed: vLLM is not left behind.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    ready_before, failures = False, 0
    while True:
        print(
            f"{offer.model}: 準備しています（1 分ほど）/ starting, a minute or so ...", flush=True
        )
        with log_file.open("ab") as log:
            start = log.tell()
            process = subprocess.Popen(
                command(offer, options.host, options.port, gpu, shlex.split(options.vllm)),
                env=environment(offer, key, gpu),
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            if wait_until_ready(process, options.host, options.port):
                if not ready_before:
                    url = address_for_the_class(options.host, options.port)
                    print(announcement(offer, url, key, log_file), flush=True)
                ready_before, failures = True, 0
                process.wait()
            else:
                failures += 1
                if not ready_before or failures == STARTS:
                    print(why_it_ended(log_file, start), file=sys.stderr)
                    return 1
        except KeyboardInterrupt:
            return 0
        finally:
            stop(process)
        print("サーバーが止まったので、もう一度始めます / the server ended: starting it again")


if __name__ == "__main__":
    sys.exit(run(main))
