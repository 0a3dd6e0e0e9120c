"""Sums of windows, spreads and codes against plain loops."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_align.rules import Code, Sample
from lava_align.rules.accumulation import (
    Term,
    expected_spread,
    rounding_variance,
    thinned,
    window_sums,
)

sizes = st.integers(1, 5)


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, st.integers(1, 40), st.integers(1, 16), st.integers(0, 2**32 - 1))
def test_window_sums_are_sums_of_outer_products(n_post, n_pre, n_steps, length, seed):
    rng = np.random.default_rng(seed)
    terms = [
        Term(rng.normal(size=(n_steps, n_post)), rng.normal(size=(n_steps, n_pre)))
        for _ in range(2)
    ]
    found = np.concatenate(list(window_sums(terms, length)))
    expected = np.zeros((-(-n_steps // length), n_post, n_pre))
    for step in range(n_steps):
        for term in terms:
            expected[step // length] += np.outer(term.post[step], term.pre[step])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@given(st.integers(-400, 400), st.integers(-7, 0))
def test_rounding_variance_is_that_of_the_fraction(value, exponent):
    fraction = Fraction(value) * Fraction(2) ** exponent % 1
    expected = float(fraction * (1 - fraction))
    assert rounding_variance(np.array([float(value)]), exponent)[0] == pytest.approx(expected)


def test_a_spread_grows_with_time_as_drift_and_with_its_root_as_noise():
    rng = np.random.default_rng(1)
    drift = rng.normal(size=(1, 30))
    post = np.ones((2000, 1))
    steady = [Term(post, np.repeat(drift, 2000, axis=0))]
    noise = [Term(post, rng.normal(size=(2000, 400)))]
    assert expected_spread(steady, 20000).sd == pytest.approx(20000 * drift.std(), rel=1e-6)
    assert expected_spread(noise, 20000).sd == pytest.approx(np.sqrt(20000), rel=0.25)
    assert expected_spread(noise, 20000).reliability < 0.6 < expected_spread(steady, 9).reliability


def test_thinning_keeps_evenly_spaced_neurons_of_every_signal():
    pre = np.zeros((3, 300), bool)
    signal = np.arange(900).reshape(3, 300)
    found = thinned(
        Sample(pre=pre, post=pre[:, :7], dt=1e-3, n_steps=3, signals={"pre.rate": signal}, reach=2)
    )
    assert found.pre.shape == found.signals["pre.rate"].shape == (3, 100)
    assert found.post.shape == (3, 7)
    assert found.signals["pre.rate"][0, :3].tolist() == [0, 3, 6]
    assert found.reach == 2


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(1e-3, 1e3), st.booleans())
def test_codes_hold_seven_bits_and_come_back_within_half_a_step(values, unit, payload):
    values = np.array(values)
    sent = Code(unit, payload=payload).encode(values)
    steps = sent // 2 if payload else sent
    assert (sent % 2 == 0).all() or not payload
    assert ((steps >= 1) & (steps <= 127)).all()
    back = (steps - 64) / unit
    inside = np.abs(values * unit) <= 63
    assert (np.abs(back - values)[inside] <= 0.5 / unit * (1 + 1e-9)).all()
    assert (np.sign(back) * np.sign(values) >= 0).all()


def test_an_infinite_unit_sends_the_sign():
    assert Code(np.inf).encode(np.array([-1e-9, 0.0, 3.0])).tolist() == [1, 64, 127]
