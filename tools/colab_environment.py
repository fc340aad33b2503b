"""Google Colab's versions in an environment of their own: `python -m tools.colab_environment`, run by `make test`.

It makes `.venv-colab`: what tests/data/colab-versions.txt names is installed there in that very version, and
what the list does not name (torch, JupyterLab, the tests' own tools) is linked from the Python that runs this.
Of everything else nothing is visible there: what Colab lacks is missing there too.
"""

import re
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from sysconfig import get_path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers.console import run
from tools.project import EXTRAS, ROOT

ENVIRONMENT = ROOT / ".venv-colab"
VERSIONS = ROOT / "tests" / "data" / "colab-versions.txt"
COLABS_PYTHON = "3.13"
# Packages of which there is no wheel in Colab's version for this Python, one a line.
NEAREST = ENVIRONMENT / "nearest.txt"
# Too large to be installed a second time: it is the one that all other tests run with, whatever its version.
LINKED = "torch"
# Colab shows widgets in a page of its own. JupyterLab shows those of ipywidgets 7 with 1.1 only.
INSTEAD = {"jupyterlab-widgets": "1.1.11"}


def colab_versions() -> dict[str, str]:
    """Colab's version of each package in our list, by the package's normalised name."""
    lines = (line.split("#")[0].strip() for line in VERSIONS.read_text("utf-8").splitlines())
    pairs = (line.split("==") for line in lines if line)
    return {canonicalize_name(name): version for name, version in pairs}


def install(versions: dict[str, str], python: Path) -> list[str]:
    """Install wheels of exactly these versions, nothing else; where there is none for this Python, the nearest.

    The nearest is the highest below, and if there is none below either, the highest there is. Returns the names
    of the packages that this happened to.

    Raises:
        RuntimeError: if a package cannot be installed at all; the message is pip's.
    """
    operators = dict.fromkeys(versions, "==")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    # `main` compiles, on all cores.
    how = ["install", "--quiet", "--no-deps", "--no-compile", "--only-binary", ":all:"]
    while True:
        wanted = [f"{name}{operators[name]}{version}" for name, version in versions.items()]
        command = [*pip, *how, *wanted]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        if done.returncode == 0:
            return [name for name, operator in operators.items() if operator != "=="]
        missing = re.search(r"No matching distribution found for ([\w.-]+)([<>=]=)", done.stderr)
        following = {"==": "<=", "<=": ">="}
        if missing is None or missing[2] not in following:
            raise RuntimeError(done.stderr)
        operators[canonicalize_name(missing[1])] = following[missing[2]]


def needed_besides(roots: Iterable[str], versions: dict[str, str], site: Path) -> set[str]:
    """The packages that these depend on, themselves included, without those that Colab has.

    Of what Colab's packages (in `site`) depend on, only what this Python needs and Colab's newer one does not:
    what they miss on Colab, they miss here.
    """
    waiting, needed = [*versions, *map(canonicalize_name, roots)], set()
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        on_colab = name in versions and name != LINKED
        if on_colab:
            (found,) = metadata.distributions(name=name, path=[str(site)])
        else:
            found = metadata.distribution(name)
            needed.add(name)
        for requirement in map(Requirement, found.requires or []):
            if _applies(requirement) and not (on_colab and _applies(requirement, COLABS_PYTHON)):
                waiting.append(canonicalize_name(requirement.name))
    return needed


def _applies(requirement: Requirement, python: str | None = None) -> bool:
    where = {"extra": ""}
    if python:
        where |= {"python_version": python, "python_full_version": f"{python}.0"}
    return requirement.marker is None or requirement.marker.evaluate(where)


def link(name: str, prefix: Path) -> None:
    """Show an installed package's files in another environment as well, without copying them."""
    here, there = Path(get_path("purelib")), _site_packages(prefix)
    for file in metadata.distribution(name).files or []:
        # Some lie outside, such as ../../../share/jupyter/lab: at the same place in the other environment.
        source, target = (Path(folder, file).resolve(strict=False) for folder in (here, there))
        if source.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)


def installed_here() -> dict[str, str]:
    """The version of each package that this Python sees, by its normalised name."""
    return {canonicalize_name(found.name): found.version for found in metadata.distributions()}


def differences(installed: dict[str, str]) -> list[str]:
    """Where these versions are not Colab's: one line each, Python's own first."""
    python = ".".join(map(str, sys.version_info[:2]))
    lines = [f"Python: {python} here, {COLABS_PYTHON} on Colab"] if python != COLABS_PYTHON else []
    return lines + [
        f"{name}: {installed.get(name, 'missing')} here, {version} on Colab"
        for name, version in colab_versions().items()
        if installed.get(name) != version
    ]


def _site_packages(prefix: Path) -> Path:
    return Path(get_path("purelib", vars={"base": str(prefix)}))


def main() -> None:
    """Create the environment from scratch."""
    versions = colab_versions()
    venv.create(ENVIRONMENT, clear=True, symlinks=True)
    wanted = {name: version for name, version in versions.items() if name != LINKED} | INSTEAD
    nearest = install(wanted, ENVIRONMENT / "bin" / "python")
    NEAREST.write_text("\n".join(nearest), encoding="utf-8")
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    readers = [line for line in lines if line and not line.startswith("#")]
    testers = [line for extra in EXTRAS.values() for line in extra]
    roots = {Requirement(line).name for line in [*readers, *testers]}
    for name in sorted(needed_besides(roots, versions, _site_packages(ENVIRONMENT))):
        link(name, ENVIRONMENT)
    # Once, and not in each of the many processes of the tests: where Python may keep nothing, those would all do it again.
    compiler = [str(ENVIRONMENT / "bin" / "python"), "-m", "compileall", "-q", "-j", "0"]
    # Some packages have files of another Python, as templates or tests: they fail, and are in nobody's way.
    subprocess.run([*compiler, str(_site_packages(ENVIRONMENT))], stdout=subprocess.DEVNULL)
    installed: dict[str, str] = {
        canonicalize_name(found.name): found.version
        for found in metadata.distributions(path=[str(_site_packages(ENVIRONMENT))])
    }
    print(f"{ENVIRONMENT.name} has Colab's versions of {len(versions)} packages, except:")
    print("\n".join(differences(installed)))


if __name__ == "__main__":
    sys.exit(run(main))
