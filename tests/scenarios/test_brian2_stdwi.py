"""STDWI in the reference finds the forward weights, and every code generation agrees."""

import os
import shutil
import tempfile

import brian2
import numpy as np
import pytest

from lava_align.backends.brian2 import run_reference
from lava_align.errors import BackendError
from lava_align.model.network import LIF, Network, Plasticity, Population, Projection, Stimulus
from lava_align.model.stimuli import PoissonDrive
from lava_align.statistics.alignment import alignment

N_LOWER, N_UPPER = 20, 10


def small(seconds: float) -> Network:
    """A small version of the authors' example, 1 ms steps, half the lower neurons driven.

    Their weights act on a membrane of 20 ms with a leak of 2; in units of this package that is a
    membrane of 10 ms, and weights a twentieth.
    """
    rng = np.random.default_rng(1)
    neuron = LIF(tau_m=10e-3, tau_syn=10e-3, tau_rise=3e-3, reset=-1.0)
    forward = 75 * (0.1 * rng.standard_normal((N_UPPER, N_LOWER)) + 0.05) / 20
    return Network(
        dt=1e-3,
        duration=seconds,
        populations=(
            Population(name="lower", size=N_LOWER, neuron=neuron),
            Population(name="upper", size=N_UPPER, neuron=neuron),
        ),
        projections=(
            Projection(name="forward", pre="lower", post="upper", weights=forward),
            Projection(
                name="feedback",
                pre="upper",
                post="lower",
                weights=0.001 * (rng.random((N_LOWER, N_UPPER)) - 0.5),
                acts=False,
                plasticity=Plasticity(rule="stdwi", mirrors="forward", parameters={"eta": 1e-3}),
            ),
        ),
        stimuli=(
            Stimulus(
                name="drive",
                population="lower",
                weight=0.5,
                drive=PoissonDrive(rate=200.0, active_fraction=0.5),
            ),
        ),
    )


def test_feedback_weights_come_to_mirror_the_forward_weights():
    # What 25 replicates learn in 8 s adds up to one run of 200 s. The first second is left out:
    # until the slow traces have settled, all weights drift upwards.
    network = small(9.0)
    recordings = run_reference(network, range(25), weight_steps=(0, 1_000, 3_000, 9_000))
    weights = np.sum([r.weights["feedback"].values for r in recordings], axis=0)
    forward = network.projection("forward").weights
    start = alignment(forward, weights[0])
    early, late = (alignment(forward, w - weights[1]) for w in weights[2:])
    assert abs(start.r) < 0.2
    assert start.r < early.r < late.r
    assert late.r >= 0.70
    assert late.sign_agreement >= 0.85


@pytest.mark.timeout(900)  # compiles; a busy machine takes minutes
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_a_standalone_program_gives_the_spikes_and_weights_of_numpy(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setitem(brian2.prefs, "codegen.cpp.extra_compile_args_gcc", ["-w", "-O0"])
    network = small(3.0)
    steps = (0, 400, 1000, 3000)
    plain = run_reference(network, [3, 4], weight_steps=steps)
    compiled = run_reference(network, [3, 4], weight_steps=steps, codegen="cpp_standalone")
    for one, other in zip(plain, compiled, strict=True):
        assert len(one.spikes["upper"]) > 20
        assert dict(one.spikes) == dict(other.spikes)
        assert other.weights["feedback"].step.tolist() == list(steps)
        np.testing.assert_allclose(
            one.weights["feedback"].values, other.weights["feedback"].values, rtol=1e-9
        )
    assert capfd.readouterr() == ("", "")
    assert os.listdir(tmp_path) == []

    # A compiler that fails is this package's error, and does not spoil the next run.
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(tmp_path))
        with pytest.raises(BackendError, match="cpp_standalone"):
            run_reference(network, [3], codegen="cpp_standalone")
    assert capfd.readouterr() == ("", "")
    assert os.listdir(tmp_path) == []
    (after,) = run_reference(network, [3], weight_steps=steps)
    assert dict(after.spikes) == dict(plain[0].spikes)
