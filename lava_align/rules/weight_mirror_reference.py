r"""The equations of the spiking weight mirror for the reference.

Akrout et al. 2019 (arXiv 1904.05391) let a layer's noise and the response of the next layer mirror
the weights between them. The spiking form is the one against which the authors of STDWI compare
(arXiv 2003.03988; ``weight_inference`` in github.com/nasiryahm/STDWI): time is cut into stimuli,
and at each, with the spike counts :math:`n_k, n_j` in it and their means :math:`\bar n` over the
batch of stimuli to which it belongs,

.. math:: B_{jk} \mathrel{+}= \eta\,\bigl((n_k - \bar n_k)(n_j - \bar n_j) - \lambda B_{jk}\bigr).

The means are known at the end of the batch. With :math:`D = 1 - \eta\lambda`, S stimuli in the
batch and :math:`G = 1 + D + \dots + D^{S-1}`, the batch's steps come to

.. math:: B_{jk} \leftarrow D^S B_{jk} + \eta\,\bigl(P_{jk} - \bar n_j R_k - \bar n_k R_j
          + \bar n_k \bar n_j G\bigr), \qquad
          P_{jk} = \sum_s D^{S-1-s} n_k n_j, \quad R_j = \sum_s D^{S-1-s} n_j,

which is what the weight becomes there; within a batch it stands still.
"""

from __future__ import annotations

from dataclasses import replace

from lava_align.backends.brian2_rules import Event, ReferenceForm, Traces
from lava_align.rules.base import Parameter

_EXAMPLE = "STDWI authors' Example.ipynb"

PARAMETERS = (
    Parameter(
        name="stimulus",
        default=100e-3,
        dimension="time",
        meaning="time over which spikes are counted; that of a stimulus",
        source=_EXAMPLE,
    ),
    Parameter(
        name="batch",
        default=10.0,
        positive=True,
        meaning="stimuli over which the mean counts are taken, a whole number",
        source=_EXAMPLE,
    ),
    Parameter(
        name="eta",
        default=5e-4,
        positive=True,
        meaning="learning rate per stimulus",
        source="STDWI authors' paper_scripts/LIF_Comparison",
    ),
    Parameter(
        name="decay",
        default=0.5,
        meaning="lambda, decay relative to eta",
        source=_EXAMPLE,
    ),
)

_COUNTS = Traces(
    equations="""
    count : 1
    total : 1
    recent : 1
    age : 1
    elapsed : 1
    ended : 1
    """,
    on_spike="count += 1",
)

_STIMULUS = Event(
    name="stimulus_ended",
    side="post",
    every_step="elapsed += 1",
    condition="elapsed * dt > stimulus - 0.5 * dt",
    synapses="products = (1 - eta * decay) * products + count_pre * count_post",
    neuron="""
    recent = (1 - eta * decay) * recent + count
    age = (1 - eta * decay) * age + 1
    total += count
    count = 0
    elapsed = 0
    ended += 1
    """,
)

_BATCH = Event(
    name="batch_ended",
    side="post",
    condition="ended > batch - 0.5",
    synapses="""
    covariance = products - (total_post * recent_pre + total_pre * recent_post) / batch
    covariance += total_post * total_pre / batch**2 * age_post
    w = (1 - eta * decay) ** batch * w + eta * covariance
    products = 0
    """,
    neuron="""
    total = 0
    recent = 0
    age = 0
    ended = 0
    """,
)

REFERENCE = ReferenceForm(
    units={"stimulus": "second", "batch": "1", "eta": "1", "decay": "1"},
    pre=_COUNTS,
    post=_COUNTS,
    synapse="products : 1",
    # All neurons reach these ends in the same steps. The upper ones forget after the synapses have
    # read both.
    events=(
        _STIMULUS,
        replace(_STIMULUS, side="pre", synapses=""),
        _BATCH,
        replace(_BATCH, side="pre", synapses=""),
    ),
)
"""``products`` is P, ``recent`` R and ``age`` G; ``total`` is S times the mean count."""
