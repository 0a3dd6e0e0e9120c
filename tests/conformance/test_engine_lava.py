"""Random networks on the integer ProcessModels and on every implementation of the engine."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from lava_align.backends.base import Probes
from lava_align.backends.lava import LavaBackend
from lava_align.backends.lava_shim import import_lava, lava_version
from lava_align.backends.native import NativeBackend
from lava_align.engine.base import Engine
from lava_align.recording import Recording, Spikes
from lava_align.testing import ENGINES, Case, cases, first_difference, state_names

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(lava_version() is None, reason="lava-nc is not installed"),
]

SEED = 2**63 + 5
SLOW = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
# Hypothesis varies what it has drawn, so that a few beginnings see more than a long run from one.
BATCHES, N_CASES, N_WHOLE, N_FULL = 8, 40, 20, 8
FULL_SECONDS = 200


@pytest.fixture(scope="module", params=ENGINES)
def make(request: pytest.FixtureRequest) -> Callable[..., Engine]:
    import_lava()
    return ENGINES[request.param]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_state_equals_that_of_the_process_models_at_every_step(batch: int) -> None:
    import_lava()

    @seed(batch)
    @settings(max_examples=N_CASES, **SLOW)
    @given(case=cases())
    def compare(case: Case) -> None:
        engines = [make(case.program, seed=SEED) for make in ENGINES.values()]
        assert first_difference(case, *engines, seed=SEED) is None

    compare()


def drawn(count: int, batch: int = 0, **options: object) -> list[Case]:
    """Cases that are the same in every run."""
    found: list[Case] = []

    @seed(batch)
    @settings(max_examples=count, phases=[Phase.generate], **SLOW)
    @given(case=cases(**options))
    def draw(case: Case) -> None:
        found.append(case)

    draw()
    return found


@pytest.fixture(scope="module")
def whole() -> list[Case]:
    return [case for batch in range(4) for case in drawn(N_WHOLE // 4, batch, n_steps=25)]


@pytest.mark.parametrize("index", range(N_WHOLE))
def test_a_whole_network_equals_the_lava_backend(whole: list[Case], index: int) -> None:
    case = whole[index]
    program, n_steps = case.program, case.n_steps
    probes = Probes(
        spikes=program.spiking(),
        weight_steps=(0, n_steps // 2, n_steps),
        states=tuple(program.states()),
    )
    lava = LavaBackend(seed=SEED).run(program, case.inputs, n_steps, probes)
    assert set(lava.spikes) == set(program.spiking())
    for make in ENGINES.values():
        assert_same_run(make(program, seed=SEED), lava, case.inputs, probes)
    native = NativeBackend(seed=SEED).run(program, case.inputs, n_steps, probes)
    assert native.stimuli == lava.stimuli


def assert_same_run(
    engine: Engine, lava: Recording, inputs: Mapping[str, np.ndarray], probes: Probes
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
    pickle.dump([run_on_lava(case, 2**63 + 5) for case in cases], file)
"""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Case, dict[str, np.ndarray]]]:
    """Networks with everything in them, run by Lava's runtime in a process of their own."""
    folder: Path = tmp_path_factory.mktemp("full")
    given_cases = [case for batch in range(4) for case in drawn(N_FULL // 4, batch, n_steps=12)]
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
    engine = make(case.program, seed=SEED)
    engine.run(case.n_steps, case.inputs, ())
    ports = {f"{g.name}.{port}" for g in case.program.neurons for port in g.ports}
    assert set(states) == set(state_names(case.program)) - ports
    for name, values in states.items():
        np.testing.assert_array_equal(engine.read(name), values, err_msg=name)


def test_the_random_networks_reach_what_they_are_for() -> None:
    """Spikes, learning, clipping and every feature occur among the cases, so equality says much."""
    make = [*ENGINES.values()][-1]  # the fastest there is; they are equal
    met: dict[str, int] = {}
    for case in (case for batch in range(BATCHES) for case in drawn(N_CASES, batch)):
        for fact, holds in (facts_of_learning(make, case) | facts_of_neurons(make, case)).items():
            met[fact] = met.get(fact, 0) + bool(holds)
    assert len(met) == 33
    assert min(met.values()) >= 2, met


def facts_of_learning(make: Callable[..., Engine], case: Case) -> dict[str, bool]:
    engine, program = make(case.program), case.program
    before = {s.name: engine.read(f"{s.name}.weights") for s in program.plastic()}
    chunk = engine.run(case.n_steps, case.inputs, tuple(group.name for group in program.neurons))
    facts = {"spikes": any(len(step) > 5 for step, _ in chunk.spikes.values())}

    def seen(fact: str, holds: object) -> None:
        facts[fact] = facts.get(fact, False) or bool(np.any(holds))

    for s in program.synapses:
        seen("delays", s.delays is not None)
        seen(f"graded {s.graded}", True)
        seen("recurrent", s.pre == s.post)
        seen(f"sign {s.sign_mode}", True)
        seen("pre is a port", "." in s.pre)
        seen("apical", s.into == "apical")
        if s.learning is None:
            continue
        after = engine.read(f"{s.name}.weights")
        seen("learned", after != before[s.name])
        seen("clipped", np.isin(after, (-256, 255)))
        seen("tag", engine.read(f"{s.name}.t"))
        seen(f"third factor {s.learning.third_factor}", True)
        seen("gate", s.gate is not None)
        seen("long epoch", s.learning.t_epoch > 8)
        seen("modulators", bool(s.modulators))
        seen("gate is a port", "." in (s.gate or ""))
        seen("modulator is a port", any("." in name for name in s.modulators.values()))
    return facts


def facts_of_neurons(make: Callable[..., Engine], case: Case) -> dict[str, bool]:
    """What neurons of our own did: spiked, were refractory, reported, saturated."""
    program = case.program
    chunk = make(program, seed=SEED).run(
        case.n_steps, case.inputs, program.spiking(), tuple(program.states())
    )
    facts: dict[str, bool] = {}

    def seen(fact: str, holds: object) -> None:
        facts[fact] = facts.get(fact, False) or bool(np.any(holds))

    for group in program.neurons:
        kind = type(group).__name__
        seen(f"spiking {kind}", group.custom and len(chunk.spikes[group.name][0]))
        for name in ("plus", "minus"):
            if name in group.ports:
                seen(name, len(chunk.spikes[f"{group.name}.{name}"][0]))
        for name in ("rest", "above", "below", "up", "down"):
            if f"{group.name}.{name}" in chunk.states:
                seen(name, chunk.states[f"{group.name}.{name}"])
        if group.custom and f"{group.name}.v" in chunk.states:
            seen("voltage at its limit", np.abs(chunk.states[f"{group.name}.v"]) == 2**23 - 1)
    return facts
