"""The on-chip forms beyond STDWI: exact identities, and what they learn from known activity."""

from __future__ import annotations

import numpy as np
import pytest

from lava_align.backends.native import NativeBackend
from lava_align.errors import InvalidInputError
from lava_align.learning_rule.arithmetic import right_shift
from lava_align.recording import Spikes
from lava_align.replay.planes import learn, on_grid
from lava_align.rules import Sample, get_rule
from lava_align.rules.graded_chip import (
    Factor,
    leak,
    leaks,
    lower_information,
    lower_kolen_pollack,
    lower_phaseless,
    lower_probe,
    lower_sign_probe,
    lower_weight_mirror,
    outer_product,
)
from lava_align.rules.rdd_chip import (
    PRODUCT_SHIFT,
    SQUARE_SHIFT,
    SYNAPSE_SHIFT,
    lower_centred_class,
    lower_constant,
    lower_linear,
)
from lava_align.rules.rdd_window import ClassAverage, window_signals
from lava_align.rules.sal_chip import HEADROOM
from lava_align.rules.sal_chip import lower as lower_sal
from lava_align.rules.weight_mirror_chip import FORMS as WEIGHT_MIRROR_FORMS
from lava_align.statistics.alignment import alignment

DT = 1e-3
SEMANTICS = ("lava-0.10.0", "independent-rounding")


def spikes(raster):
    return Spikes.from_raster(raster)


def sample_of(pre, post, n_steps, signals=None, reach=None):
    return Sample(pre=pre, post=post, dt=DT, n_steps=n_steps, signals=signals or {}, reach=reach)


# Spike-based alignment learning ------------------------------------------------------------------


def sal_activity(seed, n_steps=4000, n=4):
    rng = np.random.default_rng(seed)
    return rng.random((n_steps, n)) < 0.05


def test_sal_is_antisymmetric_under_exchange_of_its_ends():
    # Simultaneous spikes cancel: with equal trains on both sides the diagonal stays near zero, and
    # (j, k) learns the opposite of (k, j). Not exactly, since the chip decays the traces of the
    # two sides by different random numbers.
    train = sal_activity(1)
    lowered = lower_sal(
        {"eta": 0.0025, "tau": 10e-3}, sample_of(train, train, 4000, reach=0.25), "B"
    )
    weights = (
        learn(
            lowered,
            {"pre": spikes(train), "post": spikes(train)},
            shape=(4, 4),
            dt=DT,
            n_steps=4000,
            weight_steps=[4000],
        )
        .feedback.values[-1]
        .astype(float)
    )
    # Eight transfers, rounded with a variance of a quarter at most, and the traces' own noise.
    off = weights[~np.eye(4, dtype=bool)]
    typical = np.sqrt(np.mean(off**2))
    assert typical > 10
    assert np.sqrt(np.mean(np.diag(weights) ** 2)) < 0.15 * typical
    assert np.sqrt(np.mean((weights + weights.T) ** 2)) < 0.3 * typical


@pytest.mark.parametrize("lag", [-1, 1])
def test_sal_sees_a_lag_of_one_step(lag):
    # A later copy of a train is one that follows it: post before pre potentiates.
    train = sal_activity(2, n=1)
    other = np.roll(train, lag, axis=0)
    other[: max(lag, 0)] = False
    lowered = lower_sal(
        {"eta": 0.0025, "tau": 10e-3}, sample_of(train, other, 4000, reach=0.25), "B"
    )
    (weight,) = learn(
        lowered,
        {"pre": spikes(train), "post": spikes(other)},
        shape=(1, 1),
        dt=DT,
        n_steps=4000,
        weight_steps=[4000],
    ).feedback.values.ravel()
    assert np.sign(weight) == -lag


def test_sal_moves_by_eta_for_a_pair_and_holds_the_reach():
    train = sal_activity(3)
    lowered = lower_sal(
        {"eta": 0.0025, "tau": 10e-3}, sample_of(train, train[::-1], 10**5, reach=0.4), "B"
    )
    learning = lowered.learning
    (transfer,) = learning.dw.products
    pair = learning.x1.impulse * transfer.coefficient
    assert learning.x1 == learning.y1
    assert pair == pytest.approx(0.0025 * lowered.weight_scale)
    assert 127 < HEADROOM * 0.4 * lowered.weight_scale <= 255


# Regression discontinuity ------------------------------------------------------------------------


def windows(seed, n_steps=30000, n_post=6, n_pre=5, baseline=0.06, effect=None):
    """Upper spikes whose rate rises for 20 steps in plus windows by what `effect` says."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(0, 0.02, (n_pre, n_post)) if effect is None else effect
    plus, minus = np.zeros((2, n_steps, n_post), bool)
    rate = np.full((n_steps, n_pre), baseline)
    for j in range(n_post):
        ends = np.sort(rng.choice(np.arange(100, n_steps), n_steps // 250, replace=False))
        for end in ends:
            up = rng.random() < 0.7
            (plus if up else minus)[end, j] = True
            if up:
                rate[end - 20 : end] += effect[:, j]
    return effect, rng.random((n_steps, n_pre)) < np.clip(rate, 0, 1), plus, minus


def learned(lower, pre, plus, minus, semantics="lava-0.10.0", seed=0):
    n_steps, n_post = plus.shape
    distance = np.abs(np.random.default_rng(5).normal(0, 0.3, plus.shape))
    signals = window_signals(plus, minus, distance)
    parameters = {"eta": 1e-3, "window": 30e-3}
    lowered = lower(parameters, sample_of(pre, plus, n_steps, signals), "B")
    sent = {
        name: values if values.dtype == np.int32 else spikes(values)
        for name, values in signals.items()
    }
    found = learn(
        lowered,
        {"pre": spikes(pre), **sent},
        shape=(n_post, pre.shape[1]),
        dt=DT,
        n_steps=n_steps,
        weight_steps=[n_steps],
        backend=NativeBackend(semantics=semantics, seed=seed),
    )
    return lowered, found.feedback.values[-1]


FORMS = {"centred": lower_centred_class, "constant": lower_constant, "linear": lower_linear}


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("form", FORMS)
def test_rdd_finds_what_a_spike_changes_under_any_baseline(form, semantics):
    found = []
    for seed in range(4):
        effect, pre, plus, minus = windows(seed)
        _, weights = learned(FORMS[form], pre, plus, minus, semantics, seed)
        found.append(alignment(effect, weights).r)
    assert np.mean(found) > 0.8, found


@pytest.mark.parametrize("form", FORMS)
def test_rdd_without_an_effect_finds_none(form):
    # Signs that agree by chance: the mean over seeds lies within three standard errors of a half.
    found = []
    for seed in range(6):
        random, *_ = windows(100 + seed, n_steps=200)
        _, pre, plus, minus = windows(seed, effect=np.zeros((5, 6)))
        _, weights = learned(FORMS[form], pre, plus, minus)
        found.append(np.mean((weights.T > 0) == (random > 0)))
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - 0.5) < 3 * max(error, 0.5 / np.sqrt(6 * 30))


def test_rdd_scales_its_weights_as_predicted():
    _, pre, plus, minus = windows(3, n_steps=60000)
    for lower in (lower_centred_class, lower_constant):
        lowered, weights = learned(lower, pre, plus, minus)
        predicted = lowered.predictions
        assert weights.std() == pytest.approx(predicted["weight_sd"], rel=0.3)
        assert np.abs(weights).max() < 256
        assert predicted["tag_clipping"] < 1e-2


def test_rdd_linear_makes_up_for_every_shift():
    # Prediction and correction use the same scales: a step of intercept and slope that the
    # paper's gradient ties together must be tied here too, after what Lava shifts out.
    _, pre, plus, minus = windows(4)
    lowered, _ = learned(lower_linear, pre, plus, minus)
    rule = lowered.planes[0].learning

    def effective(expression, *factors):
        (product,) = [
            p for p in expression.products if tuple(f.variable for f in p.factors) == factors
        ]
        return abs(product.coefficient) * 2.0 ** -right_shift(product)

    response, at_distance = effective(rule.dw, "x1"), effective(rule.dt, "x1", "y2")
    leak_w, cross_w = effective(rule.dw, "w"), effective(rule.dw, "t", "y2")
    cross_t, square_t = effective(rule.dt, "w", "y2"), effective(rule.dt, "t", "y2", "y2")
    # Prediction w/g + t y/h: correction of w by g * rate, of t by h * slow.
    g, h = response / leak_w, at_distance / square_t
    assert cross_w / leak_w == pytest.approx(g / h)
    assert cross_t / square_t == pytest.approx(h / g)
    assert (PRODUCT_SHIFT, SYNAPSE_SHIFT, SQUARE_SHIFT) == (3, 5, 12)


@pytest.mark.parametrize("bits", [1, 4, 6])
def test_a_class_average_follows_the_share_and_centres_the_classes(bits):
    rng = np.random.default_rng(bits)
    drawn = rng.random((40000, 3))
    plus, minus = drawn < 0.075, drawn > 0.975
    above, below = ClassAverage(bits=bits).signals(plus, minus)
    assert above[~plus].max() == below[~minus].max() == 0
    assert max(above.max(), below.max()) <= 2**bits
    settled = slice(20000, None)
    # Three quarters are plus: 1 - p after a plus and -p after a minus sum to nothing.
    total = above[settled].sum() - below[settled].sum()
    windows_seen = plus[settled].sum() + minus[settled].sum()
    assert abs(total / windows_seen / 2**bits) < 0.5 / 2**bits + 0.02


def test_rdd_asks_for_the_ends_of_windows():
    train = sal_activity(1)
    with pytest.raises(InvalidInputError, match=r"post\.above"):
        lower_centred_class({"eta": 1e-3, "window": 30e-3}, sample_of(train, train, 10), "B")


# Weight mirror from spikes -----------------------------------------------------------------------


def test_the_mirror_finds_covariances_of_rates():
    rng = np.random.default_rng(1)
    n_steps, n_post, n_pre = 60000, 8, 5
    forward = rng.normal(0, 1, (n_pre, n_post))
    drive = np.repeat(rng.random((n_steps // 100, n_post)) < 0.3, 100, axis=0)
    post = rng.random((n_steps, n_post)) < 0.02 + 0.06 * drive
    pre = rng.random((n_steps, n_pre)) < np.clip(0.03 + 0.012 * drive @ forward.T, 0, 1)
    parameters = {"eta": 5e-4, "decay": 0.5, "stimulus": 0.1}
    for form in WEIGHT_MIRROR_FORMS:
        lowered = form.lower(parameters, sample_of(pre[:10000], post[:10000], n_steps), "B")
        found = learn(
            lowered,
            {"pre": spikes(pre), "post": spikes(post)},
            shape=(n_post, n_pre),
            dt=DT,
            n_steps=n_steps,
            weight_steps=[n_steps],
        )
        assert alignment(forward, found.feedback.values[-1]).r > 0.85


# Rules on rates ----------------------------------------------------------------------------------


def noise(seed, n_steps, n_lower=6, n_upper=4):
    rng = np.random.default_rng(seed)
    forward = rng.normal(0, n_lower**-0.5, (n_upper, n_lower))
    x = rng.normal(size=(n_steps, n_lower))
    return rng, forward, x, x @ forward.T


def run_graded(lower, parameters, signals, shape, n_steps, semantics="lava-0.10.0", **more):
    silent = np.zeros((n_steps, shape[1]), bool)
    lowered = lower(
        parameters,
        sample_of(silent, np.zeros((n_steps, shape[0]), bool), n_steps, signals, more.pop("reach")),
        "B",
    )
    found = learn(
        lowered,
        signals,
        shape=shape,
        dt=DT,
        n_steps=n_steps,
        weight_steps=[n_steps],
        backend=NativeBackend(semantics=semantics, seed=more.pop("seed", 0)),
        **more,
    )
    return lowered, found


def test_kolen_pollack_gives_both_paths_the_same_integers():
    n_steps = 3000
    rng, forward, x, _ = noise(1, n_steps)
    signals = {"pre.error": rng.normal(size=(n_steps, 4)), "post.activity": x}
    start = {"weights": forward.T, "forward": forward, "reach": 1.5}
    _, found = run_graded(
        lower_kolen_pollack, {"eta": 0.01, "decay": 0.01}, signals, (6, 4), n_steps, **start
    )
    # Equal at first, the same increments, the same rounding: equal for ever.
    assert (found.feedback.values[-1] == found.forward.values[-1].T).all()
    assert found.feedback.values[-1].std() > 5


@pytest.mark.parametrize(("semantics", "most"), [(SEMANTICS[0], 2.0), (SEMANTICS[1], 10.0)])
def test_kolen_pollack_aligns_paths_that_start_apart(semantics, most):
    angles = []
    for seed in range(4):
        n_steps = 3000
        rng, forward, x, _ = noise(seed, n_steps)
        signals = {"pre.error": rng.normal(size=(n_steps, 4)), "post.activity": x}
        start = {"weights": rng.normal(0, 0.4, (6, 4)), "forward": forward, "reach": 1.5}
        _, found = run_graded(
            lower_kolen_pollack,
            {"eta": 0.02, "decay": 0.01},
            signals,
            (6, 4),
            n_steps,
            semantics,
            seed=seed,
            **start,
        )
        angles.append(alignment(found.forward.values[-1], found.feedback.values[-1]).angle)
    assert np.mean(angles) < most, angles


def test_what_rounding_down_takes_is_given_back():
    # Independent signals of zero mean: whatever drifts is an error of the arithmetic.
    n_steps = 20000
    rng = np.random.default_rng(3)
    signals = {"pre.a": rng.normal(size=(n_steps, 4)), "post.b": rng.normal(size=(n_steps, 6))}

    def lower(_, sample, where):
        return outer_product(
            sample, where, upper="pre.a", factors=[Factor("post.b", 0.01)], decay=0.01
        )

    lowered, found = run_graded(lower, {}, signals, (6, 4), n_steps, reach=1.0)
    weights = found.feedback.values[-1]
    # A step of 7/16 a sample would have moved them all by 44 steps of the tag.
    (transfer, *_) = lowered.learning.dw.products
    assert abs(weights.mean()) < 3 * weights.std() / np.sqrt(24) + 1
    assert transfer.coefficient * 44 > abs(weights.mean())


def test_the_rate_mirror_and_information_alignment_follow_their_equations():
    n_steps = 20000
    *_, x, y = noise(5, n_steps)
    signals = {"pre.activity": y, "post.activity": x}
    expected = np.zeros((6, 4))
    for a, b in zip(x, y, strict=True):
        expected += 0.01 * (np.outer(a, b) - expected)
    lowered, found = run_graded(
        lower_weight_mirror, {"eta": 0.01, "decay": 0.01}, signals, (6, 4), n_steps, reach=1.5
    )
    weights = found.feedback.values[-1] / lowered.weight_scale
    assert alignment(expected.T, weights).angle < 6
    assert np.linalg.norm(weights) == pytest.approx(np.linalg.norm(expected), rel=0.15)

    constants = {"eta": 1.0, "alpha": 2e-3, "beta": 1e-3, "gamma": 1e-3}
    expected, third = np.zeros((6, 4)), np.zeros((n_steps, 6))
    for step, (a, b) in enumerate(zip(x, y, strict=True)):
        third[step] = expected @ b
        expected += 2e-3 * np.outer(a - third[step], b) - 2e-3 * expected
    signals["post.reconstruction"] = third
    lowered, found = run_graded(lower_information, constants, signals, (6, 4), n_steps, reach=1.5)
    weights = found.feedback.values[-1] / lowered.weight_scale
    assert alignment(expected.T, weights).angle < 8


def test_pal_learns_from_the_noise_and_not_from_the_signal():
    n_steps = 20000
    rng, forward, xi, _ = noise(6, n_steps)
    slow = np.repeat(rng.normal(0, 3, (n_steps // 500, 6)), 500, axis=0)
    high = np.diff((slow + xi) @ forward.T, axis=0, prepend=0.0)
    signals = {"pre.activity": high, "post.noise": xi}
    parameters = {"eta": 10.0, "alpha": 0.5, "dt": 1e-3}
    _, found = run_graded(lower_phaseless, parameters, signals, (6, 4), n_steps, reach=2.0)
    assert alignment(forward, found.feedback.values[-1]).angle < 20


def test_probes_copy_weights_and_signs():
    rng = np.random.default_rng(7)
    forward = rng.normal(0, 1, (4, 6))
    probe = np.eye(6, dtype=bool)
    signals = {"pre.response": forward.T.copy(), "post.probe": spikes(probe)}
    start = rng.normal(0, 0.3, (6, 4))
    sample = sample_of(
        np.zeros((6, 4), bool), probe, 6, {"pre.response": forward.T.copy()}, reach=1.0
    )
    for lower, expected in ((lower_probe, forward), (lower_sign_probe, np.sign(forward))):
        lowered = lower({}, sample, "B")
        found = learn(
            lowered, signals, shape=(6, 4), dt=DT, n_steps=6, weight_steps=[6], weights=start
        ).feedback.values[-1]
        error = np.abs(found / lowered.weight_scale - expected.T)
        assert error.max() <= 0.5 / (lowered.weight_scale / 2) * 1.001


def test_leaks_come_close_and_stay_away_where_they_cannot():
    for asked in (0.2, 0.01, 3e-4, 3e-5):
        for found in leaks(asked):
            assert found.per_sample == pytest.approx(asked, rel=0.15)
            assert found.per_sample * 2**found.clock <= 0.3
    assert leak(0.0, 5).term == ""
    assert leaks(1e-7)[0].mantissa == 0


def test_a_missing_or_short_signal_is_named():
    x = np.zeros((10, 4))
    lowered = lower_weight_mirror(
        {"eta": 0.01, "decay": 0.01},
        sample_of(x > 0, x > 0, 10, {"pre.activity": x, "post.activity": x}, 1.0),
        "B",
    )
    kwargs = {"shape": (4, 4), "dt": DT, "n_steps": 10, "weight_steps": [10]}
    with pytest.raises(InvalidInputError, match=r"post\.activity"):
        learn(lowered, {"pre.activity": x}, **kwargs)
    with pytest.raises(InvalidInputError, match="3 steps"):
        learn(lowered, {"pre.activity": x, "post.activity": x[:3]}, **kwargs)


def test_the_grid_of_mixed_signs():
    assert on_grid(np.array([-300.0, -3.1, 0.9, 1.1, 255.0])).tolist() == [-256, -4, 0, 2, 254]


def test_parameters_that_do_not_go_together_are_refused():
    rule = get_rule("rdd")
    with pytest.raises(InvalidInputError, match=r"here\.tau_rise: equal to tau_decay"):
        rule.complete({"tau_rise": 10e-3, "tau_decay": 10e-3}, "here")
    assert rule.complete({"tau_rise": 2e-3}, "here")["tau_rise"] == 2e-3
