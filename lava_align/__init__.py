"""Weight-alignment rules for spiking networks on Loihi-class hardware.

Write a rule once, prove on a CPU that its on-chip form does what the paper's rule does, and ship
it with the proof attached. Importing this package loads nothing heavy.
"""

from lava_align._version import __version__

__all__ = ["__version__"]
