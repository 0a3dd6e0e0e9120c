"""Files: TOML read with errors that say where; writing that leaves nothing half-written."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lava_align.errors import InvalidInputError, Problem

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InvalidInputError
        If the file is missing, unreadable, not UTF-8 or not TOML; the last two with line and
        column.
    """
    try:
        # With "-sig" a byte order mark, which some editors put first, is not part of the text.
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InvalidInputError(Problem(str(path), "no such file", "a TOML file")) from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        value = f"byte 0x{error.object[error.start]:02x} is not UTF-8 ({_position(before)})"
        raise InvalidInputError(Problem(str(path), value, "save the file as UTF-8")) from error
    except OSError as error:
        value = f"unreadable ({error.strerror})"
        raise InvalidInputError(Problem(str(path), value, "a readable TOML file")) from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        value = str(error).replace("at end of document", f"at {_position(text)}")
    except RecursionError:
        value = "nested too deeply"
    raise InvalidInputError(Problem(str(path), value, "well-formed TOML"))


def _position(before: str) -> str:
    """Line and column, counted from 1, of the character that follows ``before``."""
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def require_file(path: Path, allowed: str) -> None:
    """Refuse a path under which there is no file.

    Raises
    ------
    InvalidInputError
        Saying ``allowed``, and whether there is nothing or a folder.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "no such file"
        raise InvalidInputError(Problem(str(path), found, allowed))


def require_place(path: Path) -> None:
    """Refuse an output path that cannot come into being, before long work is done for it.

    Raises
    ------
    InvalidInputError
        If a parent of ``path`` is a file or a folder that may not be written to.
    """
    parent = next(p for p in (path.absolute().parent, *path.absolute().parents) if p.exists())
    if not parent.is_dir():
        raise InvalidInputError(Problem(str(path), f"{parent} is a file", "another place"))
    if not os.access(parent, os.W_OK):
        raise InvalidInputError(Problem(str(path), f"{parent} is read-only", _WRITABLE))


_WRITABLE = "a place that can be written to, with enough room"


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Say which output could not be written when the system refuses."""
    try:
        yield
    except OSError as error:
        value = f"cannot be written ({error.strerror or error})"
        raise InvalidInputError(Problem(str(path), value, _WRITABLE)) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a file path beside ``path``; move it into place when the block ends well.

    If the block raises, Ctrl-C included, the partial file is removed and whatever stood under
    ``path`` before is still there.

    Raises
    ------
    InvalidInputError
        If the place is taken by a folder, is not writable or full.
    """
    require_place(path)
    with _written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        partial = Path(name)
        try:
            yield partial
            partial.chmod(0o666 & ~_umask())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, replaceable: Callable[[Path], bool]) -> Iterator[Path]:
    """Give an empty folder beside ``path``; move it into place when the block ends well.

    A folder that stood there before is replaced only then, and only if it is empty or
    ``replaceable`` says that it holds nothing of anybody else's.

    Raises
    ------
    InvalidInputError
        If the place is taken by a file or by a folder of another kind, is not writable or full.
    """
    require_place(path)
    if path.exists() and not path.is_dir():
        raise InvalidInputError(Problem(str(path), "is a file", "a folder, new or empty"))
    if path.is_dir() and any(path.iterdir()) and not replaceable(path):
        raise InvalidInputError(
            Problem(str(path), "holds other files, which would be lost", "a new or empty folder")
        )
    with _written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
        try:
            yield partial
            partial.chmod(0o777 & ~_umask())
            _replace_folder(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _replace_folder(new: Path, path: Path) -> None:
    if not path.exists():
        os.replace(new, path)
        return
    old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    try:
        os.replace(path, old / "old")
        try:
            os.replace(new, path)
        except BaseException:
            os.replace(old / "old", path)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    # The umask can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
