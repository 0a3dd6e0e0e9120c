"""What the shared random number hides: the statistics, and a run of a small experiment."""

import math
from importlib.resources import files

import numpy as np
import pytest
from scipy import stats

from lava_align.errors import InvalidInputError
from lava_align.rounding_effect import (
    REPEATS,
    Comparison,
    compare_pairs,
    in_words,
    measure_rounding,
    weight_errors,
)
from lava_align.targets import load_target

DIGITS = str(files("lava_align") / "examples" / "digits.toml")
LOIHI2 = load_target("loihi2")


def test_the_interval_is_that_of_a_paired_t_test() -> None:
    pairs = np.random.default_rng(0).normal([0.7, 0.6], 0.1, (8, 2))
    found = compare_pairs(pairs)
    expected = stats.ttest_rel(pairs[:, 0], pairs[:, 1]).confidence_interval(0.95)
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert found.difference.mean == pytest.approx(found.shared.mean - found.independent.mean)
    assert found.shared.se == pytest.approx(pairs[:, 0].std(ddof=1) / math.sqrt(8))


def test_independent_and_common_errors_are_told_apart() -> None:
    """Errors of known size and likeness, measured from a mean that is in error itself."""
    rng = np.random.default_rng(1)
    shape = (400, 10, 20)
    reference = rng.normal(0, 2.0, (REPEATS, *shape)).mean(axis=0)
    own, other = (rng.normal(0, 2.0, shape) for _ in range(2))
    shared, independent = weight_errors(
        other + rng.normal(0, 1.0, (400, 1, 1)) - reference, own - reference
    )
    assert independent.typical == pytest.approx(2.0, rel=0.01)
    assert independent.common == pytest.approx(2.0 / math.sqrt(200), rel=0.15)
    assert abs(independent.correlation) < 0.002
    assert shared.typical == pytest.approx(math.sqrt(5.0), rel=0.02)
    assert shared.correlation == pytest.approx(1 / 5, abs=0.03)
    by_neuron, _ = weight_errors(
        other + rng.normal(0, 1.0, (400, 10, 1)) - reference, own - reference
    )
    assert by_neuron.correlation_same_post == pytest.approx(1 / 5, abs=0.02)
    assert by_neuron.correlation == pytest.approx(1 / 5 * 19 / 199, abs=0.01)


def test_errors_that_do_not_exist_have_no_correlation() -> None:
    none, _ = weight_errors(np.zeros((3, 2, 2)), np.zeros((3, 2, 2)))
    assert (none.typical, none.common) == (0.0, 0.0)
    assert math.isnan(none.correlation)
    single, _ = weight_errors(np.ones((3, 1, 1)), np.zeros((3, 1, 1)))
    assert math.isnan(single.correlation)


@pytest.fixture(scope="module")
def effect():
    return measure_rounding(DIGITS, LOIHI2, [1, 2, 3], duration=0.6, jobs=1)


def test_a_run_compares_both_roundings_of_the_same_program(effect) -> None:
    (found,) = effect.projections
    assert (found.projection, found.n_synapses, found.acts) == ("B", 64 * 48, False)
    assert effect.seeds == (1, 2, 3)
    assert effect.duration == pytest.approx(0.6)
    shared, independent = np.array(found.per_seed["r"]).T
    assert (shared != independent).all()
    # Weights and input are the same; rounding decides little.
    assert np.abs(shared - independent).max() < 0.05
    assert 0 <= found.shared.common < found.shared.typical
    assert 0 < found.independent.common < found.independent.typical


def test_figures_do_not_depend_on_the_number_of_processes(effect) -> None:
    assert measure_rounding(DIGITS, LOIHI2, [1, 2, 3], duration=0.6, jobs=2) == effect


def test_progress_counts_seeds() -> None:
    seen = []
    measure_rounding(
        DIGITS, LOIHI2, [4, 5], duration=0.2, jobs=1, progress=lambda *at: seen.append(at[1:])
    )
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_the_sentences_follow_the_figures(effect) -> None:
    (found,) = effect.projections
    sentences = in_words(found)
    assert len(sentences) == 4
    for sentence, measure in zip(sentences, found.measures.values(), strict=False):
        assert sentence.startswith("No difference") != measure.resolved
    assert "rounding noise" in sentences[-1]
    assert isinstance(found.measures["r"], Comparison)


@pytest.mark.parametrize("seeds", [[], [1], [1, 1], [1, -2]])
def test_seeds_that_make_no_comparison_are_refused(seeds) -> None:
    with pytest.raises(InvalidInputError, match="two or more, each once"):
        measure_rounding(DIGITS, LOIHI2, seeds)
