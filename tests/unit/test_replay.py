"""Replay: what runs learned comes back from their own spikes, integer for integer."""

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from lava_align.backends import get_backend
from lava_align.backends.base import Probes
from lava_align.backends.brian2 import run_reference
from lava_align.backends.lava_shim import lava_version
from lava_align.backends.native import NativeBackend
from lava_align.compiler.program import Program, Synapses
from lava_align.engine.base import Semantics
from lava_align.errors import ConstraintViolationError, InvalidInputError
from lava_align.formats.spike_files import SpikeFile
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.model.experiment import Experiment, load_experiment
from lava_align.model.network import draw_stimuli
from lava_align.pipeline import compile_experiment, forward_weights
from lava_align.recording import Recording, Spikes
from lava_align.replay import BinnedSpikes, bin_spikes, replay
from lava_align.replay.chip import relayed, without_neurons
from lava_align.targets import load_target

LOIHI2 = load_target("loihi2")


def packaged(name: str, duration: float) -> Experiment:
    path = files("lava_align") / "examples" / f"{name}.toml"
    return load_experiment(str(path), duration=duration, comparable=False)


def binned(recording: Recording) -> BinnedSpikes:
    file = SpikeFile(
        path="run", populations=recording.spikes, dt=recording.dt, n_steps=recording.n_steps
    )
    return bin_spikes(file, ["upper", "lower"])


def random_spikes(n_steps: int = 400, n_upper: int = 4, n_lower: int = 6) -> BinnedSpikes:
    rng = np.random.default_rng(4)
    sizes = {"upper": n_upper, "lower": n_lower}
    spikes = {n: Spikes.from_raster(rng.random((n_steps, k)) < 0.1) for n, k in sizes.items()}
    return BinnedSpikes(dt=1e-3, n_steps=n_steps, spikes=spikes, shared=dict.fromkeys(sizes, 0))


# On chip -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("semantics", ["lava-0.10.0", "independent-rounding"])
@pytest.mark.parametrize("name", ["digits", "paper"])
def test_a_programs_synapses_learn_what_they_learned_in_the_run(
    name: str, semantics: Semantics
) -> None:
    experiment = packaged(name, 3.0)
    program = compile_experiment(experiment, LOIHI2).program
    inputs = draw_stimuli(experiment.network, 1)
    steps = tuple(range(0, 3001, 300))
    backend = NativeBackend(semantics=semantics, seed=5)
    run = backend.run(program, inputs, 3000, Probes(weight_steps=steps))
    found = replay(
        binned(run), "upper", "lower", program=program, semantics=semantics, seed=5, snapshots=10
    )
    assert np.ptp(run.weights["B"].values[-1]) > 50
    assert found.recording.weights["chip"] == run.weights["B"]


@pytest.mark.lava
@pytest.mark.skipif(lava_version() is None, reason="lava-nc is not installed")
def test_a_run_on_lava_is_replayed_to_the_same_integers() -> None:
    experiment = packaged("digits", 0.4)
    program = compile_experiment(experiment, LOIHI2).program
    inputs = draw_stimuli(experiment.network, 1)
    run = get_backend("lava").run(program, inputs, 400, Probes(weight_steps=(0, 200, 400)))
    found = replay(binned(run), "upper", "lower", program=program, snapshots=2)
    assert np.ptp(run.weights["B"].values[-1]) > 20
    assert found.recording.weights["chip"] == run.weights["B"]


def test_acting_feedback_and_a_gate_of_its_own_are_replayed_too() -> None:
    experiment = packaged("digits", 1.0)
    program = compile_experiment(experiment, LOIHI2).program
    synapses = program.plastic()[0]
    acting = replace(synapses, acts=True, weight_exp=-4, gate="lower")
    program = replace(program, synapses=(*program.synapses[:-1], acting))
    run = NativeBackend().run(
        program, draw_stimuli(experiment.network, 1), 1000, Probes(weight_steps=(1000,))
    )
    found = replay(binned(run), "upper", "lower", program=program)
    np.testing.assert_array_equal(found.learned("chip"), run.weights["B"].values[-1])


def test_the_calibration_sees_the_spikes_that_are_replayed() -> None:
    """Compiled for its own spikes, a rule is the one that was compiled from the float sample."""
    experiment = packaged("digits", 8.0)
    compilation = compile_experiment(experiment, LOIHI2)
    run = NativeBackend().run(
        compilation.program, draw_stimuli(experiment.network, 1), 8000, Probes()
    )
    weights = experiment.network.projection("B").weights
    found = replay(binned(run), "upper", "lower", target=LOIHI2, weights=weights)
    assert found.on_chip.synapses.learning == compilation.program.plastic()[0].learning
    assert found.on_chip.weight_scale == compilation.weight_scales["B"]
    assert found.on_chip.checks
    assert found.agreement().r > 0.9
    assert found.agreement().norm_ratio == pytest.approx(1.0, abs=0.15)


def test_both_forms_mirror_the_forward_weights() -> None:
    experiment = packaged("digits", 8.0)
    reference = run_reference(experiment.network, [1])[0]
    found = replay(binned(reference), "upper", "lower", target=LOIHI2)
    aligned = found.aligned(forward_weights(experiment.network)["B"])
    assert set(aligned) == {"chip", "float"}
    for series in aligned.values():
        assert len(series) == 21
        assert abs(series[0].r) < 0.2
        assert series[-1].r > 0.6


@pytest.mark.parametrize("variant", ["one-stage", "two-stage"])
def test_the_variant_and_the_parameters_are_those_asked_for(variant: str) -> None:
    found = replay(
        random_spikes(), "upper", "lower", target=LOIHI2, variant=variant,
        parameters={"tau_fast": 20e-3},
    )  # fmt: skip
    rule = found.on_chip.synapses.learning
    assert (rule.dt is None) == (variant == "one-stage")
    assert rule.y1.tau == 20
    assert found.recording.provenance["parameters"]["tau_fast"] == 20e-3


def test_relay_neurons_repeat_every_spike_one_step_later() -> None:
    """What the target is checked for does what is replayed."""
    spikes = random_spikes(n_steps=100)
    dense = Spikes.from_raster(np.ones((100, 4)))
    rule = LearningRule(dw=Expression.parse("x0*y1"), y1=Trace(10, 10))
    synapses = Synapses(
        name="B", pre="upper", post="lower", weights=np.zeros((6, 4)), learning=rule, acts=False
    )
    program = relayed(synapses, "test", 1e-3, 101)
    inputs = {"spikes of upper": dense, "spikes of lower": spikes.spikes["lower"]}
    run = NativeBackend().run(program, inputs, 101, Probes())
    for name, given in (("upper", dense), ("lower", spikes.spikes["lower"])):
        np.testing.assert_array_equal(run.spikes[name].step, given.step + 1)
        np.testing.assert_array_equal(run.spikes[name].neuron, given.neuron)


def test_a_long_recording_is_calibrated_on_its_beginning(monkeypatch) -> None:
    monkeypatch.setattr("lava_align.replay.chip.SAMPLE_CELLS", 1000)
    found = replay(random_spikes(), "upper", "lower", target=LOIHI2)
    assert "calibrated on the first 100 of 400 steps" in found.notes


def test_what_is_left_in_the_tags_at_the_end_is_told() -> None:
    rule = LearningRule(
        dt=Expression.parse("x0*y1 - u4*t"), dw=Expression.parse("2^-2*u4*t"), y1=Trace(10, 10)
    )
    synapses = Synapses(
        name="B", pre="upper", post="lower", weights=np.zeros((6, 4)), learning=rule, acts=False
    )
    program = relayed(synapses, "test", 1e-3, 400)
    for n_steps, left in ((400, 0), (405, 5)):
        found = replay(random_spikes(n_steps=n_steps), "upper", "lower", program=program)
        told = [note for note in found.notes if "not in the chip's weights yet" in note]
        assert len(told) == (left > 0)
        assert all(f"the last {left} of {n_steps} steps" in note for note in told)


def test_silence_is_replayed_and_leaves_the_weights() -> None:
    none = Spikes(step=[], neuron=[], size=3)
    silent = BinnedSpikes(
        dt=1e-3, n_steps=50, spikes={"upper": none, "lower": none},
        shared={"upper": 0, "lower": 0},
    )  # fmt: skip
    weights = np.full((3, 3), 0.01)
    found = replay(silent, "upper", "lower", target=LOIHI2, weights=weights)
    np.testing.assert_array_equal(found.learned("float"), weights)
    first, last = found.recording.weights["chip"].values[[0, -1]]
    np.testing.assert_array_equal(first, last)


# Float -------------------------------------------------------------------------------------------


def test_the_float_form_equals_a_run_of_the_reference_on_its_own_spikes() -> None:
    experiment = packaged("digits", 1.0)
    steps = tuple(range(0, 1001, 100))
    run = run_reference(experiment.network, [1], weight_steps=steps)[0]
    weights = experiment.network.projection("B").weights
    found = replay(
        binned(run), "upper", "lower", target=LOIHI2, weights=weights, snapshots=10
    ).recording.weights["float"]
    np.testing.assert_array_equal(found.step, run.weights["B"].step)
    np.testing.assert_allclose(found.values, run.weights["B"].values, rtol=1e-12, atol=1e-15)
    assert np.abs(found.values[-1] - weights).max() > 1e-3


def test_a_standalone_program_gives_the_same_weights_at_the_same_steps() -> None:
    spikes = random_spikes(n_steps=230)
    plain, compiled = (
        replay(
            spikes, "upper", "lower", target=LOIHI2, snapshots=6, codegen=codegen
        ).recording.weights["float"]
        for codegen in ("numpy", "cpp_standalone")
    )
    np.testing.assert_array_equal(plain.step, [0, 39, 78, 117, 156, 195, 230])
    np.testing.assert_array_equal(compiled.step, plain.step)
    np.testing.assert_allclose(compiled.values, plain.values, rtol=1e-12, atol=1e-15)
    assert (np.ptp(plain.values, axis=0) > 0).all()


@pytest.mark.parametrize("dt", [1e-4, 1e-3, 5e-3])
def test_the_float_form_is_the_papers_equation_in_plain_numpy(dt: float) -> None:
    spikes = replace(random_spikes(), dt=dt)
    parameters = {"tau_fast": 10e-3, "tau_slow": 0.1, "eta": 0.01, "kappa": 0.3}
    weights = np.random.default_rng(1).normal(0, 0.01, (6, 4))
    found = replay(
        spikes, "upper", "lower", target=LOIHI2, weights=weights, parameters=parameters
    ).learned("float")
    lower, upper = (spikes.spikes[n].raster(400).astype(float) for n in ("lower", "upper"))
    fast, slow = np.zeros(6), np.zeros(6)
    keep_fast, keep_slow = np.exp(-dt / 10e-3), np.exp(-dt / 0.1)
    # Kernels of equal area on the grid.
    height = (1 - keep_slow) / (1 - keep_fast)
    expected = weights.copy()
    for j, k in zip(lower, upper, strict=True):
        fast, slow = fast * keep_fast + j, slow * keep_slow + height * j
        target = (fast - slow)[:, None] - 0.3 * expected
        expected = expected + 0.01 * target * k
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


# What is refused ---------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_at_once() -> None:
    spikes = random_spikes()
    with pytest.raises(InvalidInputError) as caught:
        replay(spikes, "above", "below", snapshots=0)
    places = [problem.where for problem in caught.value.problems]
    assert places == ["pre", "post", "target, program", "snapshots"]
    with pytest.raises(InvalidInputError, match=r"weights: shape \(4, 6\).*\(6, 4\)"):
        replay(spikes, "upper", "lower", target=LOIHI2, weights=np.zeros((4, 6)))
    with pytest.raises(InvalidInputError, match="unknown parameter"):
        replay(spikes, "upper", "lower", target=LOIHI2, parameters={"tau": 1.0})
    found = replay(spikes, "upper", "lower", target=LOIHI2)
    with pytest.raises(InvalidInputError, match=r"forward: shape \(6, 4\).*\(4, 6\)"):
        found.aligned(np.zeros((6, 4)))


def test_weights_beyond_the_calibrated_range_are_refused() -> None:
    with pytest.raises(ConstraintViolationError, match="initial weights up to"):
        replay(random_spikes(), "upper", "lower", target=LOIHI2, weights=np.full((6, 4), 1e3))


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_experiment(packaged("digits", 0.2), LOIHI2).program


def test_a_program_for_other_populations_or_another_step_is_refused(program: Program) -> None:
    with pytest.raises(InvalidInputError) as caught:
        replay(replace(random_spikes(), dt=2e-3), "upper", "lower", program=program)
    assert [problem.where for problem in caught.value.problems] == ["dt", "program"]
    with pytest.raises(InvalidInputError, match="leave it out"):
        replay(random_spikes(), "upper", "lower", program=program, variant="one-stage")


def test_the_projection_must_be_one_that_learns_from_spikes(program: Program) -> None:
    with pytest.raises(InvalidInputError, match=r"no projection 'W' that learns; one of: B"):
        without_neurons(program, "W")
    twice = replace(program, synapses=(*program.synapses, replace(program.plastic()[0], name="C")))
    with pytest.raises(InvalidInputError, match="2 that learn; one of: B, C"):
        without_neurons(twice)
    assert without_neurons(twice, "C").projection == "C"
    graded = replace(program.plastic()[0], graded="overwrite")
    with pytest.raises(InvalidInputError, match="learns from payloads"):
        without_neurons(replace(program, synapses=(graded,)))
