"""The way through a language model as one drawing, with "you are here" at a station."""

# Each station's name in `{{way NAME}}`, and what it is called.
STATIONS = {
    "text": ("文", "text"),
    "ids": ("トークンの id", "token ids"),
    "vectors": ("ベクトル", "vectors"),
    "blocks": ("ブロック × 層の数", "blocks × layers"),
    "scores": ("点数（logits）", "scores (logits)"),
    "lottery": ("くじ引き", "lottery"),
}
_HERE = {"ja": "このレッスン", "en": "this lesson"}
_BACK = {"ja": "選ばれたトークンを文に足して、繰り返す", "en": "append the drawn token and repeat"}
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
    language = ("ja", "en").index(edition)
    width, gap, top, height = 106, 16, 30, 46
    parts = []
    for place, (name, labels) in enumerate(STATIONS.items()):
        x, marked = place * (width + gap) + 1, name in here
        fill, ink, edge = (
            ("#1f5fa8", "#fff", "#1f5fa8") if marked else ("#f4f1ea", "#1a1a1a", "#999")
        )
        parts.append(
            f'<rect x="{x}" y="{top}" width="{width}" height="{height}" rx="8" fill="{fill}" stroke="{edge}"/>'
        )
        words = (
            labels[language]
            .replace("（", "\n（")
            .replace(" (", "\n(")
            .replace(" ×", "\n×")
            .split("\n")
        )
        for line, word in enumerate(words):
            y = top + height / 2 + 5 + (line - (len(words) - 1) / 2) * 17
            parts.append(
                f'<text x="{x + width / 2}" y="{y}" fill="{ink}" text-anchor="middle">{word}</text>'
            )
        if marked:
            parts.append(
                f'<text x="{x + width / 2}" y="{top - 9}" fill="#1f5fa8" font-size="12" text-anchor="middle">▼ {_HERE[edition]}</text>'
            )
        if place + 1 < len(STATIONS):
            parts.append(_arrow(x + width + 2, top + height / 2, x + width + gap - 2))
    middle, end, low = width / 2, (len(STATIONS) - 1) * (width + gap) + width / 2, top + height + 26
    parts.append(
        f'<path d="M{end} {top + height + 3} V{low} H{middle} V{top + height + 5}" fill="none" stroke="#555" stroke-width="1.5"/>'
    )
    parts.append(
        f'<path d="M{middle - 4} {top + height + 9} l4 -7 l4 7" fill="none" stroke="#555" stroke-width="1.5"/>'
    )
    parts.append(
        f'<text x="{(middle + end) / 2}" y="{low + 17}" fill="#333" text-anchor="middle">{_BACK[edition]}</text>'
    )
    whole = len(STATIONS) * (width + gap) - gap + 2
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{low + 26}" font-size="14">{"".join(parts)}</svg>'


def description(edition: str, *here: str) -> str:
    """The drawing in words, for who cannot see it."""
    names = (
        "、".join(STATIONS[name][0] for name in here)
        if edition == "ja"
        else ", ".join(STATIONS[name][1] for name in here)
    )
    mark = (
        {"ja": f"このレッスンは「{names}」です。", "en": f"This lesson is at: {names}."}[edition]
        if here
        else ""
    )
    return _ALT[edition].format(here=mark).strip()


def _arrow(start: float, y: float, end: float) -> str:
    return f'<path d="M{start} {y} H{end} m-5 -4 l5 4 l-5 4" fill="none" stroke="#555" stroke-width="1.5"/>'
