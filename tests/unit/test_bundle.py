import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from lava_align.compiler.folder import canonical_json, npy_bytes, program_files
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.errors import (
    ConstraintViolationError,
    IntegrityError,
    InvalidInputError,
    MissingDependencyError,
)
from lava_align.formats.archive import read_zip, zip_bytes
from lava_align.formats.bundle import MAX_GOLDEN_STEPS, verify_bundle, write_bundle
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.recording import Recording, Series, Spikes
from lava_align.targets import load_target
from lava_align.validation import Verdict

TARGET = load_target("loihi2")
STEPS = 40


def program(**changes):
    rule = LearningRule(dw=Expression.parse("2^-3*x0*y1"), y1=Trace(impulse=38, tau=10))
    neurons = tuple(
        NeuronGroup(name=name, size=size, du=700, dv=390, vth=99, bias_mant=np.zeros(size))
        for name, size in (("lower", 3), ("upper", 2))
    )
    synapses = (
        Synapses(name="W", pre="lower", post="upper", weights=np.full((2, 3), 8)),
        Synapses(name="i", pre="in", post="lower", weights=2 * np.eye(3)),
        Synapses(
            name="B", pre="upper", post="lower", weights=np.zeros((3, 2)), acts=False, learning=rule
        ),
    )
    fields = {"target": "loihi2", "dt": 1e-3, "n_steps": 100, "mirrors": {"B": "W"}}
    fields |= {"inputs": (InputGroup(name="in", size=3),), "neurons": neurons} | changes
    return Program(**({"synapses": synapses} | fields))


def spikes(size, seed):
    return Spikes.from_raster(np.random.default_rng(seed).random((STEPS, size)) < 0.2)


def recording(**changes):
    fields = {
        "backend": "test",
        "dt": 1e-3,
        "n_steps": STEPS,
        "spikes": {"lower": spikes(3, 1), "upper": spikes(2, 2)},
        "stimuli": {"in": spikes(3, 3)},
        "weights": {"B": Series(step=[STEPS], values=np.arange(6).reshape(1, 3, 2))},
    }
    return Recording(**(fields | changes))


VERDICT = Verdict(
    paired=True,
    rows=(),
    n_reference=3,
    margins_digest="0" * 64,
    candidate_digest="1" * 64,
    reference_digests=("2" * 64,),
)


def write(path, *, verdict="INCONCLUSIVE", **changes):
    return write_bundle(
        path,
        changes.get("program", program()),
        {"verdict": VERDICT.to_dict(), "quantities": [{"name": "tau_m", "error": 0.01}]},
        changes.get("golden", recording()),
        target=TARGET,
        verdict=verdict,
        forced=True,
    )


@pytest.fixture
def bundle(tmp_path):
    return write(tmp_path / "bundle.zip")


class FakeBackend:
    """Gives a recording made beforehand, and remembers what it was asked."""

    name = "fake"

    def __init__(self, result):
        self.result = result
        self.calls = []

    def run(self, program, inputs, n_steps, probes=None, progress=None):
        self.calls.append((program, dict(inputs), n_steps, probes))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def forge(path, change):
    """Change the members of a bundle and compute all hashes anew."""
    files = read_zip(path)
    manifest = json.loads(files.pop("manifest.json"))
    change(files, manifest)
    manifest["files"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in files.items()
    }
    path.write_bytes(zip_bytes({**files, "manifest.json": canonical_json(manifest)}))


def forge_program(path, other):
    """Replace the program by another, with every hash and digest computed anew."""

    def change(files, manifest):
        for name in [n for n in files if n.startswith("program/")]:
            del files[name]
        files |= {f"program/{name}": data for name, data in program_files(other).items()}
        manifest["program_digest"] = other.digest()

    forge(path, change)


# --- what must pass ----------------------------------------------------------------------------


def test_bytes_are_reproducible(bundle, tmp_path):
    assert write(tmp_path / "again.zip").read_bytes() == bundle.read_bytes()


def test_without_a_backend_it_says_it_was_not_replayed(bundle):
    found = verify_bundle(bundle)
    assert found.golden == "not replayed: no backend that runs programs"
    assert found.program_digest == program().digest()
    assert (found.target, found.verdict, found.forced) == ("loihi2", "INCONCLUSIVE", True)
    assert found.golden_steps == STEPS
    assert found.limits.startswith("PASS")


def test_an_equal_replay_passes(bundle):
    backend = FakeBackend(recording())
    assert verify_bundle(bundle, backend=backend).golden == (
        "replayed on test: spikes and weights equal"
    )
    ((ran, inputs, n_steps, probes),) = backend.calls
    assert ran == program()
    assert inputs == {"in": spikes(3, 3)}
    assert n_steps == STEPS
    assert STEPS in probes.weight_steps


def test_a_missing_simulator_is_said(bundle):
    backend = FakeBackend(MissingDependencyError("lava-nc is not installed"))
    assert "lava-nc is not installed" in verify_bundle(bundle, backend=backend).golden


def test_honest_forgeries_of_nothing_pass(bundle):
    before = bundle.read_bytes()
    forge(bundle, lambda files, manifest: None)
    assert bundle.read_bytes() == before


# --- what must not -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"spikes": {"lower": spikes(3, 1), "upper": spikes(2, 9)}},
        {"spikes": {"lower": spikes(3, 1)}},
        {"weights": {"B": Series(step=[STEPS], values=np.ones((1, 3, 2), int))}},
        {"weights": {}},
    ],
)
def test_another_replay_is_refused(bundle, changes):
    with pytest.raises(IntegrityError, match="differ"):
        verify_bundle(bundle, backend=FakeBackend(recording(**changes)))


def test_damage_anywhere_is_refused(bundle, tmp_path):
    data = bundle.read_bytes()
    path = tmp_path / "damaged.zip"
    rng = np.random.default_rng(0)
    for at in rng.choice(len(data), 300, replace=False):
        changed = bytearray(data)
        changed[at] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        with pytest.raises(IntegrityError):
            verify_bundle(path)
    for length in rng.choice(len(data), 50, replace=False):
        path.write_bytes(data[:length])
        with pytest.raises(IntegrityError):
            verify_bundle(path)


def test_every_member_rewritten_without_its_hash_is_refused(bundle):
    files = read_zip(bundle)
    for name, data in files.items():
        for changed in ({name: data + b" "}, {name: b""}, {name: b"[]"}):
            bundle.write_bytes(zip_bytes(files | changed))
            with pytest.raises(IntegrityError):
                verify_bundle(bundle)
        bundle.write_bytes(zip_bytes({n: d for n, d in files.items() if n != name}))
        with pytest.raises(IntegrityError):
            verify_bundle(bundle)
    bundle.write_bytes(zip_bytes(files | {"extra.txt": b"x"}))
    with pytest.raises(IntegrityError, match="not in the manifest"):
        verify_bundle(bundle)


def test_every_member_forged_to_junk_is_refused(bundle):
    original = bundle.read_bytes()
    needed = [n for n in read_zip(bundle) if n not in ("manifest.json", "quantities.json")]
    for name in needed:
        for junk in (b"", b"[]", b"{}", b"null", b"\xff\xfe", b"[" * 50_000):

            def change(files, manifest, name=name, junk=junk):
                files[name] = junk

            bundle.write_bytes(original)
            forge(bundle, change)
            with pytest.raises(IntegrityError):
                verify_bundle(bundle)


def test_a_forged_program_is_another_program(bundle):
    forge_program(bundle, replace(program(), n_steps=101))
    # Nothing in the file can show this, but its digest and its replay do.
    assert verify_bundle(bundle).program_digest != program().digest()


BROKEN_LIMITS = {
    "du": {"du": 5000},
    "vth": {"vth": 2**17},
    "bias": {"bias_mant": np.full(3, 5000)},
    "bias_exp": {"bias_exp": -1},
}


@pytest.mark.parametrize("limit", BROKEN_LIMITS)
def test_forged_programs_that_break_a_limit_are_refused(bundle, limit):
    lower, upper = program().neurons
    forge_program(bundle, program(neurons=(replace(lower, **BROKEN_LIMITS[limit]), upper)))
    with pytest.raises(ConstraintViolationError, match="lower"):
        verify_bundle(bundle)


def test_forged_weights_off_the_grid_are_refused(bundle):
    first, *rest = program().synapses
    forge_program(bundle, program(synapses=(replace(first, weights=np.full((2, 3), 7)), *rest)))
    with pytest.raises(ConstraintViolationError, match="weights"):
        verify_bundle(bundle)


def test_forged_programs_that_do_not_fit_together_are_refused(bundle):
    first, *rest = program().synapses
    for other in (
        program(synapses=(replace(first, weights=np.full((3, 3), 8)), *rest)),
        program(synapses=(replace(first, post="in"), *rest)),
        program(synapses=(replace(first, weight_bits="8"), *rest)),
        program(inputs=(InputGroup(name="in", size=4),)),
    ):
        forge_program(bundle, other)
        with pytest.raises(IntegrityError):
            verify_bundle(bundle)


@pytest.mark.parametrize("steps", [0, -1, 10**12, STEPS - 20, 101, True, 40.0, "40", None])
def test_absurd_golden_lengths_are_refused(bundle, steps):
    forge(bundle, lambda files, manifest: manifest.update(golden_steps=steps))
    backend = FakeBackend(recording())
    with pytest.raises(IntegrityError):
        verify_bundle(bundle, backend=backend)
    assert backend.calls == []


def test_long_programs_still_have_a_bounded_golden_run(bundle):
    forge_program(bundle, program(n_steps=10**9))
    forge(bundle, lambda files, manifest: manifest.update(golden_steps=10**8))
    with pytest.raises(IntegrityError, match=f"1..{MAX_GOLDEN_STEPS}"):
        verify_bundle(bundle, backend=FakeBackend(recording()))


WRONG_ENTRIES = [
    (key, value)
    for key in (
        "target", "program_digest", "verdict", "forced", "files", "schema", "tool", "golden_steps"
    )
    for value in (None, 7, "x", [], {})
    if (key, value) != ("tool", "x")  # any string will do
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG_ENTRIES)
def test_manifests_with_wrong_entries_are_refused(bundle, key, value):
    files = read_zip(bundle)
    manifest = json.loads(files["manifest.json"]) | {key: value}
    bundle.write_bytes(zip_bytes(files | {"manifest.json": canonical_json(manifest)}))
    with pytest.raises(IntegrityError):
        verify_bundle(bundle)


def test_another_verdict_than_the_statistics_give_is_refused(bundle):
    forge(bundle, lambda files, manifest: manifest.update(verdict="EQUIVALENT"))
    with pytest.raises(IntegrityError, match="INCONCLUSIVE, the manifest says EQUIVALENT"):
        verify_bundle(bundle)


@pytest.mark.parametrize("name", ["input/in", "spikes/lower", "spikes/upper", "weights/B"])
def test_missing_golden_members_are_refused_even_without_replay(bundle, name):
    forge(bundle, lambda files, manifest: files.pop(f"golden/{name}.npy"))
    with pytest.raises(IntegrityError, match="missing"):
        verify_bundle(bundle)


GOLDEN = {
    "step out of range": ("spikes/lower", np.array([[STEPS], [0]])),
    "negative step": ("input/in", np.array([[-1], [0]])),
    "neuron out of range": ("spikes/upper", np.array([[1], [2]])),
    "unsorted": ("spikes/lower", np.array([[2, 1], [0, 0]])),
    "twice": ("input/in", np.array([[1, 1], [0, 0]])),
    "shape": ("spikes/lower", np.zeros((3, 2), dtype=np.int64)),
    "flat": ("spikes/lower", np.zeros(3, dtype=np.int64)),
    "narrow": ("spikes/lower", np.zeros((2, 1), dtype=np.int32)),
    "weights": ("weights/B", np.zeros((2, 3), dtype=np.int16)),
    "wide weights": ("weights/B", np.zeros((3, 2), dtype=np.int32)),
    "unknown": ("spikes/nobody", np.zeros((2, 0), dtype=np.int64)),
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_malformed_golden_members_are_refused(bundle, kind):
    name, array = GOLDEN[kind]
    forge(bundle, lambda files, manifest: files.update({f"golden/{name}.npy": npy_bytes(array)}))
    with pytest.raises(IntegrityError, match="golden/"):
        verify_bundle(bundle)


def test_a_bundle_for_another_target_is_refused(bundle):
    with pytest.raises(InvalidInputError, match="compiled for loihi2"):
        verify_bundle(bundle, load_target("loihi1"))
    forge(bundle, lambda files, manifest: manifest.update(target="loihi1"))
    with pytest.raises(IntegrityError, match="another program or target"):
        verify_bundle(bundle)


def test_unknown_targets_and_paths_as_targets_are_refused(bundle, tmp_path):
    lax = tmp_path / "lax.toml"
    lax.write_text('id = "lax"\nextends = "loihi2"\n')
    for name in ("nowhere", "/etc/passwd", str(lax)):
        forge_program(bundle, program(target=name))
        forge(bundle, lambda files, manifest, name=name: manifest.update(target=name))
        with pytest.raises(InvalidInputError, match="not known here"):
            verify_bundle(bundle)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_steps": 101},
        {"spikes": {"lower": spikes(3, 1)}},
        {"stimuli": {}},
        {"weights": {}},
    ],
)
def test_a_golden_run_that_shows_too_little_is_not_written(tmp_path, changes):
    with pytest.raises(InvalidInputError, match="golden run"):
        write(tmp_path / "b.zip", golden=recording(**changes))
    assert not (tmp_path / "b.zip").exists()
