"""Which neurocore holds which neurons.

Neuron groups are cut into pieces and put into cores one after the other, in the order of the
program; a core takes pieces of several groups while all its resources last. What a piece asks of
a core is the subject of :mod:`lava_align.compiler.demand`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_align.compiler.demand import Demand, Piece
from lava_align.compiler.program import Program
from lava_align.errors import ConstraintViolationError, Problem

if TYPE_CHECKING:
    from lava_align.targets import HardwareTarget
    from lava_align.targets.schema import Evidence, Fact

Array = np.ndarray[Any, Any]

WAYS_OUT = {
    "compartments_per_core": "use smaller populations",
    "synapse_memory_bits_per_core": "use fewer weight bits, or fewer sources per neuron",
    "in_axons_per_core": "reduce the fan-in of the neuron, or relay it through a population",
    "out_axons_per_core": "reduce the number of populations this one projects to",
    "compartment_profiles_per_core": "give populations equal time constants",
    "threshold_profiles_per_core": "give populations equal thresholds",
    "synapse_formats_per_core": "give projections equal weight_bits, weight_exp and sign_mode",
    "pre_trace_configs_per_core": "give the rules of one population equal x1 and x2",
    "learning_rules_per_core": "give projections into one population the same rule",
    "epoch_lengths_per_core": "give the rules of one population the same t_epoch",
}
"""Resources of a core, by the name of their limit, and what to do if one runs out."""

MORE_CORES = "use a target with more cores, smaller populations, or fewer weight bits"


@dataclass(frozen=True, kw_only=True)
class Core:
    """A neurocore in use.

    Parameters
    ----------
    index : int
        Counted from 0 over all chips.
    pieces : tuple of Piece
    used : mapping
        What is used of each resource, by the name of its limit (:data:`WAYS_OUT`).
    """

    index: int
    pieces: tuple[Piece, ...]
    used: Mapping[str, int]

    def __str__(self) -> str:
        return f"core {self.index} with {', '.join(map(str, self.pieces))}"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The cores in use; every neuron is in exactly one piece."""

    cores: tuple[Core, ...]


@dataclass(frozen=True, kw_only=True)
class Load:
    """A capacity and what a placement asks of it.

    Parameters
    ----------
    id : str
        Key path of the capacity in the target.
    object : str
        Core, or ``program`` for a capacity of the chip.
    used : int
    fact : Fact
    evidence : str
        That of the limit, or weaker if the use itself is estimated.
    way_out : str
    """

    id: str
    object: str
    used: int
    fact: Fact[int]
    evidence: Evidence
    way_out: str


@dataclass(frozen=True, kw_only=True)
class Utilisation:
    """How much of a resource is used.

    Parameters
    ----------
    resource : str
        Name of a limit, or ``cores``.
    busiest : int
        Use on the core that uses most; for ``cores`` the number in use.
    mean : float
        Mean over the cores in use.
    available : int or None
        None if unknown.
    evidence : str
        Evidence of ``available``.
    """

    resource: str
    busiest: int
    mean: float
    available: int | None
    evidence: Evidence


def place(program: Program, target: HardwareTarget) -> Placement:
    """Put every neuron into a core.

    Raises
    ------
    ConstraintViolationError
        If a neuron fits into no core, or there are not cores enough: with every such violation.
    """
    placement = fill(program, target)
    problems = [
        Problem(load.object, f"{load.used} {_words(load.id)}", _allowed(load))
        for load in loads(program, placement, target)
        if load.fact.judge(load.used) == "fail"
    ]
    if problems:
        raise ConstraintViolationError(problems)
    return placement


def _allowed(load: Load) -> str:
    return f"at most {load.fact.describe()} ({load.fact.source}); {load.way_out}"


def _words(limit: str) -> str:
    return limit.rsplit(".", maxsplit=1)[-1].replace("_", " ")


def fill(program: Program, target: HardwareTarget) -> Placement:
    """Put every neuron into a core, even if it does not fit there or the chip has too few cores.

    A neuron that no core can hold gets one of its own, so that :func:`loads` can tell everything
    that is wrong at once. Where sources disagree on a limit the tightest is observed if possible.
    """
    # How many cores a neuron sends to is known only when its targets are placed; so place, count,
    # and place again with at least these counts until no core runs out of out-axons. The counts
    # only grow, which ends it.
    demand = Demand(program, target)
    room = _ceilings(target, min).get("out_axons_per_core", math.inf)
    slots = {group.name: np.zeros(group.size, dtype=np.int64) for group in program.neurons}
    while True:
        cores = _fill_once(program, target, demand, slots)
        counted = demand.out_axons(cores)
        used = [demand.used(pieces, counted) for pieces in cores]
        grown = {name: np.maximum(slots[name], counted[name]) for name in slots}
        crowded = any(use["out_axons_per_core"] > room for use in used)
        if not crowded or all(np.array_equal(grown[name], slots[name]) for name in slots):
            break
        slots = grown
    return Placement(
        cores=tuple(
            Core(index=index, pieces=pieces, used=use)
            for index, (pieces, use) in enumerate(zip(cores, used, strict=True))
        )
    )


def _fill_once(
    program: Program, target: HardwareTarget, demand: Demand, slots: Mapping[str, Array]
) -> list[tuple[Piece, ...]]:
    """Pieces of each core if each neuron needs ``slots`` out-axons."""

    def fits(pieces: tuple[Piece, ...], ceilings: Mapping[str, int]) -> bool:
        used = demand.used(pieces, slots)
        return all(used[name] <= ceiling for name, ceiling in ceilings.items())

    tight, loose = (_ceilings(target, choose) for choose in (min, max))
    cores: list[tuple[Piece, ...]] = []
    core: tuple[Piece, ...] = ()
    for group in program.neurons:
        whole = Piece(group=group.name, start=0, stop=group.size)
        while whole.start < whole.stop:
            piece = _longest(whole, lambda part: fits((*core, part), tight))  # noqa: B023
            if piece is None and core:
                cores.append(core)
                core = ()
                continue
            piece = piece or _longest(whole, lambda part: fits((part,), loose))
            piece = piece or replace(whole, stop=whole.start + 1)
            core = (*core, piece)
            whole = replace(whole, start=piece.stop)
    return [*cores, core] if core else cores


def _longest(whole: Piece, fits: Callable[[Piece], bool]) -> Piece | None:
    """Longest part of a piece, from its start, that fits; None if not even one neuron does."""
    # Use grows with the part. Doubling first keeps the parts that are tried near the one taken.
    low, step = whole.start, 1
    while low + step < whole.stop and fits(replace(whole, stop=low + step)):
        low, step = low + step, step * 2
    high = min(low + step, whole.stop)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(replace(whole, stop=middle)) else (low, middle - 1)
    return replace(whole, stop=low) if low > whole.start else None


def _ceilings(target: HardwareTarget, choose: Callable[[Iterable[int]], int]) -> dict[str, int]:
    """Known limits of a core: by ``choose``, the tightest or the loosest of each."""
    facts = {name: getattr(target.limits, name) for name in WAYS_OUT}
    return {name: choose(fact.values) for name, fact in facts.items() if fact.values}


def loads(program: Program, placement: Placement, target: HardwareTarget) -> tuple[Load, ...]:
    """Compare a placement with every capacity it touches.

    A resource of the cores gives one entry for its busiest core; if it runs out, one for each
    combination of groups that is too much for a core.
    """
    return (*_core_loads(placement, target), *_chip_loads(program, placement, target))


def _core_loads(placement: Placement, target: HardwareTarget) -> Iterator[Load]:
    for name, way_out in WAYS_OUT.items():
        fact: Fact[int] = getattr(target.limits, name)
        for core in _tellings(placement, name, fact):
            if core.used[name]:
                yield Load(
                    id=f"limits.{name}",
                    object=str(core),
                    used=core.used[name],
                    fact=fact,
                    evidence=_evidence(name, fact, target),
                    way_out=way_out,
                )


def _tellings(placement: Placement, name: str, fact: Fact[int]) -> list[Core]:
    """Pick the busiest core, or the busiest of each combination of groups that is too much."""
    by_use = sorted(placement.cores, key=lambda core: core.used[name])
    busiest = {tuple(piece.group for piece in core.pieces): core for core in by_use}
    refused = [c for c in busiest.values() if fact.judge(c.used[name]) in ("fail", "advisory")]
    return refused or by_use[-1:]


def _evidence(name: str, fact: Fact[int], target: HardwareTarget) -> Evidence:
    """Memory use is known no better than the layout it is computed from."""
    if name != "synapse_memory_bits_per_core":
        return fact.evidence
    packing = target.packing
    layout = (packing.word_bits, packing.block_synapses, packing.block_header_bits)
    order: tuple[Evidence, ...] = ("published", "code", "derived", "estimate", "unknown")
    return max((fact.evidence, *(f.evidence for f in layout)), key=order.index)


def _chip_loads(program: Program, placement: Placement, target: HardwareTarget) -> Iterator[Load]:
    neurons = sum(group.size for group in program.neurons)
    stored = sum(
        s.weights.size if s.learning else int(np.count_nonzero(s.weights)) for s in program.synapses
    )
    totals = (
        ("topology.cores_per_chip", target.topology.cores_per_chip, len(placement.cores)),
        ("limits.neurons_per_chip", target.limits.neurons_per_chip, neurons),
        ("limits.synapses_per_chip", target.limits.synapses_per_chip, stored),
    )
    for key, fact, total in totals:
        if fact is not None and total:
            yield Load(
                id=key,
                object="program",
                used=-(-total // target.chips),
                fact=fact,
                evidence=fact.evidence,
                way_out=MORE_CORES,
            )


def utilisation(placement: Placement, target: HardwareTarget) -> tuple[Utilisation, ...]:
    """How much of every resource of the cores is used, and how many cores are."""
    rows = []
    for name in WAYS_OUT:
        fact: Fact[int] = getattr(target.limits, name)
        used = [core.used[name] for core in placement.cores] or [0]
        rows.append(
            Utilisation(
                resource=name,
                busiest=max(used),
                mean=float(np.mean(used)),
                available=fact.value,
                evidence=_evidence(name, fact, target),
            )
        )
    count = len(placement.cores)
    cores = target.topology.cores_per_chip
    rows.append(
        Utilisation(
            resource="cores",
            busiest=count,
            mean=float(count),
            available=target.cores,
            evidence=cores.evidence,
        )
    )
    return tuple(rows)
