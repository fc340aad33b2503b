"""Preparing a running notebook: what is missing is installed, and nothing installed is changed."""

import importlib
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from helpers.errors import Explained
from helpers.language import say, set_language

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements.txt"
# A notebook that runs has a kernel and something that shows it.
ALREADY_RUNNING = {"ipykernel", "jupyterlab", "jupyterlab-language-pack-ja-jp"}


_OWN_ENVIRONMENT = "make run"


class NotInstalled(Explained, RuntimeError):
    """A package that the lessons need is missing, and pip could not add it."""


def prepare(language: str) -> None:
    """Make a lesson ready to run: choose the language of its labels and install what it lacks.

    From then on a notebook that meets an unknown name says which cell to run first.

    Raises:
        ValueError: if the language is neither "ja" nor "en".
        NotInstalled: a RuntimeError, if something is missing and cannot be installed.
    """
    set_language(language)
    if missing := missing_requirements():
        install(missing)
    if shell := _notebook_shell():
        shell.set_custom_exc((NameError,), explain_unknown_name)
    print(say("準備ができました。", "Ready."))


def explain_unknown_name(
    shell: Any,
    kind: type[NameError],
    error: NameError,
    trace: TracebackType,
    tb_offset: int | None = None,
) -> None:
    """Show an unknown name as IPython does, and add what to do: its cell was skipped, or runs further down.

    A handler for `InteractiveShell.set_custom_exc`, whose arguments these are.
    """
    # A local variable that is read too early is a different mistake, though Python raises a subclass of the same error.
    if kind is NameError and error.name:
        advice = say(
            f"{error.name} を用意するセルが、まだ実行されていません。上のほうにあるそのセルを、先に実行してください。"
            "上のセルをまとめて実行するには、Colab では「ランタイム」→「より前のセルを実行」、"
            "JupyterLab では Run → Run All Above Selected Cell を選びます。"
            "そのようなセルがないときは、名前のつづりを確かめてください。",
            f"The cell that defines {error.name} has not been run yet: find it above and run it first. To run all "
            "cells above at once: Runtime > Run before (Colab), Run > Run All Above Selected Cell (JupyterLab). "
            "If there is no such cell, check the spelling.",
        )
        error.args = (f"{error}\n{advice}",)
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)


def _notebook_shell() -> Any:
    """IPython's shell if this code runs in one, else None; IPython is not imported for it."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


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


def add(requirement: str) -> None:
    """Install a package that only some cells need, if it is missing; on the terms of `install`."""
    if _name(requirement) not in installed_versions():
        install([requirement])


def installed_versions() -> dict[str, str]:
    """Each installed package's version; of two copies on the path, the one that is imported."""
    versions: dict[str, str] = {}
    for distribution in metadata.distributions():
        if distribution.name:
            versions.setdefault(canonical_name(distribution.name), distribution.version)
    return versions


def install(requirements: list[str]) -> None:
    """Add packages to this Python while every package that is installed keeps its version.

    A kernel that has imported a package breaks if pip replaces it, so what is there is pinned. In an environment of
    uv, which has no pip, uv adds them.

    Raises:
        NotInstalled: if they cannot be added on these terms; the sentence names a step that works here.
    """
    names = ", ".join(map(_name, requirements))
    installer = _installer()
    if installer is None:
        raise NotInstalled(_no_installer(names))
    print(say(f"足りないパッケージを入れます: {names}", f"Installing missing packages: {names}"))
    pins = [f"{name}=={version}" for name, version in installed_versions().items()]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "installed.txt"
        constraints.write_text("\n".join(pins), encoding="utf-8")
        # On Windows pip may answer in the console's own encoding: a wrong letter is better than an error.
        done = subprocess.run(
            [*installer, "--quiet", "--constraint", str(constraints), *requirements],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
    if done.returncode:
        raise NotInstalled(_refused(names, done.stderr))
    importlib.invalidate_caches()


def _installer() -> list[str] | None:
    """The command that adds packages to this very Python, or None."""
    if find_spec("pip"):
        return [sys.executable, "-m", "pip", "install"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    return None


def _no_installer(names: str) -> str:
    adding = f'"{sys.executable}" -m ensurepip' if find_spec("ensurepip") else _OWN_ENVIRONMENT
    return say(
        f"{names} がありません。この Python には pip も uv もないので、ここでは入れられません。"
        f"ターミナルで {adding} を実行してから、このセルをもう一度実行してください。",
        f"{names} is missing, and this Python has neither pip nor uv to add it. Run {adding} in a terminal, "
        "then run this cell again.",
    )


def _refused(names: str, said: str) -> str:
    """Why nothing was installed, from what the installer said, and what to do."""
    if re.search(r"externally.managed|activated virtualenv", said):
        return say(
            f"{names} がありません。この Python は、ライブラリを足すことを許していません。教材のフォルダーのターミナルで "
            f"{_OWN_ENVIRONMENT} を実行すると、教材だけの環境ができます。その .venv のカーネルで開いてください。",
            f"{names} is missing, and this Python does not allow adding packages. In the lessons' folder, run "
            f"{_OWN_ENVIRONMENT} in a terminal: it creates an environment just for the lessons. Open them with the kernel in its .venv.",
        )
    reason = (said.strip().splitlines() or ["?"])[-1].strip()
    return say(
        f"{names} を入れられませんでした（{reason}）。ネットワークを確かめて、このセルをもう一度実行してください。",
        f"Could not install {names} ({reason}). Check the network and run this cell again.",
    )


def _name(requirement: str) -> str:
    return canonical_name(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])


def canonical_name(name: str) -> str:
    """A package's name in normalised form. `packaging` does the same, but may itself be what is missing."""
    return re.sub(r"[-_.]+", "-", name).lower()
