"""The builder and its checks, on small lessons made here: `pytest tests/test_build.py`.

Every check is shown a notebook with the fault it looks for: a check that cannot fail is worth nothing.
"""

import base64
import copy
import io
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbclient.output_widget import OutputWidget
from nbformat import NotebookNode
from PIL import Image

from tools import build_lessons, check_notebooks, lesson_time, pictures, say
from tools.check_notebooks import code_cells
from tools.execution import WIDGET, execute, tidy
from tools.lessons import EDITIONS, build, start_copy, title

OFFLINE = Path(__file__).parent / "offline"

FIRST = """\
# %% [markdown] lang="ja"
# # 第一課
# {{badge}}

# %% [markdown] lang="en"
# # Lesson one
# {{badge}}

# %%
LANG = "ja"
# {{setup}}

# %% tags=["varies"]
import time

time.time()

# %% [markdown] lang="ja"
# 終わりです。{{nav}}

# %% [markdown] lang="en"
# The end. {{nav}}
"""
SECOND = FIRST.replace("第一課", "第二課").replace("Lesson one", "Lesson two")
SOUND = """\
from IPython.display import HTML, display

print("雪")
display(HTML("<b>雪国</b>"))
"""


@pytest.fixture
def lessons(tmp_path: Path) -> list[Path]:
    """The sources of two lessons in a folder of their own."""
    paths = [tmp_path / "01_first.py", tmp_path / "02_second.py"]
    for path, text in zip(paths, (FIRST, SECOND), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def notebook_of(*sources: str, tags: list[str] | None = None) -> NotebookNode:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    for place, cell in enumerate(cells):
        cell["id"] = f"{place:012x}"
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
    return nbformat.v4.new_notebook(cells=cells)


def prose(text: str) -> NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    notebook = notebook_of(SOUND)
    execute(notebook, tmp_path_factory.mktemp("run"))
    return notebook


# Building


def test_editions_share_code_and_ids(lessons: list[Path]):
    japanese, english = (build(lessons[0], edition) for edition in EDITIONS)
    assert [c.id for c in japanese.cells] == [c.id for c in english.cells]
    assert japanese.cells[0].source.startswith("# 第一課")
    assert english.cells[0].source.startswith("# Lesson one")
    code = [n.cells[1].source.splitlines() for n in (japanese, english)]
    assert [pair for pair in zip(*code, strict=True) if pair[0] != pair[1]] == [
        ('LANG = "ja"', 'LANG = "en"')
    ]
    assert japanese.cells[2] == english.cells[2]
    for notebook in (japanese, english):
        nbformat.validate(notebook)
        assert check_notebooks.metadata_problems(notebook) == []


def test_ids_survive_a_new_cell_and_a_repeated_one(lessons: list[Path]):
    before = {c.source: c.id for c in build(lessons[0], "ja").cells}
    text = FIRST.replace("# %% tags", "# %%\nx = 1\n\n# %%\nx = 1\n\n# %% tags")
    lessons[0].write_text(text, encoding="utf-8")
    cells = build(lessons[0], "ja").cells
    assert {c.source: c.id for c in cells if c.source in before} == before
    assert len({c.id for c in cells}) == len(cells) == len(before) + 2


def test_navigation_links_the_neighbours(lessons: list[Path]):
    assert "[第二課](02_second.ipynb)" in build(lessons[0], "ja").cells[-1].source
    last = build(lessons[1], "en").cells[-1].source
    assert "[Lesson one](01_first.ipynb)" in last
    assert "notebooks/start/en/01_first.ipynb" in last
    assert title(lessons[1], "en") == "Lesson two"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('lang="en"', 'lang="fr"', 'lang="ja" and right after it'),
        ("# The end. {{nav}}", "# {{navi}}", "unknown placeholder {{navi}}"),
        ('LANG = "ja"', 'LANG = "en"', "0 lines read LANG"),
        ("import time", 'LANG = "ja"', "2 lines read LANG"),
        ("# # Lesson one", "# Lesson one", "must open with '# ' and the title"),
    ],
)
def test_a_broken_convention_is_named(lessons: list[Path], old: str, new: str, sentence: str):
    lessons[0].write_text(FIRST.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=r"01_first\.py") as raised:
        for path in lessons:
            build(path, "en")
    assert sentence in str(raised.value)


def test_an_unknown_lesson_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        build_lessons.main(["99_nothing"])
    assert "no lesson 99_nothing; there are" in capsys.readouterr().err


@pytest.mark.process
def test_a_rebuild_changes_nothing(lessons: list[Path], tmp_path: Path):
    """Not even the time that the varying cell prints; a lesson that fails is not written."""
    built = tmp_path / "notebooks" / "01_first.ipynb"
    assert build_lessons.build_and_write(lessons[0], "ja", tmp_path) == []
    before = built.read_bytes()
    assert build_lessons.build_and_write(lessons[0], "ja", tmp_path) == []
    assert built.read_bytes() == before
    for fault in ("import warnings; warnings.warn('old')", "1 / 0"):
        lessons[0].write_text(FIRST.replace("time.time()", fault), encoding="utf-8")
        assert len(build_lessons.build_and_write(lessons[0], "ja", tmp_path)) == 1
        assert built.read_bytes() == before
    lessons[0].write_text(FIRST, encoding="utf-8")
    assert build_lessons.build_and_write(lessons[0], "ja", tmp_path, fresh=True) == []
    assert built.read_bytes() != before  # the time of this run


# Executing


@pytest.mark.process
def test_execution_keeps_what_shows(executed: NotebookNode):
    stream, shown = executed.cells[0].outputs
    assert (stream.name, stream.text) == ("stdout", "雪\n")
    assert shown.data["text/html"] == "<b>雪国</b>"
    assert check_notebooks.output_problems(executed) == []
    assert check_notebooks.metadata_problems(executed) == []


@pytest.mark.process
def test_an_exception_ends_the_build(tmp_path: Path):
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(notebook_of("1 / 0"), tmp_path)


@pytest.mark.process
def test_an_error_inside_an_output_widget_is_found(tmp_path: Path):
    source = "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    1 / 0\nout"
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        execute(notebook_of(source), tmp_path)


@pytest.mark.process
def test_a_reply_that_comes_while_a_widget_answers_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The cell has ended before the widget's answer is sent, and sending takes the only sign of its reply."""
    answer = OutputWidget.sync_state

    def answer_late(widget: OutputWidget) -> None:
        time.sleep(1)
        answer(widget)

    monkeypatch.setattr(OutputWidget, "sync_state", answer_late)
    source = "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    print(1)\nout"
    start = time.monotonic()
    execute(notebook_of(source), tmp_path, timeout=120)
    # Not only when the cell's time is up.
    assert time.monotonic() - start < 120


def test_widget_views_go_and_what_stands_beside_them_stays():
    notebook = notebook_of("x")
    view = {"text/plain": "IntSlider()", WIDGET: {"model_id": "1"}}
    for data in (view, {WIDGET: {"model_id": "1"}}):
        notebook.cells[0].outputs.append(nbformat.v4.new_output("display_data", data))
    tidy(notebook)
    assert [dict(output.data) for output in notebook.cells[0].outputs] == [
        {"text/plain": "IntSlider()"}
    ]


def test_pieces_of_one_stream_are_joined():
    notebook = notebook_of("x")
    for name, text in [("stdout", "雪"), ("stdout", "国"), ("stderr", "!")]:
        output = nbformat.v4.new_output("stream", name=name, text=text)
        notebook.cells[0].outputs.append(output)
    tidy(notebook)
    assert [(o.name, o.text) for o in notebook.cells[0].outputs] == [
        ("stdout", "雪国"),
        ("stderr", "!"),
    ]


@pytest.mark.process
def test_the_cut_network_is_cut_and_tells(tmp_path: Path):
    code = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
for call in (lambda: socket.getaddrinfo("example.org", 80),
             lambda: socket.create_connection(("192.0.2.1", 80), timeout=1)):
    try:
        call()
    except OSError as error:
        print(error)
"""
    environment = {**os.environ, "PYTHONPATH": str(OFFLINE), "OFFLINE_LOG": str(tmp_path / "log")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("The network is cut") == 2
    assert (tmp_path / "log").read_text("utf-8").split() == [
        "socket.getaddrinfo",
        "example.org",
        "socket.getaddrinfo",
        "192.0.2.1",
    ]


# Checking


def test_output_checks_find_each_fault(executed: NotebookNode):
    faults = {
        "raised NameError": nbformat.v4.new_output(
            "error", ename="NameError", evalue="x", traceback=[]
        ),
        "wrote to stderr": nbformat.v4.new_output("stream", name="stderr", text="Warning"),
        "a picture lacks a character": nbformat.v4.new_output(
            "stream", name="stdout", text="Glyph 12354 missing from font"
        ),
        "a memory address": nbformat.v4.new_output(
            "execute_result", {"text/plain": "<object at 0x7f0123456789>"}, execution_count=1
        ),
        "a widget view": nbformat.v4.new_output("display_data", {WIDGET: {"model_id": "1"}}),
    }
    for sentence, output in faults.items():
        notebook = copy.deepcopy(executed)
        notebook.cells[0].outputs.append(output)
        [problem] = check_notebooks.output_problems(notebook)
        assert sentence in problem
    notebook = copy.deepcopy(executed)
    notebook.cells[0].execution_count = 3
    assert "executed as number 3" in check_notebooks.output_problems(notebook)[0]


def test_metadata_checks_find_each_fault(executed: NotebookNode):
    def breaks(change) -> bool:
        notebook = copy.deepcopy(executed)
        change(notebook)
        return len(check_notebooks.metadata_problems(notebook)) == 1

    assert breaks(lambda n: n.metadata.update(widgets={}))
    assert breaks(lambda n: n.metadata.kernelspec.update(name="venv"))
    assert breaks(lambda n: n.cells[0].metadata.update(execution={}))
    assert breaks(lambda n: n.cells[0].update(id="a b"))
    assert breaks(lambda n: n.cells.append(n.cells[0]))
    assert breaks(lambda n: n.update(nbformat_minor=4))


def test_comments_are_found_but_not_in_strings():
    assert check_notebooks.comment_problems(notebook_of('x = "# 雪"  # @param ["a"]'), "ja") == []
    assert check_notebooks.comment_problems(notebook_of("%pip list\n!ls # x\nx = 1"), "ja") == []
    for comment, edition, other in (("# adds", "en", "ja"), ("# @title 足す", "ja", "en")):
        notebook = notebook_of(f"x = 1\n{comment}")
        assert check_notebooks.comment_problems(notebook, edition) == []
        assert comment in check_notebooks.comment_problems(notebook, other)[0]


@pytest.mark.parametrize(
    ("edition", "text", "sound"),
    [
        ("ja", "モデルは次の語を選びます。", True),
        ("ja", "The model chooses the next word.", False),
        ("ja", "![](a.png)", True),
        (
            "en",
            "The model continues 「国境の長いトンネルを抜けると雪国であった。」 as you see.",
            True,
        ),
        ("en", "モデルは次の語を選びます。", False),
        ("en", "The model: モデルは次の語を選びます。", False),
    ],
)
def test_prose_is_held_to_its_language(edition: str, text: str, sound: bool):
    assert (check_notebooks.prose_problems(prose(text), edition) == []) is sound


def test_words_that_a_school_would_not_project_are_found(executed: NotebookNode):
    assert check_notebooks.word_problems(executed) == []
    assert check_notebooks.word_problems(prose("本土人の話")) == []
    assert "土人" in check_notebooks.word_problems(prose("島の土人の話"))[0]
    notebook = copy.deepcopy(executed)
    notebook.cells[0].outputs[1].data["text/html"] = "<b>土</b><b>人</b>"
    assert "土人" in check_notebooks.word_problems(notebook)[0]
    notebook = copy.deepcopy(executed)
    notebook.pictures = {"opening-1": ("<b>土</b>人", 560)}
    assert check_notebooks.word_problems(notebook)[0].startswith("picture opening-1")


def test_heading_levels_ignore_code():
    assert check_notebooks.heading_levels("# a\n```\n# no\n```\n## b") == [1, 2]


def test_changed_text_is_a_difference(executed: NotebookNode):
    assert check_notebooks.differences(executed, executed) == []
    for change in (
        lambda c: c.outputs[0].update(text="雨\n"),
        lambda c: c.outputs[1].data.update({"text/html": "<b>雨国</b>"}),
        lambda c: c.outputs[1].data.pop("text/plain"),
        lambda c: c.outputs.pop(),
    ):
        changed = copy.deepcopy(executed)
        change(changed.cells[0])
        assert len(check_notebooks.differences(executed, changed)) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.61%、2.34%", "1.62%、2.34%", True),
        ("0.126%", "0.13%", True),
        ("9.995", "10.00", True),
        ("1,299.95 bits", "1,300.0 bits", True),
        ("width:41%", "width:42%", True),
        ("1.61%", "1.63%", False),
        ("0.126%", "0.128%", False),
        ("41%", "43%", False),
        # A count or an id is not rounded.
        ("id 73", "id 74", False),
        ("雪 1.6", "雨 1.6", False),
        ("1.6", "1.6 1.6", False),
    ],
)
def test_processors_round_a_value_between_two_either_way(one: str, other: str, same: bool):
    assert check_notebooks.same_but_for_rounding(one, other) == same
    assert check_notebooks.same_but_for_rounding(other, one) == same


def test_a_varying_cell_is_held_to_its_form(executed: NotebookNode):
    varying = copy.deepcopy(executed)
    varying.cells[0].metadata["tags"] = ["varies"]
    other = copy.deepcopy(varying)
    other.cells[0].outputs[0].text = "12.3 s\n"
    other.cells[0].outputs[1].data["text/html"] = "<b>12.3</b>"
    assert check_notebooks.differences(varying, other) == []
    for change in (
        lambda c: c.outputs[0].update(text="雨\n雨\n"),
        lambda c: c.outputs[1].data.update({"text/html": "<i>雪国</i>"}),
        lambda c: c.outputs.pop(),
    ):
        changed = copy.deepcopy(varying)
        change(changed.cells[0])
        assert len(check_notebooks.differences(varying, changed)) == 1


@pytest.mark.process
def test_a_deprecation_in_a_cell_or_in_our_package_is_found(tmp_path: Path):
    """Kernels show those of a cell and hide those of packages; a lesson with either is refused."""
    ours = 'warnings.warn_explicit("old", DeprecationWarning, "lab.py", 1, module="helpers.lab")'
    notebook = notebook_of('import warnings\nwarnings.warn("old", DeprecationWarning)', ours)
    with pytest.raises(CellExecutionError, match="DeprecationWarning"):
        execute(notebook, tmp_path)
    (printed,) = notebook.cells[0].outputs
    assert printed.name == "stderr" and "DeprecationWarning: old" in printed.text


def test_pictures_are_compared_by_size(executed: NotebookNode):
    def picture(width: int, last: str) -> NotebookNode:
        notebook = copy.deepcopy(executed)
        header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + b"\0\0\0\x08"
        encoded = base64.b64encode(header + last.encode()).decode()
        output = nbformat.v4.new_output("display_data", {"image/png": encoded})
        notebook.cells[0].outputs.append(output)
        return notebook

    assert check_notebooks.differences(picture(8, "abc"), picture(8, "xyz")) == []
    # As another release of matplotlib would draw it.
    assert check_notebooks.differences(picture(8, "abc"), picture(10, "abc")) == []
    assert len(check_notebooks.differences(picture(8, "abc"), picture(13, "abc"))) == 1


# One language, and what prose takes from the executed lesson

FILLED = """\
# %% [markdown] lang="ja"
# # 第一課
# {{badge}} {{picture snow}} {{way scores}}

# %% [markdown] lang="en"
# # Lesson one
# {{badge}} {{picture snow}} {{way scores}}

# %%
LANG = "ja"
# {{setup}}

# %%
import random

from helpers.language import say

random.seed(1)
flakes = 7
print(say("雪", "snow"))

# %% tags=["build"]
flakes = flakes + 1
random.random()
fill(flakes=flakes, mark="a*b")
claim(say("雪は五つより多いです。", "There are more than five."), flakes > 5)
picture("snow", f"<b>{flakes}</b>", say("雪", "snow"))

# %% [markdown] lang="ja"
# 雪は五つより多いです。{{flakes}} と {{mark}}。
#
# **予想してみましょう。** 次の数は？

# %% [markdown] lang="en"
# There are more than five. {{flakes}} and {{mark}}.
#
# **Predict.** Which number is next?

# %%
print(flakes, random.random())

# %% [markdown] lang="ja"
# 次は誰にもわかりません。
#
# ## 練習

# %% [markdown] lang="en"
# Nobody knows the next.
#
# ## Exercises

# %% tags=["exercise"]
answer = ...

# %% tags=["check"]
from helpers.answers import check


def is_seven(value):
    assert value == flakes, say("数えなおしてください。", "Count again.")
    return say("七つです。", "Seven.")


check(answer, is_seven)

# %% tags=["cases"]
RIGHT = ["answer = 7", "answer = 14 / 2"]
WRONG = {"answer = 8": say("数えなおして", "Count again"), "answer = '7'": say("数えなおして", "Count again")}

# %% [markdown] lang="ja" tags=["solution"]
# 数えます。

# %% [markdown] lang="en"
# Count them.

# %% tags=["solution"]
answer = 7
print(answer)

# %% [markdown] lang="ja"
# 終わりです。{{nav}}

# %% [markdown] lang="en"
# The end. {{nav}}
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[NotebookNode, list[str]]]:
    """A lesson with everything in it, executed in both editions."""
    source = tmp_path_factory.mktemp("lesson") / "01_first.py"
    source.write_text(FILLED, encoding="utf-8")
    return {edition: build_lessons.executed(source, edition) for edition in EDITIONS}


def test_each_edition_speaks_one_language():
    code = (
        "from helpers.language import say\nrows = [  # 行 || rows\n"
        "    say('雪', f'{1}'),\n]\nprint(say(\n    '国'\n    '境', 'border'), 'say(x)')  # 名 || name"
    )
    assert say.resolve(code, "ja") == (
        "rows = [  # 行\n    '雪',\n]\nprint((\n'国'\n    '境'\n), 'say(x)')  # 名"
    )
    assert say.resolve(code, "en") == (
        "rows = [  # rows\n    f'{1}',\n]\nprint('border', 'say(x)')  # name"
    )
    alone = "from helpers.language import say\n\nprint(say('雪', 'snow'))"
    assert say.resolve(alone, "en") == "print('snow')"


@pytest.mark.parametrize("code", ["say('雪')", "write = say", "say('a', 'b', 'c')"])
def test_a_say_that_cannot_be_resolved_is_refused(code: str):
    with pytest.raises(ValueError, match="say"):
        say.resolve(code, "ja")


@pytest.mark.process
def test_prose_takes_what_the_executed_lesson_gives(filled):
    japanese, problems = filled["ja"]
    assert problems == []
    text = "\n".join(c.source for c in japanese.cells if c.cell_type == "markdown")
    assert "雪は五つより多いです。8 と a\\*b。" in text
    assert "There are more than five. 8 and a\\*b." in "".join(
        c.source for c in filled["en"][0].cells
    )
    assert "{{" not in text and "![雪][snow-" in text and "「点数（logits）」" in text


@pytest.mark.process
def test_what_the_builder_runs_leaves_no_trace(filled):
    notebook, _ = filled["ja"]
    random.seed(1)
    printed = [c.outputs[0].text for c in code_cells(notebook) if c.outputs]
    assert printed[2] == f"7 {random.random()}\n"
    assert [c.execution_count for c in code_cells(notebook)] == [*range(1, 8)]
    assert not any("build" in c.metadata.get("tags", []) for c in notebook.cells)


@pytest.mark.process
def test_the_copy_for_doing_has_no_answers_in_sight(filled):
    start = start_copy(filled["en"][0])
    assert all(c.outputs == [] and c.execution_count is None for c in code_cells(start))
    sources = [c.source for c in start.cells]
    assert "answer = ..." in sources and 'prediction = ""  # @param {type:"string"}' in sources
    (folded,) = [text for text in sources if "answer = 7" in text]
    assert folded.startswith("<details><summary>Solution</summary>")
    assert "Count them." in folded and "```text\n7\n```" in folded and folded.endswith("</details>")
    (answer,) = [text for text in sources if "Nobody knows" in text]
    assert answer.startswith("<details><summary>Compare with your prediction")
    assert answer.endswith("Nobody knows the next.\n\n</details>\n\n## Exercises")
    assert [c.id for c in start.cells] == [c.id for c in start_copy(filled["ja"][0]).cells]


@pytest.mark.process
@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("flakes > 5", "flakes > 50", "no longer true, rewrite it: 雪は五つより多いです。"),
        ('f"<b>{flakes}</b>"', "''", "the picture snow is empty"),
        ('mark="a*b"', "**{'mark': 1, 'more': 2}", "{{mark}}"),
        ('"answer = 14 / 2"', '"answer = 6"', "a self-check says of 'answer = 6': '✗"),
        ("\"answer = '7'\": say", '"answer = 7.0": say', "a self-check says of 'answer = 7.0': '✓"),
        (', "answer = 14 / 2"', "", "two right and two wrong"),
    ],
)
def test_what_does_not_hold_is_named_and_nothing_is_written(
    old: str, new: str, sentence: str, tmp_path: Path
):
    source = tmp_path / "01_first.py"
    assert FILLED.count(old) == 1
    source.write_text(FILLED.replace(old, new), encoding="utf-8")
    problems = build_lessons.build_and_write(source, "ja", tmp_path)
    assert any(sentence in problem for problem in problems), problems
    assert not (tmp_path / "notebooks").exists()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("雪は五つより多いです。{{", "{{", "no prose says what is claimed: 雪は五つより多いです。"),
        ("{{way scores}}", "{{way scores home}}", "no station home; there are text, ids"),
        ('tags=["exercise"]', 'tags=["exercice"]', "no tag ['exercice']"),
        ("{{picture snow}}", "{{picture rain}}", "unknown placeholder {{picture rain}}"),
    ],
)
def test_a_source_that_cannot_hold_is_refused(old: str, new: str, sentence: str, tmp_path: Path):
    source = tmp_path / "01_first.py"
    source.write_text(FILLED.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError) as raised:
        build(source, "ja")
    assert sentence in str(raised.value)


@pytest.mark.process
def test_an_unchanged_picture_is_not_drawn_again(filled, monkeypatch: pytest.MonkeyPatch):
    drawn = []
    monkeypatch.setattr(
        pictures, "draw", lambda html, width: drawn.append(html) or "data:image/png;base64,AAAA"
    )
    notebook = copy.deepcopy(filled["ja"][0])
    build_lessons.draw_pictures(notebook, None)
    assert len(drawn) == 2 and "<b>8</b>" in drawn
    again = copy.deepcopy(filled["ja"][0])
    build_lessons.draw_pictures(again, notebook)
    assert len(drawn) == 2 and again == notebook
    assert pictures.without_definitions(again.cells[0].source) == filled["ja"][0].cells[0].source


@pytest.mark.process
def test_a_picture_is_drawn_as_small_as_it_is():
    drawn = base64.b64decode(
        pictures.draw("<div style='height:100px;background:#000'></div>", width=400)[22:]
    )
    with Image.open(io.BytesIO(drawn)) as image:
        assert abs(image.height - 1.5 * 132) < 4 and image.width == 1.5 * 400
        assert image.convert("L").getpixel((image.width // 2, image.height // 2)) == 0


def test_the_minutes_of_a_lesson():
    """Worked out by hand: 40 characters, an output of 16, one cell, one prediction, one exercise."""
    notebook = prose("## " + "雪" * 40 + "<details>読みません</details>![絵](x.png)")
    for tag in ("predict", "exercise", "solution", "varies"):
        cell = nbformat.v4.new_code_cell("x", metadata={"tags": [tag]})
        cell.outputs = [nbformat.v4.new_output("stream", text="国 " * 16)]
        notebook.cells.append(cell)
    core, more = lesson_time.load(notebook)
    assert core.minutes == pytest.approx(40 / 400 + 16 / 800 + 20 / 60 + 2 + 4)
    assert more.minutes == 0
    notebook.cells[0].metadata["tags"] = ["more"]
    notebook.cells.append(nbformat.v4.new_markdown_cell("## 雪"))
    core, more = (part.minutes for part in lesson_time.load(notebook))
    assert core == pytest.approx(1 / 400) and more > 6
