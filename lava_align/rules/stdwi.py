r"""Spike-timing-dependent weight inference (Ahmad, Ambrogioni & van Gerven, arXiv 2003.03988).

Each lower neuron j keeps a fast and a slow trace of its spikes with kernels of equal area. At
every spike of an upper neuron k the feedback weight moves towards the difference of the two,

.. math:: B_{jk} \mathrel{+}= \eta\,(f_j - s_j - \kappa B_{jk}),

so that it comes to measure by how much j fires more than usual just before k does, which to first
order is proportional to the forward weight :math:`W_{kj}`.

On the chip the feedback synapse has pre = k and post = j, so the event is ``x0`` and the traces
are ``y1`` (fast) and ``y2`` (slow). Two forms:

* *two-stage*: the tag adds up ``y1 - y2`` at each spike of k, in exact integers, and every 2^K
  steps a fraction 2^e of it moves to the weight. Rounding happens once per transfer.
* *one-stage*: every spike of k moves the weight directly; each move is rounded.

The decay of both is in :mod:`lava_align.rules.stdwi_decay`.
"""

from __future__ import annotations

from collections.abc import Mapping

from lava_align.backends.brian2_rules import ReferenceForm
from lava_align.backends.brian2_rules import Traces as ReferenceTraces
from lava_align.learning_rule import Expression, LearningRule
from lava_align.rules.accumulation import (
    LARGEST_CLOCK,
    SMALLEST_EXPONENT,
    WEIGHT_MAX,
    Spread,
    thinned,
)
from lava_align.rules.base import (
    AlignmentRule,
    LoweredRule,
    Needs,
    OnChipForm,
    Parameter,
    Plane,
    Quantity,
    Sample,
)
from lava_align.rules.stdwi_calibration import choose_traces
from lava_align.rules.stdwi_decay import Decay, clocks_with_decay, decay_at
from lava_align.rules.stdwi_traces import Traces, trace_area
from lava_align.rules.stdwi_transfer import (
    Transfer,
    choose_transfer,
    filling,
    rounding_per_spike,
)

# Share of the weights' variance; costs the correlation with the paper's weights about 0.05.
NOISE_WORTH_A_DECAY = 0.1


def _asked_decay(parameters: Mapping[str, float]) -> float:
    """Share of the weight that an upper spike takes in the paper's rule."""
    return parameters["eta"] * parameters["kappa"]


def _leak(decay: Decay, sample: Sample) -> float:
    """The decay on chip at the sample's mean upper rate, 1/step."""
    return decay.per_spike * float(sample.pre.mean())


def _quantities(
    traces: Traces, decay: Decay, parameters: Mapping[str, float], sample: Sample, where: str
) -> tuple[Quantity, ...]:
    kernels = traces.kernels
    rows = [
        Quantity.compare(where, name, parameters[name], steps * sample.dt, "s", "whole steps")
        for name, steps in zip(("tau_fast", "tau_slow"), kernels.tau, strict=True)
    ]
    rows.append(
        Quantity.compare(
            where,
            "height of fast over slow kernel",
            trace_area(kernels.tau[1]) / trace_area(kernels.tau[0]),
            kernels.step[0] / kernels.step[1],
            note=f"equal areas; impulses {kernels.impulse[0]} and {kernels.impulse[1]},"
            f" difference {kernels.terms(0)}",
        )
    )
    rows.append(decay.quantity(where))
    silent = [side for side, s in (("upper", sample.pre), ("lower", sample.post)) if not s.any()]
    if silent:
        note = f"no spikes of the {' and '.join(silent)} population: exponent and clock are guesses"
        rows.append(Quantity.compare(where, "activity in the sample", 1.0, 0.0, note=note))
    return tuple(rows)


def _lowered(
    learning: LearningRule,
    traces: Traces,
    spread: Spread,
    gain: float,
    parameters: Mapping[str, float],
    predictions: Mapping[str, float],
    quantities: tuple[Quantity, ...],
) -> LoweredRule:
    """``gain`` is chip weight units per unit of the trace difference."""
    return LoweredRule(
        planes=(Plane(learning=learning),),
        weight_scale=gain * traces.kernels.step[0] / parameters["eta"],
        predictions={
            "weight_mean": spread.mean * gain,
            "weight_sd": spread.sd * gain,
            "weight_clipping": spread.beyond(WEIGHT_MAX / gain),
            "reliability": spread.reliability,
            "trace_saturation": traces.saturated,
            "trace_imbalance": traces.imbalance,
            **predictions,
        },
        quantities=quantities,
    )


def two_stage(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    """Choose constants for the two-stage form; parameters are those of STDWI."""
    sample = thinned(sample)
    transfer, traces, spread, decay = _best_plan(parameters, sample, where)
    clock, (mantissa, exponent) = transfer.clock, filling(spread, transfer)
    learning = LearningRule(
        dt=Expression.parse(f"{traces.kernels.terms(transfer.tag)} - u{clock}*t"),
        dw=Expression.parse(f"{mantissa}*2^{exponent}*u{clock}*t{decay.term()}"),
        x1=decay.trace,
        y1=traces.kernels.fast,
        y2=traces.kernels.slow,
    )
    return _lowered(
        learning,
        traces,
        spread,
        2.0 ** (transfer.tag + exponent) * mantissa,
        parameters,
        {
            "tag_clipping": transfer.clipping,
            "rounding_noise": transfer.rounding,
            "left_in_the_tag": transfer.pending,
        },
        _quantities(traces, decay, parameters, sample, where),
    )


_Plan = tuple[Transfer, Traces, Spread, Decay]


def _best_plan(parameters: Mapping[str, float], sample: Sample, where: str) -> _Plan:
    # A clock slow enough to express the decay is worth some noise. Decaying weights also leave
    # room for a larger exponent.
    clocks = clocks_with_decay(_asked_decay(parameters), sample.pre)
    if clocks:
        leak = _leak(decay_at(_asked_decay(parameters), max(clocks), sample.pre), sample)
        plan = _plan(parameters, sample, clocks, leak, where)
        if plan[0].noise <= NOISE_WORTH_A_DECAY:
            return plan
    return _plan(parameters, sample, list(range(LARGEST_CLOCK + 1)), 0.0, where)


def _plan(
    parameters: Mapping[str, float], sample: Sample, clocks: list[int], leak: float, where: str
) -> _Plan:
    room = -SMALLEST_EXPONENT  # what the transfer to the weight can scale down
    traces, spread, exponent = choose_traces(parameters, sample, leak, where, room=room)
    transfer = choose_transfer(sample, traces, spread, exponent, clocks)
    decay = decay_at(_asked_decay(parameters), transfer.clock, sample.pre)
    return transfer, traces, spread, decay


def one_stage(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    """Choose constants for the one-stage form; parameters are those of STDWI."""
    sample = thinned(sample)
    asked = _asked_decay(parameters)
    clock = max(clocks_with_decay(asked, sample.pre), default=LARGEST_CLOCK)
    decay = decay_at(asked, clock, sample.pre)
    traces, spread, exponent = choose_traces(
        parameters, sample, _leak(decay, sample), where, room=0
    )
    exponent = max(exponent, traces.kernels.smallest_exponent)
    learning = LearningRule(
        dw=Expression.parse(traces.kernels.terms(exponent) + decay.term()),
        x1=decay.trace,
        y1=traces.kernels.fast,
        y2=traces.kernels.slow,
    )
    return _lowered(
        learning,
        traces,
        spread,
        2.0**exponent,
        parameters,
        {"rounding_noise": rounding_per_spike(sample, traces, spread, exponent)},
        _quantities(traces, decay, parameters, sample, where),
    )


REFERENCE = ReferenceForm(
    units={"tau_fast": "second", "tau_slow": "second", "eta": "1", "kappa": "1"},
    post=ReferenceTraces(
        equations="""
        df/dt = -f / tau_fast : 1
        ds/dt = -s / tau_slow : 1
        """,
        on_spike="""
        f += 1
        s += (1 - exp(-dt / tau_slow)) / (1 - exp(-dt / tau_fast))
        """,
    ),
    on_pre="w += eta * (f_post - s_post - kappa * w)",
)
"""The equation in Brian2's notation.

The slow kernel's step gives both kernels equal area on the time grid; it tends to the authors'
``tau_fast / tau_slow`` as dt goes to 0 (1 % away at their 0.25 ms, 5 % at 1 ms, where it would push
every weight up with the lower neuron's rate). As in the authors' program, a lower spike in the
step of the upper spike counts, and the decay takes the weight before the update.
"""

STDWI = AlignmentRule(
    name="stdwi",
    title="Spike-timing-dependent weight inference",
    source="Ahmad, Ambrogioni & van Gerven, arXiv 2003.03988; NBDT 2021, doi 10.51628/001c.27423",
    equation="at a spike of k:  B_jk += eta * (f_j - s_j - kappa * B_jk)",
    parameters=(
        Parameter(
            name="tau_fast",
            default=10e-3,
            dimension="time",
            meaning="fast trace of the lower neuron",
            source="authors' Example.ipynb",
        ),
        Parameter(
            name="tau_slow",
            default=200e-3,
            dimension="time",
            meaning="slow trace of the lower neuron, same area",
            source="authors' Example.ipynb",
        ),
        Parameter(
            name="eta",
            default=5e-4,
            positive=True,
            meaning="learning rate per upper spike",
            source="authors' Example.ipynb",
        ),
        Parameter(
            name="kappa",
            default=0.1,
            meaning="decay relative to eta",
            source="authors' Example.ipynb",
        ),
    ),
    needs=Needs(),
    forms=(
        OnChipForm(
            name="two-stage",
            summary="exact sums in the tag, moved to the weight on a clock",
            template="dt = a*2^c*x0*y1 - b*2^d*x0*y2 - uK*t;  dw = 2^e*uK*t - m*2^f*uK*x1*w",
            lower=two_stage,
        ),
        OnChipForm(
            name="one-stage",
            summary="every upper spike moves the weight; each move is rounded",
            template="dw = a*2^c*x0*y1 - b*2^d*x0*y2 - m*2^f*uK*x1*w",
            lower=one_stage,
        ),
    ),
    reference=REFERENCE,
)
