"""The models of the lessons: choosing one, loading it. Reading the catalogue needs no torch."""

from helpers.catalogue import CATALOGUE, LARGE_MODEL, ModelInfo, count_parameters
from helpers.models.choice import choose_model
from helpers.models.language_model import LanguageModel, how_loaded
from helpers.models.loading import load_model
from helpers.models.memory_check import NotEnoughMemory

__all__ = [
    "CATALOGUE",
    "LARGE_MODEL",
    "LanguageModel",
    "ModelInfo",
    "NotEnoughMemory",
    "choose_model",
    "count_parameters",
    "how_loaded",
    "load_model",
]
