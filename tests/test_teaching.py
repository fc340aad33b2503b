"""The teacher's kit: `pytest tests/test_teaching.py`. Slides need Marp and are not made here."""

import re
import zipfile
from pathlib import Path

import pytest

from tools import teaching

SHEETS = [(name, edition) for name in teaching.SHEETS for edition in teaching.EDITIONS]
each_sheet = pytest.mark.parametrize(("name", "edition"), SHEETS)


def source(name: str, edition: str) -> str:
    return (teaching.SOURCES / f"{name}.{edition}.md").read_text(encoding="utf-8")


@each_sheet
def test_pupils_do_not_get_the_key(name: str, edition: str):
    known = {name: "7" for name in ("tokens", "falls", "cold", "low", "high", "seen")}
    text = re.sub(r"\{(?:tokens|falls|cold|low|high|seen)\}", "7", source(name, edition))
    answers = re.findall(r"\{\{(?:key|answer|keynote):(.*?)\}\}", text)
    assert len(answers) >= 8
    for_pupils = teaching.sheet(text, known, key=False)
    with_key = teaching.sheet(text, known, key=True)
    for answer in answers:
        assert f'<span class="key">{answer}</span>' in with_key
        assert f">{answer}<" not in for_pupils
    assert "{{" not in for_pupils + with_key


@pytest.mark.process
@each_sheet
def test_a_page_to_fill_in_has_a_place_for_each_answer_and_asks_no_other_host(
    name: str, edition: str
):
    text = source(name, edition)
    filled = teaching.page(teaching.sheet(text, {}, key=False, fill_in=True), edition, fill_in=True)
    places = len(re.findall(r"\{\{(?:line|long|key:)", text))
    assert len(re.findall(r"<(?:input|textarea)", filled)) == places
    assert not re.search(r"(?:src|href)=|https?://", filled.split("<script>")[0])
    titles = re.findall(r'title="([^"]*)"', filled)
    assert "" not in titles
    assert ("4" in titles) and (name == "quiz" or "4 →" in titles), titles


def test_the_editions_ask_the_same():
    for name in (*teaching.SHEETS, "slides"):
        japanese, english = (source(name, edition) for edition in teaching.EDITIONS)
        marks = re.compile(r"\{\{\w+|^---$|^\d+\.|^\| \d", re.MULTILINE)
        assert marks.findall(japanese) == marks.findall(english), name


def test_facts_of_the_key_are_those_of_lesson_03():
    lesson = (teaching.ROOT / "lessons" / "03_generate.py").read_text(encoding="utf-8")
    assert f"torch.tensor({teaching.SCORES})" in lesson
    second = (teaching.ROOT / "lessons" / "02_setup.py").read_text(encoding="utf-8")
    assert f'"{teaching.THANKS}"' in second
    assert "write(2), write(2), write(14)" in (
        teaching.ROOT / "lessons" / "01_install.py"
    ).read_text(encoding="utf-8")


@pytest.mark.process
def test_the_worksheet_fits_one_page_and_word_opens_it(tmp_path: Path):
    made = teaching.make_sheets(tmp_path)
    for edition in teaching.EDITIONS:
        for key in ("", ".key"):
            pdf = (tmp_path / f"worksheet.{edition}{key}.pdf").read_bytes()
            assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1, (edition, key)
            with zipfile.ZipFile(tmp_path / f"worksheet.{edition}{key}.docx") as docx:
                assert "top_p" in docx.read("word/document.xml").decode()
    assert len(made) == 20
