import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lava_align.recording import Spikes
from lava_align.statistics.alignment import alignment
from lava_align.statistics.spikes import firing_rates, isi_cv, pairwise_correlation

DT, N_STEPS = 1e-3, 200

# Whole numbers keep the comparison exact where the property is exact.
entries = st.integers(-128, 127).map(float)
shapes = st.tuples(st.integers(1, 5), st.integers(1, 5))
matrices = shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=entries))
pairs = shapes.flatmap(
    lambda shape: st.tuples(
        arrays(np.float64, shape, elements=entries),
        arrays(np.float64, shape[::-1], elements=entries),
    )
)
scales = st.floats(1e-6, 1e6)
rasters = st.tuples(st.integers(1, 6), st.integers(0, 2**32 - 1), st.floats(0.0, 0.5)).map(
    lambda p: np.random.default_rng(p[1]).random((N_STEPS, p[0])) < p[2]
)


def same(a, b, tolerance=1e-9):
    return a == pytest.approx(b, abs=tolerance, nan_ok=True)


@given(matrices)
def test_a_matrix_is_aligned_with_its_transpose(matrix):
    found = alignment(matrix, matrix.T)
    assert found.sign_agreement == 1
    if matrix.any():
        assert found.angle == 0
        assert found.norm_ratio == pytest.approx(1)
    else:
        assert math.isnan(found.angle)


@given(pairs, scales, scales)
def test_positive_scaling_changes_the_norm_ratio_alone(pair, a, b):
    plain, scaled = alignment(*pair), alignment(pair[0] * a, pair[1] * b)
    # Near 0 and 180 degrees the angle is as sharp as the rounding of the entries, about 1e-14.
    assert same(scaled.angle, plain.angle, 1e-9)
    assert same(scaled.r, plain.r)
    assert scaled.sign_agreement == plain.sign_agreement
    if math.isfinite(plain.norm_ratio):
        assert scaled.norm_ratio == pytest.approx(plain.norm_ratio * b / a)


@given(pairs)
def test_a_change_of_sign_mirrors_angle_and_r(pair):
    plain, negated = alignment(*pair), alignment(pair[0], -pair[1])
    assert same(negated.angle, 180 - plain.angle)
    assert same(negated.r, -plain.r)


@given(pairs)
def test_swapping_the_roles_keeps_angle_r_and_signs(pair):
    plain, swapped = alignment(*pair), alignment(pair[1], pair[0])
    assert same(swapped.angle, plain.angle)
    assert same(swapped.r, plain.r)
    assert swapped.sign_agreement == plain.sign_agreement


@given(pairs, st.integers(0, 2**32 - 1))
def test_renumbering_the_neurons_changes_nothing(pair, seed):
    forward, feedback = pair
    rng = np.random.default_rng(seed)
    upper, lower = (rng.permutation(n) for n in forward.shape)
    plain = alignment(forward, feedback)
    moved = alignment(forward[np.ix_(upper, lower)], feedback[np.ix_(lower, upper)])
    for name in ("angle", "r", "sign_agreement", "norm_ratio"):
        assert same(getattr(moved, name), getattr(plain, name))


@settings(deadline=None)
@given(rasters, st.integers(0, 2**32 - 1))
def test_spike_statistics_follow_a_renumbering(raster, seed):
    order = np.random.default_rng(seed).permutation(raster.shape[1])
    plain, moved = Spikes.from_raster(raster), Spikes.from_raster(raster[:, order])
    rates = firing_rates(plain, dt=DT, n_steps=N_STEPS)
    np.testing.assert_array_equal(firing_rates(moved, dt=DT, n_steps=N_STEPS), rates[order])
    np.testing.assert_array_equal(isi_cv(moved), isi_cv(plain)[order])
    before = pairwise_correlation(plain, dt=DT, n_steps=N_STEPS)
    after = pairwise_correlation(moved, dt=DT, n_steps=N_STEPS)
    assert same(after.mean, before.mean)
    assert (after.n_used, after.n_silent) == (before.n_used, before.n_silent)


@settings(deadline=None)
@given(rasters)
def test_correlation_equals_the_mean_of_the_matrix(raster):
    counts = raster.reshape(N_STEPS // 5, 5, -1).sum(axis=1)
    counts = counts[:, counts.std(axis=0) > 0]
    found = pairwise_correlation(Spikes.from_raster(raster), dt=DT, n_steps=N_STEPS)
    n = counts.shape[1]
    assert found.n_used == n
    if n < 2:
        assert math.isnan(found.mean)
    else:
        expected = np.corrcoef(counts.T)[~np.eye(n, dtype=bool)].mean()
        assert same(found.mean, expected)


@given(rasters, st.integers(2, 50))
def test_stretching_time_scales_rates_and_keeps_the_variation(raster, factor):
    plain = Spikes.from_raster(raster)
    slow = Spikes(step=plain.step * factor, neuron=plain.neuron, size=plain.size)
    rates = firing_rates(plain, dt=DT, n_steps=N_STEPS)
    stretched = firing_rates(slow, dt=DT, n_steps=N_STEPS * factor)
    np.testing.assert_allclose(stretched, rates / factor)
    np.testing.assert_allclose(isi_cv(slow), isi_cv(plain), rtol=1e-9, atol=1e-12)
