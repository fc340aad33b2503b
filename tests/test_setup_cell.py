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
from nbclient.exceptions import CellExecutionError

from helpers import environment
from tools.check_notebooks import code_cells
from tools.execution import execute
from tools.lessons import EDITIONS, SETUP_CELL, lesson_sources, notebook_path
from tools.project import BRANCH, REPOSITORY, ROOT

pytestmark = pytest.mark.process

SHOW = """
import sys, helpers
from pathlib import Path
print(sys.path.count(str(Path(helpers.__file__).parent.parent)))
print(helpers.__file__)
"""
# One of each language: that all others have the same cell is for test_notebooks.py to say.
NOTEBOOKS = [ROOT / notebook_path(lesson_sources()[0], edition, True) for edition in EDITIONS]
# The setup cell of copies that readers saved before it became this short.
OLD_CELL = (Path(__file__).parent / "data" / "setup_cell_of_2026.txt").read_text(encoding="utf-8")
# A module of the reader's own, imported before the first of two runs.
MINE = "if 'mine' not in globals():\n    import helpers as mine\n"
# The Python that runs the tests may be the lessons' own, which finds this checkout from anywhere (`make run`'s .pth).
ELSEWHERE = f"import sys; sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}]\n"
FOLDERS = ["notebooks", "notebooks/en", "notebooks/start", "notebooks/start/en"]


def cell(language: str = "en", source: str = SETUP_CELL.read_text(encoding="utf-8")) -> str:
    """The setup cell as the builder fills it in."""
    source = source.replace("{{repository}}", REPOSITORY).replace("{{branch}}", BRANCH)
    return f'LANG = "{language}"\n{source}'


def run(
    folder: Path, source: str = cell(), python: Path | str = sys.executable, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a setup cell twice in one process, with `folder` as its working directory."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [str(python), "-X", "utf8", "-c", "\n".join([ELSEWHERE, source, source, SHOW])],
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
    assert path == "1"
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
    for folder in FOLDERS:
        (home / folder).mkdir(parents=True)
        shutil.copy(ROOT / "yukiguni.py", home / folder)
    shutil.copy(ROOT / "yukiguni.py", home)
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
    assert said == ["Installing missing packages: yukiguni-addition", "Ready.", "Ready."]
    assert installed() == before | {"yukiguni_addition==1.0"}


@pytest.mark.parametrize(
    ("leads_to", "reason"),
    [
        ("file:///nowhere", "does not appear to be a git repository|does not exist"),
        ("http://127.0.0.1:9/", "unable to access"),
    ],
    ids=["no repository", "no network"],
)
def test_a_failed_fetch_shows_what_git_says_and_leaves_nothing(
    tmp_path: Path, leads_to: str, reason: str
):
    elsewhere = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{leads_to}.insteadOf",
        "GIT_CONFIG_VALUE_0": REPOSITORY,
    }
    done = run(tmp_path, **elsewhere)
    assert refused(done) == "ModuleNotFoundError: No module named 'yukiguni'"
    assert re.search(reason, done.stdout)
    assert list(tmp_path.iterdir()) == []


def test_what_git_says_shows_in_a_notebook(tmp_path: Path):
    """Not all kernels show what another process writes: the cell prints it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell())])
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "sitecustomize.py").write_text(ELSEWHERE, encoding="utf-8")
    elsewhere = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "url.file:///nowhere.insteadOf",
        "GIT_CONFIG_VALUE_0": REPOSITORY,
        "PYTHONPATH": str(tmp_path / "start"),
    }
    with pytest.raises(CellExecutionError, match="No module named 'yukiguni'"):
        execute(notebook, tmp_path, environment=elsewhere)
    said = "".join(o.text for o in notebook.cells[0].outputs if o.output_type == "stream")
    assert "fatal: " in said


def test_without_git_the_reason_names_it(tmp_path: Path):
    done = run(tmp_path, PATH="")
    assert refused(done) == "ModuleNotFoundError: No module named 'yukiguni'"
    assert "git" in done.stdout


def test_a_notebook_on_its_own_finds_ours_before_a_module_of_that_name(
    published: dict[str, str], tmp_path: Path
):
    """A reader's `helpers`, imported before: their name for it stays theirs."""
    (tmp_path / "helpers.py").write_text("mine = True", encoding="utf-8")
    done = run(tmp_path, MINE + cell() + "\nassert mine.mine", **published)
    assert imported(done) == tmp_path / "yukiguni-notebooks"


def test_pip_may_answer_in_another_encoding(monkeypatch: pytest.MonkeyPatch):
    program = "import sys; sys.stderr.buffer.write(b'\\x90\\xe1 pip'); sys.exit(1)"
    run = subprocess.run

    def answer(command: list[str], **how: object) -> subprocess.CompletedProcess[str]:
        return run([sys.executable, "-c", program], **how)

    monkeypatch.setattr(environment.subprocess, "run", answer)
    with pytest.raises(environment.NotInstalled, match=" pip"):
        environment.install(["yukiguni_anything"])


def test_a_folder_of_that_name_is_not_touched(published: dict[str, str], tmp_path: Path):
    mine = tmp_path / "yukiguni-notebooks" / "mine.txt"
    mine.parent.mkdir()
    mine.touch()
    assert "No module named 'yukiguni'" in refused(run(tmp_path, **published))
    assert mine.exists()


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for uv")
def test_an_environment_of_uv_is_filled_by_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It has no pip; what is installed stays as it is there, too."""
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncp "$7" {tmp_path}/pins\n')
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    environment.install(["yukiguni_anything>=1"])
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:4] == ["pip", "install", "--python", sys.executable]
    assert asked[-1] == "yukiguni_anything>=1" and asked[5] == "--constraint"
    assert f"nbformat=={nbformat.__version__}" in (tmp_path / "pins").read_text().splitlines()


@pytest.mark.parametrize(
    ("modules", "step"), [({"ensurepip"}, f'"{sys.executable}" -m ensurepip'), (set(), "make run")]
)
def test_without_pip_and_uv_the_sentence_names_a_step_that_works(
    modules: set[str], step: str, monkeypatch: pytest.MonkeyPatch, english: None
):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(environment, "find_spec", lambda name: name if name in modules else None)
    with pytest.raises(environment.NotInstalled, match="neither pip nor uv") as raised:
        environment.install(["yukiguni_anything"])
    assert f"Run {step} in a terminal" in str(raised.value)


@pytest.mark.parametrize("forbidden", ["externally managed", "outside of an environment"])
def test_where_pip_is_forbidden_the_sentence_names_an_environment_of_its_own(
    forbidden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, english: None
):
    """As Debian marks its Python, and as PIP_REQUIRE_VIRTUALENV does: pip itself says so."""
    run, python = (
        subprocess.run,
        Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}",
    )
    mark = tmp_path / "lib" / f"python3.{sys.version_info.minor}" / "EXTERNALLY-MANAGED"
    mark.parent.mkdir(parents=True)
    mark.write_text("[externally-managed]\nError=Not here.\n")
    here = f"import sysconfig; sysconfig.get_path = lambda *a, **k: {str(mark.parent)!r}"
    program = f"{here}; import sys; sys.argv = ['pip', *sys.argv[1:]]; import runpy; runpy.run_module('pip', run_name='__main__')"

    def elsewhere(command: list[str], **how: object) -> subprocess.CompletedProcess[str]:
        if forbidden == "externally managed":
            return run([str(python), "-c", program, *command[3:]], **how)
        outside = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "1"}
        return run([str(python), *command[1:]], env=outside, **how)

    monkeypatch.setattr(environment.subprocess, "run", elsewhere)
    with pytest.raises(environment.NotInstalled, match="does not allow adding packages") as raised:
        environment.install(["yukiguni_anything"])
    assert "make run" in str(raised.value)


# At home: in a checkout, or what a zip download unpacks to; neither has git or a network to fall back on


@pytest.mark.parametrize("folder", [".", *FOLDERS])
def test_a_copy_is_found_from_any_folder_with_notebooks(checkout: Path, folder: str):
    done = run(checkout / folder, PATH="")
    assert imported(done) == checkout
    assert done.stdout.startswith("Ready.\nReady.\n")


def test_a_clone_is_found_from_the_folder_around_it(checkout: Path):
    assert imported(run(checkout.parent, PATH="")) == checkout


@pytest.mark.parametrize("folder", FOLDERS)
def test_at_home_ours_is_found_before_a_module_of_that_name(
    checkout: Path, folder: str, tmp_path: Path
):
    (tmp_path / "helpers.py").write_text("mine = True", encoding="utf-8")
    before = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n{MINE}"
    assert (
        imported(run(checkout / folder, before + cell() + "\nassert mine.mine", PATH=""))
        == checkout
    )


def test_a_lesson_exported_as_a_script_runs(checkout: Path):
    """Its setup cell needs no IPython."""
    script = checkout / "notebooks" / "exported.py"
    script.write_text(
        cell() + "\nfrom helpers.language import get_language\nprint(get_language())\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, script], cwd=checkout.parent, capture_output=True, encoding="utf-8"
    )
    script.unlink()
    assert done.stdout == "Ready.\nen\n", done.stderr


@pytest.mark.parametrize("folder", [".", *FOLDERS])
def test_a_copy_saved_with_the_old_cell_goes_on_working(checkout: Path, folder: str):
    assert imported(run(checkout / folder, cell("en", OLD_CELL), PATH="")) == checkout


def test_a_copy_saved_with_the_old_cell_still_fetches(published: dict[str, str], tmp_path: Path):
    assert (
        imported(run(tmp_path, cell("en", OLD_CELL), **published))
        == tmp_path / "yukiguni-notebooks"
    )


def test_with_the_lessons_own_environment_any_working_directory_will_do(
    checkout: Path, tmp_path: Path
):
    """VS Code's kernels start in the notebook's folder, or where the setting `jupyter.notebookFileRoot` says."""
    path_file = re.search(r"'(import os, sysconfig;.*)'", (ROOT / "Makefile").read_text("utf-8"))[1]
    site = checkout / ".venv" / "lib" / "python3.99" / "site-packages"
    site.mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-c", path_file.replace('sysconfig.get_path("purelib")', repr(str(site)))],
        cwd=checkout,
        check=True,
    )
    assert (site / "yukiguni.pth").read_text().strip() == os.path.join("..", "..", "..", "..")
    own = f"import site\nsite.addsitedir({str(site)!r})\n"
    assert imported(run(tmp_path, own + cell(), PATH="")) == checkout
    shutil.rmtree(checkout / ".venv")


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
