"""Random networks on Lava's integer models and on every implementation of the engine."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from lava_align.backends.base import Probes
from lava_align.backends.lava import LavaBackend
from lava_align.backends.lava_shim import import_lava, lava_version
from lava_align.engine.base import Engine
from lava_align.recording import Recording, Spikes
from lava_align.testing import ENGINES, Case, cases, first_difference, state_names

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(lava_version() is None, reason="lava-nc is not installed"),
]

SLOW = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}
N_CASES, N_WHOLE, N_FULL = 320, 20, 8
FULL_SECONDS = 200


@pytest.fixture(scope="module", params=ENGINES)
def make(request: pytest.FixtureRequest) -> Callable[..., Engine]:
    import_lava()
    return ENGINES[request.param]


@settings(max_examples=N_CASES, **SLOW)
@given(case=cases())
def test_every_state_equals_that_of_lavas_models_at_every_step(case: Case) -> None:
    import_lava()
    assert first_difference(case, *(make(case.program) for make in ENGINES.values())) is None


def drawn(count: int, **options: object) -> list[Case]:
    """Cases that are the same in every run."""
    found: list[Case] = []

    @settings(max_examples=count, phases=[Phase.generate], **SLOW)
    @given(case=cases(**options))
    def draw(case: Case) -> None:
        found.append(case)

    draw()
    return found


@pytest.fixture(scope="module")
def whole() -> list[Case]:
    return drawn(N_WHOLE, n_steps=25, plain=True)


@pytest.mark.parametrize("index", range(N_WHOLE))
def test_a_whole_network_equals_the_lava_backend(whole: list[Case], index: int) -> None:
    case = whole[index]
    program, n_steps = case.program, case.n_steps
    names = [group.name for group in program.neurons]
    states = tuple(f"{name}.{variable}" for name in names for variable in "uv")
    inputs = {name: Spikes.from_raster(rows != 0) for name, rows in case.inputs.items()}
    probes = Probes(weight_steps=(0, n_steps // 2, n_steps), states=states)
    lava = LavaBackend().run(program, inputs, n_steps, probes)
    for make in ENGINES.values():
        assert_same_run(make(program), lava, inputs, probes)


def assert_same_run(
    engine: Engine, lava: Recording, inputs: dict[str, Spikes], probes: Probes
) -> None:
    """Run an engine in two parts and compare everything with Lava's recording."""
    groups, cuts = tuple(lava.spikes), probes.weight_steps
    weights = {name: [engine.read(f"{name}.weights")] for name in lava.weights}
    chunks = []
    for start, stop in pairwise(cuts):
        chunks.append(engine.run(stop - start, inputs, groups, probes.states))
        for name, kept in weights.items():
            kept.append(engine.read(f"{name}.weights"))
    for name, kept in weights.items():
        at = np.searchsorted(cuts, lava.weights[name].step)
        np.testing.assert_array_equal(lava.weights[name].values, np.array(kept)[at])
    for name in probes.states:
        found = np.concatenate([chunk.states[name] for chunk in chunks])
        np.testing.assert_array_equal(found, lava.states[name].values)
    for name, spikes in lava.spikes.items():
        step, neuron = (np.concatenate([c.spikes[name][k] for c in chunks]) for k in (0, 1))
        assert Spikes(step=step, neuron=neuron, size=spikes.size) == spikes


RUN = """
import pickle, sys
from lava_align.backends.lava_shim import import_lava
import_lava()
from lava_align.testing import run_on_lava
with open(sys.argv[1], "rb") as file:
    cases = pickle.load(file)
with open(sys.argv[2], "wb") as file:
    pickle.dump([run_on_lava(case) for case in cases], file)
"""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Case, dict[str, np.ndarray]]]:
    """Networks with everything in them, run by Lava's runtime in a process of their own."""
    folder: Path = tmp_path_factory.mktemp("full")
    given_cases = drawn(N_FULL, n_steps=12)
    (folder / "cases").write_bytes(pickle.dumps(given_cases))
    command = [sys.executable, "-c", RUN, str(folder / "cases"), str(folder / "states")]
    child = subprocess.Popen(command, cwd=folder, start_new_session=True)
    try:
        child.wait(timeout=FULL_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    return list(zip(given_cases, pickle.loads((folder / "states").read_bytes()), strict=True))


@pytest.mark.parametrize("index", range(N_FULL))
def test_delays_payloads_and_third_factors_equal_lavas_runtime(make, full, index: int) -> None:
    case, states = full[index]
    engine = make(case.program)
    engine.run(case.n_steps, case.inputs, ())
    assert set(states) == set(state_names(case.program))
    for name, values in states.items():
        np.testing.assert_array_equal(engine.read(name), values, err_msg=name)


def test_the_random_networks_reach_what_they_are_for(make) -> None:
    """Spikes, learning, clipping and every feature occur among the cases, so equality says much."""
    met: dict[str, int] = {}
    for case in drawn(120):
        engine = make(case.program)
        groups = tuple(group.name for group in case.program.neurons)
        before = {s.name: engine.read(f"{s.name}.weights") for s in case.program.plastic()}
        chunk = engine.run(case.n_steps, case.inputs, groups)
        facts = {"spikes": any(len(step) > 5 for step, _ in chunk.spikes.values())}
        for s in case.program.synapses:
            facts |= {"delays": s.delays is not None, f"graded {s.graded}": True}
            facts |= {"recurrent": s.pre == s.post, f"sign {s.sign_mode}": True}
            if s.learning is None:
                continue
            after = engine.read(f"{s.name}.weights")
            facts |= {"learned": facts.get("learned") or (after != before[s.name]).any()}
            facts |= {"clipped": facts.get("clipped") or np.isin(after, (-256, 255)).any()}
            facts |= {"tag": facts.get("tag") or engine.read(f"{s.name}.t").any()}
            facts |= {f"third factor {s.learning.third_factor}": True, "gate": s.gate is not None}
            facts |= {"long epoch": s.learning.t_epoch > 8, "modulators": bool(s.modulators)}
        for fact, holds in facts.items():
            met[fact] = met.get(fact, 0) + bool(holds)
    assert len(met) == 18
    assert min(met.values()) >= 2, met
