"""The reader's own copy of the lessons, as `make lab` opens it: `pytest tests/test_open.py`."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from helpers import open as opening
from tools.execution import make_workspace

PATIENCE = 120_000  # milliseconds


@pytest.fixture
def lessons(tmp_path: Path) -> tuple[Path, Path]:
    """Two lessons as they come, and where the reader's copies go."""
    source, mine = tmp_path / "start", tmp_path / "mine"
    for name in ("01_install.ipynb", "en/01_install.ipynb", "yukiguni.py", "en/yukiguni.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("as it came", encoding="utf-8")
    return source, mine


def test_a_second_start_overwrites_nothing(lessons: tuple[Path, Path]):
    source, mine = lessons
    written = mine / "01_install.ipynb"
    assert [p.relative_to(mine).as_posix() for p in opening.copy_lessons(source, mine)] == [
        "01_install.ipynb",
        "en/01_install.ipynb",
    ]
    written.write_text("what the reader wrote", encoding="utf-8")
    for file in source.rglob("*.*"):
        file.write_text("after an update", encoding="utf-8")
    assert opening.copy_lessons(source, mine) == []
    assert written.read_text("utf-8") == "what the reader wrote"
    assert (mine / "yukiguni.py").read_text("utf-8") == "after an update"


def test_a_deleted_copy_comes_anew(lessons: tuple[Path, Path]):
    source, mine = lessons
    opening.copy_lessons(source, mine)
    (mine / "01_install.ipynb").unlink()
    assert opening.copy_lessons(source, mine) == [mine / "01_install.ipynb"]


def test_what_cannot_be_opened_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    assert opening.main(["99_nothing", "--language", "en"]) == 2
    assert capsys.readouterr().err.startswith("There is no lesson 99_nothing. Lessons: 0")
    full = tmp_path / "full"
    full.touch()
    monkeypatch.setattr(opening, "copy_lessons", lambda: os.listdir(full))
    assert opening.main(["01_install", "--language", "ja"]) == 2
    said = capsys.readouterr().err
    assert "写しを" in said and len(said.splitlines()) == 1


def test_jupyter_finds_the_settings_and_the_readers_own_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/theirs")
    variable = opening.settings_of_jupyter("ja", tmp_path)
    assert variable == {"JUPYTER_CONFIG_PATH": f"{tmp_path}{os.pathsep}/theirs"}
    (file,) = tmp_path.rglob("*.json")
    assert json.loads(file.read_text("utf-8"))["@jupyterlab/translation-extension:plugin"] == {
        "locale": "ja_JP"
    }


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """`python -m helpers.open 01_install` in a checkout; its folder, and the address of JupyterLab."""
    home = make_workspace(tmp_path_factory.mktemp("雪国 教材"))
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(home)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    own = tmp_path_factory.mktemp("home")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY_"))}
    places = {
        "HOME": str(own),
        "IPYTHONDIR": str(own / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "HELPERS_LANG": "ja",
    }
    command = [sys.executable, "-m", "helpers.open", "01_install", "--no-browser", "--port=0"]
    command += ["--IdentityProvider.token=lab", "--LabApp.expose_app_in_browser=True"]
    log = log_of(home).open("w")
    server = subprocess.Popen(command, cwd=home, env=kept | places, stdout=log, stderr=log)
    try:
        yield home, _address(server, own / "runtime")
    finally:
        server.terminate()
        server.wait(60)
        for file in (own / "runtime").glob("jpserver-*.json"):
            pid = json.loads(file.read_text())["pid"]
            os.kill(pid, 15)
        log.close()


def _address(server: subprocess.Popen, runtime: Path) -> str:
    until = time.monotonic() + 240
    while time.monotonic() < until and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            try:
                url = json.loads(file.read_text())["url"]
                urllib.request.urlopen(f"{url}api?token=lab", timeout=5)
            except (ValueError, OSError):
                continue
            return url
        time.sleep(0.1)
    raise RuntimeError("JupyterLab did not start; its log lies beside the folder")


def log_of(home: Path) -> Path:
    """What the reader would see in the terminal."""
    return home.with_name(f"{home.name}.log")


@pytest.mark.timeout(600)
def test_jupyterlab_opens_the_lesson_in_japanese_without_news(opened: tuple[Path, str], page: Page):
    home, address = opened
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}lab/tree/01_install.ipynb?token=lab")
    first = page.locator(".jp-Notebook .jp-MarkdownCell").first
    expect(first).to_contain_text("01", timeout=PATIENCE)
    expect(page.locator(".lm-MenuBar-item", has_text="ファイル")).to_be_visible()
    page.wait_for_function("""() => {
        const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
        return context?.isReady && context.session?.kernel?.status === "idle";
    }""")
    page.evaluate("() => jupyterapp.commands.execute('notebook:run-cell')")
    cell = page.locator(".jp-Notebook .jp-CodeCell").first
    cell.click()
    page.evaluate("() => jupyterapp.commands.execute('notebook:run-cell')")
    expect(cell.locator(".jp-OutputArea-output")).to_contain_text("準備ができました。")
    assert "WARNING" not in log_of(home).read_text("utf-8")
    page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    expect(page.get_by_text("Jupyter news")).to_have_count(0)
    # Pictures in prose travel inside the notebook.
    pictures = first.locator("img[src^='data:']")
    assert all(
        picture.evaluate("image => image.complete && image.naturalWidth > 100")
        for picture in pictures.all()
    )
    until = time.monotonic() + 30
    saved = home / "my-notebooks" / "01_install.ipynb"
    while "準備ができました" not in saved.read_text("utf-8"):
        assert time.monotonic() < until, "not saved"
        time.sleep(0.1)
    status = ["git", "-C", str(home), "status", "--porcelain"]
    assert subprocess.run(status, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.process
def test_the_copies_are_none_of_gits_business():
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "my-notebooks/01_install.ipynb"],
        cwd=opening.HOME,
        capture_output=True,
        text=True,
    )
    assert ignored.stdout.strip() == "my-notebooks/01_install.ipynb" and shutil.which("git")
