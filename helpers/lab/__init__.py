"""Widgets that steer generation by hand: `SamplingLab`. Each pane has a file; drafts, presets and records know no widgets."""

from helpers.lab.sampling_lab import SamplingLab

__all__ = ["SamplingLab"]
