"""Neurons of our own in everything around the engines: folder, limits, placement, recordings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lava_align.backends.base import Probes
from lava_align.backends.common import as_spikes, not_probed
from lava_align.backends.native import NativeBackend
from lava_align.compiler.checks import check, violations
from lava_align.compiler.folder import MANIFEST, canonical_json, program_files, program_from_files
from lava_align.compiler.place import place
from lava_align.compiler.program import (
    Apical,
    EscapeGroup,
    InputGroup,
    NeuronGroup,
    Noise,
    Program,
    RelayGroup,
    Synapses,
    Window,
)
from lava_align.compiler.wellformed import program_problems
from lava_align.engine.hashing import mix, neuron_base, neuron_bits
from lava_align.errors import IntegrityError, InvalidInputError
from lava_align.learning_rule import Expression, LearningRule
from lava_align.long_run import LongRun, run_to_file
from lava_align.recording import Recording, Spikes
from lava_align.recording_file import file_digest
from lava_align.spike_stream import SpikeStream
from lava_align.targets import load_target

LIF = NeuronGroup(name="lif", size=2, du=100, dv=50, vth=100, bias_mant=[30, 40])
EXTENDED = replace(
    LIF,
    name="lower",
    dr=900,
    reset=-4,
    refractory=2,
    holds=False,
    noise=Noise(leak=2, gain=-3, report=10),
    apical=Apical(decay=100, report=6),
    window=Window(margin=30, reach=100, length=4, average=3, bits=4, scale=6),
)
ESCAPE = EscapeGroup(
    name="hidden",
    size=3,
    bias=[1, -2, 3],
    window=5,
    refractory=1,
    shift=2,
    table=np.arange(256) * 200,
)
RELAY = RelayGroup(name="relay", size=2, shift=1)


def program(*groups: object) -> Program:
    rule = LearningRule(dw=Expression.parse("2^-3*x0*y1"), third_factor=True)
    return Program(
        target="loihi2",
        dt=1e-3,
        n_steps=50,
        inputs=(InputGroup(name="in", size=2, graded=True), InputGroup(name="s", size=2)),
        neurons=(LIF, EXTENDED, ESCAPE, RELAY),
        synapses=(
            Synapses(name="a", pre="in", post="relay", weights=[[4, 0], [0, -4]]),
            Synapses(
                name="b", pre="relay.up", post="lower", weights=[[4, 2], [0, 4]], into="apical"
            ),
            Synapses(name="c", pre="s", post="hidden", weights=[[10, 0], [4, 6], [8, 8]]),
            Synapses(
                name="d",
                pre="hidden",
                post="lower",
                weights=np.full((2, 3), 20),
                learning=rule,
                gate="lower.window",
                modulators={"y1": "lower.above"},
            ),
        ),
    )


def inputs(n_steps: int = 50) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {"in": rng.integers(-90, 90, (n_steps, 2)), "s": rng.random((n_steps, 2)) < 0.4}


# Folder -------------------------------------------------------------------------------------


def test_every_kind_comes_back_from_the_folder() -> None:
    files = program_files(program())
    back = program_from_files(files, "folder")
    assert back == program()
    assert program_files(back) == files
    neurons = json.loads(files[MANIFEST])["neurons"]
    assert [entry.get("kind") for entry in neurons] == [None, None, "escape", "relay"]
    # A group at its defaults is written as before there was anything else.
    assert set(neurons[0]) == {"name", "size", "du", "dv", "vth", "bias_mant", "bias_exp"}


def test_each_field_changes_the_digest() -> None:
    base = program()
    changed = [
        replace(EXTENDED, dr=None),
        replace(EXTENDED, holds=True),
        replace(EXTENDED, noise=None),
        replace(EXTENDED, apical=Apical(decay=101, report=6)),
        replace(EXTENDED, window=replace(EXTENDED.window, scale=7)),
    ]
    digests = {replace(base, neurons=(LIF, one, ESCAPE, RELAY)).digest() for one in changed}
    digests.add(replace(base, neurons=(LIF, EXTENDED, replace(ESCAPE, shift=3), RELAY)).digest())
    digests.add(replace(base, neurons=(LIF, EXTENDED, ESCAPE, replace(RELAY, shift=0))).digest())
    assert len({base.digest(), *digests}) == 8


@pytest.mark.parametrize(
    ("index", "change"),
    [
        (0, {"kind": "lif"}),
        (0, {"reset": 0}),
        (1, {"dr": 1.5}),
        (1, {"noise": {"leak": 1}}),
        (1, {"noise": [1, 2, 3]}),
        (1, {"apical": {"decay": "1", "report": 1}}),
        (1, {"window": 3}),
        (2, {"kind": "relay"}),
        (2, {"shift": True}),
        (3, {"shift": None}),
        (3, {"size": 5}),
    ],
)
def test_edited_entries_are_refused(index: int, change: dict[str, object]) -> None:
    files = program_files(program())
    manifest = json.loads(files[MANIFEST])
    manifest["neurons"][index] |= change
    with pytest.raises(IntegrityError):
        program_from_files({**files, MANIFEST: canonical_json(manifest)}, "folder")


def test_what_does_not_fit_together_is_named() -> None:
    base = program()
    wrong = replace(
        base,
        neurons=(
            replace(LIF, name="relay.up"),
            EXTENDED,
            replace(ESCAPE, bias=[1], table=[0] * 255),
            RELAY,
        ),
        synapses=(replace(base.synapses[0], into="apical"), *base.synapses[1:]),
    )
    found = [problem.where for problem in program_problems(wrong)]
    assert found == ["groups", "hidden.bias", "hidden.table", "a.into"]


# Limits -------------------------------------------------------------------------------------


def test_loihi_1_has_no_neuron_programs_and_loihi_2_has() -> None:
    found = {c.object for c in violations(check(program(), load_target("loihi1")))}
    assert {f"neurons.{name} custom neuron" for name in ("lower", "hidden", "relay")} <= found
    assert not any(place.startswith("neurons.lif") for place in found)
    # What ports send needs graded spikes too.
    assert "synapses.b.pre payload" in found
    assert not violations(check(program(), load_target("loihi2")))
    assert load_target("loihi2").custom_neurons
    assert not load_target("loihi1").custom_neurons


def test_a_neuron_program_out_of_range_is_a_violation_everywhere() -> None:
    wrong = replace(program(), neurons=(LIF, EXTENDED, ESCAPE, replace(RELAY, shift=40)))
    (found,) = violations(check(wrong, load_target("loihi2")))
    assert (found.id, found.object, found.value) == ("neuron_program", "neurons.relay.shift", "40")


def test_every_group_takes_compartments_and_ports_take_axons() -> None:
    placement = place(program(), load_target("loihi2"))
    assert sum(core.used["compartments_per_core"] for core in placement.cores) == 2 + 2 + 3 + 2
    (core,) = placement.cores
    # relay.up leaves from relay, hidden from itself.
    assert core.used["out_axons_per_core"] == 2 + 3
    assert core.used["compartment_profiles_per_core"] == 4
    assert core.used["threshold_profiles_per_core"] == 1


# Runs and recordings ------------------------------------------------------------------------


def test_ports_are_recorded_where_they_are_asked_for() -> None:
    net = program()
    plain = NativeBackend().run(net, inputs(), 50)
    assert set(plain.spikes) == {"lif", "lower", "hidden", "relay"}
    assert "lower.plus" in plain.not_probed
    probes = Probes(spikes=("lower.plus", "lower.minus", "lower.window"), states=("lower.above",))
    found = NativeBackend().run(net, inputs(), 50, probes)
    assert list(found.spikes) == ["lower.plus", "lower.minus", "lower.window"]
    either = found.spikes["lower.plus"].raster(50) | found.spikes["lower.minus"].raster(50)
    assert found.spikes["lower.window"] == Spikes.from_raster(either)
    assert found.states["lower.above"].values.shape == (50, 2)
    assert not set(not_probed(net, probes)) & {"lower.plus", "lower.above"}
    with pytest.raises(InvalidInputError, match="above"):
        NativeBackend().run(net, inputs(), 50, Probes(spikes=("lower.above",)))


def test_the_seed_decides_what_is_drawn_and_stands_in_the_recording() -> None:
    runs = [NativeBackend(seed=seed).run(program(), inputs(), 50) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0].spikes["hidden"] != runs[2].spikes["hidden"]
    assert runs[2].provenance["neuron_seed"] == 2
    independent = NativeBackend(semantics="independent-rounding", seed=1)
    assert independent.run(program(), inputs(), 50).spikes == runs[0].spikes


def test_graded_inputs_stay_in_the_recording_and_its_file(tmp_path: Path) -> None:
    recording = NativeBackend().run(program(), inputs(), 50)
    given = recording.stimuli["in"]
    assert given == Spikes.from_values(inputs()["in"])
    assert recording.stimuli["s"].value is None
    # The same once more from what was recorded.
    assert NativeBackend().run(program(), recording.stimuli, 50) == recording
    path = recording.save(tmp_path / "a.rec.h5")
    assert Recording.load(path) == recording
    import h5py

    with h5py.File(path) as file:
        assert file_digest(file) == recording.digest()


def test_graded_inputs_are_streamed(tmp_path: Path) -> None:
    net, given = program(), as_spikes(program(), inputs())
    probes = Probes(spikes=net.spiking(), states=tuple(net.states()), weight_steps=(50,))
    streams = {name: SpikeStream.of(spikes) for name, spikes in given.items()}
    path = run_to_file(
        LongRun(program=net, n_steps=50, probes=probes), streams, tmp_path / "long.rec.h5"
    )
    whole = NativeBackend().run(net, given, 50, probes)
    assert Recording.load(path) == whole


def test_windows_of_a_graded_stream_join_to_the_whole() -> None:
    whole = Spikes.from_values(inputs()["in"])
    stream = SpikeStream.of(whole)
    parts = [stream.until(stop) for stop in (0, 7, 7, 30, 60)]
    assert Spikes.joined(parts) == whole


def test_graded_spikes_are_refused_where_they_contradict_themselves() -> None:
    for value, step, message in (([0, 1], [0, 1], "carries 0"), ([1, 1], [2, 2], "two graded")):
        with pytest.raises(ValueError, match=message):
            Spikes(step=step, neuron=[0, 0], size=1, value=value)
    with pytest.raises(ValueError, match="pair up"):
        Spikes(step=[0], neuron=[0], size=1, value=[1, 2])
    # Sorted, values go along.
    assert Spikes(step=[3, 1], neuron=[0, 0], size=1, value=[5, 6]).value.tolist() == [6, 5]
    assert (
        Spikes(step=[1], neuron=[0], size=1).digest()
        != Spikes(step=[1], neuron=[0], size=1, value=[1]).digest()
    )


# Random bits --------------------------------------------------------------------------------


def scrambled(x: int) -> int:
    x = ((x ^ x >> 16) * 0x7FEB352D) % 2**32
    x = ((x ^ x >> 15) * 0x846CA68B) % 2**32
    return x ^ x >> 16


def test_the_bits_are_the_hash_that_is_documented() -> None:
    seed, group, step = 2**64 - 3, 5, 1234
    key = mix(mix(mix((mix(seed) + 2**32) % 2**64) + group) + step)
    bits = neuron_bits(neuron_base(seed, group), step, 40)
    for i in range(40):
        assert bits[i] == scrambled((scrambled(i ^ key % 2**32) + (key >> 32)) % 2**32) >> 16
