"""A GPT-2's matrices in the order in which a CPU reads them while it writes. What `load_model` does on a CPU by itself.

Why it is here: at gpt-1b's shape it makes 3.25 times the steps of the article's call in float32 and 5.99 in bfloat16 (Zen 4,
AVX512 with BF16), 2.32 in float32 with AVX2 only, and no weight changes: in float32 a seed keeps its text. Measured by
`python -m benchmarks.cpu_generate --shape gpt-1b`; benchmarks/README.md has the other shapes.

Writing a token multiplies every matrix by one row of numbers for each text, so nearly all of the time goes into reading
matrices. For so few rows torch's usual routines leave most of the memory bandwidth unused. oneDNN, which is part of
torch, has its own order for a matrix: the same numbers, placed where its routine reads them next. Sums are made in another
order, so logits differ in the last digits. torch itself offers this order only to models that it compiles.
"""

from __future__ import annotations

import platform
from typing import Any

import torch
from torch import nn
from transformers import GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from helpers.memory import trim_heap

# oneDNN orders a matrix for a number of rows. This one, that of the lessons, was measured to suit 1 to 900 rows.
ROWS = 3
X86 = ("x86_64", "amd64")  # on other processors nothing of this was measured


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this is an x86-64 processor whose oneDNN, as this torch has it, multiplies in `dtype`: it is tried.

    Packing was never measured in other dtypes than float32 and bfloat16.
    """
    if platform.machine().lower() not in X86 or dtype not in (torch.float32, torch.bfloat16):
        return False
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        with torch.no_grad():
            _multiply(torch.eye(8, dtype=dtype), _packed(torch.eye(8, dtype=dtype)), None)
    except (AttributeError, RuntimeError):
        # The operators are those of torch's compiler. It does not promise to keep them, nor has each processor all.
        return False
    return True


def pack(model: GPT2LMHeadModel) -> None:
    """Pack the matrices of a GPT-2 on the CPU, one after another, so that little is in memory twice.

    Only the output layer is there twice from then on, as the table of embeddings needs it in its usual order. A layer
    becomes an ordinary one again, for good, as soon as it has to do anything but compute without gradients: when it is
    trained, moved to another device or dtype, or its `weight` is looked at. Copied or saved it is an ordinary one too
    (saving creates all matrices a second time). To train a model, call `model.train()` before an optimizer is made of its weights.
    """
    for block in model.transformer.h:
        for parent in (block.attn, block.mlp):
            for name in ("c_attn", "c_proj", "c_fc"):
                if isinstance(getattr(parent, name, None), Conv1D):
                    setattr(parent, name, PackedConv1D(getattr(parent, name)))
                    # Otherwise glibc keeps what was freed in pieces: half of the weights once more.
                    trim_heap()
    model.lm_head = PackedLinear(model.lm_head)


def _packed(weight: torch.Tensor) -> torch.Tensor:
    """(outputs, inputs) in oneDNN's order: an opaque tensor that only oneDNN's operators read."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)


def _multiply(x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


class _Packed(nn.Module):
    """A layer that multiplies by a packed matrix, and becomes an ordinary one before anything else is done with it."""

    packed: torch.Tensor
    bias: Any  # the ordinary layer's: (outputs,) or None
    _ordinary: Any  # the class of the ordinary layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # The packed product has no gradient, and only takes numbers of its own dtype.
        learns = torch.is_grad_enabled() and any(
            value.requires_grad for value in (x, *self.parameters(recurse=False))
        )
        if learns or x.dtype != self.packed.dtype or self._changed():
            self.unpack()
            return self(x)
        return _multiply(x, self.packed, self.bias)

    def _changed(self) -> bool:
        return False

    def _ordinary_state(self) -> dict[str, Any]:
        raise NotImplementedError

    def unpack(self) -> None:
        """Turn into the ordinary layer."""
        ordinary = self._ordinary_state()
        self.__class__ = self._ordinary
        self.__dict__ = ordinary

    def train(self, mode: bool = True) -> Any:
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
        # A reader who prints a model sees its layers as transformers names them.
        return self._ordinary.__name__

    def __reduce__(self) -> tuple:
        return self._ordinary.__new__, (self._ordinary,), self._ordinary_state()


class PackedConv1D(_Packed, Conv1D):
    """GPT-2's Conv1D with its matrix packed."""

    _ordinary = Conv1D

    def __init__(self, layer: Conv1D) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(layer.__dict__)
        self._parameters = layer._parameters.copy()
        weight: Any = self._parameters.pop("weight")
        self.packed = nn.Parameter(_packed(weight.t()), weight.requires_grad)

    @property
    def weight(self) -> nn.Parameter:  # type: ignore[override]  # Conv1D's is an attribute
        """The matrix, (inputs, outputs). Code that asks for it may change it, so the layer is an ordinary one from then on."""
        self.unpack()
        return self.weight

    def _matrix(self) -> torch.Tensor:
        return self.packed.detach().to_dense().t().contiguous()

    def _ordinary_state(self) -> dict[str, Any]:
        weight = {"weight": nn.Parameter(self._matrix(), self.packed.requires_grad)}
        others = {name: p for name, p in self._parameters.items() if name != "packed"}
        return self.__dict__ | {"_parameters": weight | others}

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        destination[prefix + "weight"] = self._matrix()
        super()._save_to_state_dict(destination, prefix, keep_vars)
        del destination[prefix + "packed"]


class PackedLinear(_Packed, nn.Linear):
    """GPT-2's output layer with a packed copy of its matrix, which the table of embeddings shares."""

    _ordinary = nn.Linear

    def __init__(self, layer: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(layer.__dict__)
        self.packed = _packed(layer.weight)
        self._seen = self._look()

    def _look(self) -> tuple[int, int]:
        return self.weight.data_ptr(), self.weight._version

    def _changed(self) -> bool:
        return self._look() != self._seen  # the embeddings were resized or edited

    def _ordinary_state(self) -> dict[str, Any]:
        ours = ("packed", "_seen")
        return {name: value for name, value in self.__dict__.items() if name not in ours}
