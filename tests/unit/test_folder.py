import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from lava_align.compiler.folder import (
    MANIFEST,
    load_program,
    npy_array,
    npy_bytes,
    program_files,
    save_program,
)
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.errors import IntegrityError, InvalidInputError
from lava_align.learning_rule import Expression, LearningRule, Trace

WEIGHTS = "synapses.W.weights.npy"


def program():
    rng = np.random.default_rng(0)
    rule = LearningRule(
        dt=Expression.parse("x0*y1 - x0*y2 - u4*t"),
        dw=Expression.parse("2^-3*u4*t"),
        y1=Trace(impulse=38, tau=10),
        y2=Trace(impulse=2, tau=200),
    )
    return Program(
        target="loihi2",
        dt=1e-3,
        n_steps=100,
        inputs=(InputGroup(name="in", size=3),),
        neurons=tuple(
            NeuronGroup(name=name, size=size, du=700, dv=390, vth=99, bias_mant=np.zeros(size))
            for name, size in (("lower", 3), ("upper", 2))
        ),
        synapses=(
            Synapses(name="in_to_lower", pre="in", post="lower", weights=2 * np.eye(3)),
            Synapses(
                name="W",
                pre="lower",
                post="upper",
                weights=2 * rng.integers(-99, 99, (2, 3)),
                weight_exp=-1,
            ),
            Synapses(
                name="B",
                pre="upper",
                post="lower",
                weights=np.zeros((3, 2)),
                acts=False,
                learning=rule,
                rng_seed=1,
            ),
        ),
        mirrors={"B": "W"},
    )


@pytest.fixture
def folder(tmp_path):
    return save_program(program(), tmp_path / "program")


def rewrite(folder, change):
    """Change the manifest and bring its hashes up to date, but not its digest."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for name, entry in manifest["files"].items():
        if (folder / name).is_file():
            data = (folder / name).read_bytes()
            entry |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, sort_keys=True, indent=2) + "\n")


def test_round_trip(folder):
    assert load_program(folder) == program()
    assert load_program(folder).synapses[2].learning == program().synapses[2].learning
    loaded = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert loaded == program_files(program())


def test_bytes_do_not_depend_on_the_process_or_on_layout(folder):
    code = (
        "import sys, hashlib; from lava_align.compiler.folder import load_program, program_files\n"
        "for name, data in sorted(program_files(load_program(sys.argv[1])).items()):\n"
        "    print(name, hashlib.sha256(data).hexdigest())"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code, str(folder)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert WEIGHTS in printed[0]
    fortran = np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3))
    big_endian = fortran.astype(">i2")
    assert npy_bytes(fortran) == npy_bytes(np.ascontiguousarray(fortran)) == npy_bytes(big_endian)


def test_bytes_are_the_same_for_ever():
    # On every Python and NumPy; if this changes, old programs cannot be read.
    digest = hashlib.sha256(b"".join(d for _, d in sorted(program_files(program()).items())))
    assert digest.hexdigest() == "c0ef7a4df0434a075d10b2c44772c4c23082017ff9a050b0ec235d2d09ed9298"


def test_every_flipped_byte_is_refused(folder):
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        for at in range(0, len(data), max(1, len(data) // 97)):
            changed = bytearray(data)
            changed[at] ^= 0x01
            path.write_bytes(changed)
            with pytest.raises(IntegrityError):
                load_program(folder)
        path.write_bytes(data)
    load_program(folder)


def test_truncated_missing_and_extra_files_are_refused(folder):
    path = folder / WEIGHTS
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(IntegrityError, match="changed"):
        load_program(folder)
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        load_program(folder)
    path.write_bytes(data)
    (folder / "sub").mkdir()
    (folder / "sub" / "note.txt").write_text("hello")
    with pytest.raises(IntegrityError, match=r"sub/note\.txt"):
        load_program(folder)


def test_all_problems_are_named_at_once(folder):
    (folder / WEIGHTS).unlink()
    (folder / "extra").write_text("x")
    with pytest.raises(IntegrityError) as caught:
        load_program(folder)
    assert len(caught.value.problems) == 2


def test_what_is_no_program_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="manifest"):
        load_program(tmp_path)
    with pytest.raises(InvalidInputError, match="manifest"):
        load_program(tmp_path / "nothing")
    for text in ("", "[]", "{}", '{"schema": 1}', "[" * 100_000, "\xff", "null"):
        (tmp_path / MANIFEST).write_bytes(text.encode("latin-1"))
        with pytest.raises(IntegrityError):
            load_program(tmp_path)


@pytest.mark.parametrize("name", ["../x.npy", "/etc/passwd", "a/b.npy", "..\\x.npy", ".hidden"])
def test_names_outside_the_folder_are_refused(folder, name):
    def change(manifest):
        manifest["files"][name] = dict(manifest["files"][WEIGHTS])

    rewrite(folder, change)
    with pytest.raises(IntegrityError, match="outside the folder"):
        load_program(folder)


def set_path(path, value):
    """Return a function that sets an entry deep inside a manifest."""

    def change(manifest):
        *parents, last = path
        for key in parents:
            manifest = manifest[key]
        manifest[last] = value

    return change


CHANGES = [
    (("dt",), 2e-3),
    (("dt",), "0.001"),
    (("dt",), 1),
    (("dt",), float("nan")),
    (("n_steps",), 10**30),
    (("n_steps",), True),
    (("target",), "loihi1"),
    (("digest",), "0" * 64),
    (("inputs", 0, "size"), 4),
    (("inputs", 0, "extra"), 4),
    (("inputs",), None),
    (("neurons", 0, "du"), "700"),
    (("neurons", 0, "size"), 10**12),
    (("neurons", 0, "bias_mant"), WEIGHTS),
    (("neurons", 0, "bias_mant"), "nothing.npy"),
    (("neurons", 0, "bias_mant"), None),
    (("synapses", 1, "sign_mode"), "both"),
    (("synapses", 1, "sign_mode"), ["mixed"]),
    (("synapses", 1, "pre"), "nobody"),
    (("synapses", 1, "post"), "in"),
    (("synapses", 1, "name"), "B"),
    (("synapses", 2, "acts"), 0),
    (("synapses", 2, "learning", "dw"), "2^-9*u4*t"),
    (("synapses", 2, "learning", "dw"), "2^-3 * u4 * t"),
    (("synapses", 2, "learning", "y1"), 3),
    (("synapses", 2, "learning"), 3),
    (("synapses", 2, "rng_seed"), -1),
    (("mirrors",), {"W": "B"}),
    (("mirrors",), [["B", "W"]]),
    (("mirrors", "B"), {}),
    (("comment",), "hello"),
    (("files", WEIGHTS, "dtype"), "int32"),
    (("files", WEIGHTS, "shape"), [3, 2]),
    (("files", WEIGHTS), None),
    (("files",), []),
    (("schema",), "lava-align-program/2"),
]


@pytest.mark.parametrize(("path", "value"), CHANGES)
def test_edited_manifests_are_refused(folder, path, value):
    rewrite(folder, set_path(path, value))
    with pytest.raises(IntegrityError):
        load_program(folder)


def test_white_space_and_double_keys_in_the_manifest_are_refused(folder):
    path = folder / MANIFEST
    text = path.read_text()
    for changed in (text + "\n", text.replace("  ", " "), text.replace("{", '{"dt": 1,', 1)):
        path.write_text(changed)
        with pytest.raises(IntegrityError, match="written by this package"):
            load_program(folder)


OTHER_ARRAYS = {
    "dtype": npy_bytes(np.zeros((2, 3), dtype=np.int32)),
    "shape": npy_bytes(np.zeros((3, 2), dtype=np.int16)),
    "values": npy_bytes(np.full((2, 3), 2, dtype=np.int16)),
    "float": None,
    "objects": None,
    "fortran": None,
    "empty": b"",
    "junk": b"\x93NUMPY\x01\x00" + b"v\x00" + b"(" * 118,
    "huge": None,
    "trailing": npy_bytes(program().synapses[1].weights) + b"\0",
}


def other_array(kind):
    import io

    buffer = io.BytesIO()
    if kind == "float":
        np.save(buffer, np.zeros((2, 3)))
    elif kind == "objects":
        np.save(buffer, np.array([[1, 2, 3], [4, 5, "x"]], dtype=object), allow_pickle=True)
    elif kind == "fortran":
        np.save(buffer, np.asfortranarray(program().synapses[1].weights))
    elif kind == "huge":
        data = npy_bytes(np.zeros((2, 3), dtype=np.int16))
        return data.replace(b"(2, 3), }        ", b"(2, 3000000000), }")[: len(data)]
    else:
        return OTHER_ARRAYS[kind]
    return buffer.getvalue()


@pytest.mark.parametrize("kind", OTHER_ARRAYS)
def test_other_arrays_under_a_matching_hash_are_refused(folder, kind):
    (folder / WEIGHTS).write_bytes(other_array(kind))
    rewrite(folder, lambda manifest: None)
    with pytest.raises(IntegrityError):
        load_program(folder)


@pytest.mark.parametrize("shape", [(0,), (3,), (2, 0), (1, 2, 3)])
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64])
def test_arrays_round_trip(shape, dtype):
    array = np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)
    back = npy_array(npy_bytes(array))
    assert back.dtype == dtype
    assert back.shape == shape
    assert np.array_equal(back, array)


def test_an_honest_rewrite_with_every_digest_is_another_program(folder, tmp_path):
    # Whoever computes everything anew gets a program that loads; that it is not this one shows
    # in its digest, and its limits are checked wherever it is used.
    other = replace(program(), n_steps=101)
    save_program(other, tmp_path / "other")
    assert load_program(tmp_path / "other").digest() != program().digest()


def test_unreadable_files_are_an_input_error(folder):
    path = folder / WEIGHTS
    path.unlink()
    path.symlink_to(folder / "nowhere")
    with pytest.raises(InvalidInputError, match="unreadable"):
        load_program(folder)
