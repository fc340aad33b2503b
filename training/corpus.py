"""Choose the works, strip their markup, split them: ``python -m training.corpus``."""

import argparse
import csv
import hashlib
import json
import os
import re
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from helpers.console import run
from helpers.finetune.notation import plain, split_file

HERE = Path(__file__).parent
LAST_YEAR = 1967  # authors who died in this year or before are in the public domain in Japan
AUTHOR_CAP = 8_000_000  # characters of one author in the training split, so that no one dominates
OLD_KANA_LIMIT = 0.2
SENTENCE_LIMIT = 0.6
SHORTEST = 400  # characters
ROLES = ("train", "train-only", "held-out")

_OLD = re.compile(r"[ゐゑヰヱ]|(?<!か)つ[たて]|やう|らう|せう|[いふ思言云]ふ|でせ")
_MODERN = re.compile(r"っ[たて]|よう|ろう|しょう|[い思言云]う")
_OTHER_PERSON = re.compile(r"訳|編|校訂|校註|校注|作詞|作曲|Translat|Retold|共著")


class Author(NamedTuple):
    """One row of authors.csv.

    `role` is "train" (works go to training, validation and test), "train-only" (an author who came
    after the works of validation and test had been drawn, so that these stay as they are) or "held-out".
    """

    person_id: str
    name: str
    died: int
    role: str
    aliases: tuple[str, ...]


class Work(NamedTuple):
    """One work of the corpus. `split` is "train", "validation", "test" or "held-out"."""

    work_id: str
    person_id: str
    author: str
    title: str
    split: str
    text: str


def read_authors(path: Path = HERE / "authors.csv") -> dict[str, Author]:
    """Read the author table, keyed by person id.

    Raises ValueError for a year after 1967 or an unknown role.
    """
    authors = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            aliases = tuple(filter(None, row["aliases"].split(";")))
            author = Author(row["person_id"], row["name"], int(row["died"]), row["role"], aliases)
            if author.died > LAST_YEAR:
                raise ValueError(
                    f"{author.name} died in {author.died}; only authors who died in {LAST_YEAR} "
                    f"or before are in the public domain in Japan. Take the row out of {path}."
                )
            if author.role not in ROLES:
                raise ValueError(
                    f"{author.name} has the role {author.role!r} in {path}; "
                    f"use one of {', '.join(ROLES)}."
                )
            authors[author.person_id] = author
    return authors


def old_kana_share(text: str) -> float:
    """Share (0 to 1) of old spellings among the spots where old and modern kana differ."""
    old = len(_OLD.findall(text))
    modern = len(_MODERN.findall(text))
    return old / (old + modern) if old + modern else 0.0


def sentence_share(text: str) -> float:
    """Share (0 to 1) of characters in paragraphs that end like a sentence; verse has few."""
    ended = sum(len(line) for line in text.split("\n") if line[-1:] in "。」』）)？！?!…―─.．")
    return ended / max(1, len(text))


def split_of(author: Author, title: str) -> str:
    """The split a title belongs to: a fixed function of author and title.

    All volumes and editions of one title share a split, so that none leaks into another.
    """
    if author.role == "held-out":
        return "held-out"
    if author.role == "train-only":
        return "train"
    digest = hashlib.sha256(f"{author.person_id}/{title}".encode()).digest()
    bucket = int.from_bytes(digest[:4], "big") % 1000
    return "validation" if bucket < 10 else "test" if bucket < 30 else "train"


def read_work(path: Path, author: Author) -> Work | str:
    """Read one file of 青空文庫; return the work, or in one word why it is left out."""
    try:
        text = path.read_bytes().decode("cp932")
    except UnicodeDecodeError:
        return "undecodable"
    header, body, footer = split_file(text)
    if "クリエイティブ・コモンズ" in text or "creativecommons" in text.lower():
        return "creative-commons"
    if not footer:
        return "no-footer"
    people = header[-1].replace(" ", "").replace("\u3000", "")
    if len(header) < 2 or people not in (author.name, *author.aliases):
        return "other-person"
    if any(_OTHER_PERSON.search(line) for line in header[1:]) or "翻訳" in footer:
        return "other-person"
    text = plain(body, headings=False)  # a heading is not prose
    if len(text) < SHORTEST:
        return "short"
    if old_kana_share(text) > OLD_KANA_LIMIT:
        return "old-kana"
    if sentence_share(text) < SENTENCE_LIMIT:
        return "verse"
    title = " ".join(header[:-1])
    return Work(
        path.name.split("_")[0],
        author.person_id,
        author.name,
        title,
        split_of(author, header[0]),
        text,
    )


def read_catalogue(path: Path, authors: dict[str, Author]) -> set[str]:
    """Work ids that the library's own catalogue (CSV, UTF-8) allows.

    A work stays if its spelling is 新字新仮名, the work is free of copyright, and every person
    named with it, in whatever role, is free of copyright and in the author table.
    """
    allowed: set[str] = set()
    refused: set[str] = set()
    with open(path, encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            author = authors.get(row["人物ID"].zfill(6))
            free = row["作品著作権フラグ"] == row["人物著作権フラグ"] == "なし"
            good = free and row["文字遣い種別"] == "新字新仮名" and author is not None
            (allowed if good else refused).add(row["作品ID"].lstrip("0"))
    return allowed - refused


def _read(job: tuple[Path, Author]) -> Work | str:
    return read_work(*job)


def build(texts: Path, work_dir: Path, catalogue: Path | None = None) -> dict:
    """Write ``corpus.jsonl`` (one Work a line) and ``corpus.json`` (counts) into `work_dir`.

    `texts` is a checkout of https://github.com/aozorahack/aozorabunko_text. Returns the counts.
    Raises FileNotFoundError if `texts` has no ``cards`` folder.
    """
    if not (texts / "cards").is_dir():
        raise FileNotFoundError(
            f"{texts} has no folder 'cards'; clone "
            "https://github.com/aozorahack/aozorabunko_text there, or give --texts."
        )
    authors = read_authors()
    allowed = read_catalogue(catalogue, authors) if catalogue else None
    jobs = []
    for author in authors.values():
        for path in sorted((texts / "cards" / author.person_id / "files").glob("*/*.txt")):
            if allowed is None or path.name.split("_")[0] in allowed:
                jobs.append((path, author))
    left_out: Counter[str] = Counter()
    works, seen = [], set()
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        for result in tqdm(pool.map(_read, jobs, chunksize=32), total=len(jobs), unit="file"):
            if isinstance(result, str):
                left_out[result] += 1
            elif (result.person_id, result.title) in seen:
                left_out["second-edition"] += 1
            else:
                seen.add((result.person_id, result.title))
                works.append(result)
    # A fixed shuffle: what an author's cap cuts off, and the order of training, depend on it.
    works.sort(key=lambda work: hashlib.sha256(work.work_id.encode()).digest())
    used: Counter[str] = Counter()
    counts: dict[str, dict[str, int]] = {}
    work_dir.mkdir(parents=True, exist_ok=True)
    partial = work_dir / "corpus.jsonl.partial"
    with open(partial, "w", encoding="utf-8") as file:
        for work in works:
            if work.split == "train":
                if used[work.person_id] + len(work.text) > AUTHOR_CAP:
                    left_out["author-cap"] += 1
                    continue
                used[work.person_id] += len(work.text)
            count = counts.setdefault(work.split, {"works": 0, "characters": 0})
            count["works"] += 1
            count["characters"] += len(work.text)
            file.write(json.dumps(work._asdict(), ensure_ascii=False) + "\n")
    partial.replace(work_dir / "corpus.jsonl")
    summary = {
        "catalogue": bool(catalogue),
        "files": len(jobs),
        "splits": counts,
        "left_out": dict(left_out.most_common()),
        "training_characters": {authors[p].name: n for p, n in used.most_common()},
    }
    (work_dir / "corpus.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1) + "\n")
    return summary


def read_corpus(work_dir: Path, *splits: str) -> list[Work]:
    """Works of the given splits (all, if none is given), in corpus order.

    Raises FileNotFoundError if the corpus has not been built.
    """
    path = work_dir / "corpus.jsonl"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; run: python -m training.corpus")
    with open(path, encoding="utf-8") as file:
        works = (Work(**json.loads(line)) for line in file)
        return [work for work in works if not splits or work.split in splits]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=HERE / "work")
    parser.add_argument("--texts", type=Path, help="default: WORK_DIR/aozorabunko_text")
    parser.add_argument("--catalogue", type=Path, help="list_person_all_extended_utf8.csv")
    args = parser.parse_args()
    texts = args.texts or args.work_dir / "aozorabunko_text"
    print(json.dumps(build(texts, args.work_dir, args.catalogue), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    sys.exit(run(main))
