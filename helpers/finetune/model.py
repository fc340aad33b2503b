"""The model to train, and the memory that training takes."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from helpers.finetune.errors import FinetuneError
from helpers.finetune.training_run import TrainingSettings

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from helpers.models import LanguageModel


def load_for_training(
    name: str = "aozora-mini",
    device: str | torch.device | None = None,
    half: bool = False,
    gradient_checkpointing: bool = False,
) -> LanguageModel:
    """Load a model whose weights can be trained: in float32, unlike `load_model` on a GPU.

    peft can then add an adapter to it even beside a torchao that it refuses: see `accept_old_torchao`.

    Args:
        name, device: as in `helpers.models.load_model`.
        half: keep the weights in the half precision of the device (a T4: float16). Right where they are frozen and only
            an adapter is trained, as in LoRA.
        gradient_checkpointing: keep only what goes into each layer and compute the rest again: less memory, more time.

    Raises:
        ValueError, ModelUnavailable, NotEnoughMemory: as `load_model` does.
    """
    import torch

    from helpers.models import load_model

    # Not halved first and widened again: a file in float32 would lose its digits.
    language_model = load_model(name, device, dtype=None if half else torch.float32)
    model = language_model.model
    model.train().eval()  # what `load_model` packed becomes ordinary layers
    # Half precision is for adapters; otherwise peft is not loaded only for this.
    if half or "peft" in sys.modules:
        accept_old_torchao()
    # GPT-2's class does not name its loss, and transformers would warn when it takes the right one.
    model.loss_type = "ForCausalLM"
    if gradient_checkpointing:
        # transformers renamed it after 5.15, Colab's version.
        name_now = "activation_checkpointing_enable"
        (getattr(model, name_now, None) or model.gradient_checkpointing_enable)()
    return replace(language_model, model=model, dtype=model.dtype)


def accept_old_torchao() -> None:
    """Have peft treat a torchao that it finds too old as absent, instead of refusing every adapter because of it.

    Colab has torchao 0.10 and a peft that raises ImportError for it, at each layer, quantized or not. None of our models is
    quantized with torchao. The package itself stays installed and can be imported; one that peft accepts is left alone.
    """
    if find_spec("peft") is None:
        return
    from peft import import_utils

    asked = getattr(import_utils, "is_torchao_available", None)
    if asked is None:
        return
    try:
        asked()
    except ImportError:
        # Other modules of peft hold the same function under the same name.
        for name, module in list(sys.modules.items()):
            ours = name.partition(".")[0] == "peft"
            if ours and getattr(module, "is_torchao_available", None) is asked:
                setattr(module, "is_torchao_available", lambda: False)  # noqa: B010


def training_memory(
    shape: Any,
    parameters: int,
    trained: int | None = None,
    settings: TrainingSettings | None = None,
    weight_bytes: int = 4,
    value_bytes: int = 4,
    gradient_checkpointing: bool = False,
) -> dict[str, int]:
    """Estimate what training takes, in bytes, by part: "weights", "training", "activations", "logits".

    Args:
        shape: whatever has `n_layer`, `n_embd` and `vocab_size`: a GPT-2 config or an entry of the catalogue.
        parameters: how many weights the model has; `trained` how many of them learn (all, without it).
        weight_bytes: of each weight, 2 in half precision.
        value_bytes: of each value between the layers, 2 with float16 or bfloat16 autocast.
        gradient_checkpointing: only the layers' inputs are kept, and one layer is computed again.

    Each trained weight takes 16 bytes more, in float32: its gradient, the two running means of AdamW, and the copy of
    the best. A layer keeps about 17 values for each token and unit of width (Korthikanti et al. 2022, arXiv:2205.05198,
    with the attention computed in one kernel). Logits are kept in float32, with their gradient and their softmax.
    """
    settings = settings or TrainingSettings()
    tokens = settings.batch_size * settings.length
    layers = shape.n_layer + 17 if gradient_checkpointing else 17 * shape.n_layer
    return {
        "weights": parameters * weight_bytes,
        "training": 16 * (parameters if trained is None else trained),
        "activations": tokens * shape.n_embd * layers * value_bytes,
        "logits": 3 * 4 * tokens * shape.vocab_size,
    }


def check_memory(model: PreTrainedModel, settings: TrainingSettings) -> None:
    """Raise FinetuneError if the device has no room for what training takes besides the weights."""
    from helpers.memory import available_memory, needed_and_free, size

    weights = [p for p in model.parameters() if p.requires_grad]
    parts = training_memory(
        model.config,
        0,  # the weights are there already
        sum(p.numel() for p in weights),
        settings,
        gradient_checkpointing=any(
            getattr(module, "gradient_checkpointing", False) for module in model.modules()
        ),
    )
    needed, free = sum(parts.values()), available_memory(model.device)
    if needed > free:
        raise FinetuneError(
            f"学習にはあと約 {size(needed)} のメモリが必要です（{needed_and_free(needed, free)}）。"
            "batch_size か length を小さくするか、LoRA か小さいモデルを使ってください。",
            f"training needs about {size(needed)} more memory ({needed_and_free(needed, free)}): "
            "reduce batch_size or length, or use LoRA or a smaller model.",
        )
