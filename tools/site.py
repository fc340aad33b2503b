"""Build the site into build/site/: `python -m tools.site` (`make site`), and serve it: `--serve` (`make site-serve`).

Everything that a page needs is in that folder: as files for HTTP, and as scripts for a double click (file://).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.server
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from helpers import BUNDLED_MODEL, BUNDLED_PATH, OPENING_LINE
from helpers.charts import look
from helpers.console import run
from helpers.lab.presets import presets, scales
from helpers.language import get_language, set_language
from helpers.masking import words_to_mask
from helpers.settings import SamplingSettings
from tools import site_lessons
from tools.network import address_in_the_network
from tools.project import BRANCH, REPOSITORY, ROOT

SOURCE = ROOT / "site"
PAGE = SOURCE / "page"
GENERATED = ROOT / "build" / "generated"
SITE = ROOT / "build" / "site"
ZIP = "yukiguni-site.zip"
DATA = ("model.safetensors", "spiece.model")
T = TypeVar("T")


def house() -> dict[str, Any]:
    """What a page takes from helpers, so that notebook and page say and show the same; texts as {ja, en}."""
    config = _json(BUNDLED_PATH / "config.json")
    return {
        "opening": OPENING_LINE,
        "repository": REPOSITORY,
        "branch": BRANCH,
        "model": {
            "name": BUNDLED_MODEL,
            "config": config,
            "tokenizer": _json(BUNDLED_PATH / "tokenizer_config.json"),
        },
        "data": {
            "folder": f"data-{_digest(*(BUNDLED_PATH / name for name in DATA))}/",
            "bytes": {name: (BUNDLED_PATH / name).stat().st_size for name in DATA},
        },
        "look": {
            "zones": [
                {
                    "cutBy": zone,
                    "colour": colour,
                    "hatch": look.HATCH_ANGLES.get(zone or ""),
                    "label": _both(partial(look.zone_label, zone)),
                }
                for zone, colour in look.ZONE_COLOURS.items()
            ],
            "surprise": [
                {"from": least, "background": background, "underline": line}
                for least, background, line in look.SURPRISE
            ],
            "chips": list(look.CHIP_COLOURS),
            "text": look.DARK_TEXT.removeprefix("color:"),
        },
        "settings": {
            "defaults": vars(SamplingSettings()),
            "ranges": _ranges(config["n_positions"], config["vocab_size"]),
        },
        "presets": _presets(),
        "masked": [
            {"word": word, "innocent": list(innocent)} for word, innocent in words_to_mask().items()
        ],
    }


def _ranges(positions: int, vocabulary: int) -> dict[str, dict[str, Any]]:
    """For each number: from where to where, and the steps of its slider."""
    return {
        name: {
            "low": scale.low,
            "high": scale.high,
            "integer": scale.step is None,
            "scale": list(scale.steps),
        }
        for name, scale in scales(positions, vocabulary).items()
    }


def _presets() -> list[dict[str, Any]]:
    in_languages = [_both(lambda: [preset.name for preset in presets()])]
    in_languages.append(_both(lambda: [preset.why for preset in presets()]))
    return [
        {
            "name": {language: texts[i] for language, texts in in_languages[0].items()},
            "settings": vars(preset.settings),
            "why": {language: texts[i] for language, texts in in_languages[1].items()},
        }
        for i, preset in enumerate(presets())
    ]


def _both(text: Callable[[], T]) -> dict[str, T]:
    """What a function says in each language."""
    before, texts = get_language(), {}
    try:
        for language in ("ja", "en"):
            set_language(language)
            texts[language] = text()
    finally:
        set_language(before)
    return texts


def generate() -> None:
    """Write what the sources import by name: `house`, `linear-wasm` and `worker-code` (site/tsconfig.json knows them)."""
    if not (SOURCE / "node_modules").is_dir():
        raise SystemExit("npm ci --prefix site: its packages build the site.")
    GENERATED.mkdir(parents=True, exist_ok=True)
    # Written elsewhere and then put in its place: two tests may build at the same time.
    with TemporaryDirectory(dir=GENERATED.parent) as folder:
        new = Path(folder)
        text = json.dumps(house(), ensure_ascii=False, indent=1)
        (new / "house.json").write_text(text, encoding="utf-8")
        _node(
            "asc",
            "engine/linear.ts",
            *("-O3", "--runtime", "stub", "--noAssert", "--importMemory", "--initialMemory", "1"),
            *("--enable", "simd", "-o", str(new / "linear.wasm")),
        )
        _bundle(SOURCE / "engine" / "worker-entry.js", new / "worker.txt")
        for path in new.iterdir():
            path.replace(GENERATED / path.name)


def build(page: Path = PAGE, site: Path = SITE, with_lessons: bool = False) -> Path:
    """Build the site of a page's sources into a folder, which is emptied first; returns that folder.

    The lessons' pages take some ten seconds more; the lab works without them, except for its link to them.
    """
    generate()
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(page, site, ignore=shutil.ignore_patterns("*.js", "*.css", "*.ts"))
    hashed = {}
    for name in ("page.js", "page.css"):
        if (page / name).is_file():
            _bundle(page / name, site / name)
            new = site / f"{Path(name).stem}-{_digest(site / name)}{Path(name).suffix}"
            (site / name).rename(new)
            hashed[name] = new.name
    for html in site.rglob("*.html"):
        text = html.read_text(encoding="utf-8")
        for old, address in hashed.items():
            text = re.sub(
                rf'((?:src|href)="(?:\.\./)*){re.escape(old)}"', rf'\g<1>{address}"', text
            )
        html.write_text(text, encoding="utf-8")
    data = site / house()["data"]["folder"]
    data.mkdir()
    for name in DATA:
        content = (BUNDLED_PATH / name).read_bytes()
        (data / name).write_bytes(content)
        encoded = base64.b64encode(content).decode("ascii")
        (data / f"{name}.js").write_text(f'yukiguniData("{name}", "{encoded}");\n')
    if with_lessons:
        site_lessons.build(site / "lessons")
    _write_service_worker(site)
    _write_zip(site)
    return site


def _write_service_worker(site: Path) -> None:
    """The list of what is cached for use without a network.

    The data are kept by the page that loads them, and of the lessons' pages those that were opened.
    """
    files = [
        path.relative_to(site).as_posix()
        for path in sorted(site.rglob("*"))
        if path.is_file() and not path.relative_to(site).parts[0].startswith(("data-", "lessons"))
    ]
    worker = (SOURCE / "engine" / "service-worker.js").read_text(encoding="utf-8")
    values = {
        "FILES": ["./", *files],
        "VERSION": _digest(*(site / name for name in files)),
        "DATA_FILES": DATA,
        "DATA": house()["data"]["folder"],
    }
    for name, value in values.items():
        worker = worker.replace(f"__{name}__", json.dumps(value))
    (site / "service-worker.js").write_text(worker, encoding="utf-8")


def _write_zip(site: Path) -> None:
    """All for a USB stick in one file. The data are in it once, as scripts: a page opened from a stick reads these."""
    target = site.with_name(ZIP)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(site.rglob("*")):
            name = path.relative_to(site)
            as_script = path.with_name(f"{path.name}.js").is_file()
            if path.is_file() and not as_script and name.name != "service-worker.js":
                archive.write(path, f"yukiguni-site/{name.as_posix()}")
    target.rename(site / ZIP)


def _bundle(source: Path, target: Path) -> None:
    """One classic script or style sheet of a source and all that it imports."""
    imports = {"house": "house.json", "linear-wasm": "linear.wasm", "worker-code": "worker.txt"}
    _node(
        "esbuild",
        str(source),
        *("--bundle", "--minify", "--charset=utf8", "--format=iife", "--target=es2022"),
        *(
            "--legal-comments=none",
            "--loader:.wasm=binary",
            "--loader:.txt=text",
            "--log-level=warning",
        ),
        *(f"--alias:{name}={GENERATED / file}" for name, file in imports.items()),
        f"--outfile={target}",
    )


def _node(tool: str, *arguments: str) -> None:
    command = [str(SOURCE / "node_modules" / ".bin" / tool), *arguments]
    subprocess.run(command, cwd=SOURCE, check=True)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _digest(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the site; what has a hash in its name is kept by the browser, all else is asked for again."""

    protocol_version = "HTTP/1.1"
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".webmanifest": "application/manifest+json",
    }

    def send_response(self, code: int, message: str | None = None) -> None:
        self.status = code
        super().send_response(code, message)

    def end_headers(self) -> None:
        hashed = re.search(r"-[0-9a-f]{10}[./]", self.path)
        kept = "public, max-age=31536000, immutable" if hashed else "no-cache"
        # What is not there today may be there tomorrow.
        self.send_header("Cache-Control", kept if self.status < 400 else "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Thirty tablets would fill the screen, and the QR code would be gone."""


def server(port: int, folder: Path = SITE, host: str = "") -> http.server.ThreadingHTTPServer:
    """A server of the built site, not yet running; with port 0 the system chooses one."""
    return http.server.ThreadingHTTPServer((host, port), partial(Handler, directory=folder))


def serve(port: int, folder: Path = SITE) -> None:
    """Serve the built site to the room until Ctrl+C, its address as text and as a QR code on the terminal."""
    import segno

    if not (folder / "index.html").is_file():
        raise SystemExit("There is no site yet: make site")
    with server(port, folder) as running:
        host = address_in_the_network()
        address = f"http://{host or '127.0.0.1'}:{running.server_port}/"
        segno.make(address, error="m").terminal(compact=True)
        if host is None:
            print(
                "このパソコンはネットワークにつながっていないので、このアドレスは、このパソコンからしか開けません。/ "
                "This machine is in no network: only it can open that address."
            )
        try:
            # Whoever reads this may press Ctrl+C at once.
            print(f"{address}\nCtrl+C で終わります。 / Ctrl+C ends it.", flush=True)
            running.serve_forever()
        except KeyboardInterrupt:
            print()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generate", action="store_true", help="only what the sources import")
    parser.add_argument("--serve", action="store_true", help="serve what was built")
    parser.add_argument("--port", type=int, default=8765)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.port)
    elif arguments.generate:
        generate()
    else:
        folder = build(with_lessons=True)
        size = (folder / ZIP).stat().st_size / 1e6
        print(f"{folder}/index.html\n{folder / ZIP} ({size:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
