"""青空文庫's notation, construct by construct: made-up lines and the plain text a reader would expect.

Run: python -m pytest -q tests/test_notation.py
"""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.finetune import notation
from training import check_notation, second_reader

FILE = """手袋の話
ためしの副題
夏目漱石

-------------------------------------------------------
【テキスト中に現れる記号について】

《》：ルビ
（例）私《わたくし》は
-------------------------------------------------------

［＃５字下げ］一［＃「一」は中見出し］

　私《わたくし》は先生一人｜麦藁帽《むぎわらぼう》を見た。［＃改ページ］
「よし」


底本：「ためし文庫」
　　　1991（平成3）年2月25日第1刷
"""

CONSTRUCTS = {
    "ruby": ("私《わたくし》は", "私は"),
    "ruby with its start": ("先生一人｜麦藁帽《むぎわらぼう》を", "先生一人麦藁帽を"),
    "ruby on kana": ("霧の｜ロンドン警視庁《スコットランドヤード》だ", "霧のロンドン警視庁だ"),
    "ruby without any note": ("雪《ゆき》が降《ふ》る", "雪が降る"),
    "ruby on the left": ("山道［＃「山道」の左に「やまみち」のルビ］を", "山道を"),
    "ruby on the left, begun and ended": (
        "［＃左にルビ付き］山道［＃左に「やまみち」のルビ付き終わり］を",
        "山道を",
    ),
    "a slip in the book's ruby": (
        "籠《ざる》［＃ルビの「ざる」は底本では「さる」］をさげ",
        "籠をさげ",
    ),
    "a note as ruby": ("［＃注記付き］名々［＃「（銘々）」の注記付き終わり］に", "名々に"),
    "ママ": ("広場へに［＃「広場へに」はママ］出た", "広場へに出た"),
    "a slip in the book": ("紋附だとか［＃「紋附だとか」は底本では「絞附だとか」］", "紋附だとか"),
    "gaiji by plane, row and cell": ("※［＃「てへん＋劣」、第3水準1-84-77］", "挘"),
    "gaiji of plane 2": ("※［＃「言＋墟のつくり」、第4水準2-88-74］《うそ》", "譃"),
    "gaiji with ruby": ("※［＃「てへん＋劣」、第3水準1-84-77］《むし》る", "挘る"),
    "gaiji by Unicode": ("※［＃「口＋愛」、U+566F、123-4］", "噯"),
    "gaiji by both codes": ("※［＃「口＋愛」、U+566F、第3水準1-84-77］", "噯"),
    "gaiji outside the basic plane": ("※［＃「土へん＋口」、U+20BB7、1-2］野家", "𠮷野家"),
    "a small kana": ("※［＃小書き片仮名ト、1-6-81］", "ㇳ"),
    "two exclamation marks": ("待て※［＃感嘆符二つ、1-8-75］", "待て‼"),
    "gaiji by description": ("※［＃「麻かんむり／非」、123-4］の字", "〓の字"),
    "gaiji by description, without a page": ("※［＃「にんべん＋蝶」］", "〓"),
    "gaiji whose note lost its ＃": ("※［「てへん＋劣」、第3水準1-84-77］る", "挘る"),
    "gaiji that are markup": (
        "※［＃始め二重山括弧、1-1-52］夢※［＃終わり二重山括弧、1-1-53］",
        "《夢》",
    ),
    "bars of a table": ("│目白の家｜物干し│\n｜○｜●｜", "│目白の家｜物干し│\n｜○｜●｜"),
    "a bar that is no markup": ("※［＃縦線、1-1-35］", "｜"),
    "a sign spelt with others": ("ルイIII［＃「III」はローマ数字3、1-13-23］世", "ルイⅢ世"),
    "dots beside a word": ("どう［＃「どう」に傍点］して", "どうして"),
    "dots begun and ended": ("［＃白丸傍点］どう［＃白丸傍点終わり］して", "どうして"),
    "a line beside a word": ("雪［＃「雪」の左に二重傍線］だ", "雪だ"),
    "bold and italic": ("［＃太字］雪［＃太字終わり］と snow［＃「snow」は斜体］", "雪と snow"),
    "a note in a note": ("挘［＃「※［＃「てへん＋劣」、第3水準1-84-77］」に傍点］る", "挘る"),
    "a note on words with a note": ("山道［＃「山［＃「山」に傍点］道」は太字］を", "山道を"),
    "brackets in a note": ("堪［＃「堪」に「［ママ］」の注記］ず", "堪ず"),
    "a note closed with 」": ("山道［＃「山道」に傍点」を行く", "山道を行く"),
    "an old note in 【 】": ("雪だ【＃「雪」に傍点】と", "雪だと"),
    "a typist's number": ("ハックニー馬［※１］のしっぽ", "ハックニー馬のしっぽ"),
    "the author's own brackets": ("［昭和三年］の雪", "［昭和三年］の雪"),
    "indentation": ("［＃ここから２字下げ］\n　本文\n［＃ここで字下げ終わり］", "本文"),
    "indentation that folds": (
        "［＃ここから改行天付き、折り返して１字下げ］\n本文\n［＃ここで字下げ終わり］",
        "本文",
    ),
    "at the foot of the line": ("そうだ。［＃地付き］（昭和二年）", "そうだ。（昭和二年）"),
    "raised from the foot": ("［＃地から２字上げ］長谷川", "長谷川"),
    "a new page": ("雪だ。\n［＃改ページ］\n［＃改丁］\n春だ。", "雪だ。\n春だ。"),
    "the middle of a page": ("［＃ページの左右中央］\n\n\n序", "序"),
    "a picture": (
        "雪だ。\n［＃雪の結晶の図（fig123_01.png、横320×縦322）入る］\n春だ。",
        "雪だ。\n春だ。",
    ),
    "a caption": ("［＃キャプション］雪の結晶［＃キャプション終わり］", "雪の結晶"),
    "figures set upright": ("米機Ｂ29［＃「29」は縦中横］の", "米機Ｂ29の"),
    "small letters at the side": ("それ（５）［＃「（５）」は行右小書き］は", "それ（５）は"),
    "a formula": ("H2［＃「2」は下付き小文字］O", "H2O"),
    "small and large type": ("［＃１段階小さな文字］（完）［＃小さな文字終わり］", "（完）"),
    "a frame": ("［＃ここから罫囲み］\n告示\n［＃ここで罫囲み終わり］", "告示"),
    "horizontal": ("［＃横組み］snow［＃横組み終わり］と", "snowと"),
    "割り注": ("説［＃割り注］西の［＃改行］説［＃割り注終わり］と", "説（西の説）と"),
    "割り注 in parentheses": ("被官（［＃割り注］家臣［＃割り注終わり］）の", "被官（家臣）の"),
    "返り点": ("見［＃二］大人所［＃一レ］敬。", "見大人所敬。"),
    "訓点送り仮名": ("山城［＃（ノ）］國", "山城國"),
    "a reading with both": ("未［＃「未」の左に「ザル」のルビ］［＃（ダ）］［＃レ］若", "未若"),
    "accents": ("〔e'tude〕と〔A` la carte〕", "étudeとÀ la carte"),
    "accents of the table": (
        "〔Fu:r Elise〕〔Franc,ais〕〔oe&uvre〕〔sto/rre〕",
        "Für EliseFrançaisœuvrestørre",
    ),
    "an elision is no accent": ("〔qu'on e'tait〕", "qu'on était"),
    "punctuation is no accent": (
        "〔E'tude: a, b. Ce'zanne, c. 1880〕",
        "Étude: a, b. Cézanne, c. 1880",
    ),
    "a comma after c ends a word": ("〔avec, e'tude〕", "avec, étude"),
    "an accent at the end": ("〔Nicolai:〕と", "Nicolaïと"),
    "accents in two lines": (
        "〔Pardonnez a` moi\nJ'en suis a` vous.〕",
        "Pardonnez à moi\nJ'en suis à vous.",
    ),
    "accents whose bracket is open": ("〔Go:ttliche Ordnung\n次の行", "Göttliche Ordnung\n次の行"),
    "brackets without accents": ("〔注：これは括弧〕", "〔注：これは括弧〕"),
    "くの字点": ("いろ／＼の", "いろいろの"),
    "くの字点, voiced": ("しみ／″＼と", "しみじみと"),
    "くの字点, three kana": ("平次はところ／″＼で", "平次はところどころで"),
    "くの字点 with a kanji": ("恐る／＼見る", "恐る恐る見る"),
    "くの字点 twice": ("はい／＼／＼", "はいはいはい"),
    "くの字点 after ruby and dots": ("代《かわ》る［＃「代る」に傍点］／″＼", "代る代る"),
    "くの字点 after a word nobody doubled": ("、ギコ／＼と", "、ギコギコと"),
    "くの字点, three kana that stand alone": ("、ぽきゅ／＼と", "、ぽきゅぽきゅと"),
    "くの字点, more kana than may be a word": ("、ぽきゅみゅ／＼と", "、ぽきゅみゅ〳〵と"),
    "くの字点 after a word that ends in a shorter one": ("水にざぶん／＼と", "水にざぶんざぶんと"),
    "くの字点, half-voiced": ("、ひた／゜＼と", "、ひたぴたと"),
    "くの字点, half-voiced, another sign": ("、ひた／°＼と", "、ひたぴたと"),
    "くの字点 that may mean much or little": ("話しは止め／＼と", "話しは止め〳〵と"),
    "a slash alone": ("１／２と／三", "１／２と／三"),
    "a heading": ("［＃３字下げ］二［＃「二」は中見出し］\n　本文", "二\n本文"),
    "spaces and empty lines": (
        "　字下げ　中の空白\n\n\n　次の段落　",
        "字下げ　中の空白\n次の段落",
    ),
}


@pytest.mark.parametrize(("marked", "plain"), CONSTRUCTS.values(), ids=CONSTRUCTS)
def test_a_construct(marked, plain):
    assert notation.plain(marked) == plain


HEADINGS = {
    "alone in its line": ("［＃３字下げ］二［＃「二」は中見出し］\n　本文", "二", "本文"),
    "同行": (
        "　一［＃「一」は同行中見出し］　私は昨日も雪を見た。",
        "一　",
        "私は昨日も雪を見た。",
    ),
    "窓": ("［＃１字下げ］岬［＃「岬」は窓小見出し］　岩が出る。", "岬　", "岩が出る。"),
    "begun and ended": ("［＃大見出し］雪《ゆき》の夜［＃大見出し終わり］\n本文", "雪の夜", "本文"),
    "begun and ended in its line": (
        "［＃同行小見出し］其一［＃同行小見出し終わり］　本文",
        "其一　",
        "本文",
    ),
    "a block": (
        "［＃ここから大見出し］\n雪の\n夜\n［＃ここで大見出し終わり］\n本文",
        "雪の\n夜",
        "本文",
    ),
    "with ruby and a note inside": (
        "第２［＃「２」は縦中横］章《しょう》［＃「第２章」は大見出し］\n本文",
        "第２章",
        "本文",
    ),
    "in the middle of a paragraph": (
        "前の文。岬［＃「岬」は窓中見出し］　岩が出る。",
        "岬",
        "前の文。　岩が出る。",
    ),
    "whose words are not there": ("岩が出る。［＃「岬」は同行中見出し］", "", "岩が出る。"),
}


@pytest.mark.parametrize(("marked", "heading", "prose"), HEADINGS.values(), ids=HEADINGS)
def test_a_heading_takes_no_more_than_its_own_words(marked, heading, prose):
    whole = notation.plain(marked)
    assert heading in whole and notation.plain(marked, headings=False) == prose
    assert sorted(whole.replace("\n", "")) == sorted((heading + prose).replace("\n", ""))


def test_a_file_falls_into_header_body_and_footer():
    header, body, footer = notation.split_file(FILE.replace("\n", "\r\n"))
    assert header == ["手袋の話", "ためしの副題", "夏目漱石"]
    assert notation.plain(body) == "一\n私は先生一人麦藁帽を見た。\n「よし」"
    assert footer.startswith("底本：「ためし文庫」") and footer.endswith("第1刷\n")


RULE = "-" * 55 + "\n"


@pytest.mark.parametrize(
    "legend",
    [
        "",
        RULE + "【テキスト中に現れる記号について】\n\n《》：ルビ\n\n｜：始まり\n" + RULE,
        "---------\n【テキスト中に現れる記号について】\n\n《》：ルビ\n---------\n",
        RULE + "《テキスト中に現れる記号について》\n《》：ルビ\n" + RULE,
        RULE + "【テキス禊中に現れる記号について】\n《》：ルビ\n" + RULE,
        RULE + "\n［＃］：入力者注　主に外字の説明や、傍点の位置の指定\n" + RULE,
        RULE + "［表記について］\n●ルビは「《ルビ》」の形式で処理した。\n" + RULE,
        "［表記について］\n●ルビは「《ルビ》」の形式で処理した。\n" + RULE,
        "［収録作品］\n海／坂\n\n［表記について］\n●ルビは「《ルビ》」の形式。\n" + "=" * 60 + "\n",
    ],
    ids=[
        "none",
        "usual",
        "short rules",
        "other brackets",
        "a slip",
        "no title",
        "old",
        "older",
        "oldest",
    ],
)
def test_a_legend_goes_and_story_between_rules_stays(legend):
    story = f"　雪が降る。\n{RULE}　手紙の文。\n{RULE}　春が来る。\n"
    header, body, footer = notation.split_file(f"題\n人\n\n{legend}\n{story}\n\n底本：「本」\n")
    assert header == ["題", "人"] and footer == "底本：「本」\n"
    assert body.strip("\n") == story.rstrip("\n")


def test_a_header_with_an_empty_line_ends_at_the_legend():
    text = f"題\n\n副題\n人\n\n{RULE}【テキスト中に現れる記号について】\n{RULE}\n本文\n\n底本：「本」\n"
    assert notation.split_file(text)[0] == ["題", "副題", "人"]


@pytest.mark.parametrize(
    "opening",
    [
        "底本：「本」",
        "底本:「本」",
        "　底本：「本」",
        "底本「本」新潮文庫",
        "底本・初出：「新青年」",
        "底本の親本：全集",
        '翻訳の底本：A. Writer (1891) "A Story"',
        "翻訳底本：A TREATISE",
        "［＃本文終わり］\nThis is a Japanese translation",
        "　　　2017（平成29）年公開\n入力：人\n校正：人",
        "入力者注１：人名について。\n底本：「本」",
        "●入力者注\n※１　馬の種類。\n\n底本：「本」",
        "-------\n●入力者注\n※１　馬の種類。\n-------\n底本：「本」",
        "※このファイルは\nテキスト入力者：人",
    ],
)
def test_a_footer_opens_with(opening):
    text = f"題\n人\n\n　底本の話をした。\n　底本を見る。\n\n\n{opening}\n2020年1月1日作成\n"
    _, body, footer = notation.split_file(text)
    assert notation.plain(body) == "底本の話をした。\n底本を見る。"
    assert footer.startswith(opening)


@pytest.mark.parametrize("end", ["\n", "\n\n\n"])
def test_of_a_file_with_credits_alone_only_the_last_paragraph_goes(end):
    text = f"題\n人\n\n　雪が降った。\n\n　春が来た。\n\n入力：人\n校正：人{end}"
    _, body, footer = notation.split_file(text)
    assert notation.plain(body) == "雪が降った。\n春が来た。"
    assert footer == f"入力：人\n校正：人{end}"


def test_a_part_of_a_work_has_no_header():
    part = "　雪が降った。\n　春が来た。\n\n　夏も来た。\n\n底本：「本」\n"
    header, body, _ = notation.split_file(part)
    assert header == [] and notation.plain(body) == "雪が降った。\n春が来た。\n夏も来た。"


@pytest.mark.parametrize(
    "header", ["「味」の話\n人", "中味と形式\n　　――堺において述――\n人", "一\n二\n三\n四\n人"]
)
def test_a_header_is_told_from_prose(header):
    lines, body, _ = notation.split_file(f"{header}\n\n　本文。\n\n底本：「本」\n")
    assert lines == [line.strip() for line in header.split("\n")] and body.strip() == "本文。"


def test_a_file_without_footer_says_so():
    assert notation.split_file("題\n人\n\n本文\n\n二つ目の段落\n")[1:] == (
        "本文\n\n二つ目の段落\n",
        "",
    )


@given(st.text(alphabet="雪国の《》｜［］＃※〔〕、。／＼″いろ1-84-77U+a'\n　", max_size=60))
def test_notation_never_fails_and_leaves_no_note(text):
    assert "\n\n" not in notation.plain(text)
    assert notation.plain("雪《ゆき》［＃改行］" + "国") == "雪国"


def test_gaiji_equal_the_codec_of_the_standard():
    """Every cell of plane 1, against Python's Shift_JIS-2004 codec (the code reads EUC).

    Two cells, backslash and tilde, are full-width in one codec and not in the other.
    """
    wrong = []
    for row in range(1, 95):
        for cell in range(1, 95):
            lead = (row + 1) // 2 + (0x80 if row < 63 else 0xC0)
            trail = cell + (0x9E if row % 2 == 0 else 0x3F + (cell > 63))
            try:
                expected = bytes([lead, trail]).decode("shift_jis_2004")
            except UnicodeDecodeError:
                expected = notation.GETA
            if notation.gaiji(f"第3水準1-{row}-{cell}") != expected:
                wrong.append((row, cell, expected))
    assert wrong == [(1, 32, "\\"), (2, 18, "~")]


CHECKED = FILE.replace(
    "見た。［",
    "見た。〔cafe' de la Paix〕で※［＃「てへん＋劣」、第3水準1-84-77］る。いろ／＼と話す。［",
)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("", "", None),
        ("「よし」", "", "lost"),
        ("先生一人", "一人", "lost"),
        ("い", "", "lost"),
        ("café de la Paix", "", "lost"),
        ("挘る", "挘る［＃「挘る」に傍点］", "［＃"),
        ("いろいろ", "いろ／＼", "くの字点"),
        ("「よし」", "「よし」\n底本：「本」", "footer"),
    ],
)
def test_the_check_of_the_library_notices(old, new, kind, tmp_path, monkeypatch):
    """Text lost or notation left, put in by hand where the first reader has none."""
    path = tmp_path / "1_ruby.txt"
    path.write_bytes(CHECKED.encode("cp932"))
    read = notation.plain
    monkeypatch.setattr(
        check_notation, "plain", lambda body, headings=True: read(body, headings).replace(old, new)
    )
    result = check_notation.compare(path)
    assert {place[0] for place in result.lost + result.left} - {"changed"} == ({kind} - {None})
    assert (result.missing > 0) == (kind == "lost")
    if kind is None:
        assert result.meant == {"accents": 1, "gaiji": 1, "くの字点": 1}


def test_the_second_reader_imports_nothing_of_ours():
    source = Path(second_reader.__file__).read_text(encoding="utf-8")
    assert not re.search(r"^\s*(?:import|from)\b", source, re.MULTILINE)
