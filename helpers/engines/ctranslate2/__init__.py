"""CTranslate2: weights of one byte (int8), for a CPU. What it cannot do is refused before it starts."""

from helpers.engines.ctranslate2.refusals import EngineUnavailable, install_engine

__all__ = ["EngineUnavailable", "install_engine"]
