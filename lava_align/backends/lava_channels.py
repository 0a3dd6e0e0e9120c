"""Lava's channels without a thread per port, for the process that runs Lava.

Lava 0.10.0 gives every port a thread that turns a semaphore into an entry of a queue
(``lava/magma/compiler/channels/pypychannel.py:120-170, 290-345``), so a message of one spike
vector costs several thread switches on either side. Its processes only ever wait for one port at
a time, which a semaphore does by itself. What is sent, to whom and in which order is unchanged.

Measured on two shared cores (input 64 -> LIF 64 -> LIF 48 -> LearningDense 64 x 48, every spike
recorded, 600 to 1,000 steps, interleaved): 2.1 to 2.6 ms a step instead of 3.4 to 4.6, and 2.1 to
2.8 ms of CPU time instead of 4.7 to 5.2, with equal spikes and weights.

Import this module only after :func:`lava_align.backends.lava_shim.import_lava`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from lava.magma.compiler.channels import pypychannel
from lava.magma.compiler.channels.pypychannel import CspRecvPort, CspSelector, CspSendPort

Array = np.ndarray[Any, Any]


def _slots(port: Any) -> list[Array]:
    size = port._nbytes
    return [
        np.ndarray(port._shape, port._dtype, buffer=port._shm.buf[size * i : size * (i + 1)])
        for i in range(port._size)
    ]


class DirectSendPort(CspSendPort):  # type: ignore[misc]
    """Sending end: one credit for each free slot of the shared buffer."""

    _idx: int

    def start(self) -> None:
        """Map the shared buffer."""
        self._array = _slots(self)
        self._free = self._size

    def probe(self) -> bool:
        """Whether :meth:`send` would not block."""
        if not self._free and self._ack.acquire(block=False):
            self._free = 1
        return bool(self._free)

    def send(self, data: Any) -> None:
        """Copy ``data`` into the next slot; wait for one if all are full."""
        if data.shape != self._shape:
            raise ValueError(f"{self.name}: shape {data.shape}, expected {self._shape}")
        if self._free:
            self._free -= 1
        else:
            self._ack.acquire()
        self._array[self._idx][:] = data
        self._idx = (self._idx + 1) % self._size
        self._req.release()

    def join(self) -> None:
        """End the use of the port."""
        self._done = True


class DirectRecvPort(CspRecvPort):  # type: ignore[misc]
    """Receiving end: waits on the semaphore that the sender releases."""

    _idx: int

    def start(self) -> None:
        """Map the shared buffer."""
        self._array = _slots(self)
        self._waiting = False

    def wait(self) -> None:
        """Block until there is a message."""
        if not self._waiting:
            self._req.acquire()
            self._waiting = True

    def probe(self) -> bool:
        """Whether :meth:`recv` would not block."""
        if not self._waiting:
            self._waiting = self._req.acquire(block=False)
        return self._waiting

    def peek(self) -> Array:
        """Next message, left where it is."""
        self.wait()
        return self._array[self._idx].copy()

    def recv(self) -> Array:
        """Take the next message."""
        message = self.peek()
        self._waiting = False
        self._idx = (self._idx + 1) % self._size
        self._ack.release()
        return message

    def join(self) -> None:
        """End the use of the port."""
        self._done = True


def _select(_: Any, *actions: tuple[Any, Callable[[], Any]]) -> Any:
    """Run the action of the first port with a message."""
    if len(actions) == 1:
        port, action = actions[0]
        port.wait()
        return action()
    while True:
        for port, action in actions:
            if port.probe():
                return action()
        time.sleep(1e-4)


def install() -> None:
    """Make this interpreter, and what Lava forks from it, use these channels."""
    pypychannel.CspSendPort = DirectSendPort
    pypychannel.CspRecvPort = DirectRecvPort
    CspSelector.select = _select
