"""What pyproject.toml says about the project: its repository's address, branch and extras; and its files."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

REPOSITORY: str = _PYPROJECT["project"]["urls"]["repository"]
BRANCH: str = _PYPROJECT["tool"]["yukiguni"]["branch"]
EXTRAS: dict[str, list[str]] = _PYPROJECT["project"]["optional-dependencies"]


def colab_address(path: str) -> str:
    """The address at which Colab opens a notebook of this repository.

    Raises:
        ValueError: if the repository is not on GitHub, the only host Colab opens by address.
    """
    host = "https://github.com/"
    if not REPOSITORY.startswith(host):
        raise ValueError(
            f"pyproject.toml: repository = {REPOSITORY!r}, but Colab opens only addresses that"
            f" begin with {host}; put the GitHub address there."
        )
    owner_and_name = REPOSITORY.removeprefix(host).rstrip("/")
    return f"https://colab.research.google.com/github/{owner_and_name}/blob/{BRANCH}/{path}"


def project_files() -> list[str]:
    """What git holds and what it would hold: a new file counts before it is added."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()})


if __name__ == "__main__":
    # `python tools/project.py ctranslate2 test` prints what these extras add, for `pip install -r`:
    # so the tests run on the source tree, as readers do, and not on an installed copy.
    print("\n".join(line for extra in sys.argv[1:] for line in EXTRAS[extra]))
