"""What neurons ask of a neurocore: compartments, synaptic memory, axons, profiles.

Synapses live with their postsynaptic neurons, plastic ones too. Input groups live outside the chip
and take no compartments, but their spikes need in-axons.

Synaptic memory is counted as on Loihi 1 (nengo-loihi ``block.py``, ``bits_per_axon``): each source
has one list per projection and core, in blocks of up to 64 synapses, each block rounded up to whole
words. A list is dense (every neuron of the piece, no indices) or sparse (non-zero weights only,
each with an index), whichever is smaller; a plastic list holds every synapse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_align.compiler.program import AnyNeurons, NeuronGroup, Program, Synapses

if TYPE_CHECKING:
    from lava_align.targets import HardwareTarget
    from lava_align.targets.schema import Packing

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Neurons ``start`` to ``stop - 1`` of a group."""

    group: str
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.group}[{self.start}:{self.stop}]"


def list_bits(counts: Array, bits_per_synapse: int, packing: Packing) -> Array:
    """Memory of synapse lists: each block of a list is rounded up to whole words.

    Parameters
    ----------
    counts : ndarray of int
        Number of synapses in each list.
    bits_per_synapse : int
        Weight, delay, tag and, in a sparse list, index.
    packing : Packing
        The target's ``packing`` table.

    Returns
    -------
    ndarray of int64
        Bits of each list; an empty list takes none.
    """
    counts = np.asarray(counts, dtype=np.int64)
    word, block = packing.word_bits.value, packing.block_synapses.value

    def bits(synapses: Array) -> Array:
        needed = synapses * bits_per_synapse + packing.block_header_bits.value
        return np.asarray(-(-needed // word) * word)

    full = counts // block * bits(np.asarray(block))
    rest = counts % block
    return np.asarray(full + np.where(rest > 0, bits(rest), 0))


def bits_per_synapse(synapses: Synapses, target: HardwareTarget) -> int:
    """Bits of one stored synapse without its index: weight register, and tag and delay if plastic.

    A rule that works on the tag needs the tag's whole range, another the target's ``tag_bits``; the
    delay field is stored if the rule works on it.
    """
    registers = [w for w in target.number.weight_bits.value or () if w >= synapses.weight_bits]
    bits = min(registers, default=synapses.weight_bits)
    rule = synapses.learning
    if rule is None:
        return bits
    tag = target.packing.tag_bits.value
    if rule.dt is not None or rule.uses("t"):
        span = target.learning.tag.value
        tag = max(tag, (span.max - span.min).bit_length())
    delay = target.packing.delay_bits.value if rule.dd is not None or rule.uses("d") else 0
    return bits + tag + delay


@dataclass(frozen=True, kw_only=True, eq=False)
class Lists:
    """The synapse lists of one projection on one core.

    Parameters
    ----------
    synapses : Synapses
        The projection.
    sources : ndarray of bool, shape (n_pre,)
        Which presynaptic neurons have a list.
    bits : int
        Memory of all lists.
    formats : frozenset
        One entry for each synapse format in use.
    """

    synapses: Synapses
    sources: Array
    bits: int
    formats: frozenset[object]


class _Incoming:
    """The synapses of one projection, to be cut into pieces."""

    def __init__(self, synapses: Synapses, target: HardwareTarget) -> None:
        self.synapses = synapses
        self.packing = target.packing
        self.stored = synapses.weights != 0
        if synapses.learning is not None:
            self.stored = np.ones_like(self.stored)
        self.bits = bits_per_synapse(synapses, target)
        reach = min(len(synapses.weights), *target.limits.compartments_per_core.values)
        widths = sorted(target.packing.index_bits.value)
        self.index_bits = next((w for w in widths if 2**w >= reach), widths[-1])
        # While a core fills up, the pieces already on it are asked about again and again.
        self.lists = lru_cache(maxsize=64)(self._lists)

    def _lists(self, piece: Piece) -> Lists:
        counts = self.stored[piece.start : piece.stop].sum(axis=0, dtype=np.int32)
        present = counts > 0
        whole = np.where(present, piece.stop - piece.start, 0)
        dense = list_bits(whole, self.bits, self.packing)
        sparse = list_bits(counts, self.bits + self.index_bits, self.packing)
        s = self.synapses
        key = (s.weight_bits, s.weight_exp, s.sign_mode, self.bits, s.learning)
        return Lists(
            synapses=s,
            sources=present,
            bits=int(np.minimum(dense, sparse).sum()),
            formats=frozenset((*key, kind) for kind in set((sparse < dense)[present].tolist())),
        )


class Demand:
    """What pieces of a program's groups ask of a core of a target."""

    def __init__(self, program: Program, target: HardwareTarget) -> None:
        self._groups = {group.name: group for group in program.neurons}
        self._slots_if_plastic = target.packing.in_axons_per_plastic_source.value
        self._incoming: dict[str, list[_Incoming]] = {name: [] for name in self._groups}
        for synapses in program.synapses:
            self._incoming[synapses.post].append(_Incoming(synapses, target))

    def used(self, pieces: Sequence[Piece], slots: Mapping[str, Array]) -> dict[str, int]:
        """Work out the use of every resource.

        Parameters
        ----------
        pieces : sequence of Piece
            What is on the core.
        slots : mapping
            Group to ndarray of int, shape (size,): out-axons each neuron needs.

        Returns
        -------
        dict
            Name of the limit to the amount in use.
        """
        groups = [self._groups[piece.group] for piece in pieces]
        lists = list(self._lists(pieces))
        rules = {entry.synapses.learning for entry in lists} - {None}
        plastic = [entry for entry in lists if entry.synapses.learning is not None]
        return {
            "compartments_per_core": sum(piece.stop - piece.start for piece in pieces),
            "synapse_memory_bits_per_core": sum(entry.bits for entry in lists),
            "in_axons_per_core": _count(_sources(lists))
            + (self._slots_if_plastic - 1) * _count(_sources(plastic)),
            "out_axons_per_core": sum(
                int(slots[piece.group][piece.start : piece.stop].sum()) for piece in pieces
            ),
            "compartment_profiles_per_core": len({_profile(group) for group in groups}),
            "threshold_profiles_per_core": len(
                {group.vth for group in groups if isinstance(group, NeuronGroup)}
            ),
            "synapse_formats_per_core": len({f for entry in lists for f in entry.formats}),
            "pre_trace_configs_per_core": len({(rule.x1, rule.x2) for rule in rules if rule}),
            "learning_rules_per_core": len(rules),
            "epoch_lengths_per_core": len({rule.t_epoch for rule in rules if rule}),
        }

    def out_axons(self, cores: Sequence[Sequence[Piece]]) -> dict[str, Array]:
        """Count the cores each neuron sends to: group to ndarray of int, shape (size,)."""
        counts = {
            name: np.zeros(group.size, dtype=np.int64) for name, group in self._groups.items()
        }
        for pieces in cores:
            for pre, present in _sources(self._lists(pieces)).items():
                # A port's spikes leave from the neurons of its group.
                sender = pre if pre in counts else pre.rpartition(".")[0]
                if sender in counts:
                    counts[sender] += present
        return counts

    def _lists(self, pieces: Sequence[Piece]) -> Iterator[Lists]:
        for piece in pieces:
            for incoming in self._incoming[piece.group]:
                yield incoming.lists(piece)


def _profile(group: AnyNeurons) -> tuple[object, ...]:
    """What neurons of one profile have in common, beside the threshold."""
    if isinstance(group, NeuronGroup):
        options = (group.dr, group.reset, group.refractory, group.holds)
        return (group.du, group.dv, *options, group.noise, group.apical, group.window)
    # The table of an escape neuron is of the group.
    return (group.name,)


def _sources(lists: Sequence[Lists] | Iterator[Lists]) -> dict[str, Array]:
    """Presynaptic group to which of its neurons have a list, boolean."""
    found: dict[str, Array] = {}
    for entry in lists:
        pre = entry.synapses.pre
        found[pre] = found[pre] | entry.sources if pre in found else entry.sources
    return found


def _count(sources: Mapping[str, Array]) -> int:
    return sum(int(mask.sum()) for mask in sources.values())
