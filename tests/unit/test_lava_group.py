"""Ending a process group that does not want to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from lava_align.backends.lava_group import (
    SHARED_MEMORY,
    end_group,
    interrupts_deferred,
    members,
    new_prefix,
    private_folder,
)

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="needs /proc and /dev/shm")

STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
os.fork()
os.fork()
os.write(1, b"ready\\n")
time.sleep(60)
"""


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    for _ in range(4):
        assert process.stdout.readline() == b"ready\n"
    yield process
    end_group(process.pid, new_prefix())
    process.wait()
    process.stdout.close()


def test_all_members_die_and_only_shared_memory_of_the_prefix_goes(
    stubborn: subprocess.Popen[bytes],
) -> None:
    prefix = new_prefix()
    theirs = SharedMemory(name=f"{prefix}abcd", create=True, size=8)
    other = SharedMemory(create=True, size=8)
    try:
        assert len(members(stubborn.pid)) == 4
        end_group(stubborn.pid, prefix)
        assert members(stubborn.pid) == []
        assert not (SHARED_MEMORY / theirs.name).exists()
        assert (SHARED_MEMORY / other.name).exists()
    finally:
        other.close()
        other.unlink()
        theirs.close()
        # Tells the resource tracker that it is gone.
        from multiprocessing.resource_tracker import unregister

        unregister(f"/{prefix}abcd", "shared_memory")


def test_a_spared_member_lives(stubborn: subprocess.Popen[bytes]) -> None:
    end_group(stubborn.pid, new_prefix(), spare=stubborn.pid)
    assert members(stubborn.pid) == [stubborn.pid]
    time.sleep(0.05)
    assert stubborn.poll() is None


def test_prefixes_leave_room_for_the_standard_library() -> None:
    prefixes = {new_prefix() for _ in range(50)}
    assert len(prefixes) == 50
    # "/" in front, and two random bytes in hexadecimal behind, in 14 characters.
    assert all(len(prefix) + 1 + 4 <= 14 for prefix in prefixes)


def test_ctrl_c_waits_for_the_end_of_a_clean_up() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt):
        interrupted_clean_up(done)
    assert done == ["cleaned"]


def interrupted_clean_up(done: list[str]) -> None:
    with interrupts_deferred():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        done.append("cleaned")
    # The signal is delivered here at the latest.
    time.sleep(1)
    done.append("not interrupted")


def test_the_private_folder_is_private_and_goes() -> None:
    with private_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_text("x")
    assert not folder.exists()


def test_a_long_temporary_folder_leaves_no_room_for_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with private_folder() as folder:
        assert len(str(folder)) < 70
