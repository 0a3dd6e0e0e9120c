"""The native engine as a backend: what it records, and what is left when it is interrupted."""

import numpy as np
import pytest
from small_program import N_STEPS, PROBES, drive, program

from lava_align.backends import get_backend
from lava_align.backends.base import Probes
from lava_align.backends.lava_shim import lava_version
from lava_align.backends.native import NativeBackend
from lava_align.errors import ExitCode, InterruptedRunError, InvalidInputError


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
