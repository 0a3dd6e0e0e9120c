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
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lava_align.backends.brian2_rules import ReferenceForm
from lava_align.backends.brian2_rules import Traces as ReferenceTraces
from lava_align.learning_rule import Expression, LearningRule
from lava_align.rules.base import (
    AlignmentRule,
    LoweredRule,
    Needs,
    OnChipForm,
    Parameter,
    Quantity,
    Sample,
)
from lava_align.rules.stdwi_calibration import (
    SMALLEST_EXPONENT,
    WEIGHT_MAX,
    Clock,
    Decay,
    Spread,
    Traces,
    choose_clock,
    choose_traces,
    clocks_for,
    decay_at,
    rounding_variance,
    trace_area,
)

# Share of the weights' variance; costs the correlation with the paper's weights about 0.05.
NOISE_WORTH_A_DECAY = 0.1


def _decay_rate(parameters: Mapping[str, float], sample: Sample) -> float:
    """Decay of the paper's rule at the sample's upper rate, 1/step."""
    return parameters["eta"] * parameters["kappa"] * float(sample.pre.mean())


def _quantities(
    traces: Traces, decay: Decay, parameters: Mapping[str, float], sample: Sample, where: str
) -> tuple[Quantity, ...]:
    rows = [
        Quantity.compare(where, name, parameters[name], steps * sample.dt, "s", "whole steps")
        for name, steps in zip(("tau_fast", "tau_slow"), traces.tau, strict=True)
    ]
    rows.append(
        Quantity.compare(
            where,
            "impulse ratio",
            trace_area(traces.tau[1]) / trace_area(traces.tau[0]),
            traces.impulse[0] / traces.impulse[1],
            note=f"integer impulses {traces.impulse[0]}:{traces.impulse[1]} of equal kernel area",
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
        learning=learning,
        weight_scale=gain * traces.impulse[0] / parameters["eta"],
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


def _coefficient(exponent: int) -> str:
    return f"2^{exponent}*" if exponent else ""


def _two_stage(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    rate = _decay_rate(parameters, sample)
    clock, traces, spread, (tag, transfer) = _best_plan(parameters, sample, rate, where)
    decay = decay_at(rate, clock.exponent)
    into_tag = _coefficient(tag)
    learning = LearningRule(
        dt=Expression.parse(f"{into_tag}x0*y1 - {into_tag}x0*y2 - u{clock.exponent}*t"),
        dw=Expression.parse(f"{_coefficient(transfer)}u{clock.exponent}*t{decay.term}"),
        y1=traces.fast,
        y2=traces.slow,
    )
    return _lowered(
        learning,
        traces,
        spread,
        2.0 ** (tag + transfer),
        parameters,
        {
            "tag_clipping": clock.clipping,
            "rounding_noise": clock.rounding + _rounding_per_spike(sample, traces, spread, tag),
        },
        _quantities(traces, decay, parameters, sample, where),
    )


_Plan = tuple[Clock, Traces, Spread, tuple[int, int]]
"""Clock, traces, spread, and the exponents into the tag and from the tag to the weight."""


def _best_plan(parameters: Mapping[str, float], sample: Sample, rate: float, where: str) -> _Plan:
    # The decay matters if the run is longer than its time constant; then a clock slow enough to
    # express it is worth some noise. Decaying weights also leave room for a larger exponent.
    clocks = clocks_for(rate, held=True) if rate * sample.n_steps >= 1.0 else []
    if clocks:
        plan = _plan(parameters, sample, clocks, rate, where)
        if plan[0].noise <= NOISE_WORTH_A_DECAY:
            return plan
    return _plan(parameters, sample, clocks_for(rate, held=False), 0.0, where)


def _plan(
    parameters: Mapping[str, float], sample: Sample, clocks: list[int], leak: float, where: str
) -> _Plan:
    traces, spread, exponent = choose_traces(parameters, sample, leak, where)
    transfer = max(exponent, SMALLEST_EXPONENT)
    # What the transfer cannot scale down any more is scaled down on the way into the tag.
    tag = max(exponent - transfer, SMALLEST_EXPONENT)
    scaled = replace(spread, mean=spread.mean * 2.0**tag, sd=spread.sd * 2.0**tag)
    clock = choose_clock(sample, traces.difference * 2.0**tag, scaled, transfer, clocks)
    return clock, traces, spread, (tag, transfer)


def _one_stage(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    rate = _decay_rate(parameters, sample)
    decay = decay_at(rate, max(clocks_for(rate, held=False)))
    traces, spread, exponent = choose_traces(parameters, sample, decay.per_step, where)
    exponent = max(exponent, SMALLEST_EXPONENT)
    factor = _coefficient(exponent)
    learning = LearningRule(
        dw=Expression.parse(f"{factor}x0*y1 - {factor}x0*y2{decay.term}"),
        y1=traces.fast,
        y2=traces.slow,
    )
    return _lowered(
        learning,
        traces,
        spread,
        2.0**exponent,
        parameters,
        {"rounding_noise": _rounding_per_spike(sample, traces, spread, exponent)},
        _quantities(traces, decay, parameters, sample, where),
    )


def _rounding_per_spike(sample: Sample, traces: Traces, spread: Spread, exponent: int) -> float:
    """Share of the weights' variance that comes from rounding at every upper spike."""
    if not spread.sd:
        return 0.0
    upper = sample.pre.sum(axis=1)
    spiking = upper > 0
    per_step = [rounding_variance(row, exponent) for row in traces.difference[spiking]]
    weights = sample.pre.shape[1] * sample.post.shape[1]
    variance = float(per_step @ upper[spiking]) / weights * spread.noise_steps / len(sample.pre)
    return float(variance / (spread.sd * 2.0**exponent) ** 2)


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
            template="dt = 2^c*x0*y1 - 2^c*x0*y2 - uK*t;  dw = 2^e*uK*t - m*2^d*uK*w",
            lower=_two_stage,
        ),
        OnChipForm(
            name="one-stage",
            summary="every upper spike moves the weight; each move is rounded",
            template="dw = 2^a*x0*y1 - 2^a*x0*y2 - m*2^d*uK*w",
            lower=_one_stage,
        ),
    ),
    reference=REFERENCE,
)
