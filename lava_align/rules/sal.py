"""Spike-based alignment learning (Gierlich, Baumbach, Kungl, Max & Petrovici, arXiv 2503.02642).

A pair of neurons connected in both directions tells from the order of its spikes which direction
is stronger. The reference is in :mod:`lava_align.rules.sal_reference`,
the on-chip forms in :mod:`lava_align.rules.sal_chip`.
"""

from __future__ import annotations

from lava_align.rules.base import AlignmentRule, Needs
from lava_align.rules.sal_chip import FORMS
from lava_align.rules.sal_reference import PARAMETERS, REFERENCE

SAL = AlignmentRule(
    name="sal",
    title="Spike-based alignment learning",
    source="Gierlich, Baumbach, Kungl, Max & Petrovici, arXiv 2503.02642",
    equation="B_jk += eta * (y_j at spikes of k - x_k at spikes of j)",
    parameters=PARAMETERS,
    needs=Needs(custom_neuron=True),
    forms=FORMS,
    reference=REFERENCE,
)
