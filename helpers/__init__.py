"""What the lessons import. Importing this package loads nothing heavy: torch and transformers come when first used."""

from pathlib import Path

BUNDLED_MODEL = "aozora-mini"
BUNDLED_PATH = Path(__file__).parent / "aozora_mini"
