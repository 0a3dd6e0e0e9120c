r"""The equations of regression discontinuity design (RDD) for the reference.

Guerguiev, Kording & Richards, ICLR 2020, arXiv 1910.01689. The effect of neuron j's spikes on
neuron k is the jump of k's response at j's threshold. Each lower neuron j has a drive u, its
membrane potential without reset. When u comes within ``margin`` of the threshold, a window of
length ``window`` opens, in which u is followed. It yields

* :math:`z`, the largest u in the window, or, ``centred``, its distance to the threshold;
* the class, ``plus`` if j spiked in the window and ``minus`` if not;
* for every upper neuron k the change of its response, :math:`\Delta_k = \bar q_k - q_k`, the mean
  of the filtered spike train in the window less the value at its opening.

Every synapse fits two straight lines, one a class, by a gradient step a window,

.. math:: e = a^\pm z + c^\pm - \Delta, \qquad
          a^\pm \mathrel{-}= \eta\,e\,z, \qquad c^\pm \mathrel{-}= \eta\,e,

and the weight is the distance of the two at the threshold,
:math:`B = (a^+ - a^-)\,\theta + (c^+ - c^-)`, where centred lines have their threshold at 0. It
measures W up to a factor, and is not normalised: the authors scale B as a whole to the standard
deviation it began with, which no synapse can know.

Constants and order within a step are those of the authors' program (``rdd_layers.py`` in
github.com/jordan-g/RDD-Weight-Alignment): the largest u and the spikes are taken from the step of
the opening on, without the last of the window's steps; the response from the step after the opening
to the last. Differences:

* The response's kernel is not cut off after 30 ms.
* Where a window opens in the step in which the one before it closes, the program takes the
  response from before that one as the value at the opening. Here it is the opening's own.
* A layer below reaches the layer above a step later (in the program within the same step).
"""

from __future__ import annotations

from lava_align.backends.brian2_rules import Event, ReferenceForm, Traces
from lava_align.rules.base import Parameter

_AUTHORS = "authors' shared_hyperparams.py"

PARAMETERS = (
    Parameter(
        name="window",
        default=30e-3,
        dimension="time",
        meaning="length of a window",
        source=_AUTHORS,
    ),
    Parameter(
        name="margin",
        default=0.1,
        positive=True,
        meaning="distance of the drive to the threshold at which a window opens",
        source=_AUTHORS,
    ),
    Parameter(
        name="reach",
        default=10.0,
        positive=True,
        meaning="windows whose largest drive is further from the threshold are not used",
        source=_AUTHORS,
    ),
    Parameter(
        name="eta",
        default=1e-3,
        positive=True,
        meaning="step of the regression per window",
        source=_AUTHORS,
    ),
    Parameter(
        name="tau_decay",
        default=10e-3,
        dimension="time",
        meaning="decay of the upper neuron's filtered response",
        source=_AUTHORS,
    ),
    Parameter(
        name="tau_rise",
        default=3e-3,
        dimension="time",
        meaning="rise of the upper neuron's filtered response, other than tau_decay",
        source=_AUTHORS,
    ),
    Parameter(
        name="linear",
        default=1.0,
        meaning="1: straight lines; 0: constants, slopes stay 0",
        source="1 in arXiv 1910.01689; 0 in Lansdell & Kording, doi 10.1371/journal.pcbi.1011005",
    ),
    Parameter(
        name="centred",
        default=0.0,
        meaning="1: regress on the distance to the threshold; 0: on the drive itself",
        source="0 in arXiv 1910.01689",
    ),
)

_LINE = """
error = a_{side} * z_post + c_{side} - (dt / window * (Q_pre - Q_before) - q_before)
a_{side} -= linear * eta * error * z_post
c_{side} -= eta * error
w = (a_plus - a_minus) * (1 - centred) * theta_post + c_plus - c_minus
"""

REFERENCE = ReferenceForm(
    units={
        "window": "second",
        "margin": "1",
        "reach": "1",
        "eta": "1",
        "tau_decay": "second",
        "tau_rise": "second",
        "linear": "1",
        "centred": "1",
    },
    pre=Traces(
        equations="""
        dq_d/dt = -q_d / tau_decay : 1
        dq_r/dt = -q_r / tau_rise : 1
        q : 1
        Q : 1
        """,
        on_spike="q_d += 1\nq_r += 1",
        every_step="""
        q = (q_d - q_r) * 0.001 * second / (tau_decay - tau_rise)
        Q += q
        """,
    ),
    post=Traces(
        equations="""
        u : 1
        gap : 1
        umax : 1
        left : 1
        closing : 1
        opening : 1
        spiked : 1
        distance : 1
        z : 1
        theta : 1
        """,
        # Drive and membrane have the same input, so that their difference decays by itself.
        every_step="""
        gap *= exp(-dt / tau_m)
        u = v + gap
        """,
        # A spike in the window's last step comes too late.
        on_spike="spiked += int(left > 1.5)",
        membrane=True,
    ),
    synapse="""
    a_plus : 1
    c_plus : 1
    a_minus : 1
    c_minus : 1
    q_before : 1
    Q_before : 1
    """,
    events=(
        Event(
            name="plus",
            side="post",
            every_step="""
            closing = int(left > 0.5 and left < 1.5)
            left -= int(left > 0.5)
            theta = v_threshold
            distance = umax - theta
            z = umax - centred * theta
            """,
            condition="closing > 0.5 and spiked > 0.5 and abs(distance) <= reach",
            synapses=_LINE.format(side="plus"),
            recorded=True,
            value="distance",
        ),
        Event(
            name="minus",
            side="post",
            condition="closing > 0.5 and spiked < 0.5 and abs(distance) <= reach",
            synapses=_LINE.format(side="minus"),
            recorded=True,
            value="distance",
        ),
        Event(
            name="opened",
            side="post",
            every_step="""
            u = u * int(left > 0.5) + v * int(left < 0.5)
            gap = u - v
            opening = int(left < 0.5 and abs(u - v_threshold) <= margin)
            umax = clip(u, umax * (1 - opening) + u * opening, inf)
            spiked *= 1 - opening
            left += opening * window / dt
            """,
            condition="opening > 0.5",
            synapses="""
            q_before = q_pre
            Q_before = Q_pre
            """,
        ),
    ),
)
"""``q`` is in spikes per millisecond, ``Q`` its sum; ``left`` are the steps the window has left."""
