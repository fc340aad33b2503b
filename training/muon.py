"""Muon: momentum whose update is made orthogonal (Jordan 2024), for the matrices of the blocks."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal (Jordan 2024), for the matrices of the blocks.

    torch.optim.Muon does the same in bfloat16, which processors without bfloat16 arithmetic
    emulate: there it takes longer than the forward and backward pass together.
    """

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        run: Callable[..., Iterable[Any]] = map,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.run = run  # a pool's map updates matrices side by side
        self.dtype = dtype  # of the orthogonalisation

    def step(self, closure: None = None) -> None:  # type: ignore[override]  # calls no closure, returns no loss
        for group in self.param_groups:
            alike = defaultdict(list)
            for place, p in enumerate(group["params"]):
                # A GPU takes all matrices of one shape at once: one by one they are too small to fill it.
                alike[p.shape if p.is_cuda else place].append(p)
            list(self.run(lambda ps, group=group: self._update(ps, group), alike.values()))

    @torch.no_grad()
    def _update(self, matrices: list[torch.Tensor], group: dict) -> None:
        """One step for matrices of one shape."""
        for p in matrices:
            if "momentum" not in self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        gradients = [p.grad for p in matrices if p.grad is not None]
        assert len(gradients) == len(matrices)  # every matrix of the blocks is in every loss
        buffers = [self.state[p]["momentum"] for p in matrices]
        torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
        update = torch.stack(torch._foreach_lerp(gradients, buffers, group["momentum"]))
        rows, columns = matrices[0].shape
        # Queries, keys and values share one matrix: each is made orthogonal by itself.
        parts = update.chunk(3, dim=-1) if columns == 3 * rows else [update]
        update = torch.cat([orthogonal(part, dtype=self.dtype) for part in parts], dim=-1)
        torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(matrices, list(update.unbind()), alpha=-group["lr"])


def orthogonal(
    matrix: torch.Tensor, steps: int = 4, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Nearest (semi-)orthogonal matrix, roughly, by Newton-Schulz, scaled as Muon does; (..., rows, columns).

    All steps work on the small square x @ x.T and are applied to the matrix at the end: less than
    half the arithmetic of iterating on a matrix four times as wide as high. They compute in `dtype`.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    rows, columns = matrix.shape[-2:]
    x = matrix.mT if rows > columns else matrix
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).to(dtype)
    gram, product = x @ x.mT, None
    for step in range(steps):
        factor = b * gram + c * (gram @ gram)
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        product = factor if product is None else factor @ product
        if step < steps - 1:
            gram = factor @ gram @ factor
    x = product @ x
    x = x.mT if rows > columns else x
    # Conv1D stores (inputs, outputs): a layer with more outputs than inputs steps further.
    return x.to(matrix.dtype) * max(1.0, columns / rows) ** 0.5
