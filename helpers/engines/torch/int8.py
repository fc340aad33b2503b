"""A GPT-2's matrices in int8, for writing text on a CPU that multiplies bytes itself (VNNI): `load_model(dtype=torch.int8)`.

Why it is here: with a large model it is the fastest of all on a processor with VNNI. At gpt-1b's shape it makes 8.68 times the
steps of the article's call in 2.0 GB (Zen 4; CTranslate2 4.82 times, bfloat16 5.99), at medium's 4.98. Models of 110 million
weights or fewer are faster with CTranslate2, and without VNNI that is the only int8. Measured by
`python -m benchmarks.cpu_generate --shape gpt-1b`, the price by `python -m benchmarks.int8_bits` (benchmarks/README.md).

Each matrix keeps one scale for each of its outputs, so that the largest of a row becomes 127 or -127. What is multiplied
by it is rounded to one byte as well, with a scale for each token: what one text gets does not depend on the others. The
products are exact integers. oneDNN, which is part of torch, multiplies matrices in its own order, as in `packing`.
"""

from __future__ import annotations

import platform
from typing import Any, NoReturn

import torch
from torch import nn
from transformers import GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from helpers.engines.torch.packing import ROWS, X86
from helpers.errors import InputError
from helpers.memory import drop_file_pages, trim_heap

# oneDNN has no fast product of two signed bytes before AMX: the inputs are stored unsigned, shifted by this.
ZERO = 128


def can_compute() -> bool:
    """Whether this is an x86-64 processor that multiplies bytes without loss, with this torch: it is tried.

    Processors without VNNI add two products in 16 bits, and what does not fit is cut off.
    """
    if platform.machine().lower() not in X86 or not torch.backends.mkldnn.is_available():
        return False
    try:
        with torch.no_grad():
            layer = Int8Layer(torch.ones(64, 64), None)
            return bool((layer(torch.ones(ROWS, 64)) - 64).abs().max() < 0.01)
    except (AttributeError, RuntimeError):
        # The operators are those of torch's compiler. It does not promise to keep them, nor has each processor all.
        return False


def quantize(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantise a matrix row by row: its int8 values and the float32 scale of each row.

    Args:
        weight: (rows, columns) of any floating dtype.
    """
    integers = torch.empty(weight.shape, dtype=torch.int8)
    scale = torch.empty(len(weight))
    # A part at a time, as float32 takes four times the memory of the result.
    for part in torch.arange(len(weight)).split(512):
        rows = weight.detach()[part[0] : part[-1] + 1].float()
        largest = rows.abs().amax(1)
        scale[part] = torch.where(largest == 0, 127.0, largest) / 127  # NaN stays NaN
        integers[part] = (rows / scale[part, None]).round_().to(torch.int8)
    return integers, scale


def to_int8(model: GPT2LMHeadModel) -> None:
    """Turn the matrices of a GPT-2 on the CPU into int8, one after another; what is left computes in float32.

    The table of embeddings is left as it is in the file; only the rows of the current tokens are read. The model can write and show
    its logits; it cannot be trained, moved, copied or saved.
    """
    model.requires_grad_(False)
    # The largest one comes first, while the others are still in the file only.
    model.lm_head = Int8Layer(model.lm_head.weight, None)
    drop_file_pages(model.transformer.wte.weight)
    for block in model.transformer.h:
        for parent in (block.attn, block.mlp):
            for name in ("c_attn", "c_proj", "c_fc"):
                layer = getattr(parent, name, None)
                if isinstance(layer, Conv1D):
                    # GPT-2's Conv1D holds its matrix as (inputs, outputs).
                    setattr(parent, name, Int8Layer(layer.weight.t(), layer.bias))
                    drop_file_pages(layer.weight)
                    trim_heap()
        block.ln_1.float()
        block.ln_2.float()
    model.transformer.ln_f.float()
    model.transformer.wpe.float()
    # A model is moved part by part: some parts would already have been moved when the first of these layers refuses.
    model._apply = model.lm_head._refuse  # type: ignore[method-assign]  # of this one model


class Int8Layer(nn.Module):
    """A linear layer whose matrix is int8, in oneDNN's order. It computes without gradients."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        """`weight` is (outputs, inputs), `bias` (outputs,) or None, both of any floating dtype."""
        super().__init__()
        integers, self.scale = quantize(weight)
        self.outputs, inputs = integers.shape
        self.packed = torch.ops.onednn.qlinear_prepack(integers, [ROWS, inputs])
        self.zeros = torch.zeros(self.outputs, dtype=torch.int64)
        self.bias = None if bias is None else bias.detach().float()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., inputs) to (..., outputs), both float32."""
        rows = x.reshape(-1, x.shape[-1])
        scale = rows.abs().amax(1, keepdim=True) / 127
        scale = scale.clamp_(min=torch.finfo(torch.float32).tiny)
        integers = (rows / scale).round_().add_(ZERO).to(torch.uint8)
        y = torch.ops.onednn.qlinear_pointwise(
            *(integers, 1.0, ZERO),
            *(self.packed, self.scale, self.zeros),
            None,  # no bias: the scale of the row comes first
            *(1.0, 0, torch.float32),  # of the output
            *("none", [], ""),
        )
        y.mul_(scale)
        if self.bias is not None:
            y.add_(self.bias)
        return y.view(*x.shape[:-1], self.outputs)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise InputError(
            "int8 で読み込んだモデルは、文を書くためのものです。移す、コピーする、保存する、学習するときは、"
            "dtype を書かずに load_model で読み込み直してください。",
            "an int8 model can only write text: to move, copy, save or train it, load it again with load_model, without dtype.",
        )

    _apply = _save_to_state_dict = _load_from_state_dict = __reduce_ex__ = _refuse
