"""A GPT-2's matrices in the order in which a CPU reads them while it writes.

Writing a token multiplies every matrix by one row of numbers for each text, so nearly all of the time goes into reading
matrices. For so few rows torch's usual routines leave most of the memory's speed unused. oneDNN, which is a part of
torch, has its own order for a matrix: the numbers stay as they are, they only lie where the routine wants them next.
`benchmarks/weight_layout.py` measures what that gains. Sums are made in another order: logits differ in the last digits.
"""

from __future__ import annotations

import platform
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from helpers.device import give_back_memory

# oneDNN orders a matrix for a number of rows. This one, that of the lessons, was measured to suit 1 to 900 rows.
ROWS = 3
# torch compiles models with these; they are not among what it promises to keep, so `can_pack` looks for them.
OPERATORS = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")


def can_pack(model: nn.Module) -> bool:
    """Whether a model is a GPT-2 whose dtype the oneDNN of this torch computes in, on an x86-64 processor.

    On others packing was never measured.
    """
    if platform.machine().lower() not in ("x86_64", "amd64") or not isinstance(
        model, GPT2LMHeadModel
    ):
        return False
    if not torch.backends.mkldnn.is_available() or not all(
        hasattr(torch.ops.mkldnn, name) for name in OPERATORS
    ):
        return False
    if model.dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return model.dtype == torch.float32


def pack(model: GPT2LMHeadModel) -> None:
    """Pack the matrices of a GPT-2 on the CPU, one after another, so that little is in memory twice.

    Only the output layer is there twice from then on, as the table of embeddings needs it in its usual order. What is
    saved, copied, moved to another device or trained is a model with ordinary layers, as it was before.
    """
    for block in model.transformer.h:
        for parent in (block.attn, block.mlp):
            for name, layer in parent.named_children():
                if isinstance(layer, Conv1D):
                    setattr(parent, name, PackedConv1D(layer))
                    del layer
                    # Otherwise half of what was freed would lie about in pieces.
                    give_back_memory()
    model.lm_head = PackedLinear(model.lm_head)


def unpack(model: nn.Module) -> None:
    """Make all layers of a model ordinary ones again, as training needs them."""
    for module in list(model.modules()):
        if isinstance(module, _Packed):
            module.unpack()


def _packed(weight: torch.Tensor) -> torch.Tensor:
    """(outputs, inputs) in oneDNN's order: an opaque tensor that only oneDNN's operators read."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)


def _multiply(x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    # The packed product has no gradient, and takes numbers of its own dtype only.
    if x.dtype != packed.dtype or (torch.is_grad_enabled() and x.requires_grad):
        return functional.linear(x, packed.to_dense(), bias)
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


class _Packed(nn.Module):
    """A layer that multiplies by a packed matrix, and is an ordinary one again before it is trained, moved or loaded."""

    packed: torch.Tensor
    bias: torch.Tensor | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _multiply(x, self.packed, self.bias)

    def unpack(self) -> None:
        """Turn into the ordinary layer."""
        ordinary = self._ordinary_state()
        self.__class__ = self._ordinary
        self.__dict__ = ordinary

    def train(self, mode: bool = True) -> nn.Module:
        if not mode:
            return super().train(mode)
        self.unpack()
        return self.train()

    def _apply(self, *arguments: Any, **options: Any) -> nn.Module:
        self.unpack()
        return self._apply(*arguments, **options)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self.unpack()
        self._load_from_state_dict(*arguments)

    def _get_name(self) -> str:
        return (
            self._ordinary.__name__
        )  # a reader who prints a model sees its layers as transformers names them

    def __reduce__(self) -> tuple:
        return self._ordinary.__new__, (self._ordinary,), self._ordinary_state()


class PackedConv1D(_Packed, Conv1D):
    """GPT-2's Conv1D with its matrix packed."""

    _ordinary = Conv1D

    def __init__(self, layer: Conv1D) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(layer.__dict__)
        self._parameters = layer._parameters.copy()
        packed = _packed(self._parameters.pop("weight").t())
        self.packed = nn.Parameter(packed, requires_grad=False)

    @property
    def weight(self) -> torch.Tensor:
        """The matrix, (inputs, outputs), made anew each time: to change it changes nothing in the layer."""
        return self.packed.to_dense().t()

    def _ordinary_state(self) -> dict[str, Any]:
        weight = {"weight": nn.Parameter(self.weight.contiguous())}
        others = {name: p for name, p in self._parameters.items() if name != "packed"}
        return self.__dict__ | {"_parameters": weight | others}

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        del destination[prefix + "packed"]
        destination[prefix + "weight"] = self.weight


class PackedLinear(_Packed, nn.Linear):
    """GPT-2's output layer with a packed copy of its matrix, which the table of embeddings shares."""

    _ordinary = nn.Linear

    def __init__(self, layer: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(layer.__dict__)
        self.packed = _packed(layer.weight)

    def _ordinary_state(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "packed"}
