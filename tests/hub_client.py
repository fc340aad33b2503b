"""A reader's process: for each line of JSON it loads a model and says, in a line of JSON, what came of it.

huggingface_hub reads HF_ENDPOINT and HF_HOME once, when it is imported: so the tests of the hub run it in a process
of its own, through `Client`, which loads torch once for many of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Client:
    """The process from outside. `loads` and `begin`/`answer` send a command and read what came of it.

    `before` is a command that runs the process; `environment` goes before what is set here.
    """

    def __init__(
        self, home: Path, endpoint: str, *, before: Sequence[str] = (), **environment: str
    ) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.errors = (home / "stderr.txt").open("w+", encoding="utf-8")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
        self.process = subprocess.Popen(
            [*before, sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            encoding="utf-8",
            cwd=ROOT,
            env=kept
            | {
                "HF_ENDPOINT": endpoint,
                "HF_HOME": str(home),
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                "HF_HUB_ETAG_TIMEOUT": "2",
                "HF_HUB_DOWNLOAD_TIMEOUT": "1",
                "PYTHONPATH": str(ROOT),
            }
            | environment,
        )
        # Importing torch takes long on a busy machine; the seconds that are measured do not include it.
        assert self.answer() == {"ready": True}

    def begin(self, name: str, language: str = "en") -> None:
        self.process.stdin.write(json.dumps({"name": name, "language": language}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        assert line, (self.home / "stderr.txt").read_text(encoding="utf-8")
        return json.loads(line)

    def loads(self, name: str, language: str = "en") -> dict[str, Any]:
        self.begin(name, language)
        return self.answer()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=30)
        self.errors.close()


def fingerprint(model: Any) -> str:
    """The SHA-256 of all weights in float32."""
    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _serve() -> None:
    import warnings

    import transformers.models.gpt2.modeling_gpt2  # noqa: F401

    from helpers.language import set_language
    from helpers.models import load_model

    # What is printed while loading is not an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        set_language(command["language"])
        started = time.monotonic()
        answer: dict[str, Any] = {"error": None}
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                lm = load_model(command["name"], device="cpu")
                answer["weights"] = fingerprint(lm.model)
                answer["dtype"] = str(lm.dtype).removeprefix("torch.")
                answer["ids"] = lm.tokenizer.encode("雪国🍣", add_special_tokens=False)
            except (Exception, KeyboardInterrupt) as error:
                shown = getattr(error, "_render_traceback_", lambda: [])()
                answer |= {
                    "error": type(error).__name__,
                    "message": str(error),
                    "cause": type(error.__cause__).__name__,
                    "interrupt": isinstance(error, KeyboardInterrupt),
                    "shown": "\n".join(shown),
                }
        answer["warnings"] = [str(w.message) for w in warned if w.category is UserWarning]
        answer["seconds"] = time.monotonic() - started
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
