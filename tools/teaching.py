"""The teacher's kit in build/teaching/: `make kit`. Sheets as PDF, .docx and a page to fill in; slides as HTML and PDF.

One Markdown source holds a sheet for pupils and its key. `{{line}}` and `{{long}}` are places to write,
`{{line:name}}` and `{{long:name}}` have a name on the page to fill in, `{{key:…}}` is what stands there in the key,
`{{answer:…}}` and `{{keynote:…}}` stand in the key alone, and `{tokens}` is a fact computed when the kit is made.
"""

import argparse
import html
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pypandoc

from helpers.console import run
from tools.browser import FLAGS, find_browser
from tools.project import ROOT

SOURCES = ROOT / "docs" / "teaching"
BUILT = ROOT / "build" / "teaching"
SHEETS = ("worksheet", "quiz")
EDITIONS = ("ja", "en")
MARP = "@marp-team/marp-cli@4.5.1"
THANKS = "ありがとうございます。"
# The nine words' scores in lesson 03.
SCORES = [3.0, 2.4, 2.0, 1.5, 1.2, 0.8, -0.5, -1.0, -3.0]

_HOLDER = re.compile(r"\{\{(line|long|key|answer|keynote)(?::(.*?))?\}\}")
_STYLE = """@page { size: A4; margin: 12mm }
body { font: 10pt/1.45 "Noto Sans CJK JP", "Noto Sans JP", "Hiragino Sans", "Yu Gothic", "Noto Color Emoji", sans-serif; color: #111;
  background: #fff; max-width: 182mm; margin: 0 auto }
@media screen { body { padding: 4mm } }
h1 { font-size: 16pt } h2 { font-size: 13pt }
table { border-collapse: collapse; width: 100% } col { width: auto !important } td, th { border: 1px solid #777; padding: 1.8mm; vertical-align: top }
td:first-child { width: 5mm } td:nth-child(2) { width: 42% } td:nth-child(4) { width: 30% }
.long { display: block; border-bottom: 1px solid #777; height: 8mm } .line { display: inline-block; min-width: 20mm }
ol .line { display: block; border-bottom: 1px solid #777; height: 9mm } .key { color: #b00020 }
p input { width: 7em } p:first-of-type .line { min-width: 22mm; border-bottom: 1px solid #777 }
input, textarea { font: inherit; box-sizing: border-box; border: 1px solid #777; border-radius: 4px; padding: 4px }
td input, li input, textarea { width: 100% }
@media print { button { display: none } input, textarea { border: 0 } }"""
# What is written is kept in the browser, printed, or saved as a text file; nothing is sent.
_FILL_IN = """const places = [...document.querySelectorAll("input, textarea")], name = document.title;
places.forEach((place, i) => { place.value = localStorage.getItem(name + i) ?? "";
  place.addEventListener("input", () => localStorage.setItem(name + i, place.value)); });
document.querySelector("#print").onclick = () => print();
document.querySelector("#save").onclick = () => { const link = document.createElement("a");
  const text = places.map((place) => `${place.title}: ${place.value}`).join("\\n");
  const who = places.filter((place) => place.matches("p input")).map((place) => place.value).filter(Boolean);
  link.href = URL.createObjectURL(new Blob([name + "\\n" + text + "\\n"], { type: "text/plain" }));
  link.download = [name, ...who].join("-") + ".txt"; link.click(); };
document.querySelector("#clear").onclick = (event) => { if (confirm(event.target.textContent)) {
  places.forEach((place, i) => { place.value = ""; localStorage.removeItem(name + i); }); } };"""
_BUTTONS = {
    "ja": {
        "print": "印刷する",
        "save": "ファイルに保存する",
        "clear": "全部消す（次の人のために）",
    },
    "en": {"print": "Print", "save": "Save as a file", "clear": "Clear all (for the next person)"},
}


def facts() -> dict[str, str]:
    """What the keys tell of the bundled model and of lesson 03's lottery."""
    import torch

    from helpers.tokenizer import load_tokenizer

    tokens = load_tokenizer().encode(THANKS, add_special_tokens=False)
    scores = torch.tensor(SCORES)
    falls, cold = scores.softmax(-1)[0].item(), (scores / 0.2).softmax(-1)[0].item()
    torch.manual_seed(42)
    drawn = torch.multinomial(scores.softmax(-1), num_samples=100, replacement=True)
    spread = 1.96 * (100 * falls * (1 - falls)) ** 0.5  # 19 of 20 tries lie within
    return {
        "tokens": str(len(tokens)),
        "falls": f"{100 * falls:.1f}",
        "cold": f"{100 * cold:.1f}",
        "low": str(round(100 * falls - spread)),
        "high": str(round(100 * falls + spread)),
        "seen": str(int((drawn == 0).sum())),
    }


def sheet(source: str, known: dict[str, str], key: bool, fill_in: bool = False) -> str:
    """A sheet's Markdown, for pupils or with the key, on paper or to be filled in on a screen."""
    for name, value in known.items():
        source = source.replace(f"{{{name}}}", value)
    row, line = re.compile(r"\|\s*(\d+)\s*\||(\d+)\."), ""

    def place(match: re.Match[str]) -> str:
        kind, words = match[1], match[2] or ""
        if kind in ("answer", "keynote"):
            return f'<span class="key">{words}</span>' if key else ""
        if kind == "key" and key:
            return f'<span class="key">{words}</span>'
        if not fill_in:
            return f'<span class="{"long" if kind == "long" else "line"}"></span>'
        numbered = row.match(line)
        name = f"{numbered[1] or numbered[2]}{' →' * (kind == 'key')}" if numbered else words
        if kind == "long":
            return f'<textarea rows="2" title="{name}" aria-label="{name}"></textarea>'
        return f'<input title="{name}" aria-label="{name}">'

    lines = []
    for line in source.split("\n"):
        lines.append(_HOLDER.sub(place, line))
    return "\n".join(lines)


def page(markdown: str, edition: str, fill_in: bool = False) -> str:
    """A sheet as one HTML page that needs no other file."""
    body = pypandoc.convert_text(markdown, "html", format="markdown")
    title = html.escape(re.search(r"^# (.*)$", markdown, re.MULTILINE)[1])  # type: ignore[index]  # every sheet begins with a title
    if fill_in:
        buttons = (f'<button id="{b}">{words}</button>' for b, words in _BUTTONS[edition].items())
        body += f"<p>{' '.join(buttons)}</p><script>{_FILL_IN}</script>"
    return (
        f'<!DOCTYPE html><html lang="{edition}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body>{body}</body></html>"
    )


def print_to_pdf(page_file: Path, pdf: Path) -> None:
    """Have Chromium print a page.

    Raises:
        RuntimeError: if there is no browser.
    """
    browser = find_browser()
    if browser is None:
        raise RuntimeError(
            "PDFs are printed by Chromium or Chrome: python -m tools.browser adds one."
        )
    with tempfile.TemporaryDirectory() as profile:
        command = [str(browser), "--headless", *FLAGS, f"--user-data-dir={profile}"]
        command += ["--no-pdf-header-footer", f"--print-to-pdf={pdf}", page_file.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


def make_sheets(folder: Path) -> list[Path]:
    """All sheets of both editions, for pupils and with the key; returns the files."""
    known, made = facts(), []
    for name in SHEETS:
        for edition in EDITIONS:
            source = (SOURCES / f"{name}.{edition}.md").read_text(encoding="utf-8")
            for key in (False, True):
                stem = f"{name}.{edition}{'.key' if key else ''}"
                markdown = sheet(source, known, key)
                written = folder / f"{stem}.html"
                written.write_text(page(markdown, edition), encoding="utf-8")
                print_to_pdf(written, folder / f"{stem}.pdf")
                written.unlink()
                blank = "＿" * (30 if name == "quiz" else 8)
                on_paper = markdown.replace('<span class="line"></span>', blank)
                on_paper = on_paper.replace('<span class="long"></span>', "＿" * 30 + "\n\n")
                on_paper = re.sub(r'<span class="key">(.*?)</span>', r"**\1**", on_paper)
                docx = str(folder / f"{stem}.docx")
                pypandoc.convert_text(on_paper, "docx", format="markdown", outputfile=docx)
                made += [folder / f"{stem}.pdf", Path(docx)]
            to_fill_in = folder / f"{name}.{edition}.html"
            markdown = sheet(source, known, key=False, fill_in=True)
            to_fill_in.write_text(page(markdown, edition, fill_in=True), encoding="utf-8")
            made.append(to_fill_in)
    return made


def make_slides(folder: Path) -> list[Path]:
    """The slides of both editions as HTML and PDF, by Marp; returns the files."""
    made = []
    for edition in EDITIONS:
        for kind in ("html", "pdf"):
            made.append(folder / f"slides.{edition}.{kind}")
            command = [
                "npx",
                "--yes",
                MARP,
                str(SOURCES / f"slides.{edition}.md"),
                "-o",
                str(made[-1]),
            ]
            command += ["--config-file", str(SOURCES / "marp.config.mjs")]
            if browser := find_browser():
                command += ["--browser", "chrome", "--browser-path", str(browser)]
            # It looks at its standard input for Markdown unless there is none.
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=300)
    return made


def main(arguments: list[str]) -> int:
    """Make the kit; the slides need Node."""
    parser = argparse.ArgumentParser(prog="make kit", description=__doc__)
    parser.add_argument("--no-slides", action="store_true", help="without Marp, which needs Node")
    chosen = parser.parse_args(arguments)
    BUILT.mkdir(parents=True, exist_ok=True)
    made = make_sheets(BUILT) + ([] if chosen.no_slides else make_slides(BUILT))
    print(*(file.relative_to(ROOT) for file in made), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
