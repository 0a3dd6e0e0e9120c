import numpy as np
import pytest

from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.errors import ConstraintViolationError, InvalidInputError
from lava_align.recording import Recording, Series, Spikes
from lava_align.statistics.spikes import isi_cv
from lava_align.validation.faults import (
    learning_off,
    raise_threshold,
    shuffle_neurons,
    shuffle_spikes,
    with_static_weights,
)

SIZE, N_STEPS = 10, 5000


def clocks():
    """Regular trains of unequal periods."""
    raster = np.zeros((N_STEPS, SIZE), dtype=bool)
    for neuron in range(SIZE):
        raster[neuron :: 20 + 3 * neuron, neuron] = True
    return Recording(
        backend="synthetic",
        dt=1e-3,
        n_steps=N_STEPS,
        spikes={"lower": Spikes.from_raster(raster), "upper": Spikes.from_raster(raster)},
        not_probed=("feedback",),
    )


def program(vth=100, learning=None):
    lower = NeuronGroup(name="lower", size=2, du=1, dv=1, vth=vth, bias_mant=[0, 0])
    upper = NeuronGroup(name="upper", size=1, du=1, dv=1, vth=10, bias_mant=[0])
    return Program(
        target="loihi",
        dt=1e-3,
        n_steps=100,
        inputs=(InputGroup(name="in", size=2),),
        neurons=(lower, upper),
        synapses=(
            Synapses(name="forward", pre="lower", post="upper", weights=[[3, 4]]),
            Synapses(
                name="feedback", pre="upper", post="lower", weights=[[5], [6]], learning=learning
            ),
        ),
        mirrors={"feedback": "forward"},
    )


def test_shuffled_neurons_keep_the_trains_and_move_every_one():
    run = clocks()
    before = run.spikes["lower"]
    shuffled = shuffle_neurons(run, "lower", seed=1)
    after = shuffled.spikes["lower"]
    assert sorted(after.counts()) == sorted(before.counts())
    np.testing.assert_array_equal(after.step, before.step)
    trains = [before.step[before.neuron == i].tolist() for i in range(SIZE)]
    moved = [after.step[after.neuron == i].tolist() for i in range(SIZE)]
    assert sorted(trains) == sorted(moved)
    assert all(a != b for a, b in zip(trains, moved, strict=True))
    assert shuffled.spikes["upper"] == run.spikes["upper"]
    assert shuffled.provenance["fault"] == "shuffle_neurons(lower, seed=1)"


def test_shuffled_spikes_keep_counts_and_times_and_lose_the_order():
    run = clocks()
    before = run.spikes["lower"]
    after = shuffle_spikes(run, "lower", seed=1).spikes["lower"]
    np.testing.assert_array_equal(after.counts(), before.counts())
    np.testing.assert_array_equal(after.step, before.step)
    assert len(np.unique(after.step * SIZE + after.neuron)) == len(after)
    assert isi_cv(before).max() < 0.01
    # What is left is nearly Poisson.
    assert isi_cv(after).mean() > 0.8


def test_shuffling_a_full_raster_changes_nothing():
    full = Recording(
        backend="synthetic",
        dt=1e-3,
        n_steps=5,
        spikes={"lower": Spikes.from_raster(np.ones((5, 3), dtype=bool))},
    )
    assert shuffle_spikes(full, "lower", seed=1).spikes["lower"] == full.spikes["lower"]


@pytest.mark.parametrize("shuffle", [shuffle_neurons, shuffle_spikes])
def test_shuffles_are_seeded_and_leave_the_original(shuffle):
    run = clocks()
    digest = run.digest()
    assert shuffle(run, "lower", seed=3) == shuffle(run, "lower", seed=3)
    assert shuffle(run, "lower", seed=3) != shuffle(run, "lower", seed=4)
    assert run.digest() == digest
    with pytest.raises(InvalidInputError, match="middle"):
        shuffle(run, "middle", seed=3)


def test_thresholds_rise():
    raised = raise_threshold(program())
    assert [g.vth for g in raised.neurons] == [110, 11]
    # A small factor still changes a small mantissa.
    assert [g.vth for g in raise_threshold(program(vth=3), 1.01).neurons] == [4, 11]
    assert raised.synapses == program().synapses


def test_a_threshold_beyond_its_bits_is_refused():
    with pytest.raises(ConstraintViolationError, match=r"neurons.lower.vth"):
        raise_threshold(program(vth=131_000))
    with pytest.raises(InvalidInputError, match="factor"):
        raise_threshold(program(), 1.0)


def test_learning_off_leaves_weights_that_can_still_be_reported():
    marker = object()
    off = learning_off(program(learning=marker))
    assert program(learning=marker).plastic()
    assert off.plastic() == ()
    assert off.mirrors == {"feedback": "forward"}
    reported = with_static_weights(clocks(), off, steps=(0, 50, 100))
    series = reported.weights["feedback"]
    assert series.step.tolist() == [0, 50, 100]
    assert series.values[:, :, 0].tolist() == [[5, 6]] * 3
    assert reported.not_probed == ()
    assert "forward" not in reported.weights


def test_weights_of_learning_projections_are_left_alone():
    run = clocks()
    learned = Series(step=[0], values=[[[1], [2]]])
    run = Recording(
        backend="x", dt=1e-3, n_steps=10, spikes=run.spikes, weights={"feedback": learned}
    )
    assert with_static_weights(run, program(learning=object()), steps=(0,)) == run
