"""The old path of `helpers.engines.ctranslate2`, for notebooks that still import it."""

from helpers.engines.ctranslate2 import install_engine

__all__ = ["install_engine"]
