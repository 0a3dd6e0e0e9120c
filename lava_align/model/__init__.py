"""What is to be simulated, in SI units and floats: networks, stimuli, experiment files."""

from lava_align.model.network import (
    LIF,
    EscapeNeuron,
    Network,
    Plasticity,
    Population,
    Projection,
    Stimulus,
    draw_stimuli,
)
from lava_align.model.stimuli import (
    Drive,
    ImageDrive,
    MixedDrive,
    PoissonDrive,
    RecordedDrive,
)

__all__ = [
    "LIF",
    "Drive",
    "EscapeNeuron",
    "ImageDrive",
    "MixedDrive",
    "Network",
    "Plasticity",
    "PoissonDrive",
    "Population",
    "Projection",
    "RecordedDrive",
    "Stimulus",
    "draw_stimuli",
]
