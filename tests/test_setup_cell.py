"""The setup cell that opens each lesson: `pytest tests/test_setup_cell.py`.

It is run as it stands in a notebook, by a fresh Python: in a checkout, and alone in an empty folder
with the repository at a file address, as on Colab.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import environment
from tools.lessons import SETUP_CELL
from tools.project import BRANCH, REPOSITORY, ROOT

SHOW = "\nimport helpers\nprint(helpers.__file__)"


def run(folder: Path, language: str = "en", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the setup cell twice in one process with `folder` as its working directory."""
    cell = f'LANG = "{language}"\n' + SETUP_CELL.read_text(encoding="utf-8")
    cell = cell.replace("{{repository}}", REPOSITORY).replace("{{branch}}", BRANCH)
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-X", "utf8", "-c", cell + cell + SHOW],
        cwd=folder,
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def imported(done: subprocess.CompletedProcess[str]) -> Path:
    """Where the cell's `helpers` came from."""
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1]).parent.parent


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has on disk, without the weights: nothing here loads them."""
    home = tmp_path_factory.mktemp("雪国 notebooks") / "home"
    (home / "notebooks" / "en").mkdir(parents=True)
    shutil.copy(ROOT / "requirements.txt", home)
    (home / "helpers").mkdir()
    for module in (ROOT / "helpers").glob("*.py"):
        shutil.copy(module, home / "helpers")
    return home


@pytest.fixture(scope="module")
def bare_clone(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a bare repository that holds the checkout."""
    work = tmp_path_factory.mktemp("git") / "work"
    shutil.copytree(checkout, work)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    git = ["git", *identity, "-c", "commit.gpgsign=false", "-C", str(work)]
    for command in (["init", "-q", "-b", BRANCH], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    bare = work.with_name("bare.git")
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
    return bare.as_uri()


@pytest.mark.parametrize("folder", [".", "notebooks", "notebooks/en"])
def test_a_checkout_is_found_from_any_folder_without_git(checkout: Path, folder: str):
    done = run(checkout / folder, PATH="")
    assert imported(done) == checkout
    assert done.stdout.startswith("Ready.\nReady.\n")


def test_an_empty_folder_gets_the_repository_once(bare_clone: str, tmp_path: Path):
    done = run(tmp_path, YUKIGUNI_REPOSITORY=bare_clone)
    assert imported(done) == tmp_path / "yukiguni-notebooks"
    again = run(tmp_path, YUKIGUNI_REPOSITORY="file:///nowhere", PATH="")
    assert imported(again) == tmp_path / "yukiguni-notebooks"


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("ja", "もう一度実行してください"), ("en", "then run this cell again")],
)
@pytest.mark.parametrize("fault", [{"PATH": ""}, {"YUKIGUNI_REPOSITORY": "file:///nowhere"}])
def test_a_failed_fetch_says_what_to_do(
    tmp_path: Path, fault: dict[str, str], language: str, sentence: str
):
    done = run(tmp_path, language, **fault)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: ") and sentence in last
    assert done.stderr.count("Traceback") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_language_is_refused(checkout: Path):
    done = run(checkout, "fr")
    assert done.returncode == 1 and 'use "ja"' in done.stderr


def wheel(folder: Path, name: str, requirement: str) -> None:
    """Make the smallest wheel that pip accepts."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: {requirement}\n"
    )
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (info / "RECORD").write_text("")
    archive = shutil.make_archive(str(folder / "wheel"), "zip", folder, info.name)
    Path(archive).rename(folder / f"{name}-1.0-py3-none-any.whl")
    shutil.rmtree(info)


def test_nothing_installed_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A package that wants another version of an installed one is refused, not obeyed."""
    wheel(tmp_path, "yukiguni_wants_another", "packaging<20")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"Could not install|入れられませんでした"):
        environment.install(["yukiguni_wants_another"])
    assert environment.missing_requirements() == []
