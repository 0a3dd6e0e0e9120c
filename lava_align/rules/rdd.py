"""Regression discontinuity design (Guerguiev, Kording & Richards, ICLR 2020, arXiv 1910.01689).

The weight is the jump of the upper neuron's response where the lower neuron's drive crosses its
threshold. The reference is in :mod:`lava_align.rules.rdd_reference`,
the on-chip forms in :mod:`lava_align.rules.rdd_chip`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from lava_align.errors import Problem
from lava_align.rules.base import AlignmentRule, Needs
from lava_align.rules.rdd_chip import FORMS
from lava_align.rules.rdd_reference import PARAMETERS, REFERENCE


def _kernel(parameters: Mapping[str, float], where: str) -> Iterator[Problem]:
    """The response is filtered by a difference of two exponentials, over that of their times."""
    if math.isclose(parameters["tau_decay"], parameters["tau_rise"], rel_tol=1e-6):
        found = f"equal to tau_decay ({parameters['tau_decay']:g} s)"
        yield Problem(f"{where}.tau_rise", found, "another time")


RDD = AlignmentRule(
    name="rdd",
    title="Regression discontinuity design",
    source="Guerguiev, Kording & Richards, ICLR 2020, arXiv 1910.01689",
    equation="at the end of a window of j:  a, c of its class -= eta * (a*z + c - change of q_k) "
    "* (z, 1);  B_jk = (a+ - a-) * theta + (c+ - c-)",
    parameters=PARAMETERS,
    check=_kernel,
    needs=Needs(factors=3, custom_neuron=True),
    forms=FORMS,
    reference=REFERENCE,
)
