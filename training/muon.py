"""Muon: momentum whose update is made orthogonal (Jordan 2024), for the matrices of the blocks."""

import torch


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal (Jordan 2024), for the matrices of the blocks.

    torch.optim.Muon does the same in bfloat16, which processors without bfloat16 arithmetic
    emulate: there it takes longer than the forward and backward pass together.
    """

    def __init__(
        self,
        params,
        lr: float,
        momentum: float = 0.95,
        run=map,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.run = run  # a pool's map updates matrices side by side
        self.dtype = dtype  # of the orthogonalisation

    def step(self, closure=None) -> None:  # type: ignore[override]  # calls no closure, returns no loss
        for group in self.param_groups:
            list(self.run(lambda p, group=group: self._update(p, group), group["params"]))

    @torch.no_grad()
    def _update(self, p: torch.Tensor, group: dict) -> None:
        if "momentum" not in self.state[p]:
            self.state[p]["momentum"] = torch.zeros_like(p)
        gradient = p.grad
        assert gradient is not None  # every matrix of the blocks is in every loss
        buffer = self.state[p]["momentum"].lerp_(gradient, 1 - group["momentum"])
        update = gradient.lerp(buffer, group["momentum"])
        # Queries, keys and values share one matrix: each is made orthogonal by itself.
        parts = update.chunk(3, dim=1) if p.shape[1] == 3 * p.shape[0] else [update]
        parts = [orthogonal(part, dtype=self.dtype) for part in parts]
        p.add_(torch.cat(parts, dim=1), alpha=-group["lr"])


def orthogonal(
    matrix: torch.Tensor, steps: int = 4, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Nearest (semi-)orthogonal matrix, roughly, by Newton-Schulz; scaled as Muon does.

    All steps work on the small square x @ x.T and are applied to the matrix at the end: less than
    half the arithmetic of iterating on a matrix four times as wide as high. They compute in `dtype`.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = (x / (x.norm() + 1e-7)).to(dtype)
    gram, product = x @ x.T, None
    for step in range(steps):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        product = factor if product is None else factor @ product
        if step < steps - 1:
            gram = factor @ gram @ factor
    x = product @ x
    x = x.T if tall else x
    # Conv1D stores (inputs, outputs): a layer with more outputs than inputs steps further.
    return x.to(matrix.dtype) * max(1.0, matrix.shape[1] / matrix.shape[0]) ** 0.5
