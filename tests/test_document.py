"""A reader's own file: encodings, damage, zips, pages, and what is no text.

Run: python -m pytest -q tests/test_document.py
"""

import io
import os
import re
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.finetune import FinetuneError, read_document
from helpers.finetune import files as files_module
from helpers.language import set_language

TEXT = "山道の終わりに小さな駅があった。\n「どちらまで」と駅員が訊いた。\n答えは無かった。雪が降っていた。"


@pytest.fixture(autouse=True)
def english():
    set_language("en")
    yield
    set_language("ja")


ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "shift_jis": "Shift_JIS",
    "cp932": "Shift_JIS",
    "euc_jp": "EUC-JP",
    "iso2022_jp": "ISO-2022-JP",
}


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
@pytest.mark.parametrize(("codec", "name"), ENCODINGS.items())
def test_every_encoding_is_read(codec, name, ends):
    document = read_document(TEXT.replace("\n", ends).encode(codec))
    assert document.text == TEXT and document.encoding == name
    assert not document.cleaned and not document.damaged


def test_utf_16_the_other_way_round_by_its_mark():
    assert read_document(b"\xfe\xff" + TEXT.encode("utf-16-be")).text == TEXT


@pytest.mark.parametrize(
    ("codec", "special", "name"),
    [
        ("cp932", "①髙﨑～ⅷ㈱", "Shift_JIS"),
        ("shift_jis_2004", "俱𠮟か゚", "Shift_JIS-2004"),
        ("euc_jis_2004", "俱𠮟①", "EUC-JIS-2004"),
        ("euc_jp", "丂", "EUC-JP"),
        ("iso2022_jp_2004", "俱𠮟", "ISO-2022-JP"),
        ("iso2022_jp_ext", "ｶﾅ", "ISO-2022-JP"),
        ("cp932", "ｶﾅ", "Shift_JIS"),
        ("utf-8", "𠮷🍣", "UTF-8"),
        ("utf-16-le", "𠮷🍣", "UTF-16"),
    ],
)
def test_characters_beyond_the_first_standard(codec, special, name):
    document = read_document((TEXT + special).encode(codec))
    assert document.text == TEXT + special and document.encoding == name


@given(
    st.text(
        st.sampled_from(
            "ぁあいうえおかがきぎくたなのはをんアイウー亜唖山雪駅道終人一二三、。「」！？\nA1 "
        ),
        min_size=30,
        max_size=200,
    ),
    st.sampled_from(["utf-8", "cp932", "euc_jp", "iso2022_jp"]),
)
def test_what_was_written_in_an_encoding_is_read_back(text, codec):
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if "".join(lines):
        assert read_document(text.encode(codec)).text == "\n".join(lines)


LONG = "\n".join(TEXT.split("\n") * 200)


@pytest.mark.parametrize("codec", ["utf-8", "cp932", "euc_jp", "iso2022_jp"])
@pytest.mark.parametrize("byte", [b"\xff", b"\x80", b"\x00", b"\x1f"])
def test_a_damaged_byte_does_not_refuse_a_book(codec, byte, capsys):
    lines = LONG.split("\n")
    before = "\n".join(lines[:100]) + "\n"
    data = before.encode(codec) + "雪".encode(codec)[:0]
    place = len(data) + (3 if codec == "iso2022_jp" else 0)
    whole = bytearray(LONG.encode(codec))
    whole[place] = byte[0]
    document = read_document(bytes(whole))
    read = document.text.split("\n")
    assert read[:100] == lines[:100] and read[101:] == lines[101:]
    assert "〓" in read[100] and len(read[100]) >= len(lines[100]) - 2
    assert all(line == 101 for line, _ in document.damaged)
    assert abs(document.damaged[0][1] - (place + 1)) <= 1
    said = capsys.readouterr().out
    assert "line 101" in said and f"byte {document.damaged[0][1]:,}" in said and "〓" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_the_place_of_damage_counts_the_byte_order_mark(mark):
    whole = bytearray(LONG.encode(mark))
    first = 3 if mark == "utf-8-sig" else 2
    whole[first : first + 2] = b"\xff\xff"
    assert read_document(bytes(whole)).damaged[0] == (1, first + 1)


@pytest.mark.parametrize("every", [20, 50])
def test_too_much_damage_is_no_text(every):
    data = bytearray(LONG.encode("cp932"))
    data[::every] = b"\xff" * len(data[::every])
    with pytest.raises(FinetuneError, match="cannot be read as UTF-8, UTF-16, Shift_JIS, EUC-JP"):
        read_document(bytes(data))


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("穿过县界长长的隧道，便是雪国。夜空下一片白茫茫。" * 9, "gb18030"),
        ("穿過縣界長長的隧道，便是雪國。夜空下一片白茫茫。" * 9, "big5"),
        ("국경의 긴 터널을 빠져나오자 눈의 고장이었다. " * 9, "euc_kr"),
    ],
    ids=["chinese", "taiwan", "korean"],
)
def test_another_countrys_encoding_is_refused_by_what_is_read(text, codec):
    with pytest.raises(FinetuneError, match="save it as UTF-8"):
        read_document(text.encode(codec))


def _zip(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return packed.getvalue()


def _named(*names: str) -> bytes:
    return _zip(**{name.replace("/", "__"): TEXT.encode("cp932") for name in names})


NO_TEXTS = {
    "empty": (b"", "is empty"),
    "blank": (" \n　\n".encode(), "is empty"),
    "only a mark": (b"\xef\xbb\xbf", "is empty"),
    "only notation": ("［＃改ページ］\n".encode(), "is empty"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "is a PDF, not a text"),
    "docx": (_zip(word__document=b"<w/>"), "a Word document"),
    "xlsx": (_zip(xl__workbook=b"<w/>"), "an Excel spreadsheet"),
    "epub": (_zip(**{"META-INF__container.xml": b"<c/>"}), "an e-book"),
    "odt": (_zip(**{"content.xml": b"<c/>"}), "a LibreOffice document"),
    "doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Office document"),
    "rtf": (b"{\\rtf1\\ansi yama}", "RTF"),
    "png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "a picture"),
    "jpeg": (b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(99), "a picture"),
    "gif": (b"GIF89a\x01\0\x01\0", "a picture"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(99), "a picture or a video"),
    "gzip": (b"\x1f\x8b\x08\0" + bytes(60), "gzip-compressed"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(60), "a 7z archive"),
    "rar": (b"Rar!\x1a\x07" + bytes(60), "a RAR archive"),
    "lzh": (b"\x22\x7f-lh5-" + bytes(60), "an LZH archive"),
    "program": (b"\x7fELF\x02" + bytes(60), "a program"),
    "bytes": (bytes(range(256)) * 4, "cannot be read as UTF-8"),
    "noughts": (bytes(400), "is empty"),
    "a page": (b"<!DOCTYPE html><html><body><p>News of the day</p></body></html>", "is a web page"),
    "zip without a text": (_zip(**{"a.png": b"\x89PNG"}), "contains no text file"),
    "empty zip": (_zip(), "contains no text file"),
    "zip in a zip": (_zip(**{"a.txt": _zip(b=b"")}), "a zip inside a zip"),
    "two texts": (
        _named("a.txt", "b.txt"),
        re.escape("contains 2 texts (a.txt, b.txt): extract one"),
    ),
    "many texts": (_named(*(f"{i}.txt" for i in range(9))), re.escape("4.txt and 4 more)")),
    "damaged zip": (_named("a.txt")[:-40], "a zip that cannot be opened"),
}


@pytest.mark.parametrize(("data", "why"), NO_TEXTS.values(), ids=NO_TEXTS)
@pytest.mark.parametrize("language", ["ja", "en"])
def test_what_is_no_text_is_refused_in_one_sentence(data, why, language, tmp_path):
    set_language(language)
    path = tmp_path / "mine.txt"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(FinetuneError) as caught:
            read_document(source)
        message = str(caught.value)
        assert (
            "\n" not in message
            and len(message) < 400
            and "Error" not in message.replace("BadZipFile", "")
        )
        if language == "en":
            assert re.search(why, message)
        if source is path:
            assert "mine.txt" in message or ".txt" in message


def test_a_missing_file_a_folder_and_a_device_are_refused(tmp_path):
    with pytest.raises(FinetuneError, match="cannot be read"):
        read_document(tmp_path / "no.txt")
    with pytest.raises(FinetuneError, match="is a folder: choose one text file"):
        read_document(tmp_path)
    with pytest.raises(FinetuneError, match="cannot be read"):
        read_document("no\0name.txt")
    with pytest.raises(FinetuneError, match="cannot be read"):
        read_document("x" * 5000)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FinetuneError, match="not a regular file"):
            read_document(tmp_path / "pipe")


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.txt"
    with open(path, "wb") as file:
        file.truncate(files_module.LARGEST + 1)
    with pytest.raises(FinetuneError, match="at most 64 MiB"):
        read_document(path)


@pytest.mark.parametrize(
    "members",
    [
        ("a.txt",),
        ("424_ruby_19826/424_ruby.txt",),
        ("../../outside.txt",),
        ("/etc/passwd.txt",),
        ("雪国.txt",),
        ("A.TXT", "fig1_01.png", "__MACOSX/._A.TXT", ".DS_Store"),
    ],
)
def test_a_zip_of_one_text_is_read_and_nothing_is_written(members, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in members:
            archive.writestr(name, TEXT.encode("cp932"))
    assert read_document(packed.getvalue()).text == TEXT
    assert not list(tmp_path.iterdir())


def test_a_name_packed_on_windows_is_shown_as_it_was_written():
    names = ["山.txt", "雪.txt"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(name.encode("cp932").decode("cp437"))
            archive.writestr(info, TEXT)
    data = packed.getvalue()
    # Python marks the name as UTF-8; Windows' own packer does not.
    for name in names:
        marked = name.encode("cp932").decode("cp437").encode("utf-8")
        data = data.replace(marked, name.encode("cp932").rjust(len(marked), b"_"))
    data = re.sub(rb"(PK\x03\x04.{2})\x00\x08", lambda found: found[1] + b"\0\0", data, flags=re.S)
    data = re.sub(rb"(PK\x01\x02.{4})\x00\x08", lambda found: found[1] + b"\0\0", data, flags=re.S)
    with pytest.raises(FinetuneError, match=r"_山\.txt, _+雪\.txt"):
        read_document(data)


def test_a_zip_that_unpacks_to_too_much_is_stopped():
    packed = _zip(**{"a.txt": b"a" * (files_module.LARGEST + 10)})
    assert len(packed) < 2**20
    with pytest.raises(FinetuneError, match="at most 64 MiB"):
        read_document(packed)


def test_a_zip_with_a_password_is_refused():
    data = bytearray(_named("a.txt"))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(FinetuneError, match="password-protected"):
        read_document(bytes(data))


PAGE = """<?xml version="1.0" encoding="Shift_JIS"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="ja" >
<head><meta http-equiv="Content-Type" content="text/html;charset=Shift_JIS" />
<title>ある人 駅</title><script type="text/javascript">var 雪 = 1;</script></head>
<body>
<div class="metadata"><h1 class="title">駅</h1><h2 class="author">ある人</h2></div>
<div id="contents" style="display:none"></div><div class="main_text"><br />
<div class="jisage_5" style="margin-left: 5em"><h4 class="naka-midashi"><a class="midashi_anchor" id="midashi10">一</a></h4></div>
<br />
　<ruby><rb>山道</rb><rp>（</rp><rt>やまみち</rt><rp>）</rp></ruby>の<em class="sesame_dot">終わり</em>に<img
 src="../../../gaiji/1-84/1-84-77.png" alt="※(「てへん＋劣」、第3水準1-84-77)" class="gaiji" />る&amp;駅。<br />
caf<img src="../../../gaiji/1-09/1-09-63.png" alt="※(アキュートアクセント付きE小文字)" class="gaiji" />へ、いろ／＼。<br />
見<sub class="kaeriten">二</sub>人山<sup class="okurigana">ノ</sup>国。※<span class="notes">［＃「麻かんむり／非」、123-4］</span>も。<br />
<img class="illustration" width="320" height="322" src="fig1_01.png" alt="雪の図" /><br />
<span class="warichu">（割注）</span>終。<br />
</div>
<div class="bibliographical_information"><hr /><br />底本：「本」<br />入力：人<br /></div>
<div class="notation_notes"><hr /><br />●表記について<br /><ul><li>このファイルは青空文庫</li></ul></div>
</body></html>
"""
SAID = "一\n山道の終わりに挘る&駅。\ncaféへ、いろいろ。\n見人山国。※も。\n（割注）終。"


@pytest.mark.parametrize("codec", ["cp932", "utf-8", "euc_jp"])
def test_the_xhtml_edition_is_read(codec):
    page = PAGE.replace(
        "Shift_JIS", {"cp932": "Shift_JIS", "utf-8": "UTF-8", "euc_jp": "EUC-JP"}[codec]
    )
    document = read_document(page.replace("\n", "\r\n").encode(codec))
    assert document.text == SAID.replace("※", "〓")
    assert document.cleaned and document.encoding == "XHTML"


def test_the_xhtml_edition_in_a_zip_with_a_wrong_name_of_its_encoding():
    assert read_document(_zip(**{"1.html": PAGE.encode("utf-8")})).text == SAID.replace("※", "〓")


def test_another_page_is_refused_with_the_way_to_the_text():
    page = (
        b"<html><head><title>x</title></head><body>" + "雪の話。".encode() * 99 + b"</body></html>"
    )
    with pytest.raises(FinetuneError, match=r"テキストファイル \(text file\) from its page"):
        read_document(page)


AOZORA = {
    "a whole file": (
        "題\n人\n\n-------\n【テキスト中に現れる記号について】\n\n《》：ルビ\n-------\n\n　雪《ゆき》。\n\n底本：「本」\n",
        "雪。",
        True,
    ),
    "a part out of the middle": (
        "檸檬《れもん》を買った。\n\nどう［＃「どう」に傍点］して。",
        "檸檬を買った。\nどうして。",
        True,
    ),
    "a part with the footer": (
        "　雪が降った。\n　春。\n\n　夏。\n\n底本：「本」\n",
        "雪が降った。\n春。\n夏。",
        True,
    ),
    "ruby and nothing else": ("雪《ゆき》が降《ふ》る。", "雪が降る。", True),
    "no notation": (
        "雪の夜。\n｢半角ｶﾅ｣も《夢》も、| と # も残る。",
        "雪の夜。\n｢半角ｶﾅ｣も《夢》も、| と # も残る。",
        False,
    ),
    "titles in the same brackets, a little ruby": (
        "駅《えき》で雪《ゆき》を待ち、《三四郎》と《それから》と《門》を読む。",
        "駅《えき》で雪《ゆき》を待ち、《三四郎》と《それから》と《門》を読む。",
        False,
    ),
    "other brackets": (
        "彼は《夢》と《うつつ》を、［注］と書いた。",
        "彼は《夢》と《うつつ》を、［注］と書いた。",
        False,
    ),
}


@pytest.mark.parametrize(("given", "text", "cleaned"), AOZORA.values(), ids=AOZORA)
def test_the_notation_is_recognised(given, text, cleaned):
    document = read_document(given.encode())
    assert (document.text, document.cleaned) == (text, cleaned)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data):
    try:
        assert read_document(data).text
    except FinetuneError as error:
        assert str(error)


def test_a_long_text_says_at_once_that_it_is_read(tmp_path, capsys):
    path = tmp_path / "novel.txt"
    path.write_bytes((TEXT + "\n").encode() * 4000)
    read_document(path)
    assert re.fullmatch(r"reading \S+novel\.txt \(0\.\d MB\) \.\.\.\n", capsys.readouterr().out)
    read_document(TEXT.encode())
    assert capsys.readouterr().out == ""
