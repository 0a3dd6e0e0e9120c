"""Files: TOML read with errors that say where; writing that leaves nothing half-written."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
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
        text = path.read_bytes().decode()
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


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a file path beside ``path``; move it into place when the block ends well.

    If the block raises, Ctrl-C included, the partial file is removed and whatever stood under
    ``path`` before is still there.
    """
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
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside ``path``; move it into place when the block ends well.

    A folder that stood there before is replaced only then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    try:
        yield partial
        partial.chmod(0o777 & ~_umask())
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".old"))
            os.replace(path, old / "old")
            os.replace(partial, path)
            shutil.rmtree(old)
        else:
            os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _umask() -> int:
    # The umask can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
