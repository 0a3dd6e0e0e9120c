"""The integers against the floats: Lava's LIF recursion with the quantised numbers."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_align.compiler.calibrate import Activity
from lava_align.compiler.quantise import Afferent, quantise_population
from lava_align.model.network import LIF, Population

DT = 1e-3
STEPS = 400
N_POST, N_PRE = 4, 12
GRIDS = {"mixed": (2, -256, 254), "excitatory": (1, 0, 255), "inhibitory": (1, -255, 0)}


def float_run(neuron, matrices, rasters):
    """Membrane, spikes and peaks by the exact solution between grid points."""
    pm, ps = math.exp(-DT / neuron.tau_m), math.exp(-DT / neuron.tau_syn)
    a, b = 1 / neuron.tau_syn, 1 / neuron.tau_m
    gain = DT * b * pm if a == b else b / (b - a) * (ps - pm)
    current, v = np.zeros(N_POST), np.zeros(N_POST)
    potential, spikes = np.zeros((STEPS, N_POST)), np.zeros((STEPS, N_POST), bool)
    peaks = np.zeros(3)
    for n in range(STEPS):
        v = pm * v + gain * current + (1 - pm) * neuron.bias
        peaks[2] = max(peaks[2], np.abs(v).max())
        spikes[n] = v > neuron.threshold
        v = np.where(spikes[n], 0.0, v)
        potential[n] = v
        jump = sum(w @ r[n] for w, r in zip(matrices, rasters, strict=True))
        current = ps * current + jump
        peaks[:2] = np.maximum(peaks[:2], [np.abs(jump).max(), np.abs(current).max()])
    return potential, spikes, peaks


def toward_zero(value, numerator):
    return np.sign(value) * (np.abs(value) * numerator >> 12)


def integer_run(quantised, rasters):
    """Lava's fixed-point LIF (lava/proc/lif/models.py): int64, so that an overflow shows."""
    group = quantised.neurons
    u, v = np.zeros(N_POST, np.int64), np.zeros(N_POST, np.int64)
    potential, spikes = np.zeros((STEPS, N_POST)), np.zeros((STEPS, N_POST), bool)
    arriving = np.zeros(N_POST, np.int64)
    bias = group.bias_mant.astype(np.int64) << group.bias_exp
    for n in range(STEPS):
        u = toward_zero(u, 4096 - (group.du + 1)) + (arriving << 6)
        assert np.abs(u).max() < 2**23  # the chip would wrap
        v = toward_zero(v, 4096 - group.dv) + u + bias
        assert np.abs(v).max() < 2**23  # the chip would clip
        spikes[n] = v > (group.vth << 6)
        v = np.where(spikes[n], 0, v)
        potential[n] = v
        arriving = np.zeros(N_POST, np.int64)
        for synapses, raster in zip(quantised.synapses, rasters, strict=True):
            drive = synapses.weights.astype(np.int64) @ raster[n].astype(np.int64)
            e = synapses.weight_exp
            arriving += drive << e if e >= 0 else drive >> -e
        assert np.abs(arriving).max() < 2**15
    return potential, spikes


def quantised(neuron, matrices, peaks):
    activity = Activity(
        spikes=np.zeros((STEPS, N_POST), bool),
        peak_jump=peaks[0],
        peak_current=peaks[1],
        peak_potential=peaks[2],
    )
    population = Population(name="p", size=N_POST, neuron=neuron)
    afferents = [Afferent(name=f"m{i}", pre="x", weights=m) for i, m in enumerate(matrices)]
    return quantise_population(population, afferents, activity, DT)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    neuron = LIF(
        tau_m=draw(st.floats(2e-3, 60e-3)),
        tau_syn=draw(st.floats(1e-3, 30e-3)),
        threshold=draw(st.sampled_from([1.0, 0.02, 35.0])),
        bias=0.0,
    )
    # What a spike of weight 1 adds to the membrane depends on the time constants; the drive is
    # scaled so that the membrane wanders about its threshold.
    unit = neuron.threshold * neuron.tau_m / math.sqrt(neuron.tau_syn * 5e-3)
    strength = draw(st.floats(0.2, 1.5)) * unit
    sign = draw(st.sampled_from(["mixed", "excitatory", "and inhibitory"]))
    matrix = rng.normal(0.2, 0.5, (N_POST, N_PRE)) * strength
    matrices = [matrix if sign == "mixed" else np.abs(matrix)]
    if sign == "and inhibitory":
        matrices.append(-0.3 * np.abs(rng.normal(0.2, 0.5, (N_POST, N_PRE))) * strength)
    rasters = [rng.random((STEPS, N_PRE)) < 0.03 for _ in matrices]
    bias = draw(st.sampled_from([0.0, 0.5, -0.5, 1.3])) * neuron.threshold
    return LIF(**{**vars(neuron), "bias": bias}), matrices, rasters


@given(cases())
@settings(max_examples=40, deadline=None)
def test_integers_spike_as_the_floats_do(case):
    neuron, matrices, rasters = case
    _, asked, peaks = float_run(neuron, matrices, rasters)
    chip = quantised(neuron, matrices, peaks)
    _, found = integer_run(chip, rasters)
    # Weights are rounded to 8 bits and decays to 1/4096; spikes near threshold come or go.
    assert abs(int(found.sum()) - int(asked.sum())) <= 3 + 0.05 * asked.sum()


@given(cases())
@settings(max_examples=40, deadline=None)
def test_integers_follow_the_membrane(case):
    neuron, matrices, rasters = case
    deaf = LIF(**{**vars(neuron), "threshold": 1e6 * neuron.threshold})
    asked, spikes, peaks = float_run(deaf, matrices, rasters)
    assert not spikes.any()
    deaf = LIF(**{**vars(neuron), "threshold": 1.2 * float(max(peaks[2], neuron.threshold))})
    chip = quantised(deaf, matrices, peaks)
    potential, _ = integer_run(chip, rasters)
    # The register of the membrane holds potential * vth * 64 / threshold.
    asked = asked * (chip.neurons.vth * 64 / deaf.threshold)
    # A weight is off by at most 1/254 of the largest one; the membrane loses up to a unit a step.
    rms = np.sqrt(np.mean(asked**2))
    truncation = 4096 / chip.neurons.dv
    assert np.sqrt(np.mean((potential - asked) ** 2)) < 0.02 * rms + truncation


@given(cases())
@settings(max_examples=40, deadline=None)
def test_integers_are_in_range_and_quantities_tell_the_truth(case):
    neuron, matrices, rasters = case
    _, _, peaks = float_run(neuron, matrices, rasters)
    chip = quantised(neuron, matrices, peaks)
    group = chip.neurons
    assert 0 <= group.du <= 4095
    assert 0 <= group.dv <= 4095
    assert 1 <= group.vth < 2**17
    assert np.abs(group.bias_mant).max() <= 4095
    assert 0 <= group.bias_exp <= 7
    for synapses, matrix in zip(chip.synapses, matrices, strict=True):
        step, low, high = GRIDS[synapses.sign_mode]
        assert (synapses.weights % step == 0).all()
        assert synapses.weights.min() >= low
        assert synapses.weights.max() <= high
        # The finest exponent: one less would clip.
        assert np.abs(synapses.weights).max() >= 120
        realised = synapses.weights * 2.0 ** (6 + synapses.weight_exp) / chip.scale
        row = next(q for q in chip.quantities if q.where == synapses.name)
        assert row.asked == np.sqrt(np.mean(matrix**2))
        assert np.isclose(row.realised, np.sqrt(np.mean(realised**2)))
        assert np.isclose(row.error, np.linalg.norm(realised - matrix) / np.linalg.norm(matrix))
        assert row.error < 0.03
    rows = {q.name: q for q in chip.quantities if q.where == "p"}
    assert rows["tau_syn"].asked == neuron.tau_syn
    assert np.isclose(math.exp(-DT / rows["tau_syn"].realised), 1 - (group.du + 1) / 4096)
    assert np.isclose(math.exp(-DT / rows["tau_m"].realised), 1 - group.dv / 4096)
    for row in rows.values():
        assert math.isclose(row.error, row.realised / row.asked - 1, abs_tol=1e-9)
        assert abs(row.error) < 0.02
