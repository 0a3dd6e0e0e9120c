"""Rules on rates end where theory says, at the thresholds of the literature, over seeds."""

import numpy as np
import pytest

from lava_align.rules.rates import (
    activation_alignment,
    facts,
    get_rate_rule,
    phaseless_alignment,
    run,
    snapshots,
)
from lava_align.statistics.alignment import alignment

N, M, SEEDS = 20, 10, range(5)


def runs(name, at, batch=1, seeds=SEEDS, n_lower=N, n_upper=M, **parameters):
    """Weights at chosen times, a list of them per seed."""
    return [
        snapshots(
            get_rate_rule(name),
            n_lower=n_lower,
            n_upper=n_upper,
            at=at,
            rng=np.random.default_rng(seed),
            parameters=parameters,
            batch=batch,
        )
        for seed in seeds
    ]


def angles(found):
    """Angle of forward weights and feedback path, shape (seeds, times)."""
    return np.array([[alignment(w.forward, w.path).angle for w in times] for times in found])


def standard_error(values):
    return np.std(values, ddof=1) / np.sqrt(len(values))


def test_weight_mirror_is_aligned_after_500_samples():
    start, end = angles(runs("weight_mirror", [0, 500])).mean(axis=0)
    assert start > 80
    assert end < 25


@pytest.mark.parametrize(("decay", "n_lower"), [(0.01, 20), (0.02, 20), (0.01, 60)])
def test_weight_mirror_stays_at_its_noise_floor(decay, n_lower):
    times = range(800, 2400, 400)
    found = angles(runs("weight_mirror", times, n_lower=n_lower, decay=decay)).mean(axis=1)
    # The form is for small decay and the mean matrix; both are good to a degree here.
    assert found.mean() == pytest.approx(
        facts.mirror_floor(decay, n_lower), abs=3 * standard_error(found) + 0.5
    )


def test_weight_mirror_has_the_size_theory_gives():
    (w,) = runs("weight_mirror", [200], batch=1, seeds=[1], eta=0.02, decay=0.05, noise_sd=2.0)[0]
    total = np.zeros((N, M))
    chunks = list(
        run(
            get_rate_rule("weight_mirror"),
            n_lower=N,
            n_upper=M,
            n_samples=100_000,
            rng=np.random.default_rng(1),
            parameters={"eta": 0.02, "decay": 0.05, "noise_sd": 2.0},
            weights=w,
            batch=100,
            chunk=100,
        )
    )
    for chunk in chunks[200:]:
        total += chunk.after.feedback
    target = facts.mirror_target(w.forward, eta=0.02, decay=0.05, variance=4.0)
    size = np.sum(total / (len(chunks) - 200) * target) / np.sum(target**2)
    assert size == pytest.approx(1, abs=0.03)


def test_sigmoid_mirror_is_aligned_after_a_million_and_a_half_samples():
    # The authors sum over a batch: eta 0.01 per sample is 0.01 * batch for a mean.
    # Batches are small enough for one thread: on a busy machine, more wait for one another.
    batch, times = 500, [500_000, 1_500_000]
    found = angles(runs("weight_mirror_sigmoid", times, batch=batch, eta=0.01 * batch))
    assert found[:, 1].mean() < 25
    for time, values in zip(times, found.T, strict=True):
        theory = facts.sigmoid_mirror_angle(time, N, M, eta=0.01, amplitude=0.1)
        assert values.mean() == pytest.approx(theory, abs=3 * standard_error(values))


@pytest.mark.parametrize("decay", [0.01, 0.001])
def test_kolen_pollack_forgets_the_difference_at_its_own_pace(decay):
    for start, end in runs("kolen_pollack", [0, 1000], decay=decay):
        left = np.linalg.norm(end.forward - end.feedback.T)
        ratio = left / np.linalg.norm(start.forward - start.feedback.T)
        assert ratio == pytest.approx(facts.kolen_pollack_ratio(decay, 1000), rel=1e-6)


def test_kolen_pollack_factors_are_the_measured_ones():
    assert facts.kolen_pollack_ratio(0.01, 1000) == pytest.approx(4.3171e-5, rel=1e-4)
    assert facts.kolen_pollack_ratio(0.001, 1000) == pytest.approx(0.36770, rel=1e-4)


def test_information_alignment_ends_at_the_damped_inverse_and_not_the_transpose():
    coefficients = {"alpha": 2e-3, "beta": 1e-3, "gamma": 1e-3}
    to_target, to_transpose = [], []
    for (w,) in runs("information_alignment", [20_000], batch=10, eta=1.0):
        target = facts.information_target(w.forward, **coefficients)
        to_target.append(alignment(target.T, w.feedback).angle)
        to_transpose.append(alignment(w.forward, w.feedback).angle)
    assert np.mean(to_target) < 6
    assert np.mean(to_transpose) > 12


def test_symmetric_alignment_arrives_after_400_sweeps():
    # A sweep of n probes as one batch, of which the mean is taken.
    start, end = angles(runs("symmetric_alignment", [0, 400 * N], batch=N, eta=10.0 * N)).T
    assert start.mean() > 80
    assert end.mean() < 2
    # 0.98^400 of a start that is 0.8 times as large as W.
    assert end.max() < 0.05


def test_activation_alignment_arrives_after_400_samples():
    middle, end = angles(runs("activation_alignment", [200, 400])).T
    assert middle.mean() < 6
    assert end.mean() < 2


def test_activation_alignment_contracts_as_fast_as_theory_says():
    rng = np.random.default_rng(1)
    forward, distance = rng.normal(size=(M, N)), rng.normal(size=(N, M))
    feedback, ratios = forward.T + distance, []
    for x in rng.normal(size=(4000, 1, N)):
        moved = activation_alignment.step(feedback, x, x @ forward.T, eta=10, alpha=2e-3, beta=4e-3)
        ratios.append(np.sum((moved - forward.T) ** 2) / np.sum(distance**2))
    theory = facts.activation_contraction(10, 2e-3, N)
    assert np.mean(ratios) == pytest.approx(theory, abs=4 * standard_error(ratios))
    assert theory < 1


def test_activation_alignment_diverges_where_theory_says():
    eta = 1.5 * 2 / (N + 2) / (2 * 1e-3)
    assert facts.activation_contraction(eta, 1e-3, N) > 1
    (w,) = runs("activation_alignment", [0], eta=eta, seeds=[1])[0]
    distances = []
    rng = np.random.default_rng(1)
    for x in rng.normal(size=(4000, 1, N)):
        moved = activation_alignment.step(
            w.feedback, x, x @ w.forward.T, eta=eta, alpha=1e-3, beta=2e-3
        )
        distances.append(np.sum((moved - w.forward.T) ** 2))
    assert np.mean(distances) > np.sum((w.feedback - w.forward.T) ** 2)


def test_product_feedback_is_as_aligned_as_its_relay_allows():
    excess = [
        alignment(w.forward, w.path).angle - facts.product_angle(w.relay)
        for (w,) in runs("product_feedback", [1000], seeds=range(5))
    ]
    assert np.mean(excess) <= 6
    for (w,) in runs("product_feedback", [1000], seeds=range(2)):
        assert alignment(facts.product_target(w.forward, w.relay).T, w.path).angle < 1


def test_pal_aligns_beside_a_slow_signal():
    # 100 time steps of 10 us per update, each of the weight of 100.
    start, end = angles(runs("phaseless_alignment", [0, 30_000], batch=100, eta=5e6)).T
    assert start.mean() > 80
    assert end.mean() < 15


def test_pal_needs_its_high_pass():
    rule, differences = get_rate_rule("phaseless_alignment"), []
    for seed in range(5):
        parameters = rule.complete({"eta": 5e6})
        constants = {name: parameters[name] for name in ("eta", "alpha", "dt")}
        without = None
        for chunk in run(
            rule,
            n_lower=N,
            n_upper=M,
            n_samples=20_000,
            rng=np.random.default_rng(seed),
            parameters=parameters,
            batch=100,
            chunk=100,
        ):
            without = chunk.before.feedback if without is None else without
            without = phaseless_alignment.step(
                without, chunk.signals.third, chunk.signals.upper_rate, **constants
            )
            last = chunk.after
        plain = alignment(last.forward, without).angle
        differences.append(plain - alignment(last.forward, last.feedback).angle)
    assert np.mean(differences) > 30


def test_pal_ends_at_the_size_theory_gives():
    sizes = []
    for seed in range(5):
        total, count = 0, 0
        for chunk in run(
            get_rate_rule("phaseless_alignment"),
            n_lower=N,
            n_upper=M,
            n_samples=10_000,
            rng=np.random.default_rng(seed),
            # Without a signal, and with a decay that forgets the start in 1000 steps.
            parameters={"eta": 5e6, "alpha": 2e-3, "signal_sd": 0.0, "tau_high": 3e-4},
            batch=100,
            chunk=100,
        ):
            if chunk.start >= 4000:
                total, count = total + chunk.after.feedback, count + 1
        target = facts.phaseless_target(
            chunk.after.forward,
            alpha=2e-3,
            noise_scale=0.05,
            dt=1e-5,
            tau_noise=1e-4,
            tau_high=3e-4,
        )
        sizes.append(np.sum(total / count * target) / np.sum(target**2))
    assert np.mean(sizes) == pytest.approx(1, abs=3 * standard_error(sizes) + 0.01)


@pytest.mark.parametrize("name", ["feedback_alignment", "direct_feedback_alignment"])
def test_forward_weights_turn_to_fixed_feedback(name):
    start, end = angles(runs(name, [0, 1000])).T
    assert start.mean() > 85
    assert end.mean() < 65


@pytest.mark.parametrize("variant", ["uniform", "batch", "fixed"])
def test_sign_symmetry_follows_the_signs_while_forward_weights_learn(variant):
    for start, end in runs(f"sign_symmetry_{variant}", [0, 500]):
        assert np.any(np.sign(start.forward) != np.sign(end.forward))
        for w in (start, end):
            assert alignment(w.forward, w.feedback).sign_agreement == 1
    magnitudes_kept = np.allclose(np.abs(start.feedback), np.abs(end.feedback))
    assert magnitudes_kept == (variant != "batch")
