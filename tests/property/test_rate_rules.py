"""Rules on rates: identities that hold for any weights and any signals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_align.rules.rates import (
    Signals,
    Weights,
    activation_alignment,
    facts,
    get_rate_rule,
    information_alignment,
    kolen_pollack,
    phaseless_alignment,
    product_feedback,
    sign_symmetry,
    symmetric_alignment,
    weight_mirror,
)

sizes = st.integers(1, 6)
seeds = st.integers(0, 2**32 - 1)
rates = st.floats(1e-3, 1.0)
coefficients = st.floats(1e-2, 2.0)


@st.composite
def layer_pairs(draw, relay=False):
    """Weights, a batch of signals and the generator they came from."""
    n, m, batch = draw(sizes), draw(sizes), draw(sizes)
    scale = 10.0 ** draw(st.integers(-2, 2))
    rng = np.random.default_rng(draw(seeds))
    width = draw(sizes) if relay else m
    weights = Weights(
        forward=rng.normal(size=(m, n)),
        feedback=rng.normal(size=(n, width)),
        relay=rng.normal(size=(width, m)) if relay else None,
    )
    return weights, signals_for(weights, batch, scale, rng), rng


def signals_for(weights, batch, scale, rng):
    m, n = weights.forward.shape
    return Signals(
        lower=scale * rng.normal(size=(batch, n)),
        upper=scale * rng.normal(size=(batch, m)),
        error=scale * rng.normal(size=(batch, m)),
        third=scale * rng.normal(size=(batch, n)),
    )


def close(a, b, scale=None):
    """Equal up to the rounding of numbers of the size of the larger or of ``scale``."""
    size = max(np.abs(a).max(), np.abs(b).max(), scale or 0.0)
    return np.abs(a - b).max() <= 1e-9 * max(size, 1e-300)


# --- Kolen-Pollack ----------------------------------------------------------------------------


@given(layer_pairs(), rates, st.floats(0.0, 0.2), st.integers(1, 40))
def test_kolen_pollack_identity_holds_for_any_increments(pair, eta, decay, updates):
    weights, _, rng = pair
    forward, feedback = weights.forward, weights.feedback
    start, largest = forward - feedback.T, 0.0
    for _ in range(updates):
        seen = signals_for(weights, 1 + rng.integers(5), 10.0 ** rng.integers(-2, 2), rng)
        forward, feedback = kolen_pollack.step(
            forward, feedback, seen.lower, seen.error, eta=eta, decay=decay
        )
        largest = max(largest, np.abs(forward).max())
    left = facts.kolen_pollack_ratio(decay, updates) * start
    assert close(forward - feedback.T, left, scale=1e-3 * largest)


@given(layer_pairs(relay=True), rates, st.floats(0.0, 0.2), st.integers(1, 20))
def test_product_feedback_follows_the_same_identity_through_its_relay(pair, eta, decay, updates):
    weights, _, rng = pair
    forward, feedback, relay = weights.forward, weights.feedback, weights.relay
    start, largest = feedback - forward.T @ relay.T, 0.0
    for _ in range(updates):
        seen = signals_for(weights, 1 + rng.integers(5), 1.0, rng)
        forward, feedback = product_feedback.step(
            forward, feedback, relay, seen.lower, seen.error, eta=eta, decay=decay
        )
        largest = max(largest, np.abs(feedback).max())
    left = facts.kolen_pollack_ratio(decay, updates) * start
    assert close(feedback - forward.T @ relay.T, left, scale=1e-3 * largest)


# --- Kunin et al.: every step is minus the gradient of its regulariser ------------------------
# The primitives are written sample by sample from their definitions; the slope is numerical.
# They are quadratic in B, so that central differences are exact up to rounding.


def amp(b, w, xs):
    return -np.mean([x @ b @ w @ x for x in xs])


def null(b, w, xs):
    return np.mean([np.sum((b @ w @ x) ** 2) for x in xs])


def sparse(b, w, xs):
    return np.mean([np.sum((x @ b) ** 2) + np.sum((w @ x) ** 2) for x in xs])


def decay(b, w):
    return np.sum(w**2) + np.sum(b**2)


def likeness(b, w):
    return -np.trace(b @ w)


def gradient(loss, b, h=0.5):
    found = np.empty_like(b)
    for at in np.ndindex(b.shape):
        nudge = np.zeros_like(b)
        nudge[at] = h
        found[at] = (loss(b + nudge) - loss(b - nudge)) / (2 * h)
    return found


@given(layer_pairs(), coefficients, coefficients, coefficients, rates)
def test_information_alignment_descends_its_regulariser(pair, alpha, beta, gamma, eta):
    weights, seen, _ = pair
    w, b, xs = weights.forward, weights.feedback, seen.lower
    ys = xs @ w.T
    moved = information_alignment.step(
        b,
        xs,
        ys,
        information_alignment.reconstruction(b, ys),
        eta=eta,
        alpha=alpha,
        beta=beta,
        gamma=gamma,
    )
    slope = gradient(
        lambda b: alpha * amp(b, w, xs) + beta * null(b, w, xs) + gamma * decay(b, w), b
    )
    assert close(moved, b - eta * slope)


@given(layer_pairs(), coefficients, coefficients, rates)
def test_weight_mirror_descends_its_regulariser(pair, alpha, beta, eta):
    weights, seen, _ = pair
    w, b, xs = weights.forward, weights.feedback, seen.lower
    moved = weight_mirror.step(b, xs, xs @ w.T, eta=eta * beta, decay=2 * eta * alpha)
    slope = gradient(lambda b: alpha * decay(b, w) + beta * amp(b, w, xs), b)
    assert close(moved, b - eta * slope)


@given(layer_pairs(), coefficients, coefficients, rates)
def test_activation_alignment_descends_its_regulariser(pair, alpha, beta, eta):
    weights, seen, _ = pair
    w, b, xs = weights.forward, weights.feedback, seen.lower
    moved = activation_alignment.step(b, xs, xs @ w.T, eta=eta, alpha=alpha, beta=beta)
    slope = gradient(lambda b: alpha * sparse(b, w, xs) + beta * amp(b, w, xs), b)
    assert close(moved, b - eta * slope)


@given(layer_pairs(), coefficients, coefficients, rates)
def test_symmetric_alignment_descends_its_regulariser(pair, alpha, beta, eta):
    w, b = pair[0].forward, pair[0].feedback
    moved = symmetric_alignment.step(b, w, eta=eta, alpha=alpha, beta=beta)
    slope = gradient(lambda b: alpha * decay(b, w) + beta * likeness(b, w), b)
    assert close(moved, b - eta * slope)


@given(layer_pairs(), coefficients, coefficients, rates)
def test_a_sweep_of_probes_is_one_symmetric_step(pair, alpha, beta, eta):
    w, b = pair[0].forward, pair[0].feedback
    unit, constants = np.eye(w.shape[1]), {"alpha": alpha, "beta": beta}
    expected = symmetric_alignment.step(b, w, eta=eta, **constants)
    swept = b
    for x in unit[:, np.newaxis]:
        swept = symmetric_alignment.probe_step(swept, x, x @ w.T, eta=eta, **constants)
    at_once = symmetric_alignment.probe_step(b, unit, unit @ w.T, eta=eta * len(unit), **constants)
    by_activation = activation_alignment.step(b, unit, unit @ w.T, eta=eta * len(unit), **constants)
    assert close(swept, expected)
    assert close(at_once, expected)
    assert close(by_activation, expected)


def white_batch(n, rng):
    """A batch whose second moments are those of white noise, exactly."""
    return np.sqrt(n) * np.linalg.qr(rng.normal(size=(n, n)))[0]


@given(layer_pairs(), coefficients, coefficients, coefficients, st.floats(0.1, 10.0))
def test_information_alignment_rests_at_its_target(pair, alpha, beta, gamma, variance):
    weights, _, rng = pair
    w = weights.forward
    target = facts.information_target(w, alpha=alpha, beta=beta, gamma=gamma, variance=variance)
    xs = np.sqrt(variance) * white_batch(w.shape[1], rng)
    ys = xs @ w.T
    moved = information_alignment.step(
        target,
        xs,
        ys,
        information_alignment.reconstruction(target, ys),
        eta=1.0,
        alpha=alpha,
        beta=beta,
        gamma=gamma,
    )
    assert close(moved, target, scale=np.abs(alpha * w).max())


@given(layer_pairs(), st.floats(0.01, 0.4), st.floats(0.1, 1.0))
def test_symmetric_and_activation_alignment_contract_to_the_transpose(pair, eta, alpha):
    weights, _, rng = pair
    w, b = weights.forward, weights.feedback
    xs = white_batch(w.shape[1], rng)
    constants = {"eta": eta, "alpha": alpha, "beta": 2 * alpha}
    target = facts.symmetric_target(w, alpha=alpha, beta=2 * alpha)
    assert np.array_equal(target, w.T)
    left = facts.symmetric_contraction(eta, alpha) * (b - target)
    assert close(symmetric_alignment.step(b, w, **constants) - target, left)
    assert close(activation_alignment.step(b, xs, xs @ w.T, **constants) - target, left)


# --- batches, signs, scales -------------------------------------------------------------------

LINEAR = [
    "weight_mirror",
    "weight_mirror_sigmoid",
    "kolen_pollack",
    "information_alignment",
    "symmetric_alignment",
    "activation_alignment",
    "phaseless_alignment",
    "product_feedback",
    "feedback_alignment",
]


@pytest.mark.parametrize("name", LINEAR)
@settings(max_examples=25)
@given(data=st.data())
def test_a_batch_moves_by_the_mean_of_its_samples(name, data):
    rule = get_rate_rule(name)
    weights, seen, rng = data.draw(layer_pairs(relay=name == "product_feedback"))
    parameters = rule.complete()
    whole = rule.update(weights, seen, parameters, rng)
    single = [rule.update(weights, sample, parameters, rng) for sample in seen.batches(1)]
    assert close(whole.forward, np.mean([w.forward for w in single], axis=0))
    assert close(whole.feedback, np.mean([w.feedback for w in single], axis=0))


@given(layer_pairs(), st.sampled_from(["uniform", "batch", "fixed"]))
def test_sign_symmetry_has_the_signs_of_the_new_forward_weights(pair, variant):
    weights, seen, rng = pair
    rule = get_rate_rule(f"sign_symmetry_{variant}")
    moved = rule.update(weights, seen, rule.complete(), rng)
    assert not np.array_equal(moved.forward, weights.forward)
    assert np.array_equal(np.sign(moved.feedback), np.sign(moved.forward.T))
    if variant != "batch":
        assert np.array_equal(np.abs(moved.feedback), np.abs(weights.feedback))


@given(layer_pairs())
def test_magnitudes_of_sign_symmetry_keep_no_sign_of_their_own(pair):
    w, magnitudes = pair[0].forward, pair[0].feedback
    found = sign_symmetry.signed(w, magnitudes)
    assert np.array_equal(found, sign_symmetry.signed(w, -magnitudes))
    assert np.array_equal(sign_symmetry.signed(-w, magnitudes), -found)
    assert np.array_equal(sign_symmetry.signed(0 * w, magnitudes), 0 * found)


@given(layer_pairs(), rates, rates)
def test_pal_is_a_weight_mirror_of_the_noise(pair, eta, alpha):
    weights, seen, _ = pair
    moved = phaseless_alignment.step(
        weights.feedback, seen.third, seen.upper, eta=eta, alpha=alpha, dt=0.5
    )
    mirrored = weight_mirror.step(
        weights.feedback, seen.third, seen.upper, eta=0.5 * eta, decay=0.5 * eta * alpha
    )
    assert close(moved, mirrored)


@given(layer_pairs(), rates, rates)
def test_information_alignment_without_null_is_a_weight_mirror(pair, alpha, gamma):
    weights, seen, _ = pair
    moved = information_alignment.step(
        weights.feedback,
        seen.lower,
        seen.upper,
        seen.third,
        eta=0.5,
        alpha=alpha,
        beta=0.0,
        gamma=gamma,
    )
    mirrored = weight_mirror.step(
        weights.feedback, seen.lower, seen.upper, eta=0.5 * alpha, decay=gamma
    )
    assert close(moved, mirrored)


@given(layer_pairs(relay=True))
def test_signals_survive_cutting_and_joining(pair):
    _, seen, _ = pair
    joined = Signals.join(list(seen.batches(2)))
    for name in ("lower", "upper", "error", "third"):
        assert np.array_equal(getattr(joined, name), getattr(seen, name))
    assert joined.upper_rate is None
