"""Types of the compiled extension (core/module.cpp)."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

def instruction_sets() -> list[str]: ...

class Network:
    step: int
    def __init__(self, threads: int, instructions: str) -> None: ...
    @property
    def instructions(self) -> str: ...
    def add_input(self) -> int: ...
    def add_neurons(
        self, size: int, keep_u: int, keep_v: int, threshold: int, bias: Array, /
    ) -> int: ...
    def add_extended(self, size: int, parameters: dict[str, Any], bias: Array, /) -> int: ...
    def add_escape(
        self,
        size: int,
        bias: Array,
        window: int,
        refractory: int,
        shift: int,
        table: Array,
        hash_base: int,
        /,
    ) -> int: ...
    def add_relay(self, size: int, shift: int, /) -> int: ...
    def add_port(self, group: int, name: str, /) -> int: ...
    def add_static(
        self,
        pre: int,
        post: int,
        apical: bool,
        acts: bool,
        exponent: int,
        slots: int,
        weights: Array,
        delays: Array | None,
        /,
    ) -> int: ...
    def add_plastic(
        self,
        pre: int,
        post: int,
        apical: bool,
        gate: int,
        acts: bool,
        exponent: int,
        weights: Array,
        rule: dict[str, Any],
        modulators: list[int],
        /,
    ) -> int: ...
    def run(
        self,
        n_steps: int,
        seconds: float,
        inputs: list[Any],
        draws: list[Any],
        groups: list[int],
        probes: list[Any],
        /,
    ) -> tuple[int, list[tuple[Array, Array]]]: ...
    def read_vector(self, kind: str, index: int, variable: int, size: int, /) -> Array: ...
    def write_vector(self, kind: str, index: int, variable: int, values: Array, /) -> None: ...
    def read_synapses(self, projection: int, target: int, /) -> Array: ...
    def write_synapses(self, projection: int, target: int, values: Array, /) -> None: ...
    def read_buffer(self, projection: int, /) -> Array: ...
    def write_buffer(self, projection: int, values: Array, /) -> None: ...
    def read_arrived(self, group: int, /) -> Array: ...
    def write_arrived(self, group: int, values: Array, /) -> None: ...
    def read_times(self, projection: int, pre: bool, /) -> Array: ...
    def write_times(self, projection: int, pre: bool, values: Array, /) -> None: ...
    def resume(self, projection: int, /) -> None: ...
    def synapse_bytes(self, projection: int, /) -> int: ...
