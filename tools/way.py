"""The way through a language model as one drawing, a round trip, with "you are here" at its stations."""

# Each station's name in `{{way NAME}}`, and its lines in either language. The first three go right, the others back.
STATIONS = {
    "text": ("文", "text"),
    "ids": ("トークンの id", "token ids"),
    "vectors": ("ベクトル", "vectors"),
    "blocks": ("ブロック\n× 層の数", "blocks\n× layers"),
    "scores": ("点数\n（logits）", "scores\n(logits)"),
    "lottery": ("くじ引き", "lottery"),
}
WIDTH = 500  # CSS pixels that the drawing takes
_BOX, _GAP, _HIGH, _ROW = 124, 44, 52, 96
_HERE = {"ja": "このレッスン", "en": "this lesson"}
_AGAIN = {"ja": "引いたトークンを足して、繰り返す", "en": "append the drawn token, repeat"}
_ALT = {
    "ja": "文がトークンの id、ベクトル、ブロック、点数、くじ引きを通って、また文に戻る図。{here}",
    "en": "From text to token ids, vectors, blocks, scores, the lottery and back to the text. {here}",
}


def drawing(edition: str, *here: str) -> str:
    """The SVG of the way from text to a drawn token and back; the stations named `here` are marked.

    Raises:
        ValueError: if there is no such station.
    """
    if unknown := set(here) - set(STATIONS):
        raise ValueError(
            f"no station {', '.join(sorted(unknown))}; there are {', '.join(STATIONS)}."
        )
    parts = []
    for place, (name, lines) in enumerate(STATIONS.items()):
        x, y = _corner(place)
        marked = name in here
        fill, ink, edge = (
            ("#1f5fa8", "#fff", "#1f5fa8") if marked else ("#f4f1ea", "#1a1a1a", "#999")
        )
        parts.append(
            f'<rect x="{x}" y="{y}" width="{_BOX}" height="{_HIGH}" rx="8" fill="{fill}" stroke="{edge}"/>'
        )
        words = lines[("ja", "en").index(edition)].split("\n")
        for row, word in enumerate(words):
            middle = y + _HIGH / 2 + 5 + (row - (len(words) - 1) / 2) * 18
            parts.append(_text(x + _BOX / 2, middle, word, ink))
        if marked:
            sign, beside = ("▼", y - 7) if place < 3 else ("▲", y + _HIGH + 19)
            parts.append(_text(x + _BOX / 2, beside, f"{sign} {_HERE[edition]}", "#1f5fa8"))
        parts.append(_arrow(place))
    again = _corner(5)[1] - (_ROW - _HIGH) / 2 + 5
    parts.append(_text(_BOX / 2 + 14, again, _AGAIN[edition], "#333", anchor="start"))
    size = f'width="{3 * _BOX + 2 * _GAP + 2}" height="{_corner(5)[1] + _HIGH + 26}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-size="15">{"".join(parts)}</svg>'


def description(edition: str, *here: str) -> str:
    """The drawing in words, for those who cannot see it."""
    language = ("ja", "en").index(edition)
    names = [STATIONS[name][language].replace("\n", ("", " ")[language]) for name in here]
    mark = {
        "ja": f"このレッスンは「{'、'.join(names)}」です。",
        "en": f"This lesson is at: {', '.join(names)}.",
    }
    return _ALT[edition].format(here=mark[edition] if here else "").strip()


def _corner(place: int) -> tuple[float, float]:
    """Where a station's box begins: three in the upper row, then back in the lower one."""
    column = place if place < 3 else 5 - place
    return column * (_BOX + _GAP) + 1, 22 + (place >= 3) * _ROW


def _arrow(place: int) -> str:
    """The arrow from a station to the next; from the last one up to the first."""
    x, y = _corner(place)
    if place == 2:
        return _line(f"M{x + _BOX / 2} {y + _HIGH + 4} V{y + _ROW - 4} m-4 -6 l4 6 l4 -6")
    if place == 5:
        return _line(f"M{x + _BOX / 2} {y - 4} V{y - _ROW + _HIGH + 4} m-4 6 l4 -6 l4 6")
    right = place < 2
    start = x + _BOX + 4 if right else x - 4
    end = start + (_GAP - 8) * (1 if right else -1)
    back = -6 if right else 6
    return _line(f"M{start} {y + _HIGH / 2} H{end} m{back} -4 l{-back} 4 l{back} 4")


def _line(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="#555" stroke-width="1.5"/>'


def _text(x: float, y: float, words: str, ink: str, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" fill="{ink}" text-anchor="{anchor}">{words}</text>'
