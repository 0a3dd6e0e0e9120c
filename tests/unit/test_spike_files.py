"""Files of spikes: real NWB and Neo files written here, npz files, recordings; and faulty ones."""

import sys
from datetime import datetime, timezone

import numpy as np
import pytest

from lava_align.errors import InvalidInputError, MissingDependencyError
from lava_align.formats.spike_files import SpikeFile, SpikeTimes, read_spikes
from lava_align.recording import Recording, Spikes

TRAINS = {"upper": [[0.1, 0.35], []], "lower": [[0.05], [0.2, 0.1999], [0.9]]}
"""Population to one train per unit, seconds."""


def assert_holds_the_trains(file: SpikeFile) -> None:
    assert set(file.populations) == set(TRAINS)
    for name, trains in TRAINS.items():
        found = file.populations[name]
        assert isinstance(found, SpikeTimes)
        assert found.size == len(trains)
        for unit, train in enumerate(trains):
            times = found.times[found.neuron == unit]
            np.testing.assert_allclose(np.sort(times), np.sort(train), rtol=1e-12)


# Neo ---------------------------------------------------------------------------------------------


def block_of(annotate=None, group=False, name="session", trains=TRAINS, n_segments=1):
    """A Neo block; populations by an annotation, by group, or not at all."""
    neo, pq = pytest.importorskip("neo"), pytest.importorskip("quantities")
    block = neo.Block(name=name)
    groups = {key: neo.Group(name=key) for key in trains} if group else {}
    block.groups.extend(groups.values())
    for _ in range(n_segments):
        segment = neo.Segment()
        block.segments.append(segment)
        for key, units in trains.items():
            for times in units:
                notes = {annotate: key} if annotate else {}
                in_ms = np.sort(times) * 1000 * pq.ms
                train = neo.SpikeTrain(in_ms, t_start=0 * pq.s, t_stop=1 * pq.s, **notes)
                segment.spiketrains.append(train)
                if group:
                    groups[key].spiketrains.append(train)
    return block


def write_nix(path, *blocks):
    from neo.io import NixIO

    io = NixIO(str(path), "ow")
    io.write_all_blocks(list(blocks))
    io.close()
    return path


def test_neo_trains_by_annotation_go_round(tmp_path) -> None:
    path = write_nix(tmp_path / "a.nix", block_of("population"))
    before = path.read_bytes()
    file = read_spikes(path)
    assert_holds_the_trains(file)
    assert (file.populations["upper"].start, file.populations["upper"].stop) == (0.0, 1.0)
    assert file.dt is None
    assert path.read_bytes() == before


def test_neo_trains_by_another_annotation_and_by_group(tmp_path) -> None:
    assert_holds_the_trains(
        read_spikes(write_nix(tmp_path / "a.nix", block_of("layer")), by="layer")
    )
    assert_holds_the_trains(read_spikes(write_nix(tmp_path / "b.nix", block_of(group=True))))


def test_neo_blocks_are_populations_if_there_are_several(tmp_path) -> None:
    blocks = [block_of(name=name, trains={name: units}) for name, units in TRAINS.items()]
    assert_holds_the_trains(read_spikes(write_nix(tmp_path / "a.nix", *blocks)))


def test_neo_matlab_files_go_round(tmp_path) -> None:
    block = block_of("population")
    from neo.io import NeoMatlabIO

    NeoMatlabIO(str(tmp_path / "a.mat")).write_block(block)
    assert_holds_the_trains(read_spikes(tmp_path / "a.mat"))


def test_neo_trains_without_a_population_are_refused_or_left_out(tmp_path) -> None:
    path = write_nix(tmp_path / "a.nix", block_of("layer"))
    with pytest.raises(InvalidInputError, match=r"5 spike trains without a population.*layer"):
        read_spikes(path)
    mixed = block_of("population")
    del mixed.segments[0].spiketrains[0].annotations["population"]
    file = read_spikes(write_nix(tmp_path / "b.nix", mixed))
    assert file.populations["upper"].size == 1
    assert file.notes == ("1 spike trains without a population are left out",)


def test_neo_segments_are_chosen_one_at_a_time(tmp_path) -> None:
    path = write_nix(tmp_path / "a.nix", block_of("population", n_segments=2))
    with pytest.raises(InvalidInputError, match=r"2 segments with spikes.*0\.\.1"):
        read_spikes(path)
    assert_holds_the_trains(read_spikes(path, segment=1))
    with pytest.raises(InvalidInputError, match=r"0\.\.1"):
        read_spikes(path, segment=2)


def test_pickles_are_not_opened(tmp_path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(InvalidInputError, match="can run any code"):
        read_spikes(tmp_path / "a.pkl")


@pytest.mark.parametrize("name", ["a.nix", "a.mat", "a.unheard", "a"])
def test_damaged_and_unknown_files_are_refused(tmp_path, name) -> None:
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(InvalidInputError, match="unreadable"):
        read_spikes(tmp_path / name)
    with pytest.raises(InvalidInputError, match="no such file"):
        read_spikes(tmp_path / f"missing_{name}")


# NWB ---------------------------------------------------------------------------------------------


def write_nwb(path, column="population", intervals=False, units=True):
    pynwb = pytest.importorskip("pynwb")
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    file = pynwb.NWBFile("session", path.stem, start)
    if units and column == "electrode_group":
        device = file.create_device("probe")
        groups = {
            name: file.create_electrode_group(name, "tetrode", "cortex", device) for name in TRAINS
        }
    elif units:
        file.add_unit_column(column, "where the unit is")
        groups = {name: name for name in TRAINS}
    if units:
        for name, trains in TRAINS.items():
            for times in trains:
                observed = {"obs_intervals": [[0.0, 0.4], [0.5, 2.0]]} if intervals else {}
                file.add_unit(spike_times=np.sort(times), **{column: groups[name]}, **observed)
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


@pytest.mark.parametrize("column", ["population", "electrode_group"])
def test_nwb_units_by_the_usual_columns_go_round(tmp_path, column) -> None:
    file = read_spikes(write_nwb(tmp_path / "a.nwb", column))
    assert_holds_the_trains(file)
    assert file.populations["upper"].stop is None


def test_nwb_units_by_another_column_and_what_is_there_otherwise(tmp_path) -> None:
    path = write_nwb(tmp_path / "a.nwb", "layer")
    assert_holds_the_trains(read_spikes(path, by="layer"))
    with pytest.raises(InvalidInputError, match=r"no column population or electrode_group.*layer"):
        read_spikes(path)
    with pytest.raises(InvalidInputError, match=r"no column 'depth'.*layer"):
        read_spikes(path, by="depth")


def test_nwb_observation_intervals_say_how_long_a_unit_was_watched(tmp_path) -> None:
    found = read_spikes(write_nwb(tmp_path / "a.nwb", intervals=True)).populations["lower"]
    assert (found.start, found.stop) == (0.0, 2.0)


def test_nwb_without_units_missing_or_damaged(tmp_path) -> None:
    with pytest.raises(InvalidInputError, match="no units"):
        read_spikes(write_nwb(tmp_path / "a.nwb", units=False))
    with pytest.raises(InvalidInputError, match="no such file"):
        read_spikes(tmp_path / "b.nwb")
    (tmp_path / "c.nwb").write_bytes((tmp_path / "a.nwb").read_bytes()[:900])
    with pytest.raises(InvalidInputError, match="unreadable or truncated"):
        read_spikes(tmp_path / "c.nwb")


@pytest.mark.parametrize(("module", "name"), [("pynwb", "a.nwb"), ("neo", "a.nix")])
def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch, module, name) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingDependencyError, match=rf"lava_align\[{name[2:].replace('nix', 'neo')}\]"
    ):
        read_spikes(tmp_path / name)


# npz and recordings ------------------------------------------------------------------------------


def npz(path, **arrays):
    np.savez(path, **{key.replace("__", "."): np.asarray(value) for key, value in arrays.items()})
    return path


def test_npz_times_and_steps(tmp_path) -> None:
    path = npz(
        tmp_path / "a.npz",
        a__times=[0.2, 0.1], a__neuron=[1, 0], a__size=4,
        b__step=[7, 3], b__neuron=[0, 2], dt=1e-3, n_steps=10,
    )  # fmt: skip
    file = read_spikes(path)
    assert (file.dt, file.n_steps) == (1e-3, 10)
    assert file.populations["a"].size == 4
    assert file.populations["b"] == Spikes(step=[3, 7], neuron=[2, 0], size=3)
    assert file.notes == ("b: no b.size in the file; the largest index counts",)


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({"times": [0.1]}, "its arrays are: times"),
        ({"a__times": [0.1]}, "a: has times"),
        ({"a__times": [0.1], "a__step": [1], "a__neuron": [0]}, "a: has neuron, step, times"),
        ({"a__times": [0.1, 0.2], "a__neuron": [0]}, r"times \(2,\), neuron \(1,\)"),
        ({"a__times": [0.1], "a__neuron": [0.5]}, "fractions"),
        ({"a__step": [0.5], "a__neuron": [0]}, "fractions"),
        ({"a__times": [0.1], "a__neuron": [-1]}, "1 indices outside, such as -1"),
        ({"a__times": [0.1], "a__neuron": [3], "a__size": 3}, r"such as 3; 0\.\.2"),
        ({"a__times": [0.1], "a__neuron": [0], "a__size": 0}, "a.size: 0"),
        ({"a__step": [-1], "a__neuron": [0]}, "steps from 0 on"),
        ({"a__step": [1], "a__neuron": [0], "dt": -1}, "dt: -1"),
        ({"a__times": ["x"], "a__neuron": [0]}, "not an array of real numbers"),
    ],
)
def test_faulty_npz_files_are_refused_with_the_reason(tmp_path, arrays, found) -> None:
    with pytest.raises(InvalidInputError, match=found):
        read_spikes(npz(tmp_path / "a.npz", **arrays))


def test_recordings_give_populations_stimuli_and_their_grid(tmp_path) -> None:
    spikes = Spikes(step=[3], neuron=[0], size=2)
    recording = Recording(
        backend="x", dt=2e-3, n_steps=9, spikes={"a": spikes}, stimuli={"s": spikes}
    )
    recording.save(tmp_path / "a.rec.h5")
    file = read_spikes(tmp_path / "a.rec.h5")
    assert dict(file.populations) == {"s": spikes, "a": spikes}
    assert (file.dt, file.n_steps) == (2e-3, 9)
