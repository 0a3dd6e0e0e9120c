"""A place for a run of Lava, and its end: processes, shared memory, the private folder.

Lava hangs, segfaults and leaves processes and shared memory behind when anything goes wrong, so
nothing here relies on its cooperation. A run has a session (process group) of its own and a prefix
of its own for the names of its shared memory; both are enough to find all of it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
# Lava's sockets lie below the private folder, and the path of a socket has 107 characters at most.
LONGEST_BASE = 50


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Let Ctrl-C wait until the block is done: a second one must not stop a clean-up."""
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread is ever interrupted, or may set handlers.
        yield
        return
    waiting: list[int] = []
    # A mask would not do: the signal would reach another thread, which Python lets tell this one.
    before = signal.signal(signal.SIGINT, lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        # None stands for a handler that is not Python's.
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if waiting:
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Give a new folder only this user can enter; remove it in the end."""
    base = tempfile.gettempdir()
    folder = tempfile.mkdtemp(
        prefix="lava-align-", dir=base if len(base) < LONGEST_BASE else "/tmp"
    )
    try:
        yield Path(folder)
    finally:
        with interrupts_deferred():
            shutil.rmtree(folder, ignore_errors=True)


def new_prefix() -> str:
    """Return an unused prefix for names of shared memory.

    The standard library allows names of 14 characters and wants four of them for itself.
    """
    while True:
        prefix = f"la{secrets.token_hex(3)}_"
        if not any(SHARED_MEMORY.glob(f"{prefix}*")):
            return prefix


def members(group: int) -> list[int]:
    """List the processes of a process group that still run (zombies do not)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name, in brackets, may hold anything; what follows is state, parent, group.
            state, _, pgrp = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state not in "ZX":
                found.append(int(entry.name))
    return found


def end_group(group: int, prefix: str, *, spare: int | None = None, timeout: float = 10) -> None:
    """Kill a process group, except ``spare``, and unlink its shared memory.

    Parameters
    ----------
    group : int
        Process group id, never that of the caller unless ``spare`` is the caller.
    prefix : str
        From :func:`new_prefix`.
    timeout : float
        Seconds to wait for killed processes to be gone.
    """
    end = time.monotonic() + timeout
    with interrupts_deferred():
        while left := [pid for pid in members(group) if pid != spare]:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > end:
                break
            time.sleep(0.005)
        for block in SHARED_MEMORY.glob(f"{prefix}*"):
            block.unlink(missing_ok=True)
