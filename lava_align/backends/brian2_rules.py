"""How a weight-alignment rule is told to the Brian2 reference.

A rule is written down as its paper writes it: differential equations of traces, statements at
spikes. Nothing here imports Brian2, so that rules can be listed without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

# A differential equation, a subexpression or a plain variable.
_VARIABLE = re.compile(r"^\s*(?:d(\w+)\s*/\s*dt|(\w+))\s*[=:]", re.MULTILINE)
# A trace that only decays: its own name on both sides, one time constant.
_DECAY = re.compile(r"^\s*d(\w+)\s*/\s*dt\s*=\s*-\s*\1\s*/\s*(\w+)\s*:\s*1\s*$", re.MULTILINE)


def variable_names(equations: str) -> tuple[str, ...]:
    """Names that equations in Brian2's notation define, in their order."""
    return tuple(of_time or plain for of_time, plain in _VARIABLE.findall(equations))


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What a rule adds to every neuron of a population; one copy per neuron, not per synapse.

    Parameters
    ----------
    equations : str
        Brian2's notation, one a line: linear differential equations such as
        ``df/dt = -f / tau : 1``, variables that only statements change (``count : 1``), and, for
        the population's own statements, quantities computed from others (``q = f - s : 1``).
        Variables start at 0.
    on_spike : str
        Statements executed for a neuron in the step it spikes.
    every_step : str
        Statements executed in every step after the differential equations have moved on, before a
        refractory membrane is held and before neurons spike.
    membrane : bool
        Whether the statements refer to a LIF neuron's ``v``, ``tau_m`` or ``v_threshold``; other
        neurons are then refused.
    """

    equations: str = ""
    on_spike: str = ""
    every_step: str = ""
    membrane: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return variable_names(self.equations)

    def solved(self) -> Traces:
        """Write traces that only decay as their exact step, ``x *= exp(-dt / tau)``.

        Brian2 solves all equations of a group as one system, symbolically, and every further one
        makes that much slower: with a dozen it takes minutes.
        """
        steps = [f"{name} *= exp(-dt / {tau})" for name, tau in _DECAY.findall(self.equations)]
        return replace(
            self,
            equations=_DECAY.sub(r"\1 : 1", self.equations),
            every_step="\n".join([*steps, self.every_step]),
        )


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happens to a neuron at the end of a step, and what then is done.

    Parameters
    ----------
    name : str
        Unique among the events of its side.
    side : {"pre", "post"}
        Whether it happens to upper (pre) or to lower (post) neurons.
    condition : str
        Of the neuron's variables; the event happens where it is true.
    every_step : str
        Statements executed for every neuron of that side before the condition is looked at.
    synapses : str
        Statements executed for every synapse of a neuron to which the event happens.
    neuron : str
        Statements executed after those for the neuron itself.
    recorded : bool
        Whether the recording keeps the event, as spikes of ``population.name``.
    value : str
        Variable of the neuron kept with every recorded event; empty for none.
    """

    name: str
    side: Literal["pre", "post"]
    condition: str
    every_step: str = ""
    synapses: str = ""
    neuron: str = ""
    recorded: bool = False
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class ReferenceForm:
    """A rule on the feedback projection from upper neurons (pre) to lower neurons (post).

    In synaptic statements ``w`` is the feedback weight, ``x_pre`` and ``x_post`` are the variable
    ``x`` of the upper and of the lower neuron, and parameters go by their own names. The names
    ``w``, ``v``, ``t`` and ``dt`` cannot be given to variables or parameters.

    Parameters
    ----------
    units : mapping
        Every parameter of the rule and its SI unit by Brian2's name (``second``, ``hertz``), or
        ``1`` for a pure number.
    pre, post : Traces
        What the upper and the lower neurons have besides their own equations.
    synapse : str
        Variables a synapse has besides ``w``, such as ``slope : 1``; they start at 0.
    on_pre, on_post : str
        Statements executed for every synapse of an upper, or of a lower, neuron that spikes.
    own_step_counts : bool
        Whether statements at a spike see the traces with the spikes of the same step already in.
    first : {"pre", "post"}
        Whose statements go first when both ends of a synapse spike in one step.
    events : tuple of Event
        What happens at the end of a step, after spikes, resets and the statements at spikes, one
        event after the other in this order.
    """

    units: Mapping[str, str] = field(default_factory=dict)
    pre: Traces = Traces()
    post: Traces = Traces()
    synapse: str = ""
    on_pre: str = ""
    on_post: str = ""
    own_step_counts: bool = True
    first: Literal["pre", "post"] = "pre"
    events: tuple[Event, ...] = ()


def rename(code: str, names: Mapping[str, str]) -> str:
    """Replace whole words of ``code``."""
    if not names:
        return code
    words = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
    return words.sub(lambda match: names[match.group(1)], code)
