"""Network to Program: lower the rules, calibrate, quantise, check, place.

The result carries everything a report needs: for each quantity what was asked and what was
realised, every check with its limit, and where each neuron lives.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lava_align.compiler.calibrate import Activity, Step, sample_activity
from lava_align.compiler.checks import Check, check, raise_violations
from lava_align.compiler.express import express
from lava_align.compiler.place import Placement, place
from lava_align.compiler.program import InputGroup, Program, Synapses
from lava_align.compiler.quantise import Afferent, Quantised, quantise_population
from lava_align.errors import ConstraintViolationError, Problem
from lava_align.model.network import Network, Plasticity, Population, Projection
from lava_align.rules import AlignmentRule, LoweredRule, Quantity, Sample, get_rule
from lava_align.targets import HardwareTarget

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Compilation:
    """A program and how it came about.

    Parameters
    ----------
    program : Program
    quantities : tuple of Quantity
        Asked, realised and error of everything that was rounded.
    checks : tuple of Check
    placement : Placement
    expected_rates : mapping
        Population to mean rate of the calibration sample, Hz.
    predictions : mapping
        Plastic projection to what the calibration expects of it.
    weight_scales : mapping
        Plastic projection to chip weight units per unit of the reference's weight.
    """

    program: Program
    quantities: tuple[Quantity, ...]
    checks: tuple[Check, ...]
    placement: Placement
    expected_rates: Mapping[str, float]
    predictions: Mapping[str, Mapping[str, float]]
    weight_scales: Mapping[str, float]


def compile_network(
    network: Network, target: HardwareTarget, approximate: Collection[str] = ()
) -> Compilation:
    """Compile a network for a target.

    Parameters
    ----------
    network : Network
    target : HardwareTarget
    approximate : collection of str
        Properties of the neurons that may be simplified (``tau_rise``, ``reset``, ``refractory``).

    Raises
    ------
    ConstraintViolationError
        With every limit that is broken and the way out of each.
    """
    _require_rules_fit(network, target)
    expressed, simplified = express(network, approximate)
    activity = sample_activity(expressed)
    lowered = {p.name: _lower(p, expressed, activity) for p in expressed.plastic()}
    populations = {
        p.name: quantise_population(
            p,
            _afferents(p, expressed),
            _with_feedback(p, expressed, activity, lowered),
            expressed.dt,
        )
        for p in expressed.populations
    }
    plastic = [
        _plastic_synapses(p, lowered[p.name], populations[p.post], index)
        for index, p in enumerate(expressed.plastic())
    ]
    program = Program(
        target=target.id,
        dt=expressed.dt,
        n_steps=expressed.n_steps,
        inputs=tuple(
            InputGroup(name=s.name, size=expressed.population(s.population).size)
            for s in expressed.stimuli
        ),
        neurons=tuple(q.neurons for q in populations.values()),
        synapses=tuple(
            [s for q in populations.values() for s in q.synapses] + [s for s, _ in plastic]
        ),
        mirrors={
            p.name: p.plasticity.mirrors for p in expressed.plastic() if p.plasticity is not None
        },
    )
    checks = check(program, target)
    raise_violations(checks)
    return Compilation(
        program=program,
        quantities=(
            *simplified,
            *(row for q in populations.values() for row in q.quantities),
            *(row for rule in lowered.values() for row in rule.quantities),
            *(row for _, rows in plastic for row in rows),
        ),
        checks=checks,
        placement=place(program, target),
        expected_rates={name: a.rate(expressed.dt) for name, a in activity.items()},
        predictions={name: rule.predictions for name, rule in lowered.items()},
        weight_scales={name: rule.weight_scale for name, rule in lowered.items()},
    )


def lacks(rule: AlignmentRule, target: HardwareTarget) -> tuple[str, ...]:
    """Name what keeps a target from holding a rule; empty if it can."""
    missing = rule.needs.missing_on(
        third_factor=target.third_factor, graded_spikes=target.graded_spikes
    )
    return missing if rule.forms else ("an on-chip form", *missing)


def _require_rules_fit(network: Network, target: HardwareTarget) -> None:
    """Refuse, before anything runs, rules that the target cannot hold."""
    problems = []
    for projection in network.plastic():
        rule = get_rule(_plasticity(projection).rule)
        problems += [
            Problem(
                f"projections.{projection.name}.rule",
                f"{rule.name} on {target.id} lacks {lack}",
                "another rule or target; see `lava-align rules`",
            )
            for lack in lacks(rule, target)
        ]
    if problems:
        raise ConstraintViolationError(problems)


def _plasticity(projection: Projection) -> Plasticity:
    if projection.plasticity is None:
        raise ValueError(f"projection {projection.name} is not plastic")
    return projection.plasticity


def _lower(
    projection: Projection, network: Network, activity: Mapping[str, Activity]
) -> LoweredRule:
    plasticity = _plasticity(projection)
    rule = get_rule(plasticity.rule)
    where = f"projections.{projection.name}.rule"
    sample = Sample(
        pre=activity[projection.pre].spikes,
        post=activity[projection.post].spikes,
        dt=network.dt,
        n_steps=network.n_steps,
    )
    parameters = rule.complete(plasticity.parameters, where)
    return rule.form(plasticity.variant).lower(parameters, sample, projection.name)


def _with_feedback(
    population: Population,
    network: Network,
    activity: Mapping[str, Activity],
    lowered: Mapping[str, LoweredRule],
) -> Activity:
    """Activity of a population with room for the currents of weights not yet learned."""
    seen = activity[population.name]
    jump, current = seen.peak_jump, seen.peak_current
    decay = Step.of(population.lif, network.dt).synapse
    for projection in network.into(population.name):
        if projection.plasticity is None:
            continue
        rule = lowered[projection.name]
        mean, sd = rule.predictions["weight_mean"], rule.predictions["weight_sd"]
        arriving = activity[projection.pre].spikes.sum(axis=1)
        held = peak = 0.0
        for count in arriving:
            held = held * decay + float(count)
            peak = max(peak, held)
        # Three standard deviations of the sum of that many learned weights.
        for_jump, for_current = (
            (abs(mean) * n + 3.0 * sd * math.sqrt(n)) / rule.weight_scale
            for n in (float(arriving.max()), peak)
        )
        jump, current = jump + for_jump, current + for_current
    return replace(seen, peak_jump=jump, peak_current=current)


def _afferents(population: Population, network: Network) -> list[Afferent]:
    """Fixed weights into a population: projections, and stimuli as diagonal matrices."""
    fixed = [
        Afferent(name=p.name, pre=p.pre, weights=p.weights)
        for p in network.into(population.name)
        if p.plasticity is None
    ]
    stimuli = [
        Afferent(name=s.name, pre=s.name, weights=s.weight * np.eye(population.size))
        for s in network.stimuli
        if s.population == population.name
    ]
    return fixed + stimuli


def _plastic_synapses(
    projection: Projection, rule: LoweredRule, post: Quantised, index: int
) -> tuple[Synapses, list[Quantity]]:
    """Initial weights in chip units, and the exponent at which they act."""
    initial = initial_weights(projection, rule)
    asked, realised = (
        float(np.sqrt(np.mean(np.square(m))))
        for m in (projection.weights, initial / rule.weight_scale)
    )
    note = "the chip's grid is coarser than weights near zero"
    rows = [
        Quantity.compare(
            projection.name, "initial weights (rms)", asked, realised, note=note if asked else ""
        )
    ]
    exponent = 0
    if projection.acts:
        # The rule fixes how far the weights go, in chip units; the exponent is the power of two
        # nearest to the current they should give. What is left is a change of learning rate.
        wanted = post.scale / (64.0 * rule.weight_scale)
        exponent = round(math.log2(wanted))
        rows.append(
            Quantity.compare(
                projection.name,
                "strength of the learned weights",
                1.0,
                2.0**exponent / wanted,
                note="equals a change of eta by this factor",
            )
        )
    synapses = Synapses(
        name=projection.name,
        pre=projection.pre,
        post=projection.post,
        weights=initial.astype(np.int16),
        weight_exp=exponent,
        sign_mode="mixed",
        acts=projection.acts,
        learning=rule.learning,
        rng_seed=index + 1,
    )
    return synapses, rows


def initial_weights(projection: Projection, rule: LoweredRule) -> Array:
    """Initial weights in chip units, on the grid of mixed signs.

    Raises
    ------
    ConstraintViolationError
        If they leave the range in which the rule's weights live.
    """
    units = np.round(projection.weights * rule.weight_scale / 2) * 2
    if not ((units >= -256) & (units <= 254)).all():
        largest = float(np.abs(projection.weights).max())
        raise ConstraintViolationError(
            Problem(
                f"projections.{projection.name}.weights",
                f"initial weights up to {largest:g}",
                f"at most {254 / rule.weight_scale:g}, the range calibrated for what the rule"
                " learns; start nearer to 0, or raise eta or the duration",
            )
        )
    return units
