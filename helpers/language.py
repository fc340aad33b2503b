"""The language that sentences and labels are shown in: one choice for the whole process."""

import os

LANGUAGES = ("ja", "en")


def _language_of_environment() -> str:
    for name in ("HELPERS_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "ja" if value.lower().startswith("ja") else "en"
    return "en"


_language = _language_of_environment()


def set_language(language: str) -> None:
    """Show everything from now on in Japanese ("ja") or English ("en").

    Raises:
        ValueError: for any other language.
    """
    if language not in LANGUAGES:
        raise ValueError(f'LANG = {language!r}: use "ja" (日本語) or "en" (English).')
    global _language
    _language = language


def get_language() -> str:
    """The language in use: "ja" or "en". It starts as HELPERS_LANG or the system's locale says."""
    return _language


def say(ja: str, en: str) -> str:
    """The sentence in the language in use. Both stand side by side in the source, so neither is forgotten."""
    return ja if _language == "ja" else en
