"""What callers of the reference may rely on: replicates, inputs, errors, no traces left behind."""

import subprocess
import sys

import brian2
import numpy as np
import pytest

from lava_align.backends.brian2 import run_reference
from lava_align.errors import BackendError, InvalidInputError, MissingDependencyError
from lava_align.model.network import (
    LIF,
    Network,
    Plasticity,
    Population,
    Projection,
    Stimulus,
    draw_stimuli,
)
from lava_align.model.stimuli import PoissonDrive
from lava_align.recording import Spikes

DT = 1e-3


def pair(n_steps: int = 300, rate: float = 100.0, **neuron: float) -> Network:
    rng = np.random.default_rng(0)
    lif = LIF(**{"tau_m": 20e-3, "tau_syn": 5e-3, "refractory": 2e-3, **neuron})
    return Network(
        dt=DT,
        duration=n_steps * DT,
        populations=(
            Population(name="lower", size=7, neuron=lif),
            Population(name="upper", size=5, neuron=lif),
        ),
        projections=(
            Projection(name="W", pre="lower", post="upper", weights=rng.normal(2.0, 3.0, (5, 7))),
            Projection(
                name="B",
                pre="upper",
                post="lower",
                weights=rng.normal(0.0, 0.5, (7, 5)),
                plasticity=Plasticity(rule="stdwi", mirrors="W"),
            ),
        ),
        stimuli=(
            Stimulus(name="drive", population="lower", weight=4.0, drive=PoissonDrive(rate=rate)),
            Stimulus(name="noise", population="upper", weight=-1.0, drive=PoissonDrive(rate=20.0)),
        ),
    )


def test_replicates_come_out_the_same_alone_and_together():
    network, seeds = pair(), [5, 2, 9]
    together = run_reference(network, seeds, weight_steps=(0, 100, 300))
    for seed, batched in zip(seeds, together, strict=True):
        (alone,) = run_reference(network, [seed], weight_steps=(0, 100, 300))
        assert len(alone.spikes["upper"]) > 20
        assert dict(batched.spikes) == dict(alone.spikes)
        np.testing.assert_allclose(
            batched.weights["B"].values, alone.weights["B"].values, rtol=1e-12
        )
        assert batched.provenance == alone.provenance
    assert together[0].spikes["lower"] != together[1].spikes["lower"]


def test_a_seed_draws_the_networks_own_stimuli():
    network = pair()
    (recording,) = run_reference(network, [4])
    assert dict(recording.stimuli) == draw_stimuli(network, 4)
    assert recording.backend == "brian2"
    assert recording.provenance == {
        "seed": 4,
        "brian2": brian2.__version__,
        "codegen": "numpy",
        "reference_dt": DT,
        "inputs": "drawn",
        "merged_spikes": 0,
    }


def test_given_inputs_are_what_drives_the_network():
    network = pair()
    drawn = run_reference(network, [4, 6])
    swapped = run_reference(
        network, [0, 1], inputs=[draw_stimuli(network, 6), draw_stimuli(network, 4)]
    )
    assert dict(swapped[0].spikes) == dict(drawn[1].spikes)
    assert dict(swapped[1].spikes) == dict(drawn[0].spikes)
    assert swapped[0].provenance["inputs"] == "given"


def test_a_network_without_a_single_spike():
    (recording,) = run_reference(pair(50, rate=0.0), [0], weight_steps=(0, 50))
    for name, size in (("lower", 7), ("upper", 5)):
        assert len(recording.spikes[name]) == 0
        assert recording.spikes[name].size == size
    weights = recording.weights["B"].values
    np.testing.assert_array_equal(weights[0], weights[1])


def test_no_seeds_give_no_recordings():
    assert run_reference(pair(10), []) == []


def test_the_recording_survives_its_file(tmp_path):
    (recording,) = run_reference(pair(), [1], weight_steps=(0, 300))
    assert type(recording).load(recording.save(tmp_path / "run.rec.h5")) == recording


def test_progress_ends_at_the_last_step():
    calls = []
    run_reference(pair(40), [0], progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (40, 40)
    assert all(0 <= done <= total == 40 for done, total in calls)


def test_all_bad_arguments_are_reported_at_once():
    with pytest.raises(InvalidInputError) as caught:
        run_reference(
            pair(tau_syn=1e-9), [-1], dt=0.3e-3, weight_steps=(0, 301, -1), codegen="fortran"
        )
    text = str(caught.value)
    for part in (
        "seeds: -1",
        "dt: 0.0003 s",
        "weight_steps: 301",
        "weight_steps: -1",
        "codegen: 'fortran'",
        "populations.lower.tau_syn",
        "populations.upper.tau_syn",
    ):
        assert part in text


def test_time_constants_of_the_kernel_must_differ():
    with pytest.raises(InvalidInputError, match=r"populations\.lower\.tau_rise"):
        run_reference(pair(tau_rise=5e-3 * (1 - 1e-9)), [0])


def test_unusable_inputs_are_all_named():
    network = pair(20)
    good = draw_stimuli(network, 0)
    nobody = Spikes(step=np.arange(0), neuron=np.arange(0), size=7)
    late = Spikes(step=np.array([20]), neuron=np.array([0]), size=7)
    doubled = Spikes(step=np.array([3, 3]), neuron=np.array([1, 1]), size=7)
    outside = Spikes(step=np.array([3]), neuron=np.array([7]), size=8)
    inputs = [{"drive": nobody}, *({**good, "drive": bad} for bad in (late, doubled, outside))]
    with pytest.raises(InvalidInputError) as caught:
        run_reference(network, [0], inputs=inputs)
    text = str(caught.value)
    for part in (
        "inputs: 4 for 1 seeds",
        "inputs[0]: stimuli: drive; exactly: drive, noise",
        "inputs[1].drive: step out of range; 0..19",
        "inputs[2].drive: a neuron has two spikes in one step",
        "inputs[3].drive: 8 neurons; 7",
        "inputs[3].drive: neuron out of range; 0..6",
    ):
        assert part in text


def test_an_unknown_rule_and_an_unknown_parameter_are_input_errors():
    network = pair(10)
    projection = network.projection("B")
    for plasticity, message in (
        (Plasticity(rule="nothing", mirrors="W"), "no rule 'nothing'"),
        (Plasticity(rule="stdwi", mirrors="W", parameters={"tau": 1.0}), r"projections\.B\.tau"),
    ):
        changed = Projection(
            name="B",
            pre="upper",
            post="lower",
            weights=projection.weights,
            plasticity=plasticity,
        )
        bad = Network(
            dt=network.dt,
            duration=network.duration,
            populations=network.populations,
            projections=(network.projection("W"), changed),
        )
        with pytest.raises(InvalidInputError, match=message):
            run_reference(bad, [0])


def test_too_many_snapshots_for_a_standalone_program_are_refused():
    with pytest.raises(InvalidInputError, match="weight_steps"):
        run_reference(
            pair(3_000_000, rate=0.0), [0, 1], weight_steps=(1, 2), codegen="cpp_standalone"
        )


def global_state():
    return (
        brian2.prefs.codegen.target,
        dict(brian2.prefs).get("core.stop_on_keyboard_interrupt"),
        brian2.prefs.logging.std_redirection_to_file,
        brian2.get_device(),
        brian2.defaultclock.dt_,
        None
        if brian2.BrianLogger.console_handler is None
        else brian2.BrianLogger.console_handler.level,
    )


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(ValueError("from inside"), BackendError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_failures_and_interrupts_leave_brian2_as_it_was(raised, expected):
    def progress(done, total):
        raise raised

    before = global_state()
    with pytest.raises(expected) as caught:
        run_reference(pair(10), [0], progress=progress)
    assert global_state() == before
    if expected is BackendError:
        assert "from inside" in str(caught.value)
        assert caught.value.__cause__ is not None
    (after,) = run_reference(pair(10), [0])
    assert after.n_steps == 10
    assert global_state() == before


def test_absent_brian2_is_a_missing_dependency(monkeypatch):
    monkeypatch.setitem(sys.modules, "brian2", None)
    with pytest.raises(MissingDependencyError, match="pip install brian2"):
        run_reference(pair(10), [0])


GUEST = """
import logging, signal, sys, warnings
from pathlib import Path
before = sys.excepthook, signal.getsignal(signal.SIGINT), warnings.showwarning
from lava_align.backends.brian2 import run_reference
from lava_align.model.network import LIF, Network, Population
assert not {"brian2", "lava_align.compiler"} & set(sys.modules)
cell = Population(name="cell", size=1, neuron=LIF(tau_m=0.01, tau_syn=0.005, bias=2.0))
network = Network(dt=1e-3, duration=0.03, populations=(cell,))
print(len(run_reference(network, [0])[0].spikes["cell"]))
assert before == (sys.excepthook, signal.getsignal(signal.SIGINT), warnings.showwarning)
print([path.name for path in Path(sys.argv[1]).iterdir()])
raise SystemError("uncaught")
"""


def test_no_file_and_no_hook_stays_behind(tmp_path):
    folder, script = tmp_path / "tmp", tmp_path / "script.py"
    folder.mkdir()
    script.write_text(GUEST)
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={"TMPDIR": str(folder), "HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)},
    )
    assert done.stdout.splitlines() == ["4", "[]"]
    assert done.stderr.strip().endswith("SystemError: uncaught")
    assert "Brian 2 encountered" not in done.stderr
    assert list(folder.iterdir()) == []
