"""What the lessons import. Importing this package loads nothing heavy: torch and transformers are imported when first used."""

from pathlib import Path

BUNDLED_MODEL = "aozora-mini"
BUNDLED_PATH = Path(__file__).parent / "aozora_mini"
# The first line of 『雪国』, and the prompt of every lesson.
OPENING_LINE = "国境の長いトンネルを抜けると雪国であった。"
