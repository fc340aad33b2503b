"""Everything the lessons install, as files in one folder, for machines without a network: `make wheels`.

`make run WHEELS=folder` then installs from it. The files fit the Python and the system that collect them; for
another system, `make wheels PLATFORM=windows PYTHON_VERSION=3.13`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from helpers.console import run
from tools.project import EXTRAS, ROOT

# A system's name: how uv and how pip call it.
PLATFORMS = {
    "windows": ("x86_64-pc-windows-msvc", "win_amd64"),
    "macos": ("aarch64-apple-darwin", "macosx_14_0_arm64"),
}


def collect(folder: Path) -> None:
    """Fill `folder` with the wheels for this Python on this system, and make sure that they are enough.

    Raises:
        subprocess.CalledProcessError: if pip fails; it has said why.
    """
    wanted = ["-c", str(ROOT / "constraints.txt"), "-r", str(ROOT / "requirements.txt")]
    wanted += EXTRAS["ctranslate2"]
    _pip("download", "--only-binary", ":all:", "--dest", str(folder), *wanted)
    found = ["--no-index", "--find-links", str(folder)]
    _pip("install", "--dry-run", "--quiet", "--ignore-installed", *found, *wanted)


def collect_for(folder: Path, platform: str, python_version: str) -> None:
    """Fill `folder` with the wheels for another system ("windows" or "macos").

    pip alone would leave out what only that system needs: it downloads for another platform but reads conditions
    such as `sys_platform == "win32"` for its own. So uv says which packages there are, and pip fetches them.

    Raises:
        subprocess.CalledProcessError: if uv or pip fails; it has said why.
    """
    uv_name, pip_name = PLATFORMS[platform]
    with tempfile.TemporaryDirectory() as temporary:
        extra, pins = Path(temporary, "extra.txt"), Path(temporary, "pins.txt")
        extra.write_text("\n".join(EXTRAS["ctranslate2"]), encoding="utf-8")
        target = ["--python-platform", uv_name, "--python-version", python_version]
        wanted = [str(ROOT / "requirements.txt"), str(extra)]
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        quiet = ["--quiet", "--no-header", "--no-annotate", "--output-file", str(pins)]
        _run("uv", "pip", "compile", *target, *constraints, *quiet, *wanted)
        fits = ["--platform", pip_name, "--python-version", python_version]
        exactly = ["--no-deps", "--only-binary", ":all:", "-r", str(pins)]
        _pip("download", *fits, *exactly, "--dest", str(folder))


def main() -> int:
    """Run the command; returns pip's exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.wheels", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--platform", choices=PLATFORMS)
    parser.add_argument("--python-version", default="{}.{}".format(*sys.version_info))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        if options.platform:
            collect_for(options.folder, options.platform, options.python_version)
        else:
            collect(options.folder)
    except subprocess.CalledProcessError as error:
        return error.returncode
    wheels = list(options.folder.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels) / 1e9
    print(f"{len(wheels)} wheels, {size:.2f} GB, in {options.folder}")
    return 0


def _pip(command: str, *arguments: str) -> None:
    _run("pip", command, "--disable-pip-version-check", *arguments)


def _run(module: str, *arguments: str) -> None:
    # uv assumes macOS 13, for which there is no longer a PyTorch.
    environment = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"}
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, env=environment)


if __name__ == "__main__":
    sys.exit(run(main))
