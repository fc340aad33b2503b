import os
import subprocess
import sys
from pathlib import Path

ADDRESS = os.environ.get("YUKIGUNI_REPOSITORY", "{{repository}}")
CLONE = Path.cwd() / "yukiguni-notebooks"
PLACES = [Path.cwd(), *Path.cwd().parents, CLONE, *map(Path, sys.path)]
FAILED = {
    "ja": "教材を {} から取得できませんでした（{}）。ネットワークと git を確かめて、"
    "このセルをもう一度実行してください。",
    "en": "Could not fetch the lessons from {} ({}). Check the network and git, "
    "then run this cell again.",
}

home = next((p for p in PLACES if os.path.isfile(p / "helpers" / "environment.py")), None)
if home is None:
    clone = ["git", "clone", "--depth", "1", "--branch", "{{branch}}", "--", ADDRESS, str(CLONE)]
    quiet = {"stdin": subprocess.DEVNULL, "env": {**os.environ, "GIT_TERMINAL_PROMPT": "0"}}
    try:
        subprocess.run(clone, check=True, capture_output=True, text=True, **quiet)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
        raise RuntimeError(FAILED[LANG].format(ADDRESS, reason)) from None
    home = CLONE
if str(home) not in sys.path:
    sys.path.insert(0, str(home))

from helpers.environment import prepare

prepare(LANG)
