"""Weight mirror with spikes (Akrout et al. 2019, arXiv 1904.05391; Ahmad et al., arXiv 2003.03988).

The weight is the covariance of the two neurons' spike counts over stimuli. The reference is in
:mod:`lava_align.rules.weight_mirror_reference`,
the on-chip forms in :mod:`lava_align.rules.weight_mirror_chip`.
"""

from __future__ import annotations

from lava_align.rules.base import AlignmentRule, Needs
from lava_align.rules.weight_mirror_chip import FORMS
from lava_align.rules.weight_mirror_reference import PARAMETERS, REFERENCE

WEIGHT_MIRROR = AlignmentRule(
    name="weight_mirror",
    title="Weight mirror, spiking form",
    source="Akrout et al., arXiv 1904.05391; spiking form: Ahmad et al., arXiv 2003.03988",
    equation="at the end of a stimulus:  B_jk += eta * ((n_k - mean n_k) * (n_j - mean n_j) "
    "- lambda * B_jk)",
    parameters=PARAMETERS,
    needs=Needs(),
    forms=FORMS,
    reference=REFERENCE,
)
