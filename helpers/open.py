"""Open the lessons in JupyterLab: `python -m helpers.open [LESSON]`, or `make lab`.

What opens is the reader's own copy, in my-notebooks/: a second start never overwrites what was written there, and git
does not see it. JupyterLab speaks the reader's language and shows no news.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from helpers.console import run
from helpers.language import LANGUAGES, get_language, say, set_language

HOME = Path(__file__).resolve().parent.parent
LESSONS = HOME / "notebooks" / "start"
MINE = HOME / "my-notebooks"
LOCALES = {"ja": "ja_JP", "en": "default"}


def copy_lessons(source: Path = LESSONS, mine: Path = MINE) -> list[Path]:
    """Copy the lessons that the reader has no copy of yet, in both languages; returns the new ones.

    Raises:
        OSError: if the folder cannot be written.
    """
    new = []
    for file in sorted(source.rglob("*.ipynb")):
        copy = mine / file.relative_to(source)
        if ".ipynb_checkpoints" not in copy.parts and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            # Whole or not at all, also when the disk is full.
            part = copy.with_suffix(".part")
            shutil.copyfile(file, part)
            part.replace(copy)
            new.append(copy)
    # What a lesson's first cell imports is ours, and follows an update.
    for file in sorted(source.rglob("yukiguni.py")):
        shutil.copyfile(file, mine / file.relative_to(source))
    return new


def settings_of_jupyter(language: str, folder: Path) -> dict[str, str]:
    """Write JupyterLab's defaults for this language into a folder; returns the variable that leads there.

    The reader's own choices, made in JupyterLab's menu, come before them.
    """
    overrides = {
        "@jupyterlab/translation-extension:plugin": {"locale": LOCALES[language]},
        "@jupyterlab/apputils-extension:notification": {
            "fetchNews": "false",
            "checkForUpdates": False,
        },
    }
    (folder / "labconfig").mkdir()
    file = folder / "labconfig" / "default_setting_overrides.json"
    file.write_text(json.dumps(overrides), encoding="utf-8")
    before = os.environ.get("JUPYTER_CONFIG_PATH")
    return {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, [str(folder), before]))}


def command(lesson: Path, arguments: list[str], mine: Path = MINE) -> list[str]:
    """The command that opens a lesson of the reader's copies in JupyterLab."""
    import zmq
    from jupyter_client.manager import KernelManager

    page = lesson.relative_to(mine).as_posix()
    lab = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={mine}"]
    lab += [f"--LabApp.default_url=/lab/tree/{page}"]
    # Newer ones warn in the terminal of messages that anyone could read, and can encrypt them instead.
    if hasattr(KernelManager, "transport_encryption") and zmq.has("curve"):
        lab.append("--KernelManager.transport_encryption=auto")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        lab.append("--allow-root")
    return lab + arguments


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns JupyterLab's status, or 2 for what cannot be done, which is said in one line."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.open",
        description=say(
            "レッスンの写しを JupyterLab で開きます。写しは my-notebooks にあり、上書きされません。",
            "Open a copy of the lessons in JupyterLab. It is kept in my-notebooks and is never overwritten.",
        ),
        epilog=say("ほかの引数は JupyterLab に渡します。", "Other arguments go to JupyterLab."),
    )
    which = say("01_install など（最初のレッスン）", "such as 01_install (the first)")
    parser.add_argument("lesson", nargs="?", metavar="LESSON", help=which)
    spoken = say("言葉（システムの言葉）", "language (the system's)")
    parser.add_argument("--language", choices=LANGUAGES, default=get_language(), help=spoken)
    options, others = parser.parse_known_args(arguments)
    set_language(options.language)

    lessons = LESSONS / "en" if options.language == "en" else LESSONS
    names = sorted(file.stem for file in lessons.glob("*.ipynb"))
    name = (options.lesson or (names[0] if names else "")).removesuffix(".ipynb")
    if name not in names:
        return _refuse(
            say(
                f"{name or LESSONS} というレッスンはありません。あるのは {', '.join(names) or 'なし'} です。",
                f"There is no lesson {name or LESSONS}. Lessons: {', '.join(names) or 'none'}.",
            )
        )
    if importlib.util.find_spec("jupyterlab") is None:
        return _refuse(
            say(
                "JupyterLab がありません。make run で教材の環境を作り、その .venv の Python で実行してください。",
                "JupyterLab is not installed here. Run make run to create the lessons' environment, and use the Python in its .venv.",
            )
        )
    try:
        new = copy_lessons()
    except OSError as error:
        return _refuse(
            say(
                f"写しを {MINE} に作れませんでした（{error}）。書き込めるフォルダーに教材を置いてください。",
                f"Could not copy the lessons to {MINE} ({error}). Move them to a writable folder.",
            )
        )
    print(
        say(
            f"{MINE} を開きます（新しい写し: {len(new)}）。やり直したいレッスンは、そこから消すと、次に新しい写しになります。",
            f"Opening {MINE} (new copies: {len(new)}). To start a lesson over, delete it there; the next start makes a new copy.",
        ),
        flush=True,
    )
    lesson = MINE / lessons.relative_to(LESSONS) / f"{name}.ipynb"
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **settings_of_jupyter(options.language, Path(folder))}
        with subprocess.Popen(command(lesson, others), env=environment) as jupyter:
            while True:
                try:
                    return jupyter.wait()
                except KeyboardInterrupt:
                    pass  # JupyterLab got it too, and asks whether to stop.


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(run(main))
