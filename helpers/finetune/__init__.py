"""Fine-tuning on a text of your own: reading it, windows of tokens, the training loop, bits per character."""

from helpers.finetune.curve import live_curve
from helpers.finetune.document import Document, read_document, split_text
from helpers.finetune.errors import FinetuneError
from helpers.finetune.loop import batches, fine_tune, learning_rate_factor
from helpers.finetune.model import accept_old_torchao, load_for_training, training_memory
from helpers.finetune.training_run import (
    CheckpointNotSaved,
    LossNotFinite,
    TrainingRun,
    TrainingSettings,
)
from helpers.finetune.windows import Windows, bits_per_character, bits_scale, make_windows

__all__ = [
    "CheckpointNotSaved",
    "Document",
    "FinetuneError",
    "LossNotFinite",
    "TrainingRun",
    "TrainingSettings",
    "Windows",
    "accept_old_torchao",
    "batches",
    "bits_per_character",
    "bits_scale",
    "fine_tune",
    "learning_rate_factor",
    "live_curve",
    "load_for_training",
    "make_windows",
    "read_document",
    "split_text",
    "training_memory",
]
