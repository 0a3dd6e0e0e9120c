import json
import math

import numpy as np
import pytest

from lava_align.errors import ConstraintViolationError, InvalidInputError
from lava_align.learning_rule import Expression, Trace
from lava_align.learning_rule.arithmetic import effective_coefficient
from lava_align.rules import Sample, get_rule

STDWI = get_rule("stdwi")
DT = 1e-3
N_LOWER, N_UPPER = 30, 6


# --- activity: lower neurons in bursts, upper neurons that follow them -------------------------


def activity(rate, seconds, seed, dt=DT):
    """Spikes of upper and lower neurons; the upper ones fire at ``rate`` Hz on average."""
    signal = pytest.importorskip("scipy.signal")
    rng = np.random.default_rng(seed)
    weights = np.random.default_rng(7).normal(0.2, 1.0, (N_UPPER, N_LOWER))
    n_steps = round(seconds / dt)
    segment = round(0.1 / dt)
    driven = rng.random((-(-n_steps // segment), N_LOWER)) < 0.2
    lower = rng.random((n_steps, N_LOWER)) < np.repeat(driven, segment, axis=0)[:n_steps] * (
        120.0 * dt
    )
    trace = signal.lfilter([1.0], [1.0, -math.exp(-dt / 8e-3)], lower, axis=0)
    drive = np.exp(0.7 * np.roll(trace @ weights.T, 1, axis=0))
    drive = np.minimum(drive, 20.0)
    upper = rng.random((n_steps, N_UPPER)) < drive * (rate * dt / drive.mean())
    return upper, lower


def sample(rate, seconds, dt=DT):
    """What the compiler would see: ten seconds of other spikes, and the length of the run."""
    upper, lower = activity(rate, min(seconds, 10.0), seed=1000, dt=dt)
    return Sample(pre=upper, post=lower, dt=dt, n_steps=round(seconds / dt))


def lower(sample, form=None, **parameters):
    return STDWI.form(form).lower(STDWI.complete(parameters, "B.rule"), sample, "B.rule")


# --- the chip in plain integers ----------------------------------------------------------------


def chip_trace(spikes, trace, rng):
    """7-bit trace: decay by exp(-1/tau), rounded at random, then the impulse, saturating."""
    decay = math.exp(-1.0 / trace.tau) if trace.tau else 0.0
    state = np.zeros(spikes.shape[1])
    out = np.empty(spikes.shape, dtype=np.int64)
    for step, added in enumerate(spikes * trace.impulse):
        state = np.minimum(np.floor(state * decay + rng.random()) + added, 127)
        out[step] = state
    return out


def stochastic(value, rng):
    return np.floor(value + rng.random(value.shape))


def coefficients(expression):
    """What each term of a rule is worth on the chip, e.g. {("u5", "t"): 0.25}."""
    return {
        (product.dependency, *(f.variable for f in product.factors)): effective_coefficient(
            "dw", product
        ).effective
        for product in expression.products
    }


def run_chip(rule, upper, lower, seed):
    """Weights at the end; shapes (n_post, n_pre). Rounding is independent per synapse."""
    rng = np.random.default_rng(seed)
    y1, y2 = (chip_trace(lower, trace, rng) for trace in (rule.y1, rule.y2))
    x1 = chip_trace(upper, rule.x1, rng)
    dw = coefficients(rule.dw)
    dt = coefficients(rule.dt) if rule.dt is not None else {}
    period = 2 ** (rule.decimation if rule.decimation is not None else 30)
    clock = f"u{rule.decimation}"
    leak, transfer = -dw.get((clock, "x1", "w"), 0.0), dw.get((clock, "t"), 0.0)
    weight = np.zeros((lower.shape[1], upper.shape[1]))
    tag = np.zeros_like(weight)
    ticks = (np.arange(len(upper)) + 1) % period == 0
    for step in np.flatnonzero(upper.any(axis=1) | ticks):
        fast, slow = (np.outer(y[step], upper[step]) for y in (y1, y2))
        moved = dw.get(("x0", "y1"), 0.0) * fast + dw.get(("x0", "y2"), 0.0) * slow
        gathered = dt.get(("x0", "y1"), 0.0) * fast + dt.get(("x0", "y2"), 0.0) * slow
        if ticks[step]:
            moved = moved + transfer * tag - leak * x1[step] * weight
            tag = tag + dt.get((clock, "t"), 0.0) * tag
        weight = np.clip(stochastic(weight + moved, rng), -256, 255)
        tag = np.clip(stochastic(tag + gathered, rng), -256, 255)
    return weight


def paper(upper, lower, tau_fast=10e-3, tau_slow=200e-3, kappa=0.0, eta=5e-4, dt=DT):
    """The paper's rule in floats, kernels of equal area on the grid."""
    signal = pytest.importorskip("scipy.signal")
    traces = []
    for tau in (tau_fast, tau_slow):
        decay = math.exp(-dt / tau)
        traces.append(signal.lfilter([1.0 - decay], [1.0, -decay], lower, axis=0))
    difference = (traces[0] - traces[1]) / (1.0 - math.exp(-dt / tau_fast))
    weight = np.zeros((lower.shape[1], upper.shape[1]))
    for step in np.flatnonzero(upper.any(axis=1)):
        moved = np.outer(difference[step], upper[step]) - kappa * weight * upper[step]
        weight = weight + eta * moved
    return weight


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


# (rate Hz, seconds, dt): low and high rates, short and long runs
REGIMES = [(5, 60, 2e-3), (15, 5, DT), (15, 40, DT), (50, 10, DT), (150, 10, DT)]


@pytest.mark.parametrize(("rate", "seconds", "dt"), REGIMES)
def test_two_stage_follows_the_paper_and_predicts_what_it_costs(rate, seconds, dt):
    lowered = lower(sample(rate, seconds, dt))
    predicted = lowered.predictions
    upper, post = activity(rate, seconds, seed=3, dt=dt)
    weights = run_chip(lowered.learning, upper, post, seed=4)
    asked = paper(upper, post, dt=dt)
    assert correlation(weights, asked) > 0.95
    assert np.mean(np.abs(weights) >= 254) < 0.01
    assert predicted["weight_clipping"] < 0.01
    # The sample is another draw of at most ten seconds of bursts of 100 ms: its spread is itself
    # known to about a quarter.
    assert predicted["weight_sd"] == pytest.approx(weights.std(), rel=0.35)
    # The variance that a straight line through the paper's weights leaves unexplained. The rounding
    # of the traces themselves is not predicted: it is 0.3 to 2 % here, most in short runs.
    unexplained = 1.0 - correlation(weights, asked) ** 2
    costs = ("tag_clipping", "rounding_noise", "left_in_the_tag")
    assert unexplained < sum(predicted[cost] for cost in costs) + 0.03
    assert 0.0 <= predicted["reliability"] <= 1.0


def test_weight_scale_turns_paper_units_into_chip_units():
    lowered = lower(sample(30, 20), kappa=0.0)
    upper, post = activity(30, 20, seed=5)
    weights = run_chip(lowered.learning, upper, post, seed=6)
    slope = np.polyfit(paper(upper, post).ravel(), weights.ravel(), 1)[0]
    # Traces and tags clip where bursts meet; a wrong exponent would be a factor of two.
    assert slope == pytest.approx(lowered.weight_scale, rel=0.1)


def test_chosen_transfer_is_near_the_best_of_all():
    from dataclasses import replace

    seen = sample(60, 10)
    lowered = lower(seen).learning
    into_tag = coefficients(lowered.dt)["x0", "y1"]
    total = round(math.log2(into_tag * coefficients(lowered.dw)[f"u{lowered.decimation}", "t"]))
    upper, post = activity(60, 10, seed=8)
    asked = paper(upper, post)

    def at(clock, tag):
        # Impulses of the ratio 19; the exponents decide what clips and what is rounded.
        rule = replace(
            lowered,
            dt=Expression.parse(f"2^{tag}*x0*y1 - 2^{tag}*x0*y2 - u{clock}*t"),
            dw=Expression.parse(f"2^{total - tag}*u{clock}*t"),
            x1=Trace(),
            y1=Trace(19, 10),
            y2=Trace(1, 200),
        )
        return correlation(run_chip(rule, upper, post, seed=9), asked)

    found = {(clock, tag): at(clock, tag) for clock in (2, 5, 9) for tag in (0, -2)}
    chosen = correlation(run_chip(lowered, upper, post, seed=9), asked)
    assert chosen > max(found.values())
    assert min(found.values()) < chosen - 0.02  # or the choice would not matter


def test_one_stage_follows_the_paper_as_far_as_its_rounding_lets_it():
    lowered = lower(sample(15, 60), "one-stage")
    upper, post = activity(15, 60, seed=3)
    weights = run_chip(lowered.learning, upper, post, seed=4)
    unexplained = 1.0 - correlation(weights, paper(upper, post)) ** 2
    assert unexplained < lowered.predictions["rounding_noise"] + 0.05
    assert lowered.predictions["rounding_noise"] > 0.005
    assert lowered.learning.dt is None


def test_very_long_fast_runs_do_not_saturate():
    # 2^-7 would let the weights run into their limits; the tag must take the rest.
    seen = sample(150, 10)
    long = Sample(pre=seen.pre, post=seen.post, dt=DT, n_steps=2_000_000)
    lowered = lower(long, kappa=0.0)
    tag = coefficients(lowered.learning.dt)[("x0", "y1")]
    transfer = coefficients(lowered.learning.dw)[(f"u{lowered.learning.decimation}", "t")]
    assert transfer == 2.0**-7
    assert tag < 1.0
    assert lowered.predictions["weight_clipping"] < 0.01
    one = lower(long, "one-stage", kappa=0.0)
    assert one.predictions["weight_clipping"] > 0.05  # it cannot, and says so


def test_orientation_is_feedback():
    # Two lower neurons, one fires just before the upper one does, the other just after.
    steps = 20_000
    upper, post = np.zeros((steps, 1), bool), np.zeros((steps, 2), bool)
    upper[50::200] = True
    post[45::200, 0] = True
    post[55::200, 1] = True
    lowered = lower(Sample(pre=upper, post=post, dt=DT, n_steps=steps))
    terms = {term for e in lowered.learning.expressions.values() for term in coefficients(e)}
    assert {("x0", "y1"), ("x0", "y2")} <= terms
    assert not lowered.learning.uses("y0")
    before, after = run_chip(lowered.learning, upper, post, seed=1)[:, 0]
    assert before > 20
    assert after < -3


# --- constants ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fast", "slow"), [(10, 200), (20, 200), (2, 3), (10, 1000), (1, 50), (7, 150)]
)
def test_kernels_have_equal_areas(fast, slow):
    learning = lower(sample(15, 5), tau_fast=fast * DT, tau_slow=slow * DT).learning
    worth = coefficients(learning.dt)
    areas = []
    for name in ("y1", "y2"):
        trace = getattr(learning, name)
        assert 1 <= trace.impulse <= 127
        unit = sum(math.exp(-n / trace.tau) for n in range(50 * trace.tau))
        areas.append(abs(worth["x0", name]) * trace.impulse * unit)
    # 0.5 % off moved the weights of the packaged example by a twentieth of their spread.
    assert areas[0] == pytest.approx(areas[1], rel=0.0025)
    assert (learning.y1.tau, learning.y2.tau) == (fast, slow)


def test_traces_keep_their_balance_in_dense_activity():
    rng = np.random.default_rng(0)
    post = rng.random((5000, 20)) < 0.15
    lowered = lower(Sample(pre=rng.random((5000, 3)) < 0.05, post=post, dt=DT, n_steps=5000))
    assert lowered.predictions["trace_saturation"] < 0.01
    assert abs(lowered.predictions["trace_imbalance"]) < 0.01
    y1 = chip_trace(post, lowered.learning.y1, rng)
    assert np.mean(y1 == 127) < 0.05


# --- decay -------------------------------------------------------------------------------------


def decay_row(lowered):
    (row,) = (q for q in lowered.quantities if q.name == "decay per upper spike")
    return row


def leak_of(lowered):
    """Share of the weight that an upper spike takes in the mean: from the rule itself."""
    learning = lowered.learning
    coefficient = -coefficients(learning.dw).get((f"u{learning.decimation}", "x1", "w"), 0.0)
    # Steps from the spike on, in each of which the trace may be looked at.
    trace = learning.x1.impulse * np.exp(-np.arange(5000) / max(learning.x1.tau, 1e-9)).sum()
    return coefficient * trace / 2**learning.decimation


def test_a_decay_of_nothing_leaves_no_term():
    lowered = lower(sample(15, 20), kappa=0.0)
    assert leak_of(lowered) == 0
    assert decay_row(lowered).realised == 0
    assert decay_row(lowered).note == ""


def test_decay_no_trace_can_hold_is_left_out_and_said_to_be():
    lowered = lower(sample(15, 20), eta=1e-9, kappa=0.1)
    assert leak_of(lowered) == 0
    assert decay_row(lowered).error == -1.0
    assert "left out" in decay_row(lowered).note


@pytest.mark.parametrize("form", ["two-stage", "one-stage"])
@pytest.mark.parametrize("kappa", [0.1, 1.0, 20.0, 100.0])
def test_decay_per_upper_spike_is_the_papers(kappa, form):
    lowered = lower(sample(50, 20), form, kappa=kappa)
    assert leak_of(lowered) == pytest.approx(5e-4 * kappa, rel=0.05)
    assert decay_row(lowered).realised == pytest.approx(leak_of(lowered), rel=1e-6)


def test_weights_of_neurons_that_fire_often_decay_more():
    rng = np.random.default_rng(4)
    n_steps, rates = 60_000, np.array([0.01, 0.04, 0.16])
    upper = rng.random((n_steps, 3)) < rates
    post = rng.random((n_steps, 4)) < 0.02
    seen = Sample(pre=upper[:5000], post=post[:5000], dt=DT, n_steps=n_steps)
    learning = lower(seen, kappa=1.0).learning
    # The term alone, in floats: what the clock sees of x1.
    clock, trace = 2**learning.decimation, learning.x1
    coefficient = -coefficients(learning.dw)[(f"u{learning.decimation}", "x1", "w")]
    x1, kept = np.zeros(3), np.ones(3)
    for step in range(n_steps):
        x1 = x1 * (math.exp(-1.0 / trace.tau) if trace.tau else 0.0) + trace.impulse * upper[step]
        if (step + 1) % clock == 0:
            kept *= 1.0 - coefficient * x1
    asked = (1.0 - 5e-4) ** upper.sum(axis=0)
    np.testing.assert_allclose(np.log(kept), np.log(asked), rtol=0.2)


def test_decay_keeps_the_size_the_paper_gives_the_weights():
    lowered = lower(sample(50, 20), kappa=100.0)
    upper, post = activity(50, 20, seed=12)
    weights = run_chip(lowered.learning, upper, post, seed=13)
    asked = paper(upper, post, kappa=100.0)
    # The paper's weights forget all but about their last 20 spikes; the chip looks at the upper
    # neuron on the clock only, and may miss some of them.
    assert correlation(weights, asked) > 0.9
    assert weights.std() == pytest.approx(asked.std() * lowered.weight_scale, rel=0.15)
    assert lowered.predictions["weight_sd"] == pytest.approx(weights.std(), rel=0.35)


# --- odd samples and parameters ----------------------------------------------------------------


@pytest.mark.parametrize("form", ["two-stage", "one-stage"])
@pytest.mark.parametrize("n_steps", [1, 2, 700])
@pytest.mark.parametrize("silent", ["upper", "lower", "both"])
def test_silent_samples_give_a_valid_rule_and_say_so(silent, n_steps, form):
    rng = np.random.default_rng(0)
    upper, post = rng.random((n_steps, 3)) < 0.5, rng.random((n_steps, 4)) < 0.5
    if silent != "lower":
        upper[:] = False
    if silent != "upper":
        post[:] = False
    lowered = lower(Sample(pre=upper, post=post, dt=DT, n_steps=n_steps), form)
    (row,) = (q for q in lowered.quantities if q.name == "activity in the sample")
    assert "guess" in row.note
    json.dumps([lowered.predictions, [vars(q) for q in lowered.quantities]], allow_nan=False)
    assert lowered.learning.decimation is not None or form == "one-stage"


def test_time_constants_below_the_grid_are_reported():
    lowered = lower(sample(15, 5), tau_fast=0.2e-3, tau_slow=3e-3)
    (row,) = (q for q in lowered.quantities if q.name == "tau_fast")
    assert row.asked == 0.2e-3
    assert row.realised == DT
    assert row.error == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("fast", "slow", "says"),
    [
        (20e-3, 20e-3, "shorter than tau_slow"),
        (0.3e-3, 0.4e-3, "smaller dt"),
        (30e-3, 20e-3, "shorter than tau_slow"),
        (10e-3, 1.4, "ratio of 127"),
    ],
)
@pytest.mark.parametrize("form", ["two-stage", "one-stage"])
def test_time_constants_no_trace_can_hold_are_refused(fast, slow, says, form):
    with pytest.raises(ConstraintViolationError, match=says):
        lower(sample(15, 5), form, tau_fast=fast, tau_slow=slow)


@pytest.mark.parametrize(
    ("name", "value"),
    [("eta", 0.0), ("eta", -1.0), ("kappa", -0.1), ("tau_fast", 0.0), ("tau_slow", math.nan),
     ("kappa", math.inf), ("speed", 1.0)],
)  # fmt: skip
def test_parameters_out_of_range_are_refused(name, value):
    with pytest.raises(InvalidInputError, match=rf"B\.rule\.{name}"):
        STDWI.complete({name: value}, "B.rule")


def test_same_sample_gives_the_same_rule():
    first, second = (lower(sample(15, 5)) for _ in range(2))
    assert first == second
