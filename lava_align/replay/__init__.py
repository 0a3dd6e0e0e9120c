"""The weights an on-chip rule would have learned from spikes that came from elsewhere."""

from lava_align.replay.binning import BinnedSpikes, bin_spikes
from lava_align.replay.run import Replay, replay

__all__ = ["BinnedSpikes", "Replay", "bin_spikes", "replay"]
