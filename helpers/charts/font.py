"""Japanese in matplotlib's figures."""

from __future__ import annotations


def use_japanese_font() -> None:
    """Let matplotlib write Japanese: IPAexGothic, and DejaVu Sans for what it lacks (`▁`, for one)."""
    import matplotlib
    import matplotlib_fontja

    matplotlib_fontja.japanize()
    matplotlib.rcParams["font.family"] = ["IPAexGothic", "DejaVu Sans"]
