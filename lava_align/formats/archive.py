"""Zip files with reproducible bytes, and a reader that trusts nothing in them.

Members are stored without compression: deflate gives other bytes with another zlib, and a file
that holds no more than its size cannot swell when it is read.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from lava_align.errors import IntegrityError, Problem
from lava_align.files import require_file

# More than any honest bundle: refused before it fills memory.
MAX_BYTES = 2**31 - 1
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
# What zipfile raises on damaged input, by fuzzing and by its source.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Pack files in name order, with fixed dates and modes: equal content, equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = _UNIX
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[name])
    return buffer.getvalue()


def read_zip(path: Path) -> dict[str, bytes]:
    """Read every member of a zip file that :func:`zip_bytes` wrote.

    The content must pack to the very bytes that were read, so a file that differs in anything,
    be it a date or an unused byte, is refused.

    Raises
    ------
    InvalidInputError
        If the file is missing or unreadable.
    IntegrityError
        If it is larger than ``MAX_BYTES`` or anything but the packed form of its content: damaged,
        compressed, encrypted, with a member twice or under a path that leaves the archive.
    """
    require_file(path, "a bundle (*.zip)")
    if path.stat().st_size > MAX_BYTES:
        found = f"{path.stat().st_size} bytes"
        raise IntegrityError(Problem(str(path), found, f"at most {MAX_BYTES}"))
    try:
        data = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            problems = list(_problems(infos, len(data), path))
            if problems:
                raise IntegrityError(problems)
            files = {info.filename: archive.read(info) for info in infos}
        packed = zip_bytes(files)
    except _DAMAGE as error:
        raise IntegrityError(
            Problem(str(path), f"damaged ({error})", "an untouched bundle")
        ) from error
    if packed != data:
        raise IntegrityError(Problem(str(path), "changed or repacked", "an untouched bundle"))
    return files


def _problems(infos: Sequence[zipfile.ZipInfo], size: int, path: Path) -> Iterator[Problem]:
    seen: set[str] = set()
    for info in infos:
        where = f"{path}:{info.filename}"
        name = PurePosixPath(info.filename)
        plain = name.parts and not name.is_absolute() and ".." not in name.parts
        if not plain or "\\" in info.filename or info.is_dir():
            yield Problem(where, "not a plain path", "files inside the bundle")
        if info.filename in seen:
            yield Problem(where, "stands twice", "each file once")
        seen.add(info.filename)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            yield Problem(where, "compressed or encrypted", "files stored as they are")
    total = sum(info.file_size for info in infos)
    if total > size:
        yield Problem(str(path), f"{total} bytes in a file of {size}", "files stored as they are")
