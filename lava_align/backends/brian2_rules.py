"""How a weight-alignment rule is told to the Brian2 reference.

A rule is written down as its paper writes it: differential equations of traces, statements at
spikes. Nothing here imports Brian2, so that rules can be listed without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

_TRACE = re.compile(r"^\s*d(\w+)\s*/\s*dt\b", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What a rule adds to every neuron of a population; one copy per neuron, not per synapse.

    Parameters
    ----------
    equations : str
        Linear differential equations in Brian2's notation, one a line, such as
        ``df/dt = -f / tau : 1``. Traces start at 0.
    on_spike : str
        Statements executed for a neuron in the step it spikes.
    """

    equations: str = ""
    on_spike: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the traces."""
        return tuple(_TRACE.findall(self.equations))


@dataclass(frozen=True, kw_only=True)
class ReferenceForm:
    """A rule on the feedback projection from upper neurons (pre) to lower neurons (post).

    In synaptic statements ``w`` is the feedback weight, ``x_pre`` and ``x_post`` are the trace
    ``x`` of the upper and of the lower neuron, and parameters go by their own names. The names
    ``w``, ``v``, ``t`` and ``dt`` cannot be given to traces or parameters.

    Parameters
    ----------
    units : mapping
        Every parameter of the rule and its SI unit by Brian2's name (``second``, ``hertz``), or
        ``1`` for a pure number.
    pre, post : Traces
        Traces of the upper and of the lower neurons.
    on_pre, on_post : str
        Statements executed for every synapse of an upper, or of a lower, neuron that spikes.
    own_step_counts : bool
        Whether statements at a spike see the traces with the spikes of the same step already in.
    first : {"pre", "post"}
        Whose statements go first when both ends of a synapse spike in one step.
    """

    units: Mapping[str, str] = field(default_factory=dict)
    pre: Traces = Traces()
    post: Traces = Traces()
    on_pre: str = ""
    on_post: str = ""
    own_step_counts: bool = True
    first: Literal["pre", "post"] = "pre"


def rename(code: str, names: Mapping[str, str]) -> str:
    """Replace whole words of ``code``."""
    if not names:
        return code
    words = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
    return words.sub(lambda match: names[match.group(1)], code)
