r"""The equations of spike-based alignment learning (SAL) for the reference.

Gierlich, Baumbach, Kungl, Max & Petrovici, arXiv 2503.02642. At the feedback synapse from k to j,
every pair of spikes counts with an exponential of its distance in time: k before j depresses, j
before k potentiates, and a pair in one step does both,

.. math:: \Delta B_{jk} = \eta \sum_{t_k, t_j} \operatorname{sgn}(t_k - t_j)\,e^{-|t_k - t_j|/\tau}.

The feedback must act: if it is stronger than the forward weight, k before j is the commoner order.

Two things differ from the authors' program (github.com/unibe-cns/sal-code,
``symmnet/src/symmnet/sal_net.py``):

* It cuts the window off at 2 tau. The traces here have no end. With a refractory period of tau a
  neuron has at most two spikes in the authors' window, so that what is beyond weighs little.
* It adds up an epoch of 1250 steps for 8 copies of the network before it moves the weights by
  ``0.05 / (2 * 10)`` of the copies' mean. Here every pair moves the weight at once. One network
  that runs for all of these steps learns as much with ``eta = 0.05 / (2 * 10) / 8``, the default.
"""

from __future__ import annotations

from lava_align.backends.brian2_rules import ReferenceForm, Traces
from lava_align.rules.base import Parameter

PARAMETERS = (
    Parameter(
        name="tau",
        default=10e-3,
        dimension="time",
        meaning="window of the spike pairs; the neurons' refractory period",
        source="arXiv 2503.02642, sal-code symmnet (10 steps)",
    ),
    Parameter(
        name="eta",
        default=0.05 / (2 * 10) / 8,
        positive=True,
        meaning="weight change of one pair of neighbouring spikes",
        source="sal-code scripts/symm_net/scatter_stdwi_rdd_sal.ipynb, lr 0.05, batch 8",
    ),
)

REFERENCE = ReferenceForm(
    units={"tau": "second", "eta": "1"},
    pre=Traces(equations="dx/dt = -x / tau : 1", on_spike="x += 1"),
    post=Traces(equations="dy/dt = -y / tau : 1", on_spike="y += 1"),
    on_pre="w += eta * y_post",
    on_post="w -= eta * x_pre",
)
"""Both traces count the spikes of the step itself, so that spikes in one step cancel."""
