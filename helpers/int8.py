"""The old path of `helpers.engines.torch.int8`, for notebooks that still import it."""

from helpers.engines.torch.int8 import can_compute

__all__ = ["can_compute"]
