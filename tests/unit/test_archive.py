import hashlib
import io
import struct
import zipfile

import numpy as np
import pytest

from lava_align.errors import IntegrityError, InvalidInputError
from lava_align.formats import archive
from lava_align.formats.archive import read_zip, zip_bytes

FILES = {"a.txt": b"alpha", "sub/b.bin": bytes(range(256)), "empty": b"", "ü.txt": b"u"}


def stored(path, data):
    path.write_bytes(data)
    return path


@pytest.fixture
def place(tmp_path):
    return tmp_path / "x.zip"


def packed(members, **options):
    """Bytes of a zip file with members given as (name, data), duplicates allowed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as file:
        for name, data in members:
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


def test_round_trip(place):
    assert read_zip(stored(place, zip_bytes(FILES))) == FILES
    assert read_zip(stored(place, zip_bytes({}))) == {}


def test_bytes_depend_on_content_alone():
    data = zip_bytes(FILES)
    assert zip_bytes(dict(reversed(FILES.items()))) == data
    # The same on every Python, NumPy and zlib; if this changes, old bundles cannot be read.
    digest = "2cf41e4c921f28e8e408a3bbf982ead41baea57016cb3d7b18c6c8f677cfabe7"
    assert hashlib.sha256(data).hexdigest() == digest


def test_every_flipped_bit_pattern_is_refused(place):
    data = zip_bytes({"a.txt": b"alpha", "b": b"beta"})
    for at in range(len(data)):
        for mask in (0x01, 0x80, 0xFF):
            changed = bytearray(data)
            changed[at] ^= mask
            with pytest.raises(IntegrityError):
                read_zip(stored(place, bytes(changed)))


def test_every_truncation_and_extension_is_refused(place):
    data = zip_bytes({"a.txt": b"alpha", "b": b"beta"})
    for length in range(len(data)):
        with pytest.raises(IntegrityError):
            read_zip(stored(place, data[:length]))
    for added in (data + b"\0", b"\0" + data, b"MZ" + data, data + data):
        with pytest.raises(IntegrityError):
            read_zip(stored(place, added))


def test_random_damage_is_refused(place):
    data = zip_bytes(FILES)
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(rng.integers(1, 9)):
            start = rng.integers(len(changed))
            changed[start : start + rng.integers(0, 6)] = rng.bytes(rng.integers(0, 6))
        if bytes(changed) != data:
            with pytest.raises(IntegrityError):
                read_zip(stored(place, bytes(changed)))


@pytest.mark.parametrize(
    "name", ["/etc/x", "../x", "a/../../x", "a\\b", "folder/", "", "a//b", "."]
)
def test_paths_that_are_not_plain_are_refused(place, name):
    with pytest.raises(IntegrityError):
        read_zip(stored(place, packed([(name, b"x")])))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_may_not_stand_twice(place):
    with pytest.raises(IntegrityError, match="stands twice"):
        read_zip(stored(place, packed([("a", b"1"), ("a", b"1")])))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_is_refused_unread(place, method):
    # A megabyte of zeros in a kilobyte: it must not be unpacked to be refused.
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("bomb", bytes(2**20))
    with pytest.raises(IntegrityError, match="compressed or encrypted"):
        read_zip(stored(place, buffer.getvalue()))


def test_dates_comments_and_order_are_refused(place):
    late = io.BytesIO()
    with zipfile.ZipFile(late, "w") as file:
        file.writestr(zipfile.ZipInfo("a", (2020, 1, 1, 0, 0, 0)), b"1")
    commented = io.BytesIO(zip_bytes({"a": b"1"}))
    with zipfile.ZipFile(commented, "a") as file:
        file.comment = b"hello"
    for data in (late.getvalue(), commented.getvalue(), packed([("b", b"1"), ("a", b"1")])):
        with pytest.raises(IntegrityError, match="repacked"):
            read_zip(stored(place, data))


def test_encrypted_members_are_refused(place):
    data = bytearray(zip_bytes({"a": b"1"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(IntegrityError, match="encrypted"):
        read_zip(stored(place, bytes(data)))


@pytest.mark.parametrize("size", [10**6, 2**32 - 2])
def test_sizes_that_are_not_there_are_refused(place, size):
    data = bytearray(zip_bytes({"a": b"1"}))
    central = data.index(b"PK\x01\x02")
    struct.pack_into("<II", data, central + 20, size, size)
    with pytest.raises(IntegrityError, match="bytes in a file of"):
        read_zip(stored(place, bytes(data)))


def test_files_too_large_are_refused_unread(place, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 50)
    with pytest.raises(IntegrityError, match="at most 50"):
        read_zip(stored(place, zip_bytes(FILES)))


def test_what_is_no_zip_is_refused(place, tmp_path):
    with pytest.raises(InvalidInputError, match="no such file"):
        read_zip(place)
    with pytest.raises(InvalidInputError, match="folder"):
        read_zip(tmp_path)
    for data in (b"", b"PK", b"hello" * 100):
        with pytest.raises(IntegrityError, match="damaged"):
            read_zip(stored(place, data))
