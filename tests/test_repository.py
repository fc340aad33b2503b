"""The repository as a whole: `pytest tests/test_repository.py`."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from tools.project import BRANCH, REPOSITORY, ROOT, colab_address, project_files

OWNER_AND_NAME = "/".join(REPOSITORY.split("/")[-2:])
NAME = OWNER_AND_NAME.split("/")[1]
READMES = ("README.md", "README.ja.md")
MEBIBYTE = 1024 * 1024


FILES = project_files()


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


PROSE = [name for name in FILES if name.endswith((".md", ".ipynb"))]
PYTHON = [name for name in FILES if name.endswith(".py")]


def wrong_addresses(text: str) -> list[str]:
    """Addresses on GitHub or Colab of a repository with our name that is not the one we name."""
    found = re.findall(r"github(?:\.com)?[/:]([\w.-]+/[\w.-]+)", text)
    found = [address.removesuffix(".git").rstrip(".") for address in found]
    return [a for a in found if a.split("/")[1] == NAME and a != OWNER_AND_NAME]


def markdown_of(name: str) -> str:
    """A Markdown file's text, or a notebook's prose; without code, where no link is meant."""
    text = text_of(name)
    if name.endswith(".ipynb"):
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(name: str) -> set[str]:
    """The places in a file that a link can name, as GitHub derives them from headings."""
    headings = re.findall(r"^#+ +(.+?) *$", markdown_of(name), flags=re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
    named = re.findall(r"""(?:id|name)=["']([^"']+)["']""", markdown_of(name))
    return {*kept, *named}


def broken_links(markdown: str, name: str) -> list[str]:
    """Links in a file's prose that lead to nothing in this repository."""
    targets = re.findall(r"\]\(<?([^)\s>]+)", markdown)
    targets += re.findall(r"""(?:href|src)=["']([^"']+)["']""", markdown)
    targets += re.findall(r"^\[[^\]]+\]: *(\S+)", markdown, flags=re.MULTILINE)
    return [target for target in targets if not _leads_somewhere(target, name)]


def _leads_somewhere(target: str, name: str) -> bool:
    for start in (
        f"{REPOSITORY}/blob/{BRANCH}/",
        f"{REPOSITORY}/tree/{BRANCH}/",
        colab_address(""),
    ):
        if target.startswith(start):
            return (ROOT / target.removeprefix(start).split("#")[0]).exists()
    if re.match(r"[a-z]+:", target):
        return True
    path, _, anchor = unquote(target).partition("#")
    file = (ROOT / name).parent / path if path else ROOT / name
    if not file.exists() or not file.resolve().is_relative_to(ROOT):
        return False
    if anchor and file.suffix == ".md":
        return anchor in anchors(file.resolve().relative_to(ROOT).as_posix())
    return True


def test_a_wrong_address_is_found():
    wrong = f"https://github.com/somebody/{NAME}"
    assert wrong_addresses(f"see {REPOSITORY}, {REPOSITORY}.git and {colab_address('a')}") == []
    assert wrong_addresses(f"see {wrong}/issues") == [f"somebody/{NAME}"]
    assert wrong_addresses(colab_address("a").replace(OWNER_AND_NAME, f"somebody/{NAME}"))


def test_a_broken_link_is_found():
    good = f"[a](CONTRIBUTING.md#日本語) <img src='LICENSE'> [b]({REPOSITORY}/blob/{BRANCH}/LICENSE) [c](http://x)"
    assert broken_links(good, "CONTRIBUTING.md") == []
    bad = ["nowhere.md", "../outside.md", f"{REPOSITORY}/blob/{BRANCH}/nowhere", "#no-such-heading"]
    assert broken_links(" ".join(f"[a]({target})" for target in bad), "CONTRIBUTING.md") == bad


def test_the_address_stands_in_one_source_file():
    """READMEs and notebooks show it, and are held to it; sources take it from pyproject.toml."""
    sources = [name for name in FILES if name not in PROSE and not _is_binary(name)]
    assert [name for name in sources if OWNER_AND_NAME in text_of(name)] == ["pyproject.toml"]


@pytest.mark.parametrize("name", PROSE)
def test_addresses_and_links_are_right(name: str):
    assert wrong_addresses(text_of(name)) == []
    assert broken_links(markdown_of(name), name) == []


@pytest.mark.parametrize("readme", READMES)
def test_readme_shows_both_commands(readme: str):
    commands = re.findall(r"^```.*?^```", text_of(readme), flags=re.DOTALL | re.MULTILINE)
    lines = {line.strip() for block in commands for line in block.splitlines()}
    assert {"make run", "make test"} <= lines, f"{readme} must show each command on its own line"
    assert any(REPOSITORY in line and line.startswith("git clone") for line in lines)


def test_ci_runs_the_test_command():
    lines = text_of(".ci/run").splitlines()
    assert lines[0].startswith("#!") and "set -euo pipefail" in lines and "make test" in lines
    assert ".ci/run" in text_of(".github/workflows/test.yml")


def test_large_files_are_the_bundled_model_only():
    large = [name for name in FILES if (ROOT / name).stat().st_size > MEBIBYTE]
    assert [name for name in large if not name.startswith("helpers/aozora_mini/")] == []


@pytest.mark.parametrize("name", PYTHON)
def test_python_file_compiles(name: str):
    compile(text_of(name), name, "exec", dont_inherit=True)


@pytest.mark.process
@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=["lint", "format"])
def test_ruff_is_content(command: list[str]):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, f"make format\n{done.stdout}{done.stderr}"


def test_helpers_import_nothing_that_is_not_shipped():
    """Readers on Colab get `helpers`; what builds and measures stays out of it."""
    imports = re.compile(r"^\s*(?:from|import) (tools|training|benchmarks|tests)\b", re.MULTILINE)
    helpers = [name for name in PYTHON if name.startswith("helpers/")]
    assert [name for name in helpers if imports.search(text_of(name))] == []


def without_encoding(source: str) -> list[str]:
    """Calls that read a program's output as text in whatever encoding this machine happens to have."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    texts = ("text", "universal_newlines")
    return [
        ast.unparse(call)
        for call in calls
        if any(word.arg in texts for word in call.keywords)
        and "subprocess" in ast.unparse(call.func)
        and "encoding" not in {word.arg for word in call.keywords}
    ]


def test_programs_are_read_as_utf_8():
    """On a Windows of a Japanese school the machine's own encoding is cp932, and git speaks UTF-8."""
    bad = "import subprocess\nsubprocess.run(x, text=True)"
    assert without_encoding(bad) and not without_encoding(bad.replace("=True", "=1, encoding='u'"))
    names = [name for name in PYTHON if name.startswith(("helpers/", "tools/", "training/"))]
    assert {name: found for name in names if (found := without_encoding(text_of(name)))} == {}


def _is_binary(name: str) -> bool:
    with open(ROOT / name, "rb") as file:
        return b"\0" in file.read(8192)


@pytest.mark.parametrize(
    "said",
    [
        # Who forgets to choose a GPU: the lesson goes on, and the steps follow.
        "GPU は見つかりません。このレッスンは CPU だけで最後まで動きます。",
        "No GPU was found. You can run the whole lesson on the CPU.",
        # Who loses it, or gets none.
        "ランタイムのタイプを変えると、別のマシンになります。変数もダウンロードしたモデルも消えます。",
        "Changing the runtime type gives you another machine. Variables and downloaded models are gone.",
        "無料の GPU には数に限りがあります。使えないと言われたら、CPU のまま進むか、時間をおいてください。",
        "Free GPUs are limited. If Colab has none for you, go on with the CPU or try again later.",
    ],
)
def test_lesson_4_guides_who_forgets_or_loses_the_gpu(said: str):
    assert said in text_of("lessons/04_gpu.py")


def test_lesson_1_shows_the_doctor_and_the_issue_template_asks_for_it():
    lesson = text_of("lessons/01_install.py")
    code = [line for line in lesson.splitlines() if not line.startswith("#")]
    assert "from helpers.doctor import diagnose" in code and "findings = diagnose()" in code
    headings = re.findall(r"^# ###? (.+)$", lesson, flags=re.MULTILINE)
    template = text_of(".github/ISSUE_TEMPLATE/problem.md")
    named = re.findall(r"の「(.+?)」のセル|under \"(.+?)\"", template)
    assert len(named) == 2 and {*map("".join, named)} <= {*headings}
    assert "-m helpers.doctor" in template and "-m helpers.doctor" in lesson


@pytest.mark.process
def test_gitignore_covers_what_make_leaves():
    made = [".venv/installed", ".venv-lowest/pins.txt", "wheels/x.whl", "helpers/__pycache__/x.pyc"]
    made += ["training/work/corpus.txt"]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", *made], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split() == made


@pytest.mark.process
@pytest.mark.parametrize(
    "target",
    ["run", "test", "lab", "lessons", "lint", "format", "wheels", "compat", "bench", "site"],
)
def test_make_knows_its_targets(target: str, tmp_path: Path):
    colab = ("tests/data/colab-versions.txt", "tools/colab_environment.py")
    pins = ("requirements.txt", "constraints.txt", "site/package-lock.json")
    for name in ("Makefile", "pyproject.toml", *pins, *colab):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text_of(name), encoding="utf-8")
    done = subprocess.run(["make", "-n", target], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "-m venv .venv" in done.stdout and "-c constraints.txt" in done.stdout


def test_the_table_of_faults_names_tests_that_exist():
    table = text_of("docs/reliability.md")
    written = "".join(text_of(name) for name in PYTHON if name.startswith("tests/"))
    named = set(re.findall(r"`(test_\w+)`", table))
    assert named and [name for name in named if f"def {name}(" not in written] == []
    files = set(re.findall(r"`(tests/\w+\.py|\.github/\S+\.yml)`", table))
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_what_takes_long_to_build_is_built_by_one_worker(request: pytest.FixtureRequest):
    # With pytest 9.2 pytest-xdist 3.8 dealt out each test by itself, and said nothing.
    if os.environ.get("PYTEST_XDIST_WORKER"):
        assert request.node.nodeid.endswith("@test_repository")
