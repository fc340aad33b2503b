"""Hold `helpers.finetune.notation` to the whole library: ``python -m training.check_notation``.

Each file is read twice, by `helpers.finetune.notation` and by `training.second_reader`. Printed are, by kind, the places where
more than a note's own characters went, and those where notation is left. Two limits must hold (exit status 1 if not):
no work loses more than 2% of the characters of its note-free reading, and fewer than 0.1% of works have notation left.
"""

import argparse
import difflib
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from helpers.console import run
from helpers.finetune.notation import plain, split_file
from training.second_reader import note_free

HERE = Path(__file__).parent
LOSS_LIMIT = 0.02
LEFT_LIMIT = 0.001

# Kinds of difference that are meant, and why.
MEANT = {
    "gaiji": "※ and its note become the character, or 〓 where the note names no code",
    "くの字点": "／＼ becomes the word that it repeats, or 〳〵 where that is not certain",
    "accents": "〔e'〕 becomes é; the brackets were the notation's",
    "one character": "III with a note that calls it Ⅲ becomes Ⅲ",
    "割り注": "small type in two lines is kept apart by （ ）",
    "bar": "a ｜ with no ruby after it is not notation but a bar in the text (tables, lists)",
    "typist's number": "［※１］ in old files refers to notes of who typed the text, which go with the footer",
    "slip": "a note opened or closed with another sign than ［＃ and ］: the first reader knows it, the second does not",
}
_SPECIAL = re.compile(r"(※(?:［[^＃［］]*］)?)|(／[″゛”\"゜°]?＼)|(〔[^〔〕]*(?:〕|$))")
_LEFT = {
    "［＃": re.compile(r"［＃|※［"),
    "《》": re.compile(r"《[^《》\n]*》"),
    "くの字点": re.compile(r"／[″゛”\"゜°]?＼"),
    "accents": re.compile(r"〔[A-Za-z ,.]*[A-Za-z][`^~'](?=[A-Za-z])[^〕\n]*〕"),
    "legend": re.compile(
        r"^.?テキス.?中に現れる記号|^(?:《》|｜|［＃］|)：(?:ルビ|入力者注)", re.M
    ),
    "footer": re.compile(r"^底本[：:]|^青空文庫作成ファイル", re.M),
}
# What stays, and why.
ACCEPTED = {
    (
        "1328_ruby.txt",
        "［＃",
    ): "a slip of the file: ※［ for a character, without a note and without an end",
    ("55745_ruby_49421.txt", "［＃"): "the work speaks of this notation",
    (
        "49078_ruby_39540.txt",
        "accents",
    ): "French in brackets without an accent: qu'un is an elision",
    (
        "59606_ruby_67436.txt",
        "accents",
    ): "French in brackets without an accent: l'Institut is an elision",
}


class Result(NamedTuple):
    """What two readings of one file say of each other; `lost` and `left` hold (kind, excerpt)."""

    name: str
    characters: int
    missing: int
    headings: int
    meant: Counter
    lost: list[tuple[str, str]]
    left: list[tuple[str, str]]


def compare(path: Path) -> Result:
    """Read one file twice and name the differences."""
    text = path.read_bytes().decode("cp932", "replace")
    body = split_file(text)[1]
    ours, prose, other = plain(body), plain(body, headings=False), note_free(text)
    meant: Counter[str] = Counter()
    lost, missing = [], 0
    for mine, theirs in _pairs(ours.split("\n"), other):
        kinds = Counter() if mine == theirs else _explained(mine, theirs)
        if kinds is None:
            for kind, excerpt, count in _differences(mine, theirs):
                if kind in MEANT:
                    meant[kind] += 1
                else:
                    lost.append((kind, excerpt))
                    missing += count
        else:
            meant.update(kinds)
    left = [
        (kind, ours[max(0, found.start() - 12) : found.end() + 12].replace("\n", " "))
        for kind, pattern in _LEFT.items()
        for found in pattern.finditer(ours)
        if not _said_by_a_note(kind, found[0], body)
    ]
    size = sum(len("".join(line.split())) for line in other)
    return Result(path.name, size, missing, len(ours) - len(prose), meant, lost, left)


def _said_by_a_note(kind: str, found: str, body: str) -> bool:
    """The author's own 《 and 》 are written as gaiji notes: these are not ruby."""
    return kind == "《》" and bool(re.search(r"※［＃(?:始め|終わり)?二重山括弧", body))


def _pairs(ours: list[str], other: list[str]) -> Iterator[tuple[str, str]]:
    """Lines that belong together; a line without a partner is paired with ""."""
    if len(ours) == len(other):
        yield from zip(ours, other, strict=True)
        return
    blocks = difflib.SequenceMatcher(None, ours, other, autojunk=False).get_opcodes()
    for kind, a, b, c, d in blocks:
        if kind == "replace" and b - a == d - c:
            yield from zip(ours[a:b], other[c:d], strict=True)
        elif kind != "equal":
            yield "\n".join(ours[a:b]), "\n".join(other[c:d])


def _explained(mine: str, theirs: str) -> Counter | None:
    """The kinds of special signs of a line if nothing else differs, else None.

    What stands between the signs must be in both, in order, and no further apart than a sign can be long.
    """
    kinds: Counter[str] = Counter()
    at, last, room, shorter = 0, 0, 0, 0
    for found in _SPECIAL.finditer(theirs):
        shorter += len(found[1] or "") + len(re.findall("[`'^~:&,_/@〔〕]", found[3] or ""))
        at = _after(mine, theirs[last : found.start()], at, room)
        if at < 0:
            return None
        last = found.end()
        if found[1]:
            kinds["gaiji"] += 1
            room = 2
        elif found[2]:
            kinds["くの字点"] += 1
            room = 7
        else:
            kinds["accents"] += "〔" not in mine[at : at + 1]
            room = len(found[3])
    if len(theirs) - len(mine) > shorter:
        return None
    at = _after(mine, theirs[last:], at, room)
    return kinds if at == len(mine) or (at >= 0 and mine.endswith(theirs[last:])) else None


def _after(text: str, literal: str, start: int, room: int) -> int:
    """Where `literal` ends in `text` if it begins at most `room` after `start`, else -1."""
    found = text.find(literal, start, start + room + len(literal))
    return found if found < 0 else found + len(literal)


def _differences(mine: str, theirs: str) -> Iterator[tuple[str, str, int]]:
    """(kind, excerpt, characters missing) for each place where two lines differ."""
    for kind, a, b, c, d in difflib.SequenceMatcher(None, mine, theirs, False).get_opcodes():
        if kind == "equal":
            continue
        new, old = mine[a:b], theirs[c:d]
        around = theirs[max(0, c - 15) : d + 15].replace("\n", "/")
        if "※" in old or "※" in theirs[max(0, c - 2) : c]:
            name = "gaiji"
        elif set(old) & set("／＼") or "〳" in new:
            name = "くの字点"
        elif not old and set(new) <= set("（）"):
            name = "割り注"
        elif not old.strip() and new.strip() == "｜":
            name = "bar"
        elif re.fullmatch(r"［?※?[０-９0-9～、]+］?", old) and not new:
            name = "typist's number"
        elif re.fullmatch(r"[IVXivx0-9゛゜ァ-ヶぁ-ん!?！？―（）() ]{1,9}", old) and len(new) in (
            1,
            2,
        ):
            name = "one character"
        elif re.fullmatch(r"[A-Za-z`'^~:&,_/@〔〕]{1,5}", old) and re.search("[〔〕]", theirs):
            name = "accents"
        elif "＃" in theirs[max(0, c - 40) : d + 2]:
            name = "slip"
        else:
            name = "lost" if len(old) > len(new) else "changed"
        missing = len("".join(old.split())) - len("".join(new.split()))
        yield name, f"{around!r}: {old[:60]!r} -> {new[:60]!r}", max(0, missing)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, default=HERE / "work" / "aozorabunko_text")
    parser.add_argument("--examples", type=int, default=200, help="places shown of each kind")
    args = parser.parse_args()
    files = sorted(args.texts.glob("cards/**/*.txt"))
    if not files:
        parser.error(f"{args.texts} has no cards/**/*.txt; clone aozorahack/aozorabunko_text there")
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        results = list(tqdm(pool.map(compare, files, chunksize=32), total=len(files), unit="file"))

    meant = sum((result.meant for result in results), Counter())
    print(f"{len(results)} works, {sum(r.characters for r in results)} characters without notes")
    print("\nDifferences that are meant:")
    for kind, reason in MEANT.items():
        works = sum(kind in result.meant for result in results)
        print(f"  {kind}: {meant[kind]} places in {works} works: {reason}")
    headings = sum(result.headings for result in results)
    print(f"  headings, left out of the corpus only: {headings} characters")
    for title, field in (("More than a note went", "lost"), ("Notation left", "left")):
        places = defaultdict(list)
        for result in results:
            for kind, excerpt in getattr(result, field):
                places[kind].append(f"{result.name}: {excerpt}")
        print(f"\n{title}:")
        for kind, lines in places.items():
            print(f"  {kind}: {len(lines)} places")
            for line in lines[: args.examples]:
                print(f"    {line}")

    losing = [r for r in results if r.missing > LOSS_LIMIT * max(1, r.characters)]
    leaving = [r for r in results if r.left]
    stays = [(r.name, kind) for r in results for kind, _ in r.left if (r.name, kind) in ACCEPTED]
    print("\nNotation that stays, with its reason:")
    for place in dict.fromkeys(stays):
        print(f"  {place[0]}: {place[1]}: {ACCEPTED[place]}")
    share = len(leaving) / len(results)
    print(f"\n{len(losing)} works lose more than {LOSS_LIMIT:.0%} (none may)")
    for result in losing:
        print(f"  {result.name}: {result.missing} of {result.characters} characters")
    print(f"{len(leaving)} works have notation left: {share:.3%} (less than {LEFT_LIMIT:.1%})")
    return int(bool(losing) or share >= LEFT_LIMIT)


if __name__ == "__main__":
    sys.exit(run(main))
