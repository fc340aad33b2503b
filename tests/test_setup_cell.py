"""The setup cell that opens each lesson: `pytest tests/test_setup_cell.py`.

It is run as it stands in the notebooks, by a fresh Python: in a checkout, and alone in an empty folder as on
Colab, with the repository's address leading to a bare clone on this machine.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from sysconfig import get_path

import nbformat
import pytest

from helpers import environment
from tools.check_notebooks import code_cells
from tools.lessons import EDITIONS, SETUP_CELL, lesson_sources, notebook_path
from tools.project import BRANCH, REPOSITORY, ROOT

SHOW = """
import sys, helpers
print(sys.path.count(str(home)), len(sys.path) == len(set(sys.path)))
print(helpers.__file__)
"""
NOTEBOOKS = [
    ROOT / notebook_path(lesson, edition) for lesson in lesson_sources() for edition in EDITIONS
]
# Refused at once, by a machine that can always be asked.
NO_NETWORK = "http://127.0.0.1:9/nothing"


def cell(language: str = "en") -> str:
    """The setup cell as the builder fills it in."""
    source = SETUP_CELL.read_text(encoding="utf-8")
    source = source.replace("{{repository}}", REPOSITORY).replace("{{branch}}", BRANCH)
    return f'LANG = "{language}"\n{source}'


def run(
    folder: Path, source: str = cell(), python: Path | str = sys.executable, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a setup cell twice in one process, with `folder` as its working directory."""
    inherited = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "YUKIGUNI_REPOSITORY")
    }
    return subprocess.run(
        [str(python), "-X", "utf8", "-c", "\n".join([source, source, SHOW])],
        cwd=folder,
        env={**inherited, "NO_PROXY": "127.0.0.1", "LC_ALL": "C", **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def imported(done: subprocess.CompletedProcess[str]) -> Path:
    """Where the cell's `helpers` came from; it is on the path once, however often the cell ran."""
    assert done.returncode == 0, done.stderr
    *_, path, helpers = done.stdout.splitlines()
    assert path == "1 True"
    return Path(helpers).parent.parent


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence that the cell ended with: the last line, and one traceback above it."""
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    return done.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has on disk, without the weights: nothing here loads them."""
    home = tmp_path_factory.mktemp("雪国 notebooks") / "yukiguni-notebooks"
    (home / "notebooks" / "en").mkdir(parents=True)
    shutil.copy(ROOT / "requirements.txt", home)
    for module in (ROOT / "helpers").rglob("*.py"):
        (home / module.relative_to(ROOT)).parent.mkdir(exist_ok=True)
        shutil.copy(module, home / module.relative_to(ROOT))
    return home


def publish(checkout: Path, folder: Path) -> dict[str, str]:
    """Put a folder into a bare repository, to which the notebooks' own address leads with these variables."""
    work, bare = folder / "work", folder / "bare.git"
    shutil.copytree(checkout, work)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    git = ["git", *identity, "-c", "commit.gpgsign=false", "-C", str(work)]
    for command in (["init", "-q", "-b", BRANCH], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{bare.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": REPOSITORY,
    }


@pytest.fixture(scope="module")
def published(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return publish(checkout, tmp_path_factory.mktemp("git"))


# On Colab: alone in an empty folder


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_notebook_on_its_own_fetches_the_rest_once(
    notebook: Path, published: dict[str, str], tmp_path: Path
):
    colab = tmp_path / "stand-in" / "google" / "colab"
    colab.mkdir(parents=True)
    (colab / "__init__.py").touch()
    alone = tmp_path / "content"
    alone.mkdir()
    shutil.copy(notebook, alone)
    setup = code_cells(nbformat.read(notebook, as_version=nbformat.NO_CONVERT))[0].source
    trace = tmp_path / "git.txt"
    done = run(
        alone,
        "import google.colab\n" + setup,
        PYTHONPATH=str(colab.parent.parent),
        GIT_TRACE=str(trace),
        **published,
    )
    home = imported(done)
    assert home == alone / "yukiguni-notebooks"
    assert sorted(p.name for p in alone.iterdir()) == [notebook.name, home.name]
    assert trace.read_text().count("built-in: git clone") == 1
    # Another session in the same folder needs neither git nor a network.
    assert imported(run(alone, setup, PATH="")) == home


def test_what_is_missing_is_added_and_nothing_else_changes(checkout: Path, tmp_path: Path):
    """In an environment of its own, with a package to be had whose wish for a newer `packaging` could be granted."""
    for name, version, wish in (
        ("yukiguni_addition", "1.0", "packaging"),
        ("packaging", "999", ""),
    ):
        wheel(tmp_path, name, version, wish)
    lesson = shutil.copytree(checkout, tmp_path / "source")
    with (lesson / "requirements.txt").open("a") as requirements:
        requirements.write("yukiguni-addition>=1\n")
    repository = publish(lesson, tmp_path)
    machine = tmp_path / "machine"
    venv.create(machine, symlinks=os.name != "nt")
    (site,) = machine.rglob("site-packages")
    (site / "installed.pth").write_text(get_path("purelib"))
    python = machine / Path(sys.executable).relative_to(sys.prefix)

    def installed() -> set[str]:
        command = [python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
        listed = subprocess.run(command, check=True, capture_output=True).stdout
        return {f"{found['name']}=={found['version']}" for found in json.loads(listed)}

    before = installed()
    (tmp_path / "content").mkdir()
    where = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), **repository}
    without = run(tmp_path / "content", python=python, **where | {"PIP_FIND_LINKS": ""})
    assert "Could not install yukiguni-addition" in refused(without)
    assert installed() == before
    done = run(tmp_path / "content", python=python, **where)
    assert imported(done) == tmp_path / "content" / "yukiguni-notebooks"
    said = [line for line in done.stdout.splitlines() if not line.startswith(("1", "/"))]
    assert said == ["Installing what is missing: yukiguni-addition", "Ready.", "Ready."]
    assert installed() == before | {"yukiguni_addition==1.0"}


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("ja", "もう一度実行してください"), ("en", "then run this cell again")],
)
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"PATH": ""}, "No such file or directory: 'git'"),
        ({"YUKIGUNI_REPOSITORY": NO_NETWORK}, "unable to access"),
        (
            {"YUKIGUNI_REPOSITORY": "file:///nowhere"},
            "does not appear to be a git repository|does not exist",
        ),
    ],
    ids=["no git", "no network", "no repository"],
)
def test_a_failed_fetch_says_what_to_do(
    tmp_path: Path, fault: dict[str, str], reason: str, language: str, sentence: str
):
    last = refused(run(tmp_path, cell(language), **fault))
    assert last.startswith("RuntimeError: ") and sentence in last
    assert re.search(reason, last)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for git")
def test_git_may_answer_in_another_encoding(tmp_path: Path):
    """On a Japanese Windows a message comes in cp932: it is shown with wrong letters, and the advice beside it."""
    (tmp_path / "bin").mkdir()
    git = tmp_path / "bin" / "git"
    git.write_bytes(b"#!/bin/sh\nprintf 'fatal: %s\\n' '\x90\xe1\x8d\x91 git' >&2\nexit 1\n")
    git.chmod(0o755)
    alone = tmp_path / "content"
    alone.mkdir()
    last = refused(run(alone, PATH=str(git.parent)))
    assert last.startswith("RuntimeError: ") and "then run this cell again" in last
    assert "fatal: " in last and " git)" in last


def test_pip_may_answer_in_another_encoding(monkeypatch: pytest.MonkeyPatch):
    program = "import sys; sys.stderr.buffer.write(b'\\x90\\xe1 pip'); sys.exit(1)"
    run = subprocess.run

    def answer(command: list[str], **how: object) -> subprocess.CompletedProcess[str]:
        return run([sys.executable, "-c", program], **how)

    monkeypatch.setattr(environment.subprocess, "run", answer)
    with pytest.raises(environment.NotInstalled, match=" pip"):
        environment.install(["yukiguni_anything"])


def test_a_fetch_that_was_cut_off_is_no_obstacle(published: dict[str, str], tmp_path: Path):
    """The folder has its name only once it is whole."""
    (tmp_path / "yukiguni-notebooks.part" / "helpers").mkdir(parents=True)
    assert imported(run(tmp_path, **published)) == tmp_path / "yukiguni-notebooks"
    assert [p.name for p in tmp_path.iterdir()] == ["yukiguni-notebooks"]


def test_a_folder_of_that_name_is_not_touched(published: dict[str, str], tmp_path: Path):
    mine = tmp_path / "yukiguni-notebooks" / "mine.txt"
    mine.parent.mkdir()
    mine.touch()
    assert "Directory not empty" in refused(run(tmp_path, **published))
    assert mine.exists()


# At home: in a checkout, or what a zip download unpacks to; neither has git or a network to fall back on


@pytest.mark.parametrize("folder", [".", "notebooks", "notebooks/en"])
def test_a_copy_is_found_from_any_folder_in_it(checkout: Path, folder: str):
    done = run(checkout / folder, PATH="")
    assert imported(done) == checkout
    assert done.stdout.startswith("Ready.\nReady.\n")


def test_a_clone_is_found_from_the_folder_around_it(checkout: Path):
    assert imported(run(checkout.parent, PATH="")) == checkout


@pytest.mark.parametrize("edition", EDITIONS)
def test_vs_code_may_set_any_working_directory(checkout: Path, tmp_path: Path, edition: str):
    """Its kernels start in the notebook's folder, or where the setting `jupyter.notebookFileRoot` says; it names
    the notebook in a variable."""
    unpacked = tmp_path / "yukiguni-notebooks-main"
    shutil.copytree(checkout, unpacked)
    notebook = unpacked / notebook_path(lesson_sources()[0], edition)
    named = f"__vsc_ipynb_file__ = {str(notebook)!r}\n"
    for folder in (tmp_path, unpacked, notebook.parent):
        assert imported(run(folder, named + cell(), PATH="")) == unpacked


def test_an_unknown_language_is_refused(checkout: Path):
    assert 'use "ja"' in refused(run(checkout, cell("fr")))


def wheel(folder: Path, name: str, version: str, requirement: str) -> None:
    """Make the smallest wheel that pip accepts."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    wish = f"Requires-Dist: {requirement}\n" if requirement else ""
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{wish}"
    )
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (info / "RECORD").write_text("")
    archive = shutil.make_archive(str(folder / "wheel"), "zip", folder, info.name)
    Path(archive).rename(folder / f"{name}-{version}-py3-none-any.whl")
    shutil.rmtree(info)


def test_nothing_installed_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A package that wants another version of an installed one is refused, not obeyed."""
    wheel(tmp_path, "yukiguni_wants_another", "1.0", "packaging<20")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"Could not install|入れられませんでした"):
        environment.install(["yukiguni_wants_another"])
    assert environment.missing_requirements() == []
