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
from lava_align.compiler.observe import observe
from lava_align.compiler.place import Placement, place
from lava_align.compiler.program import (
    EscapeGroup,
    InputGroup,
    NeuronGroup,
    Program,
    Synapses,
    Window,
)
from lava_align.compiler.quantise import Afferent, Quantised, quantise_population
from lava_align.compiler.stochastic import quantise_escape
from lava_align.errors import ConstraintViolationError, Problem
from lava_align.model.network import LIF, Network, Plasticity, Population, Projection
from lava_align.recording import Spikes
from lava_align.rules import (
    AlignmentRule,
    LoweredRule,
    Quantity,
    Sample,
    WindowPlan,
    get_rule,
)
from lava_align.targets import HardwareTarget

Array = np.ndarray[Any, Any]

MOST_DISTANT = 2**25 - 1
"""Of margin and reach of a window, in steps of the threshold's mantissa."""


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
    expressed, simplified = express(network, approximate, target)
    activity = sample_activity(expressed)
    windows = _windows(expressed)
    recorded = _observed(expressed, activity, windows) if windows else {}
    lowered = {p.name: _lower(p, expressed, activity, recorded) for p in expressed.plastic()}
    populations = {
        p.name: _quantise(p, expressed, activity, lowered, windows) for p in expressed.populations
    }
    plastic = [
        made
        for p in expressed.plastic()
        for made in _plastic_synapses(p, lowered[p.name], populations[p.post])
    ]
    program = replace(
        _program(expressed, populations, target.id),
        synapses=(
            *(s for q in populations.values() for s in q.synapses),
            *(replace(s, rng_seed=index + 1) for index, (s, _) in enumerate(plastic)),
        ),
        mirrors={p.name: _plasticity(p).mirrors for p in expressed.plastic()},
        planes=_planes(lowered),
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


def _program(network: Network, populations: Mapping[str, Quantised], target: str) -> Program:
    """Everything but what learns."""
    return Program(
        target=target,
        dt=network.dt,
        n_steps=network.n_steps,
        inputs=tuple(
            InputGroup(name=s.name, size=network.population(s.population).size)
            for s in network.stimuli
        ),
        neurons=tuple(q.neurons for q in populations.values()),
        synapses=tuple(s for q in populations.values() for s in q.synapses),
    )


def _planes(lowered: Mapping[str, LoweredRule]) -> dict[str, tuple[str, ...]]:
    """Projections that are made of several planes, and their synapses."""
    return {
        name: tuple(plane.synapses(name) for plane in rule.planes)
        for name, rule in lowered.items()
        if len(rule.planes) > 1
    }


def _windows(network: Network) -> dict[str, WindowPlan]:
    """Populations whose neurons watch their drive for a rule, and how.

    Raises
    ------
    ConstraintViolationError
        If two rules want a population to do it differently, or its neurons have no threshold.
    """
    found: dict[str, WindowPlan] = {}
    problems = []
    for projection in network.plastic():
        plasticity = _plasticity(projection)
        rule = get_rule(plasticity.rule)
        form = rule.form(plasticity.variant)
        if form.window is None:
            continue
        where = f"projections.{projection.name}.rule"
        plan = form.window(rule.complete(plasticity.parameters, where), network.dt)
        if found.setdefault(projection.post, plan) != plan:
            text = f"{projection.post} is to open windows in two ways"
            problems.append(Problem(where, text, "equal window, margin and reach"))
        if not isinstance(network.population(projection.post).neuron, LIF):
            text = f"the neurons of {projection.post} have no threshold to come near"
            problems.append(Problem(where, text, "a population of LIF neurons, or another rule"))
    if problems:
        raise ConstraintViolationError(problems)
    return found


def _observed(
    network: Network, activity: Mapping[str, Activity], windows: Mapping[str, WindowPlan]
) -> dict[str, Spikes]:
    """What the quantised neurons report in a run without learning."""
    populations = {
        p.name: _quantise(p, network, activity, {}, windows) for p in network.populations
    }
    units = {name: q.threshold_unit for name, q in populations.items()}
    return observe(_program(network, populations, ""), network, units)


def _quantise(
    population: Population,
    network: Network,
    activity: Mapping[str, Activity],
    lowered: Mapping[str, LoweredRule],
    windows: Mapping[str, WindowPlan],
) -> Quantised:
    """Quantise a population; without lowered rules none of its plastic afferents acts."""
    afferents = _afferents(population, network)
    if not isinstance(population.neuron, LIF):
        scales = {
            lowered[p.name].weight_scale for p in network.into(population.name) if p.name in lowered
        }
        if len(scales) > 1:
            raise ConstraintViolationError(
                Problem(
                    f"populations.{population.name}",
                    f"{len(scales)} plastic projections act on it with scales of their own",
                    "one plastic projection that acts on a population of stochastic neurons",
                )
            )
        scale = next(iter(scales), None)
        return quantise_escape(population, afferents, activity[population.name], network.dt, scale)
    seen = _with_feedback(population, network, activity, lowered)
    made = quantise_population(population, afferents, seen, network.dt)
    plan = windows.get(population.name)
    if plan is None:
        return made
    assert isinstance(made.neurons, NeuronGroup)
    return replace(made, neurons=replace(made.neurons, window=_window(plan, made.threshold_unit)))


def _window(plan: WindowPlan, unit: float) -> Window:
    """``unit`` is steps of the threshold's mantissa per unit of the potential."""
    return Window(
        margin=min(round(plan.margin * unit), MOST_DISTANT),
        reach=min(round(plan.reach * unit), MOST_DISTANT),
        length=plan.length,
        average=plan.average,
        bits=plan.bits,
        # Distances are sent in powers of two of the membrane's register.
        scale=max(0, min(31, round(math.log2(plan.distance_step * unit * 64.0)))),
    )


def lacks(rule: AlignmentRule, target: HardwareTarget) -> tuple[str, ...]:
    """Name what keeps a target from holding a rule; empty if it can."""
    missing = rule.needs.missing_on(
        third_factor=target.third_factor,
        graded_spikes=target.graded_spikes,
        custom_neurons=target.custom_neurons,
    )
    return missing if rule.forms or rule.fixed else ("an on-chip form", *missing)


def _require_rules_fit(network: Network, target: HardwareTarget) -> None:
    """Refuse, before anything runs, rules that the target cannot hold."""
    problems = []
    for projection in network.plastic():
        rule = get_rule(_plasticity(projection).rule)
        if rule.reference is None:
            problems.append(
                Problem(
                    f"projections.{projection.name}.rule",
                    f"{rule.name} learns from rates, not from spikes",
                    "a rule on spikes; `lava-align rules` says which those are",
                )
            )
            continue
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
    projection: Projection,
    network: Network,
    activity: Mapping[str, Activity],
    recorded: Mapping[str, Spikes],
) -> LoweredRule:
    plasticity = _plasticity(projection)
    rule = get_rule(plasticity.rule)
    where = f"projections.{projection.name}.rule"
    pre, post = activity[projection.pre].spikes, activity[projection.post].spikes
    form = rule.form(plasticity.variant)
    signals: Mapping[str, Array] = {}
    if form.derive is not None:
        ends = {
            f"post.{name.partition('.')[2]}": spikes
            for name, spikes in recorded.items()
            if name.startswith(f"{projection.post}.")
        }
        signals = form.derive(ends, len(pre))
        # The same run as the windows': that of the quantised neurons.
        pre, post = (recorded[name].raster(len(pre)) for name in (projection.pre, projection.post))
    forward = network.projection(plasticity.mirrors).weights
    sample = Sample(
        pre=pre,
        post=post,
        dt=network.dt,
        n_steps=network.n_steps,
        signals=signals,
        reach=float(max(np.abs(forward).max(), np.abs(projection.weights).max())),
    )
    return form.lower(rule.complete(plasticity.parameters, where), sample, projection.name)


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
        if projection.name not in lowered:
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
    projection: Projection, rule: LoweredRule, post: Quantised
) -> list[tuple[Synapses, list[Quantity]]]:
    """Planes with their initial weights in chip units, and the exponent at which they act."""
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
    if projection.acts and not isinstance(post.neurons, EscapeGroup):
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
    made = []
    for index, plane in enumerate(rule.planes):
        synapses = Synapses(
            name=plane.synapses(projection.name),
            pre=_sender(plane.pre, projection),
            post=projection.post,
            # The first plane starts with all of the weight.
            weights=(initial if index == 0 else np.zeros_like(initial)).astype(np.int16),
            weight_exp=exponent,
            sign_mode="mixed",
            acts=projection.acts,
            learning=plane.learning,
            gate=None if plane.gate == "post" else _sender(plane.gate, projection),
            graded=plane.graded,
            modulators={y: _sender(name, projection) for y, name in plane.modulators.items()},
        )
        made.append((synapses, rows))
        rows = []
    return made


def _sender(signal: str, projection: Projection) -> str:
    """Population, or port of one, that sends a signal of the feedback synapse."""
    side, _, port = signal.partition(".")
    population = projection.pre if side == "pre" else projection.post
    return f"{population}.{port}" if port else population


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
