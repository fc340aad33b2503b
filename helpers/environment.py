"""Getting a running notebook ready: what is missing is installed, what is there stays as it is."""

import importlib
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from helpers.language import say, set_language

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements.txt"
# A notebook that runs has a kernel and something that shows it.
ALREADY_RUNNING = {"ipykernel", "jupyterlab"}


def prepare(language: str) -> None:
    """Make a lesson ready to run: choose the language of its labels and install what it lacks.

    Raises:
        ValueError: if the language is neither "ja" nor "en".
        RuntimeError: if something is missing and cannot be installed.
    """
    set_language(language)
    if missing := missing_requirements():
        install(missing)
    print(say("準備ができました。", "Ready."))


def missing_requirements() -> list[str]:
    """The lines of requirements.txt whose package is not installed."""
    if not REQUIREMENTS.exists():
        return []  # helpers was installed as a package, and pip has seen to it.
    lines = (line.split("#")[0].strip() for line in REQUIREMENTS.read_text("utf-8").splitlines())
    installed = installed_versions()
    return [
        line
        for line in lines
        if line and (name := _name(line)) not in installed and name not in ALREADY_RUNNING
    ]


def installed_versions() -> dict[str, str]:
    """Each installed package's version; of two copies on the path, the one that is imported."""
    versions: dict[str, str] = {}
    for distribution in metadata.distributions():
        if distribution.name:
            versions.setdefault(_normalised(distribution.name), distribution.version)
    return versions


def install(requirements: list[str]) -> None:
    """Add packages to this Python while every package that is installed keeps its version.

    A kernel that has imported a package breaks if pip replaces it, so what is there is pinned.

    Raises:
        RuntimeError: if pip cannot add them on these terms.
    """
    names = ", ".join(map(_name, requirements))
    print(say(f"足りないパッケージを入れます: {names}", f"Installing what is missing: {names}"))
    pins = [f"{name}=={version}" for name, version in installed_versions().items()]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "installed.txt"
        constraints.write_text("\n".join(pins), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(constraints)]
        done = subprocess.run([*pip, *requirements], capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["?"])[-1]
        raise RuntimeError(
            say(
                f"{names} を入れられませんでした（{reason}）。ネットワークを確かめて、"
                "このセルをもう一度実行してください。",
                f"Could not install {names} ({reason}). Check the network and run this cell again.",
            )
        )
    importlib.invalidate_caches()


def _name(requirement: str) -> str:
    return _normalised(re.match(r"[\w.-]+", requirement)[0])


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
