"""The native engine as a backend: what it records, and what is left when it is interrupted."""

import numpy as np
import pytest

from lava_align.backends import get_backend
from lava_align.backends.base import Probes
from lava_align.backends.lava_shim import lava_version
from lava_align.backends.native import NativeBackend
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.errors import ExitCode, InterruptedRunError, InvalidInputError
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.recording import Spikes

N_STEPS = 150
RULE = LearningRule(
    dt=Expression.parse("x0*y1 - x0*y2 - u4*t"),
    dw=Expression.parse("2^-2*u4*t - 2^-5*x0*w"),
    y1=Trace(38, 10),
    y2=Trace(2, 100),
)


def program() -> Program:
    rng = np.random.default_rng(2)

    def mantissas(post: int, pre: int) -> np.ndarray:
        return rng.integers(-40, 100, (post, pre)) // 2 * 2

    def neurons(name: str, size: int) -> NeuronGroup:
        return NeuronGroup(
            name=name, size=size, du=800, dv=400, vth=500, bias_mant=np.zeros(size), bias_exp=0
        )

    return Program(
        target="test",
        dt=1e-3,
        n_steps=N_STEPS,
        inputs=(InputGroup(name="input", size=6),),
        neurons=(neurons("lower", 6), neurons("upper", 4)),
        synapses=(
            Synapses(name="input", pre="input", post="lower", weights=200 * np.eye(6)),
            Synapses(name="W", pre="lower", post="upper", weights=mantissas(4, 6)),
            Synapses(
                name="B",
                pre="upper",
                post="lower",
                weights=mantissas(6, 4),
                acts=False,
                learning=RULE,
                rng_seed=3,
            ),
        ),
    )


def drive() -> dict[str, Spikes]:
    return {"input": Spikes.from_raster(np.random.default_rng(7).random((N_STEPS, 6)) < 0.4)}


PROBES = Probes(weight_steps=(0, 33, 100, N_STEPS), states=("lower.v", "upper.u"))


@pytest.mark.lava
@pytest.mark.skipif(lava_version() is None, reason="lava-nc is not installed")
def test_a_recording_equals_lavas_in_everything() -> None:
    native = NativeBackend().run(program(), drive(), N_STEPS, PROBES)
    lava = get_backend("lava").run(program(), drive(), N_STEPS, PROBES)
    assert len(native.spikes["upper"]) > 20
    assert np.ptp(native.weights["B"].values[-1] - native.weights["B"].values[0]) > 4
    for kind in ("spikes", "weights", "states", "stimuli"):
        assert getattr(native, kind) == getattr(lava, kind), kind
    assert native.not_probed == lava.not_probed


def test_a_snapshot_equals_a_run_stopped_there() -> None:
    whole = NativeBackend().run(program(), drive(), N_STEPS, PROBES)
    for step, weights in zip(whole.weights["B"].step, whole.weights["B"].values, strict=True):
        if step:
            short = NativeBackend().run(program(), drive(), int(step), Probes(weight_steps=(step,)))
            np.testing.assert_array_equal(short.weights["B"].values[-1], weights)


def test_independent_rounding_is_another_run_decided_by_its_seed() -> None:
    def weights(seed: int) -> np.ndarray:
        backend = NativeBackend(semantics="independent-rounding", seed=seed)
        return backend.run(program(), drive(), N_STEPS, PROBES).weights["B"].values[-1]

    np.testing.assert_array_equal(weights(1), weights(1))
    assert (weights(1) != weights(2)).any()


def test_progress_counts_up_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    NativeBackend().run(program(), drive(), N_STEPS, PROBES, lambda *at: seen.append(at))
    assert seen == sorted(seen)
    assert seen[-1] == (N_STEPS, N_STEPS)


def test_an_interrupted_run_keeps_what_it_has_and_says_so() -> None:
    def interrupt(done: int, _: int) -> None:
        if done >= 100:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError) as caught:
        NativeBackend().run(program(), drive(), N_STEPS, PROBES, interrupt)
    assert caught.value.exit_code == ExitCode.INTERRUPTED
    part = caught.value.recording
    assert part.provenance["partial"] is True
    assert part.n_steps == 100
    whole = NativeBackend().run(program(), drive(), N_STEPS, PROBES)
    early = whole.spikes["upper"].step < 100
    np.testing.assert_array_equal(part.spikes["upper"].step, whole.spikes["upper"].step[early])
    np.testing.assert_array_equal(part.weights["B"].step, [0, 33, 100])
    np.testing.assert_array_equal(
        part.states["lower.v"].values, whole.states["lower.v"].values[:100]
    )


def test_what_does_not_fit_is_refused_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        NativeBackend().run(program(), {}, 0, Probes(spikes=("nobody",)))
    places = [problem.where for problem in caught.value.problems]
    assert places == ["n_steps", "inputs.input", "probes.spikes"]
