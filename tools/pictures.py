"""Pictures in prose: HTML drawn by Chromium to a PNG that travels inside the notebook.

Colab shows no attachments of cells, GitHub and offline readers fetch nothing: what all of them show is an image
whose bytes stand in the Markdown, at the cell's end. Its name follows its content, so an unchanged one is kept
and a rebuild leaves no trace, whatever browser and fonts draw it.
"""

import base64
import hashlib
import io
import re
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from tools.browser import FLAGS, find_browser
from tools.facts import WIDTH

_PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 16px; box-sizing: border-box; width: {width}px; background: #fff; color: #1a1a1a;
  font: 15px/1.5 "Noto Sans CJK JP", "Noto Sans JP", "Hiragino Sans", "Yu Gothic", sans-serif }}
</style><body>{html}</body>"""


def shown(name: str, html: str, alt: str, width: int = WIDTH) -> tuple[str, str]:
    """A picture's place in prose, and the name that it is known by in the definition at the cell's end."""
    label = f"{name}-{hashlib.sha256(f'{width} {html}'.encode()).hexdigest()[:8]}"
    return f"![{re.sub(r'[][]', '', alt)}][{label}]", label


def definitions(markdown: str) -> dict[str, str]:
    """The pictures that a prose cell defines: each name with its address of data."""
    return dict(re.findall(r"^\[([\w-]+)\]: (data:image/png;base64,\S+)$", markdown, re.MULTILINE))


def without_definitions(markdown: str) -> str:
    """A prose cell without the bytes of its pictures."""
    return re.sub(r"\n+^\[[\w-]+\]: data:image/png;base64,\S+$", "", markdown, flags=re.MULTILINE)


def draw(html: str, width: int = WIDTH) -> str:
    """HTML or SVG as a PNG, in an address of data; `width` in CSS pixels.

    Raises:
        RuntimeError: if there is no browser to draw with.
    """
    browser = find_browser()
    if browser is None:
        raise RuntimeError(
            "Pictures are drawn by Chromium or Chrome: python -m tools.browser adds one."
        )
    with tempfile.TemporaryDirectory() as folder:
        page, picture = Path(folder, "page.html"), Path(folder, "picture.png")
        page.write_text(_PAGE.format(width=width, html=html), encoding="utf-8")
        command = [str(browser), "--headless", *FLAGS, f"--user-data-dir={folder}/profile"]
        command += ["--hide-scrollbars", "--force-device-scale-factor=1.5"]
        command += [f"--window-size={width},2000", f"--screenshot={picture}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        with Image.open(picture) as image:
            drawn = image.convert("RGB")
    lowest = Image.eval(drawn.convert("L"), lambda grey: 255 - grey).getbbox()
    bottom = (lowest[3] if lowest else 0) + 24
    small = drawn.crop((0, 0, drawn.width, min(bottom, drawn.height))).quantize(64)
    file = io.BytesIO()
    small.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
