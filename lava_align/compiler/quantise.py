r"""From floats to the integers of Lava's fixed-point LIF and Dense.

One free number per population, the scale ``S``: the current register holds ``S * I``. Everything
else follows (lava/proc/lif/models.py, lava/proc/dense/models.py):

* a weight ``w`` becomes a mantissa and an exponent shared by its projection,
  ``S w = mantissa * 2**(6 + exponent)``;
* the membrane register holds ``(S / c) v``, where ``c`` is what a unit current adds to the membrane
  in a step, so the threshold mantissa is ``S theta / (64 c)``.

``S`` is the largest that keeps threshold, current, membrane and the summed input of a step inside
their registers with room to spare for what the sample showed; within the last octave it is the
one at which the weights fall best on the integer grid. Since the decays are rounded to 1/4096,
``c`` is corrected so that the area of the membrane's response to a spike, and with it the mean
drive, stays as asked. A rise of the current, a reset other than 0 and a refractory period become
those of our ``ExtendedLIF`` (``docs/engine_semantics.md``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.compiler.calibrate import Activity, Step, current_area
from lava_align.compiler.program import AnyNeurons, NeuronGroup, SignMode, Synapses
from lava_align.errors import ConstraintViolationError, Problem
from lava_align.model.network import LIF, Population
from lava_align.rules import Quantity

Array = np.ndarray[Any, Any]

DECAY_ONE = 4096
THRESHOLD_MAX = 2**17 - 1
REGISTER_MAX = 2**23 - 1
# The sum of mantissa * 2**exponent that reaches a neuron in one step travels in 16 bits.
JUMP_MAX = 2**15 - 1
# The run is longer than the sample, and inhibition may go further than what was seen.
HEADROOM = 2.0
WEIGHT_BITS = 8
LARGEST_WEIGHT = 254 * 2.0**7
"""Mantissa times the largest power of two that a weight's exponent can say."""
SCALES_PER_OCTAVE = 64
BIAS_MANTISSA_MAX = 2**12 - 1
BIAS_EXPONENT_MAX = 7
SMALLEST = float(np.finfo(float).eps)


@dataclass(frozen=True, kw_only=True)
class Afferent:
    """A matrix of weights into a population, before quantisation."""

    name: str
    pre: str
    weights: Array


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """A population on chip: its neurons, the synapses that drive it, and what was realised.

    Parameters
    ----------
    scale : float
        What arrives per unit of current; of LIF neurons times 64.
    threshold_unit : float
        Steps of the threshold's mantissa per unit of the membrane potential.
    """

    neurons: AnyNeurons
    synapses: tuple[Synapses, ...]
    scale: float
    quantities: tuple[Quantity, ...]
    threshold_unit: float = 1.0


def quantise_population(
    population: Population, afferents: Sequence[Afferent], activity: Activity, dt: float
) -> Quantised:
    """Choose the scale of a population and quantise its neurons and its fixed afferents.

    Raises
    ------
    ConstraintViolationError
        If threshold and weights do not fit the registers together at any scale, or the time step
        does not fit the time constants.
    """
    step = Step.of(population.lif, dt)
    if not step.gain > 0.0:
        raise ConstraintViolationError(
            Problem(
                f"populations.{population.name}",
                f"tau_m {population.lif.tau_m:g} s, tau_syn {population.lif.tau_syn:g} s",
                f"a spike is forgotten, or not felt, within a time step of {dt:g} s; use another",
            )
        )
    decays = _decays(step)
    gain = _area_preserving_gain(step, decays)
    leak = decays.dv / DECAY_ONE if decays.dv else 1.0 - step.membrane
    scale = _choose_scale(population, afferents, activity, gain, leak)
    neurons, rows = _neurons(population, decays, gain, leak, scale, dt)
    synapses, more = quantise_afferents(afferents, population.name, scale / 64.0)
    return Quantised(
        neurons=neurons,
        synapses=synapses,
        scale=scale,
        quantities=(*rows, *more),
        threshold_unit=scale / (64.0 * gain),
    )


def quantise_afferents(
    afferents: Sequence[Afferent], post: str, scale: float
) -> tuple[tuple[Synapses, ...], tuple[Quantity, ...]]:
    """Fixed synapses into a population; ``scale`` is what arrives per unit of weight."""
    made = [_synapses(afferent, post, scale) for afferent in afferents]
    return tuple(synapses for synapses, _ in made), tuple(row for _, row in made)


@dataclass(frozen=True)
class _Decays:
    """Decays per step, in 1/4096; those of currents count one more. ``dr`` is that of the rise."""

    du: int
    dv: int
    dr: int | None = None

    @property
    def current_area(self) -> float:
        """Sum over the steps of the current that a unit jump leaves."""
        rise = None if self.dr is None else 1.0 - (self.dr + 1) / DECAY_ONE
        return current_area(1.0 - (self.du + 1) / DECAY_ONE, rise)


def _decays(step: Step) -> _Decays:
    # Lava adds one to du before use (ds_offset) and nothing to dv.
    du, dv, dr = (
        min(max(round(DECAY_ONE * (1.0 - factor)) - offset, 0), DECAY_ONE - 1)
        for factor, offset in ((step.synapse, 1), (step.membrane, 0), (step.rise or 0.0, 1))
    )
    return _Decays(du, dv, None if step.rise is None else dr)


def _area_preserving_gain(step: Step, decays: _Decays) -> float:
    gain = step.gain * step.current_area / max(decays.current_area, SMALLEST)
    # Without a leak the response has no area; what a spike adds to the membrane stays as asked.
    return gain * decays.dv / DECAY_ONE / (1.0 - step.membrane) if decays.dv else gain


def _choose_scale(
    population: Population,
    afferents: Sequence[Afferent],
    activity: Activity,
    gain: float,
    leak: float,
) -> float:
    neuron = population.lif
    strongest = max((float(np.abs(a.weights).max(initial=0.0)) for a in afferents), default=0.0)
    # The strongest weight must have an exponent that there is.
    expressible = LARGEST_WEIGHT * 64.0 / strongest if strongest > 0 else math.inf
    largest = min(*_limits(neuron, activity, gain, leak), expressible)
    candidates = largest * 2.0 ** (-np.arange(SCALES_PER_OCTAVE) / SCALES_PER_OCTAVE)
    threshold = float(candidates[-1]) * (neuron.threshold / (64 * gain))
    if not (threshold >= 0.5 and math.isfinite(largest * (strongest + neuron.threshold))):
        raise ConstraintViolationError(
            Problem(
                f"populations.{population.name}",
                f"threshold {neuron.threshold:g} against currents up to"
                f" {activity.peak_current:g}, weights up to {strongest:g}, bias {neuron.bias:g}",
                "threshold and drive must fit 24-bit registers together: weaken what is strongest"
                " or change the threshold",
            )
        )
    if not afferents:
        return float(candidates[0])
    errors = [max(rounding_error(a.weights, s / 64.0) for a in afferents) for s in candidates]
    return float(candidates[int(np.argmin(errors))])


def _limits(neuron: LIF, activity: Activity, gain: float, leak: float) -> Iterator[float]:
    """Largest scale each register allows."""
    potential = max(activity.peak_potential, neuron.threshold)
    bias = abs(neuron.bias) * leak
    for room, needed in (
        (THRESHOLD_MAX * 64 * gain, max(neuron.threshold, abs(neuron.reset))),
        (REGISTER_MAX * gain, HEADROOM * potential),
        (REGISTER_MAX, HEADROOM * activity.peak_current),
        (JUMP_MAX * 64, HEADROOM * activity.peak_jump),
        ((BIAS_MANTISSA_MAX << BIAS_EXPONENT_MAX) * gain, bias),
    ):
        # A need too small to divide by is no limit.
        yield room / needed if needed > room / np.finfo(float).max else math.inf


def sign_mode(weights: Array) -> SignMode:
    """Sign mode that wastes no bit on a sign the matrix does not use."""
    if (weights >= 0).all():
        return "excitatory"
    return "inhibitory" if (weights <= 0).all() else "mixed"


def _grid(mode: SignMode) -> tuple[int, int, int]:
    """Step, smallest and largest mantissa of a sign mode at 8 bits."""
    return {"mixed": (2, -256, 254), "excitatory": (1, 0, 255), "inhibitory": (1, -255, 0)}[mode]


def _mantissas(weights: Array, scale: float) -> tuple[Array, int, SignMode]:
    mode = sign_mode(weights)
    step, low, high = _grid(mode)
    wanted = weights * scale
    # The smallest exponent at which nothing is clipped: the finest grid for these weights.
    over = max(wanted.max(initial=0.0) / max(high, 1), wanted.min(initial=0.0) / min(low, -1))
    exponent = math.ceil(math.log2(over)) if over > 0 else 0
    mantissas = np.round(wanted / 2.0**exponent / step) * step
    return np.clip(mantissas, low, high).astype(np.int16), exponent, mode


def rounding_error(weights: Array, scale: float) -> float:
    """Root mean square rounding error relative to that of the weights."""
    mantissas, exponent, _ = _mantissas(weights, scale)
    realised = mantissas * 2.0**exponent / scale
    norm = float(np.linalg.norm(weights))
    return float(np.linalg.norm(realised - weights)) / norm if norm else 0.0


def _synapses(afferent: Afferent, post: str, scale: float) -> tuple[Synapses, Quantity]:
    mantissas, exponent, mode = _mantissas(afferent.weights, scale)
    synapses = Synapses(
        name=afferent.name,
        pre=afferent.pre,
        post=post,
        weights=mantissas,
        weight_exp=exponent,
        weight_bits=WEIGHT_BITS,
        sign_mode=mode,
    )
    realised = mantissas * 2.0**exponent / scale
    asked_rms, realised_rms = (
        float(np.sqrt(np.mean(np.square(m)))) for m in (afferent.weights, realised)
    )
    error = rounding_error(afferent.weights, scale)
    row = Quantity(
        where=afferent.name,
        name="weights (rms)",
        asked=asked_rms,
        realised=realised_rms,
        error=error,
        note=f"{mode}, mantissa * 2^{exponent}; error is the rms of the rounding",
    )
    return synapses, row


def _neurons(
    population: Population, decays: _Decays, gain: float, leak: float, scale: float, dt: float
) -> tuple[NeuronGroup, list[Quantity]]:
    neuron = population.lif
    per_unit = scale / (64.0 * gain)
    vth = max(1, round(neuron.threshold * per_unit))
    reset = min(round(neuron.reset * per_unit), vth - 1) if neuron.reset else 0
    register_per_bias = leak * per_unit * 64.0
    bias = neuron.bias * register_per_bias
    mantissa, exponent = _bias(bias)
    refractory = round(neuron.refractory / dt)
    group = NeuronGroup(
        name=population.name,
        size=population.size,
        du=decays.du,
        dv=decays.dv,
        vth=vth,
        bias_mant=np.full(population.size, mantissa),
        bias_exp=exponent,
        dr=decays.dr,
        reset=reset,
        refractory=refractory,
        holds=neuron.refractory_holds,
    )
    where = population.name
    rows = [
        Quantity.compare(
            where, "tau_syn", neuron.tau_syn, _tau((decays.du + 1) / DECAY_ONE, dt), "s"
        ),
        _membrane_row(population, decays.dv, dt),
        Quantity.compare(where, "threshold", neuron.threshold, vth / per_unit),
    ]
    if decays.dr is not None:
        realised = _tau((decays.dr + 1) / DECAY_ONE, dt)
        note = "with tau_syn, the membrane response of equal area nearest to what is asked"
        rows.append(Quantity.compare(where, "tau_rise", neuron.tau_rise, realised, "s", note))
    if neuron.reset:
        rows.append(Quantity.compare(where, "reset", neuron.reset, reset / per_unit))
    if neuron.refractory:
        rows.append(Quantity.compare(where, "refractory", neuron.refractory, refractory * dt, "s"))
    if neuron.bias:
        realised = mantissa * 2.0**exponent / register_per_bias if register_per_bias else 0.0
        rows.append(Quantity.compare(where, "bias", neuron.bias, realised))
    return group, rows


def _membrane_row(population: Population, dv: int, dt: float) -> Quantity:
    where, tau = population.name, population.lif.tau_m
    if dv:
        return Quantity.compare(where, "tau_m", tau, _tau(dv / DECAY_ONE, dt), "s")
    note = f"no leak: tau_m is above {2 * DECAY_ONE} steps"
    return Quantity.compare(where, "leak per step", -math.expm1(-dt / tau), 0.0, note=note)


def _tau(decay: float, dt: float) -> float:
    """Time constant of a decay per step, above 0; 0 if everything goes in one step."""
    return -dt / math.log1p(-decay) if decay < 1.0 else 0.0


def _bias(value: float) -> tuple[int, int]:
    """Mantissa (12 bits and sign) and exponent (0..7) nearest to ``value``."""
    for exponent in range(BIAS_EXPONENT_MAX + 1):
        mantissa = round(value / 2**exponent)
        if abs(mantissa) <= BIAS_MANTISSA_MAX:
            return mantissa, exponent
    return int(math.copysign(BIAS_MANTISSA_MAX, value)), BIAS_EXPONENT_MAX
