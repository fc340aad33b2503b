"""A class without network: `make wheels`, then an install from that folder: `pytest tests/test_offline_class.py`.

Tiny packages stand for the real ones; pip, make and venv are real. The network is cut by the kernel where it lets
us, else by addresses that lead nowhere.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.project import ROOT

pytestmark = pytest.mark.process

CUT = ["unshare", "--map-root-user", "--net"]
STUBS = ("yukiguni-stub", "yukiguni-stub-needed", "yukiguni-stub-fast")


def wheel(folder: Path, name: str, version: str = "1.0", *requires: str) -> None:
    """Write the smallest wheel that pip installs: a module and its metadata."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    files = {
        f"{module}.py": "",
        f"{info}/METADATA": "\n".join(metadata),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """What can be downloaded: the versions we pin, and newer ones."""
    folder = tmp_path / "registry"
    folder.mkdir()
    for version in ("1.0", "2.0"):
        wheel(folder, STUBS[0], version, STUBS[1])
        wheel(folder, STUBS[1], version)
        wheel(folder, STUBS[2], version)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that an install reads, with our tiny packages for the real ones, in a folder with a kanji and a space."""
    home = tmp_path / "雪国 教室" / "教材"
    home.mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", home)
    skipped = shutil.ignore_patterns("__pycache__", "aozora_mini")
    for folder in ("tools", "helpers"):
        shutil.copytree(ROOT / folder, home / folder, ignore=skipped)
    (home / "requirements.txt").write_text(f"{STUBS[0]}>=1,<3\n", encoding="utf-8")
    (home / "constraints.txt").write_text(
        "".join(f"{stub}==1.0\n" for stub in STUBS), encoding="utf-8"
    )
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name in ("ctranslate2", "fast"):
        extra = next(line for line in project.splitlines() if line.startswith(f"{name} = "))
        project = project.replace(extra, f'{name} = ["{STUBS[2]}>=1"]')
    (home / "pyproject.toml").write_text(project, encoding="utf-8")
    return home


def make(*command: str, folder: Path, prefix: list[str], **variables: str):
    """Run make with pip settings of our own alone."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "MAKE"))}
    settings = {"PIP_CONFIG_FILE": os.devnull, "PYTHONWARNDEFAULTENCODING": "1", **variables}
    return subprocess.run(
        [*prefix, "make", *command, f"PYTHON={sys.executable}"],
        cwd=folder,
        env=inherited | settings,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


@pytest.mark.timeout(600)
def test_a_stick_of_wheels_is_enough(registry: Path, checkout: Path):
    stick = "WHEELS=../USB メモリ/wheels"
    # The teacher's machine has its environment; any Python with pip serves.
    (checkout / ".venv" / "bin").mkdir(parents=True)
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    (checkout / ".venv" / "installed").touch()
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(registry)}
    done = make("wheels", stick, folder=checkout, prefix=[], **pip)
    assert done.returncode == 0, done.stdout + done.stderr
    wheels = checkout.parent / "USB メモリ" / "wheels"
    assert sorted(file.name.split("-")[1] for file in wheels.iterdir()) == ["1.0"] * 3
    assert "3 wheels" in done.stdout

    shutil.rmtree(checkout / ".venv")
    can_cut = shutil.which("unshare") and not subprocess.run([*CUT, "true"]).returncode
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    done = make(".venv/installed", stick, folder=checkout, prefix=CUT if can_cut else [], **nowhere)
    assert done.returncode == 0, done.stdout + done.stderr
    code = "from importlib.metadata import version as v; import sys; print([v(n) for n in sys.argv[1:]])"
    done = subprocess.run(
        [checkout / ".venv" / "bin" / "python", "-c", code, *STUBS], capture_output=True, text=True
    )
    assert done.stdout.strip() == "['1.0', '1.0', '1.0']", done.stderr


def encoding_warnings(errors: str, module: str) -> list[str]:
    """The lines that warn of a file opened in this machine's own encoding, by a module."""
    lines = [line for line in errors.splitlines() if "EncodingWarning" in line]
    return [line for line in lines if f"{module}{os.sep}" in line and "site-packages" not in line]


@pytest.mark.timeout(600)
def test_text_is_written_without_network_in_a_folder_with_kanji_on_a_cp932_console(tmp_path: Path):
    """The command that closes `make run`, from a copy of the checkout."""
    home = tmp_path / "雪国 教室" / "教材"
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "helpers", home / "helpers", ignore=skipped)
    # What finds a warning: this module opens a file as it should not.
    (home / "careless").mkdir()
    careless = home / "careless" / "__init__.py"
    careless.write_text("open(__file__).close()\n", encoding="utf-8")
    dropped = ("HF_", "HELPERS_", "PYTHON", "TRANSFORMERS_")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    environment = inherited | {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tmp_path / "empty"),
        "PYTHONIOENCODING": "cp932",
        "PYTHONUTF8": "0",
        "PYTHONWARNDEFAULTENCODING": "1",
    }
    can_cut = shutil.which("unshare") and not subprocess.run([*CUT, "true"]).returncode

    def python(*command: str) -> subprocess.CompletedProcess[bytes]:
        prefix = CUT if can_cut else []
        whole = [*prefix, sys.executable, *command]
        return subprocess.run(whole, cwd=home, env=environment, capture_output=True)

    warned = python("-c", "import careless").stderr.decode("utf-8", "replace")
    assert encoding_warnings(warned, "careless")
    done = python("-m", "helpers.generate", "--max-length", "60")
    errors = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, errors
    assert "国境の長いトンネルを抜けると雪国であった。" in done.stdout.decode("utf-8")
    assert encoding_warnings(errors, "helpers") == []


def test_a_stick_that_lacks_a_wheel_is_noticed_by_who_makes_it(registry: Path, checkout: Path):
    for file in registry.glob("yukiguni_stub_needed-*"):
        file.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "tools.wheels", "wheels"],
        cwd=checkout,
        env=os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(registry)},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode != 0 and "yukiguni-stub-needed" in done.stdout + done.stderr
    assert " wheels, " not in done.stdout
