"""Rules on rates: the shape they share, runs, and what they do to a single synapse."""

import itertools

import numpy as np
import pytest

from lava_align.errors import InvalidInputError
from lava_align.rules.rates import (
    Signals,
    Weights,
    activation_alignment,
    facts,
    feedback_alignment,
    get_rate_rule,
    information_alignment,
    kolen_pollack,
    phaseless_alignment,
    product_feedback,
    rate_rules,
    run,
    sign_symmetry,
    snapshots,
    symmetric_alignment,
    weight_mirror,
)

N, M = 5, 3
RULES = pytest.mark.parametrize("rule", rate_rules(), ids=lambda rule: rule.name)
KUNIN = {"eta": 0.5, "alpha": 0.25, "beta": 0.5}


def generator(seed=1):
    return np.random.default_rng(seed)


def same(a, b):
    pairs = ((a.forward, b.forward), (a.feedback, b.feedback), (a.path, b.path))
    return all(np.array_equal(x, y) for x, y in pairs)


def test_names_are_unique_and_found():
    names = [rule.name for rule in rate_rules()]
    assert len(set(names)) == len(names)
    assert all(get_rate_rule(name).name == name for name in names)


def test_an_unknown_rule_is_named_with_those_there_are():
    with pytest.raises(InvalidInputError, match="no rule 'mirror'; one of: weight_mirror,"):
        get_rate_rule("mirror")


@RULES
def test_a_run_hands_out_signals_of_every_sample(rule):
    chunks = list(run(rule, n_lower=N, n_upper=M, n_samples=25, rng=generator(), chunk=10))
    assert [chunk.start for chunk in chunks] == [0, 10, 20]
    for chunk in chunks:
        count = len(chunk.signals)
        shapes = {"lower": N, "upper": M, "error": M, "third": N, "upper_rate": M}
        for name, width in shapes.items():
            values = getattr(chunk.signals, name)
            assert values is None or values.shape == (count, width)
        assert chunk.after.forward.shape == (M, N)
        assert chunk.after.path.shape == (N, M)
    assert sum(len(chunk.signals) for chunk in chunks) == 25


@RULES
def test_the_signals_and_the_rule_alone_give_the_weights(rule):
    batch = 4
    for chunk in run(
        rule, n_lower=N, n_upper=M, n_samples=30, rng=generator(), batch=batch, chunk=12
    ):
        weights = chunk.before
        for signals in chunk.signals.batches(batch):
            weights = rule.update(weights, signals, rule.complete(), generator())
        assert np.array_equal(weights.forward, chunk.after.forward)
        if rule.name != "sign_symmetry_batch":  # its magnitudes are drawn and no signal
            assert np.array_equal(weights.feedback, chunk.after.feedback)


@RULES
def test_chunks_are_cuts_of_one_run(rule):
    def ends(chunk):
        runs = run(rule, n_lower=N, n_upper=M, n_samples=24, rng=generator(), batch=2, chunk=chunk)
        return {part.start + len(part.signals): part.after for part in runs}

    fine, coarse = ends(6), ends(24)
    assert list(fine) == [6, 12, 18, 24]
    assert same(fine[24], coarse[24])
    taken = snapshots(rule, n_lower=N, n_upper=M, at=[0, 6, 24], rng=generator(), batch=2)
    assert same(taken[1], fine[6])
    assert same(taken[2], fine[24])


@RULES
def test_another_generator_gives_another_run(rule):
    first, again, other = (
        snapshots(rule, n_lower=N, n_upper=M, at=[10], rng=generator(seed))[0] for seed in (1, 1, 2)
    )
    assert same(first, again)
    assert not same(first, other)


def test_a_run_holds_one_chunk_at_a_time():
    endless = run(
        get_rate_rule("kolen_pollack"), n_lower=N, n_upper=M, n_samples=10**12, rng=generator()
    )
    assert [len(chunk.signals) for chunk in itertools.islice(endless, 3)] == [1024] * 3


def test_a_run_starts_from_given_weights():
    rule = get_rate_rule("weight_mirror")
    given = Weights(forward=np.ones((M, N)), feedback=np.zeros((N, M)))
    (chunk,) = run(rule, n_lower=N, n_upper=M, n_samples=1, rng=generator(), weights=given)
    assert chunk.before is given


@RULES
def test_wrong_parameters_are_refused_by_name(rule):
    given = {"speed": 1.0, "eta": -1.0}
    with pytest.raises(InvalidInputError) as error:
        rule.complete(given)
    found = [problem.where for problem in error.value.problems]
    assert found == [f"{rule.name}.speed", f"{rule.name}.eta"]


@pytest.mark.parametrize("sizes", [{"n_lower": 0}, {"n_samples": 0}, {"batch": 0}, {"chunk": 0}])
def test_sizes_below_one_are_refused_before_the_run(sizes):
    arguments = {"n_lower": N, "n_upper": M, "n_samples": 10, **sizes}
    with pytest.raises(InvalidInputError, match=next(iter(sizes))):
        run(rate_rules()[0], rng=generator(), **arguments)


@pytest.mark.parametrize("at", [[], [4, 2], [2, 2], [3], [-2]])
def test_snapshots_are_at_ascending_batches(at):
    with pytest.raises(InvalidInputError, match="ascending multiples of 2"):
        snapshots(rate_rules()[0], n_lower=N, n_upper=M, at=at, rng=generator(), batch=2)


def test_a_ratio_of_relay_neurons_is_whole():
    with pytest.raises(InvalidInputError, match=r"1\.5; a whole number"):
        run(
            get_rate_rule("product_feedback"),
            n_lower=N,
            n_upper=M,
            n_samples=1,
            rng=generator(),
            parameters={"ratio": 1.5},
        )


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("kolen_pollack", "error"),
        ("feedback_alignment", "error"),
        ("product_feedback", "error"),
        ("information_alignment", "third"),
        ("phaseless_alignment", "third"),
    ],
)
def test_a_missing_signal_is_named(name, missing):
    rule = get_rate_rule(name)
    weights = rule.initial(N, M, rule.complete(), generator())
    signals = Signals(lower=np.ones((1, N)), upper=np.ones((1, M)))
    with pytest.raises(InvalidInputError, match=f"{missing}: missing"):
        rule.update(weights, signals, rule.complete(), generator())


# --- orientation ---------------------------------------------------------------------------------

# Every feedback step as a function of B (n, m), lower (S, n) and upper or error (S, m), and what
# it adds to B[j,k] if B is 0, x is 1 at j and y is 1 at k.
STEPS = {
    "weight mirror": (lambda b, x, y: weight_mirror.step(b, x, y, eta=0.5), 0.5),
    "Kolen-Pollack": (
        lambda b, x, y: kolen_pollack.gradient_step(b, x, y, eta=0.5, decay=0.1),
        -0.5,
    ),
    "information": (
        lambda b, x, y: information_alignment.step(b, x, y, 0 * x, gamma=0.1, **KUNIN),
        0.125,
    ),
    "symmetric": (lambda b, x, y: symmetric_alignment.probe_step(b, x, y, **KUNIN), 0.25),
    "activation": (lambda b, x, y: activation_alignment.step(b, x, y, **KUNIN), 0.25),
    "phaseless": (
        lambda b, x, y: phaseless_alignment.step(b, x, y, eta=0.5, alpha=0.1, dt=0.5),
        0.25,
    ),
}
EVERY_STEP = pytest.mark.parametrize(("step", "gain"), STEPS.values(), ids=STEPS.keys())


@EVERY_STEP
def test_activity_of_one_pair_moves_its_own_synapse_alone(step, gain):
    j, k = 4, 1
    moved = step(np.zeros((N, M)), np.eye(N)[[j]], np.eye(M)[[k]])
    expected = np.zeros((N, M))
    expected[j, k] = gain
    assert moved == pytest.approx(expected, abs=1e-15)


@EVERY_STEP
def test_transposed_weights_and_swapped_signals_are_refused(step, gain):
    x, y = generator().normal(size=(2, N)), generator().normal(size=(2, M))
    with pytest.raises(InvalidInputError, match="n_post, n_pre"):
        step(np.zeros((M, N)), x, y)
    with pytest.raises(InvalidInputError, match="n_post, n_pre"):
        step(np.zeros((N, M)), y, x)


@pytest.mark.parametrize(("n", "m"), [(1, 3), (3, 1)])
def test_single_neurons_do_not_broadcast(n, m):
    with pytest.raises(InvalidInputError):
        weight_mirror.step(np.zeros((m, n)), np.ones((2, n)), np.ones((2, m)), eta=1)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (np.ones((2, N)), np.ones((3, M))),
        (np.ones((0, N)), np.ones((0, M))),
        (np.ones(N), np.ones(M)),
    ],
    ids=["unequal", "empty", "no batch"],
)
def test_batches_that_are_none_are_refused(lower, upper):
    with pytest.raises(InvalidInputError, match="samples > 0"):
        weight_mirror.step(np.zeros((N, M)), lower, upper, eta=1)


@pytest.mark.parametrize(
    ("forward", "feedback", "relay"),
    [((M, N), (M, N), None), ((M, N), (N, M), (4, M)), ((M, N), (N, 4), (M, 4))],
    ids=["feedback as forward", "feedback past the relay", "relay transposed"],
)
def test_weights_in_the_wrong_orientation_are_refused(forward, feedback, relay):
    with pytest.raises(InvalidInputError, match="shape"):
        Weights(
            forward=np.zeros(forward),
            feedback=np.zeros(feedback),
            relay=None if relay is None else np.zeros(relay),
        )


@pytest.mark.parametrize("function", [symmetric_alignment.step, sign_symmetry.signed])
def test_forward_weights_in_place_of_feedback_are_refused(function):
    constants = KUNIN if function is symmetric_alignment.step else {}
    with pytest.raises(InvalidInputError, match="shape"):
        function(np.zeros((M, N)), np.zeros((M, N)), **constants)


def test_kolen_pollack_moves_both_paths_down_the_gradient():
    forward, feedback = kolen_pollack.step(
        np.ones((M, N)), np.ones((N, M)), np.eye(N)[[4]], np.eye(M)[[1]], eta=0.5, decay=0.25
    )
    expected = np.full((M, N), 0.75)
    expected[1, 4] = 0.25
    assert np.array_equal(forward, expected)
    assert np.array_equal(feedback, expected.T)


def test_product_feedback_learns_from_the_relay_error():
    relay = np.arange(12.0).reshape(4, M)
    forward, feedback = product_feedback.step(
        np.zeros((M, N)),
        np.zeros((N, 4)),
        relay,
        np.eye(N)[[4]],
        np.eye(M)[[1]],
        eta=1,
        decay=0,
    )
    assert forward[1, 4] == -1
    assert np.array_equal(feedback[4], -relay[:, 1])
    assert np.count_nonzero(feedback[:4]) == 0


# --- facts and parts -----------------------------------------------------------------------------


def test_information_target_lies_between_transpose_and_pseudo_inverse():
    forward = generator().normal(size=(M, N))
    damped = facts.information_target(forward, alpha=2, beta=1e-9, gamma=1)
    inverse = facts.information_target(forward, alpha=2, beta=1, gamma=1e-9)
    assert damped == pytest.approx(forward.T, rel=1e-6)
    assert inverse == pytest.approx(np.linalg.pinv(forward), rel=1e-6)


def test_an_orthogonal_relay_costs_no_angle():
    orthogonal = np.linalg.qr(generator().normal(size=(6, M)))[0]
    assert facts.product_angle(orthogonal) == pytest.approx(0, abs=1e-5)
    forward = generator().normal(size=(M, N))
    assert facts.product_target(forward, orthogonal) == pytest.approx(forward.T)


def test_a_larger_relay_is_closer_to_the_identity():
    angles = [
        np.mean(
            [
                facts.product_angle(product_feedback.draw_relay(10, r, generator(s)))
                for s in range(5)
            ]
        )
        for r in (1, 5, 10)
    ]
    assert angles == sorted(angles, reverse=True)
    relay = product_feedback.draw_relay(10, 10, generator())
    assert relay.shape == (100, 10)
    assert np.var(relay) == pytest.approx(1 / 100, rel=0.1)


def test_direct_targets_are_the_gradients_of_the_output():
    sizes = (4, 6, 5, 3)
    rng = generator()
    forwards = [rng.normal(size=(post, pre)) for pre, post in itertools.pairwise(sizes)]
    targets = feedback_alignment.direct_targets(forwards)
    drawn = feedback_alignment.draw_direct_feedback(sizes, rng)
    assert [t.shape for t in targets] == [b.shape for b in drawn] == [(6, 3), (5, 3)]

    def output(hidden, above):
        for forward in above:
            hidden = forward @ hidden
        return hidden

    for layer, target in enumerate(targets, start=1):
        above = forwards[layer:]
        gradient = np.stack([output(unit, above) for unit in np.eye(sizes[layer])])
        assert target == pytest.approx(gradient)


def test_magnitudes_of_sign_symmetry_are_xavier():
    n, m = 200, 100
    drawn = sign_symmetry.random_magnitudes(n, m, generator())
    assert drawn.min() >= 0
    assert np.mean(drawn**2) == pytest.approx(2 / (n + m), rel=0.03)
    assert sign_symmetry.uniform_magnitudes(n, m) ** 2 == pytest.approx(2 / (n + m))


def test_gaussian_weights_have_the_spread_of_the_authors():
    n, m = 200, 100
    weights = get_rate_rule("weight_mirror").initial(n, m, {}, generator())
    assert np.mean(weights.forward**2) == pytest.approx(1 / n, rel=0.05)
    assert np.mean(weights.feedback**2) == pytest.approx(1 / (n + m), rel=0.05)
    (direct,) = feedback_alignment.draw_direct_feedback((7, n, m), generator())
    assert np.mean(direct**2) == pytest.approx(1 / (n + m), rel=0.05)


def test_probes_visit_every_neuron_in_turn():
    rule = get_rate_rule("symmetric_alignment")
    (chunk,) = run(rule, n_lower=N, n_upper=M, n_samples=2 * N, rng=generator(), batch=3)
    assert np.array_equal(chunk.signals.lower, np.tile(np.eye(N), (2, 1)))
    assert np.array_equal(chunk.signals.upper[:N], chunk.before.forward.T)


def test_pal_noise_and_signal_have_the_spread_they_are_given():
    rule = get_rate_rule("phaseless_alignment")
    parameters = {"noise_scale": 2.0, "signal_sd": 3.0, "tau_signal": 1e-4}
    noise, signal = [], []
    for chunk in run(
        rule,
        n_lower=50,
        n_upper=2,
        n_samples=2000,
        rng=generator(),
        parameters=parameters,
        batch=500,
    ):
        noise.append(chunk.signals.third)
        signal.append(chunk.signals.lower - chunk.signals.third)
    # Variance 2^2 / (2 - dt / tau) on the grid; 50 neurons, about 100 correlation times each.
    assert np.var(np.concatenate(noise)[100:]) == pytest.approx(4 / 1.9, rel=0.1)
    assert np.std(np.concatenate(signal)) == pytest.approx(3, rel=0.1)


def test_pal_high_pass_is_the_authors_recursion():
    rule = get_rate_rule("phaseless_alignment")
    weights = rule.initial(N, M, rule.complete(), generator())
    (chunk,) = run(
        rule, n_lower=N, n_upper=M, n_samples=50, rng=generator(), weights=weights, batch=7
    )
    rates, high = chunk.signals.upper_rate, chunk.signals.upper
    # d h = d r - dt / tau h, with dt / tau = 0.1
    expected = 0.9 * high[:-1] + np.diff(rates, axis=0)
    assert high[1:] == pytest.approx(expected, abs=1e-12)
