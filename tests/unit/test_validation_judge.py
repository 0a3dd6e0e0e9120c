import json
from dataclasses import replace

import numpy as np
import pytest

from lava_align.errors import ExitCode, InvalidInputError
from lava_align.recording import Recording, Series, Spikes
from lava_align.validation import (
    Bounds,
    MarginSettings,
    Outcome,
    Verdict,
    derive_margins,
    judge,
)
from lava_align.validation.faults import shuffle_neurons, shuffle_spikes

DT, N_STEPS, SIZE, N_UPPER = 1e-3, 10_000, 48, 12
RATES = np.random.default_rng(99).uniform(8, 40, SIZE)
FORWARD = {"feedback": np.random.default_rng(98).normal(0.2, 1, (N_UPPER, SIZE))}


def trains(seed, rates=RATES, n_steps=N_STEPS):
    """Renewal trains with gamma intervals of order 4 (CV 0.5) at the given rates."""
    rng = np.random.default_rng(seed)
    n_intervals = int(2 * rates.max() * n_steps * DT) + 20
    intervals = rng.gamma(4, 1 / (4 * rates[:, None]), (len(rates), n_intervals))
    intervals[:, 0] *= rng.random(len(rates))
    step = np.floor(np.cumsum(intervals, axis=1) / DT).astype(int)
    neuron = np.broadcast_to(np.arange(len(rates))[:, None], step.shape)
    raster = np.zeros((n_steps, len(rates)), dtype=bool)
    raster[step[step < n_steps], neuron[step < n_steps]] = True
    return Spikes.from_raster(raster)


def run(seed, rates=RATES, n_steps=N_STEPS):
    """A system of heterogeneous rates whose feedback weights are noisily aligned."""
    noise = np.random.default_rng([1, seed]).normal(0, 0.3, (SIZE, N_UPPER))
    weights = np.stack([np.zeros((SIZE, N_UPPER)), FORWARD["feedback"].T + noise])
    return Recording(
        backend="synthetic",
        dt=DT,
        n_steps=n_steps,
        spikes={"lower": trains([2, seed], rates, n_steps)},
        weights={"feedback": Series(step=[0, n_steps], values=weights)},
    )


def on_a_chip(recording, seed):
    """The same run by an honest other system: spikes off by a step, one in 500 lost, integers."""
    rng = np.random.default_rng([3, seed])
    spikes = recording.spikes["lower"]
    kept = rng.random(len(spikes)) >= 1 / 500
    step = np.clip(spikes.step[kept] + rng.integers(-1, 2, kept.sum()), 0, recording.n_steps - 1)
    raster = np.zeros((recording.n_steps, spikes.size), dtype=bool)
    raster[step, spikes.neuron[kept]] = True
    weights = recording.weights["feedback"]
    integers = Series(step=weights.step, values=np.round(weights.values * 40).astype(int))
    return replace(
        recording, spikes={"lower": Spikes.from_raster(raster)}, weights={"feedback": integers}
    )


@pytest.fixture(scope="module")
def references():
    return [run(seed) for seed in range(20)]


@pytest.fixture(scope="module")
def margins(references):
    return derive_margins(references, FORWARD)


def smaller(recording):
    """The run with feedback weights onto the recorded neurons alone."""
    size = recording.spikes["lower"].size
    weights = recording.weights["feedback"]
    kept = Series(step=weights.step, values=weights.values[:, :size])
    return replace(recording, weights={"feedback": kept})


def row(verdict, endpoint):
    return next(r for r in verdict.rows if r.endpoint == endpoint)


def outcomes(verdict):
    return {r.endpoint: r.outcome for r in verdict.rows}


def with_weights(recording, values):
    series = Series(step=[0, recording.n_steps], values=np.stack([values, values]))
    return replace(recording, weights={"feedback": series})


# --- equal systems pass, different ones do not ---


def test_equal_systems_with_the_same_input_pass(references, margins):
    # All 100 pass: nothing but a step of jitter is left once the input is shared.
    for trial in range(100):
        reference = references[trial % 20]
        verdict = judge(on_a_chip(reference, trial), reference, margins, FORWARD, paired=True)
        assert verdict.outcome is Outcome.EQUIVALENT, verdict.findings


def test_an_equal_endpoint_is_outside_at_the_nominal_rate():
    # One neuron whose rate is Gaussian over runs, and nothing else has a say: 1.8 % of equal runs
    # are outside with 20 reference runs, so 4.5 of 250, give or take 2; measured 4.
    bounds = Bounds(floor=0.0, cap=1.0, relative=True)
    settings = MarginSettings(primary=("rate",), rate=bounds)
    rng = np.random.default_rng(11)
    outside = 0
    for _ in range(250):
        runs = []
        for count in np.round(rng.normal(300, 30, 21)).astype(int):
            spikes = Spikes(step=np.arange(count), neuron=np.zeros(count, dtype=int), size=1)
            runs.append(Recording(backend="x", dt=DT, n_steps=1000, spikes={"one": spikes}))
        margins = derive_margins(runs[:20], {}, settings)
        verdict = judge(runs[20], runs[:20], margins, {}, paired=False)
        outside += not row(verdict, "one.rate").inside
    assert 1 <= outside <= 11


def test_equal_systems_with_their_own_input_pass_at_the_nominal_rate():
    # Margins of several endpoints exceed their floors here. By simulation of 2000 trials 95.5 of
    # 100 pass, with a standard deviation of 1.9 over such sets; 90 is three below and 92
    # were measured. Fresh runs every five trials, because one unlucky set of margins fails many.
    forward = {"feedback": FORWARD["feedback"][:, :24]}
    passed = 0
    for repeat in range(20):
        seeds = range(10_000 + 25 * repeat, 10_025 + 25 * repeat)
        runs = [smaller(run(seed, RATES[:24], n_steps=5000)) for seed in seeds]
        references, candidates = runs[:20], runs[20:]
        margins = derive_margins(references, forward)
        for candidate in candidates:
            verdict = judge(candidate, references, margins, forward, paired=False)
            passed += verdict.outcome is Outcome.EQUIVALENT
    assert passed >= 90


@pytest.mark.parametrize("seed", range(5))
def test_planted_differences_are_found_with_the_same_input(references, margins, seed):
    reference = references[seed]
    honest = on_a_chip(reference, seed)
    faster = replace(honest, spikes={"lower": trains([2, seed], RATES * 1.1)})
    faults = {
        "lower.rate": faster,
        "lower.rate_profile": shuffle_neurons(honest, "lower", seed),
        "lower.cv": shuffle_spikes(honest, "lower", seed),
        "feedback.weight_pattern": with_weights(
            honest, np.random.default_rng(seed).normal(size=(SIZE, N_UPPER))
        ),
    }
    for endpoint, candidate in faults.items():
        verdict = judge(candidate, reference, margins, FORWARD, paired=True)
        assert verdict.outcome is Outcome.DIFFERENT
        assert row(verdict, endpoint).outcome is Outcome.DIFFERENT, endpoint


def test_planted_differences_are_found_without_pairing(references, margins):
    for candidate in (run(500, RATES * 1.1), shuffle_neurons(run(501), "lower", 1)):
        verdict = judge(candidate, references, margins, FORWARD, paired=False)
        assert verdict.outcome is Outcome.DIFFERENT
        assert all(r.rank_p == pytest.approx(1 / 21) for r in verdict.findings)
        assert "farthest reference run" in verdict.findings[0].reason


def test_a_chip_that_does_not_learn_is_different(references, margins):
    off = with_weights(references[0], np.zeros((SIZE, N_UPPER), dtype=int))
    verdict = judge(off, references[0], margins, FORWARD, paired=True)
    assert verdict.outcome is Outcome.DIFFERENT
    found = row(verdict, "feedback.weight_pattern")
    assert found.outcome is Outcome.DIFFERENT
    assert found.reason == "constant weights in the candidate, not in the reference"


# --- each branch of the verdict ---


def test_a_reference_run_is_equivalent_to_itself(references, margins):
    verdict = judge(references[0], references[0], margins, FORWARD, paired=True)
    assert verdict.outcome is Outcome.EQUIVALENT
    assert verdict.exit_code is ExitCode.OK
    assert verdict.findings == ()
    assert all(r.inside and r.distance == pytest.approx(0, abs=1e-12) for r in verdict.rows)
    assert all(r.rank_p is None for r in verdict.rows)
    assert "With the same input" in verdict.claim
    assert verdict.margins_digest == margins.digest()


def test_without_pairing_the_claim_is_weaker(references, margins):
    verdict = judge(run(700), references, margins, FORWARD, paired=False)
    assert verdict.outcome is Outcome.EQUIVALENT
    assert "consistent with" in verdict.claim
    assert verdict.notes == ()
    assert len(verdict.reference_digests) == 20
    assert all(1 / 21 <= r.rank_p <= 1 for r in verdict.rows)


def test_outside_the_margin_but_within_the_references_range_is_inconclusive():
    references = [run(seed) for seed in range(11)] + [run(20, RATES * 1.5)]
    margins = derive_margins(references, FORWARD)
    candidate = run(600, RATES * 1.3)
    verdict = judge(candidate, references, margins, FORWARD, paired=False)
    found = row(verdict, "lower.rate")
    assert not found.inside
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "but a reference run is at" in found.reason
    assert "paired" in found.remedy
    # The same distance is a difference once the input is shared.
    verdict = judge(candidate, references[0], margins, FORWARD, paired=True)
    assert row(verdict, "lower.rate").outcome is Outcome.DIFFERENT


def test_too_few_reference_runs_are_inconclusive(references, margins):
    few = derive_margins(references[:9], FORWARD)
    verdict = judge(references[0], references[0], few, FORWARD, paired=True)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.exit_code is ExitCode.INCONCLUSIVE
    assert row(verdict, "lower.rate").reason.startswith("9 reference runs")
    assert row(verdict, "lower.rate").inside
    assert row(verdict, "lower.rate").remedy.startswith("1 more")
    # Good margins do not help if there is too little to compare with.
    verdict = judge(references[0], references[:9], margins, FORWARD, paired=False)
    assert set(outcomes(verdict).values()) == {Outcome.INCONCLUSIVE}
    single = derive_margins(references[:1], FORWARD)
    verdict = judge(references[0], references[0], single, FORWARD, paired=True)
    assert "no margin" in row(verdict, "lower.rate").reason
    assert row(verdict, "lower.rate").inside is None
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_a_population_silent_in_one_system_alone_is_different(references, margins):
    silence = {"lower": Spikes(step=[], neuron=[], size=SIZE)}
    silent = replace(references[0], spikes=silence)
    for reference, paired in ((references[0], True), (references, False)):
        verdict = judge(silent, reference, margins, FORWARD, paired=paired)
        assert verdict.outcome is Outcome.DIFFERENT
        assert verdict.exit_code is ExitCode.DIFFERENT
        assert row(verdict, "lower.cv").reason == "silent in the candidate, not in the reference"
        assert row(verdict, "lower.rate").outcome is Outcome.DIFFERENT
    quiet = [replace(r, spikes=silence) for r in references]
    quiet_margins = derive_margins(quiet, FORWARD)
    verdict = judge(references[0], quiet[0], quiet_margins, FORWARD, paired=True)
    assert row(verdict, "lower.cv").reason == "silent in the reference, not in the candidate"
    assert verdict.outcome is Outcome.DIFFERENT
    # Silence on both sides shows nothing about the population.
    verdict = judge(quiet[1], quiet[1], quiet_margins, FORWARD, paired=True)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    found = row(verdict, "lower.cv")
    assert found.reason == "silent in the candidate, silent in the reference"
    assert found.remedy.startswith("drive")
    assert row(verdict, "lower.rate").outcome is Outcome.EQUIVALENT


def test_silence_that_some_reference_runs_share_is_inconclusive(references):
    silence = {"lower": Spikes(step=[], neuron=[], size=SIZE)}
    mixed = [*references[:12], replace(references[12], spikes=silence)]
    margins = derive_margins(mixed, FORWARD)
    verdict = judge(mixed[-1], mixed, margins, FORWARD, paired=False)
    assert row(verdict, "lower.cv").outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("change", "endpoint", "reason"),
    [
        (
            {"spikes": {}, "not_probed": ("lower",)},
            "lower.rate",
            "not probed in the candidate",
        ),
        ({"weights": {}}, "feedback.angle", "not probed in the candidate"),
        (
            {"weights": {"feedback": Series(step=[], values=np.zeros((0, SIZE, N_UPPER)))}},
            "feedback.weight_r",
            "no weight snapshot in the candidate",
        ),
        (
            {
                "weights": {
                    "feedback": Series(
                        step=[0, N_STEPS], values=np.full((2, SIZE, N_UPPER), np.nan)
                    )
                }
            },
            "feedback.weight_pattern",
            "NaN or infinite weights in the candidate",
        ),
    ],
)
def test_what_the_candidate_lacks_is_inconclusive(references, margins, change, endpoint, reason):
    candidate = replace(references[0], **change)
    verdict = judge(candidate, references[0], margins, FORWARD, paired=True)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert row(verdict, endpoint).reason == reason
    assert row(verdict, endpoint).remedy
    assert row(verdict, endpoint).candidate is None
    # What is there is still compared.
    assert Outcome.EQUIVALENT in outcomes(verdict).values()


def test_what_the_reference_lacks_is_inconclusive(references):
    blind = [replace(r, spikes={}, not_probed=("lower",)) for r in references]
    margins = derive_margins(blind, FORWARD)
    verdict = judge(references[0], blind[0], margins, FORWARD, paired=True)
    assert row(verdict, "lower.rate").reason == "not probed in the reference"
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_too_few_spikes_are_inconclusive_for_what_needs_them(references, margins):
    sparse = Spikes(step=np.arange(SIZE), neuron=np.arange(SIZE), size=SIZE)
    candidate = replace(references[0], spikes={"lower": sparse})
    verdict = judge(candidate, references[0], margins, FORWARD, paired=True)
    found = row(verdict, "lower.cv")
    assert (found.outcome, found.candidate_left_out) == (Outcome.INCONCLUSIVE, SIZE)
    assert found.remedy == "a longer run, or a stronger drive"
    assert verdict.outcome is Outcome.DIFFERENT


def test_secondary_endpoints_are_reported_without_a_say(references):
    margins = derive_margins(references, FORWARD, MarginSettings(primary=("rate", "cv")))
    shuffled = shuffle_neurons(references[0], "lower", 1)
    verdict = judge(shuffled, references[0], margins, FORWARD, paired=True)
    assert row(verdict, "lower.rate_profile").outcome is Outcome.DIFFERENT
    assert not row(verdict, "lower.rate_profile").primary
    assert verdict.outcome is Outcome.EQUIVALENT


# --- what is refused ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dt": 2e-3}, "candidate: dt"),
        ({"n_steps": N_STEPS + 1}, "candidate: n_steps"),
        ({"spikes": {}}, "no population 'lower'"),
        ({"spikes": {"lower": Spikes(step=[], neuron=[], size=SIZE + 1)}}, "49 neurons"),
        (
            {"weights": {"feedback": Series(step=[7], values=np.zeros((1, SIZE, N_UPPER)))}},
            "last at step 7",
        ),
        (
            {"weights": {"feedback": Series(step=[N_STEPS], values=np.zeros((1, 2, 3)))}},
            "2 x 3 weights",
        ),
    ],
)
def test_runs_of_another_frame_are_refused(references, margins, change, message):
    with pytest.raises(InvalidInputError, match=message):
        judge(replace(references[0], **change), references[0], margins, FORWARD, paired=True)
    runs = [references[0], replace(references[0], **change)]
    with pytest.raises(InvalidInputError, match=message.replace("candidate", "reference run 1")):
        judge(references[0], runs, margins, FORWARD, paired=False)


def test_an_unknown_population_is_refused(references, margins):
    extra = {**references[0].spikes, "upper": Spikes(step=[], neuron=[], size=2)}
    with pytest.raises(InvalidInputError, match="population 'upper'"):
        judge(replace(references[0], spikes=extra), references[0], margins, FORWARD, paired=True)


def test_pairing_takes_one_run_with_the_same_input(references, margins):
    with pytest.raises(InvalidInputError, match="the one run"):
        judge(references[0], references, margins, FORWARD, paired=True)
    with pytest.raises(InvalidInputError, match="at least one run"):
        judge(references[0], [], margins, FORWARD, paired=False)
    one, other = (Spikes(step=[n], neuron=[0], size=1) for n in (1, 2))
    reference = replace(references[0], stimuli={"drive": one})
    with pytest.raises(InvalidInputError, match=r"stimuli.drive"):
        judge(
            replace(references[0], stimuli={"drive": other}),
            reference,
            margins,
            FORWARD,
            paired=True,
        )
    checked = judge(reference, reference, margins, FORWARD, paired=True)
    assert checked.notes == ()
    unchecked = judge(references[0], reference, margins, FORWARD, paired=True)
    assert "on trust" in unchecked.notes[0]


# --- the stored form ---


def test_a_verdict_survives_json(references, margins):
    silent = {"lower": Spikes(step=[], neuron=[], size=SIZE)}
    verdicts = [
        judge(run(700), references, margins, FORWARD, paired=False),
        judge(replace(run(3), spikes=silent), references[3], margins, FORWARD, paired=True),
    ]
    for verdict in verdicts:
        text = json.dumps(verdict.to_dict(), allow_nan=False)
        assert Verdict.from_dict(json.loads(text)) == verdict
        assert json.loads(text)["outcome"] == verdict.outcome.value


def test_a_verdict_that_was_tampered_with_is_refused(references, margins):
    plain = judge(references[0], references[0], margins, FORWARD, paired=True).to_dict()
    with pytest.raises(InvalidInputError, match="rows say EQUIVALENT"):
        Verdict.from_dict({**plain, "outcome": "DIFFERENT"})
    with pytest.raises(InvalidInputError, match="schema"):
        Verdict.from_dict({**plain, "schema": "other/1"})
    with pytest.raises(InvalidInputError):
        Verdict.from_dict({**plain, "rows": [{"endpoint": "x"}]})
