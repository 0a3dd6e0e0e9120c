"""Reading TOML and writing files so that nothing half-written is left."""

import os

import pytest

from lava_align.errors import InvalidInputError
from lava_align.files import atomic_folder, atomic_path, read_toml, require_file, require_place


def yes(_):
    return True


def entries(folder):
    return sorted(path.name for path in folder.rglob("*"))


def message(call, *arguments):
    with pytest.raises(InvalidInputError) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_file_is_there_only_when_the_block_has_ended(tmp_path):
    path = tmp_path / "new" / "file"
    with atomic_path(path) as partial:
        partial.write_text("content")
        assert not path.exists()
    assert path.read_text() == "content"
    assert entries(path.parent) == ["file"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")

    def write():
        with atomic_path(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert entries(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [True, False])
def test_an_exception_leaves_the_old_folder_and_nothing_else(tmp_path, error, old):
    path = tmp_path / "folder"
    if old:
        path.mkdir()
        (path / "a").write_text("old")

    def write():
        with atomic_folder(path, yes) as partial:
            (partial / "b").write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert entries(tmp_path) == (["a", "folder"] if old else [])


def test_a_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "folder"
    for name in ("a", "b"):
        with atomic_folder(path, yes) as partial:
            (partial / name).write_text(name)
    assert entries(tmp_path) == ["b", "folder"]


def test_a_folder_comes_back_if_it_cannot_be_replaced(tmp_path, monkeypatch):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "a").write_text("old")
    replace = os.replace

    def failing(source, destination):
        if destination == path and source.name != "old":
            raise KeyboardInterrupt
        replace(source, destination)

    def write():
        with atomic_folder(path, yes) as partial:
            (partial / "b").write_text("new")
            monkeypatch.setattr(os, "replace", failing)

    with pytest.raises(KeyboardInterrupt):
        write()
    assert entries(tmp_path) == ["a", "folder"]


def test_a_folder_with_other_things_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for path in (tmp_path, tmp_path / "."):
        found = message(atomic_folder(path, lambda _: False).__enter__)
        assert "holds other files, which would be lost" in found
    assert entries(tmp_path) == ["thesis.tex"]


def test_an_empty_folder_may_be_filled(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    with atomic_folder(path, lambda _: False) as partial:
        (partial / "a").write_text("a")
    assert entries(tmp_path) == ["a", "folder"]


def test_modes_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "file"):
            pass
        with atomic_folder(tmp_path / "folder", yes):
            pass
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("write", [atomic_path, lambda path: atomic_folder(path, yes)])
def test_a_place_below_a_file_is_refused(tmp_path, write):
    (tmp_path / "file").write_text("old")
    found = message(write(tmp_path / "file" / "sub" / "x").__enter__)
    assert str(tmp_path / "file") in found
    assert "is a file" in found


def test_a_file_does_not_replace_a_folder_nor_the_other_way_round(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")

    def write():
        with atomic_path(tmp_path / "folder") as partial:
            partial.write_text("new")

    assert "cannot be written" in message(write)
    assert "is a file" in message(atomic_folder(tmp_path / "file", yes).__enter__)
    assert entries(tmp_path) == ["file", "folder"]


def test_a_full_disk_is_said_in_words(tmp_path):
    def write():
        with atomic_path(tmp_path / "file"):
            raise OSError(28, "No space left on device")

    assert "file: cannot be written (No space left on device)" in message(write)
    assert entries(tmp_path) == []


def test_a_name_too_long_is_said_in_words(tmp_path):
    assert "cannot be written" in message(atomic_path(tmp_path / ("x" * 300)).__enter__)


def test_places_are_judged_before_anything_is_made(tmp_path):
    require_place(tmp_path / "a" / "b" / "c")
    assert entries(tmp_path) == []


def test_require_file_tells_nothing_from_a_folder(tmp_path):
    assert "no such file; a thing" in message(require_file, tmp_path / "x", "a thing")
    assert "is a folder; a thing" in message(require_file, tmp_path, "a thing")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a = 1\nb = = 2\n", "line 2, column 5"),
        (b"a = 1\nb = [1,", "line 2, column 8"),
        (b"a = 1\na = 2\n", "line 2"),
        (b"a = 1\nb = '\xff'\n", "byte 0xff is not UTF-8 (line 2, column 6)"),
        ("a = 'é'\nb = 'é".encode() + b"\xc3'", "byte 0xc3 is not UTF-8 (line 2, column 7)"),
        (b"\x00", "line 1, column 1"),
        (b"a = " + b"[" * 5000, "well-formed TOML"),
    ],
)
def test_faulty_toml_is_located(tmp_path, content, words):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    found = message(read_toml, path)
    assert found.startswith(str(path))
    assert words in found


def test_toml_that_is_not_there_or_a_folder(tmp_path):
    assert "no such file" in message(read_toml, tmp_path / "x.toml")
    assert "Is a directory" in message(read_toml, tmp_path)


def test_a_byte_order_mark_is_no_content(tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert read_toml(path) == {"a": 1}
