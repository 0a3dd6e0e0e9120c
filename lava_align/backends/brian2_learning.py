"""A rule's statements under the names they have in the groups, and when they are executed.

Two rules may put variables of the same name on one population, so each gets a prefix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lava_align.backends.brian2_rules import Event, ReferenceForm, Traces, rename
from lava_align.model.network import Projection
from lava_align.rules.registry import get_rule

# Events come after the statements at spikes, which have orders 0 and 1 in the same slot.
EVENT_SLOT = "after_resets"
FIRST_EVENT = 10
BETWEEN_EVENTS = 10


@dataclass(frozen=True, kw_only=True)
class PlacedEvent:
    """An event with the groups' names, and the order of its parts within :data:`EVENT_SLOT`.

    Parameters
    ----------
    event : Event
        ``event.name`` is the name in the group.
    label : str
        Name in the rule.
    order : int
        Of ``every_step``; the condition, the synapses' statements and recording, and the neuron's
        statements follow one after the other.
    """

    event: Event
    label: str
    order: int

    @property
    def condition_order(self) -> int:
        """When the condition is looked at."""
        return self.order + 1

    @property
    def synapse_order(self) -> int:
        """When the synapses' statements are executed."""
        return self.order + 2

    @property
    def neuron_order(self) -> int:
        """When the neuron's statements are executed."""
        return self.order + 3


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A plastic projection's rule with the names its variables and parameters have there."""

    form: ReferenceForm
    parameters: Mapping[str, Any]
    prefix: str

    @classmethod
    def of(cls, brian2: Any, projection: Projection, prefix: str) -> Learner:
        """Look up the rule of a plastic projection and complete its parameters."""
        plasticity = projection.plasticity
        assert plasticity is not None  # only called for plastic projections
        rule = get_rule(plasticity.rule, f"projections.{projection.name}.rule")
        form = rule.reference
        assert form is not None  # see brian2_checks
        values = rule.complete(plasticity.parameters, f"projections.{projection.name}")
        parameters = {
            name: values[name] * (1 if unit == "1" else getattr(brian2, unit))
            for name, unit in form.units.items()
        }
        return cls(form=form, parameters=parameters, prefix=prefix)

    def traces(self, side: str) -> Traces:
        """Traces on the ``pre`` or ``post`` population under their own names there."""
        traces: Traces = getattr(self.form, side).solved()
        names = self._group_names(side)
        return replace(
            traces,
            equations=rename(traces.equations, names),
            on_spike=rename(traces.on_spike, names),
            every_step=rename(traces.every_step, names),
        )

    def events(self, side: str) -> Iterator[PlacedEvent]:
        """Events on the ``pre`` or ``post`` population."""
        names = self._group_names(side)
        for index, event in enumerate(self.form.events):
            if event.side == side:
                yield PlacedEvent(
                    event=replace(
                        event,
                        name=self._name(event.name, side),
                        condition=rename(event.condition, names),
                        every_step=rename(event.every_step, names),
                        neuron=rename(event.neuron, names),
                        synapses=self.statement(event.synapses),
                        value=rename(event.value, names),
                    ),
                    label=event.name,
                    order=FIRST_EVENT + BETWEEN_EVENTS * index,
                )

    def group_namespace(self) -> dict[str, Any]:
        """Parameters under the names that :meth:`traces` and :meth:`events` use."""
        return {self.prefix + name: value for name, value in self.parameters.items()}

    def statement(self, code: str) -> str:
        """Synaptic statement with the groups' names for the traces."""
        names = {
            f"{name}_{side}": f"{self._name(name, side)}_{side}"
            for side in ("pre", "post")
            for name in getattr(self.form, side).names
        }
        return rename(code, names)

    def _group_names(self, side: str) -> dict[str, str]:
        names = {name: self.prefix + name for name in self.parameters}
        for name in getattr(self.form, side).names:
            names |= {name: self._name(name, side), f"d{name}": f"d{self._name(name, side)}"}
        return names

    def _name(self, name: str, side: str) -> str:
        return f"{self.prefix}{side}_{name}"


def dedent(code: str) -> str:
    """Statements one a line, without indentation and blank lines."""
    return "\n".join(line.strip() for line in code.splitlines() if line.strip())


def learning_pathways(learner: Learner) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Synaptic statements at events of the pre and of the post side, and the event of each.

    Returns
    -------
    on_pre, on_post : dict
        Name of the pathway to statements.
    on_event : dict
        Name of the pathway to the name of the event in the group, for events beside spikes.
    """
    form = learner.form
    pathways: dict[str, dict[str, str]] = {"pre": {}, "post": {}}
    on_event = {}
    for side, code in (("pre", form.on_pre), ("post", form.on_post)):
        if code:
            pathways[side][f"learn_{side}"] = dedent(learner.statement(code))
        for placed in learner.events(side):
            if placed.event.synapses:
                name = f"at_{placed.event.name}"
                pathways[side][name] = dedent(placed.event.synapses)
                on_event[name] = placed.event.name
    return pathways["pre"], pathways["post"], on_event


def schedule(synapses: Any, learner: Learner) -> None:
    """Place learning after transmission, and before or after the traces take the step's spikes.

    Traces take spikes in the slot ``resets``. Transmission always uses the weight the step began
    with.
    """
    form = learner.form
    for side in ("pre", "post"):
        pathway = getattr(synapses, f"learn_{side}", None)
        if pathway is not None:
            pathway.when = EVENT_SLOT if form.own_step_counts else "after_synapses"
            pathway.order = 0 if side == form.first else 1
        for placed in learner.events(side):
            if placed.event.synapses:
                pathway = getattr(synapses, f"at_{placed.event.name}")
                pathway.when, pathway.order = EVENT_SLOT, placed.synapse_order
