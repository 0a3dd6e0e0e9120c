"""Zip files with reproducible bytes, and a reader that trusts nothing in them."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from lava_align.errors import IntegrityError, InvalidInputError, Problem

# More than any honest bundle: refused before it fills memory.
MAX_BYTES = 2**31
_EPOCH = (1980, 1, 1, 0, 0, 0)


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Pack files in name order, with fixed dates and modes: equal content, equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[name], compresslevel=9)
    return buffer.getvalue()


def read_zip(path: Path) -> dict[str, bytes]:
    """Read every member of a zip file into memory.

    Raises
    ------
    InvalidInputError
        If the file is missing or no zip file.
    IntegrityError
        If a member is damaged, stands twice, has a path that leaves the archive, or all of them
        together are larger than ``MAX_BYTES``.
    """
    if not path.is_file():
        raise InvalidInputError(Problem(str(path), "no such file", "a bundle (*.zip)"))
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            problems = list(_problems(infos, path))
            if problems:
                raise IntegrityError(problems)
            return {info.filename: _member(archive, info) for info in infos}
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise IntegrityError(
            Problem(str(path), f"damaged ({error})", "an untouched bundle")
        ) from error


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    # The size in the header is a claim: read one byte more than it to see whether it holds.
    with archive.open(info) as member:
        data = member.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise zipfile.BadZipFile(f"{info.filename} is not as long as it says")
    return data


def _problems(infos: list[zipfile.ZipInfo], path: Path) -> Iterator[Problem]:
    seen: set[str] = set()
    for info in infos:
        name = PurePosixPath(info.filename)
        where = f"{path}:{info.filename}"
        if name.is_absolute() or ".." in name.parts or "\\" in info.filename or info.is_dir():
            yield Problem(where, "not a plain path", "files inside the bundle")
        if info.filename in seen:
            yield Problem(where, "stands twice", "each file once")
        seen.add(info.filename)
    total = sum(info.file_size for info in infos)
    if total > MAX_BYTES:
        yield Problem(str(path), f"{total} bytes unpacked", f"at most {MAX_BYTES}")
