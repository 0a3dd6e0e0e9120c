"""The on-chip side of a replay: plastic synapses whose both ends are recorded spikes.

The engine, like Lava, learns from the spikes of whatever group is at an end of a synapse. So a
replay needs no neurons: both ends are input groups, and a spike of step n counts in step n.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lava_align.compiler.checks import Check, check, raise_violations
from lava_align.compiler.compile import initial_weights, lacks
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.errors import ConstraintViolationError, InvalidInputError, Problem
from lava_align.model.network import Plasticity, Projection
from lava_align.recording import Array, Spikes
from lava_align.replay.binning import BinnedSpikes
from lava_align.rules import AlignmentRule, Quantity, Sample
from lava_align.targets import HardwareTarget

LEARNED = "feedback"
"""Name of the projection in a program made for a replay."""

SAMPLE_CELLS = 2**22
"""Neurons times steps that the calibration looks at; it holds some six floats for each."""

SILENT = "nothing"
"""Input group without spikes, at both ends of what a replay leaves out."""


@dataclass(frozen=True, kw_only=True)
class OnChip:
    """Synapses to be replayed and how they came about.

    Parameters
    ----------
    program : Program
        The synapses with an input group at each end.
    projection : str
        Their name in the program.
    pre, post : str
        Input groups that take the spikes.
    weight_scale : float or None
        Chip units per unit of the rule's weight; None if the program does not say.
    quantities : tuple of Quantity
        What was rounded in the calibration.
    checks : tuple of Check
        Limits of the target; empty for a program that was compiled before.
    notes : tuple of str
    """

    program: Program
    projection: str
    pre: str
    post: str
    weight_scale: float | None = None
    quantities: tuple[Quantity, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def synapses(self) -> Synapses:
        """The synapses that learn."""
        return next(s for s in self.program.synapses if s.name == self.projection)


def choose_projection(program: Program, name: str | None) -> Synapses:
    """Return the plastic projection called ``name``, or the only one there is.

    Raises
    ------
    InvalidInputError
        If there is no such projection, several to choose from, or one that learns from more than
        spikes.
    """
    plastic = {synapses.name: synapses for synapses in program.plastic()}
    chosen = next(iter(plastic)) if name is None and len(plastic) == 1 else name
    if chosen not in plastic:
        found = f"no projection '{name}' that learns" if name else f"{len(plastic)} that learn"
        allowed = f"one of: {', '.join(plastic) or 'none'} (--projection)"
        raise InvalidInputError(Problem("projection", found, allowed))
    synapses = plastic[chosen]
    if synapses.modulators or synapses.graded != "default":
        found = "learns from payloads or a third factor"
        raise InvalidInputError(
            Problem(f"projections.{chosen}", found, "a rule that learns from spikes alone")
        )
    return synapses


def without_neurons(program: Program, projection: str | None = None) -> OnChip:
    """Reduce a program to one plastic projection between input groups.

    The weights are those the program starts with. Everything else becomes empty and keeps its
    place, since ``independent-rounding`` tells projections apart by their place.

    Raises
    ------
    InvalidInputError
        See :func:`choose_projection`.
    """
    chosen = choose_projection(program, projection)
    pre, post = chosen.pre, chosen.gate or chosen.post
    silent = SILENT
    while silent in (pre, post):
        silent += "_"
    sizes = {pre: chosen.weights.shape[1], post: chosen.weights.shape[0], silent: 1}
    return OnChip(
        program=replace(
            program,
            inputs=tuple(InputGroup(name=name, size=size) for name, size in sizes.items()),
            neurons=(),
            synapses=tuple(
                replace(s, post=post, gate=None, acts=False)
                if s is chosen
                else Synapses(
                    name=s.name, pre=silent, post=silent, weights=np.zeros((1, 1)), acts=False
                )
                for s in program.synapses
            ),
            mirrors={},
        ),
        projection=chosen.name,
        pre=pre,
        post=post,
    )


def calibrated(
    rule: AlignmentRule,
    parameters: Mapping[str, float],
    spikes: BinnedSpikes,
    *,
    pre: str,
    post: str,
    weights: Array,
    target: HardwareTarget,
    variant: str | None = None,
) -> OnChip:
    """Put a rule on chip with constants chosen from the very spikes that are replayed.

    Parameters
    ----------
    parameters : mapping
        All parameters of the rule, SI units.
    pre, post : str
        Upper and lower population.
    weights : ndarray, shape (n_post, n_pre)
        Initial weights in units of the rule.

    Raises
    ------
    ConstraintViolationError
        If the target cannot hold the rule, or its weights leave their range.
    """
    missing = lacks(rule, target)
    if missing:
        found = f"{rule.name} on {target.id} lacks {', '.join(missing)}"
        raise ConstraintViolationError(Problem("rule", found, "another rule or target"))
    sample, notes = _sample(spikes, pre, post)
    lowered = rule.form(variant).lower(parameters, sample, LEARNED)
    plasticity = Plasticity(rule=rule.name, mirrors="", parameters=parameters, variant=variant)
    projection = Projection(
        name=LEARNED, pre=pre, post=post, weights=weights, plasticity=plasticity, acts=False
    )
    synapses = Synapses(
        name=LEARNED,
        pre=pre,
        post=post,
        weights=initial_weights(projection, lowered),
        acts=False,
        learning=lowered.learning,
    )
    program = relayed(synapses, target.id, spikes.dt, spikes.n_steps)
    checks = check(program, target)
    raise_violations(checks)
    return replace(
        without_neurons(program),
        weight_scale=lowered.weight_scale,
        quantities=lowered.quantities,
        checks=checks,
        notes=notes,
    )


def relayed(synapses: Synapses, target: str, dt: float, n_steps: int) -> Program:
    """Build the program a chip would be given: neurons that repeat input spikes a step later."""
    n_post, n_pre = synapses.weights.shape
    sizes = {synapses.pre: n_pre, synapses.post: n_post}
    return Program(
        target=target,
        dt=dt,
        n_steps=n_steps,
        inputs=tuple(InputGroup(name=f"spikes of {name}", size=n) for name, n in sizes.items()),
        # All of current and voltage is gone after a step, so that one spike gives one spike.
        neurons=tuple(
            NeuronGroup(name=name, size=n, du=4095, dv=4095, vth=1, bias_mant=np.zeros(n))
            for name, n in sizes.items()
        ),
        synapses=(
            *(
                Synapses(
                    name=f"relay to {name}",
                    pre=f"spikes of {name}",
                    post=name,
                    weights=2 * np.eye(n, dtype=np.int16),
                )
                for name, n in sizes.items()
            ),
            synapses,
        ),
    )


def _sample(spikes: BinnedSpikes, pre: str, post: str) -> tuple[Sample, tuple[str, ...]]:
    """Begin the sample with the recording; a part of it is enough, and a note says which."""
    ends = [spikes.spikes[name] for name in (pre, post)]
    length = min(spikes.n_steps, max(1, SAMPLE_CELLS // sum(end.size for end in ends)))
    cut = [_first(end, length) for end in ends]
    sample = Sample(
        pre=cut[0].raster(length), post=cut[1].raster(length), dt=spikes.dt, n_steps=spikes.n_steps
    )
    if length == spikes.n_steps:
        return sample, ()
    return sample, (f"calibrated on the first {length} of {spikes.n_steps} steps",)


def _first(spikes: Spikes, n_steps: int) -> Spikes:
    kept = spikes.step < n_steps
    return Spikes(step=spikes.step[kept], neuron=spikes.neuron[kept], size=spikes.size)
