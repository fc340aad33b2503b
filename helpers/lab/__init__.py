"""Widgets that steer generation by hand: `SamplingLab`. Each pane has a file; drafts, presets and records know no widgets."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helpers.lab.sampling_lab import SamplingLab

__all__ = ["SamplingLab"]


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: the presets alone need neither widgets nor torch.
    if name == "SamplingLab":
        from helpers.lab.sampling_lab import SamplingLab

        return SamplingLab
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
