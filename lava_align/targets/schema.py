"""The form of a target file: which facts a target states, and how a value is judged by one.

Public sources on these chips are incomplete and contradict each other, so a fact is never a bare
number: it carries its evidence and its source, other sources stand beside it, and a fact nobody
has published is listed as unknown instead of being left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

Evidence = Literal["published", "code", "derived", "estimate", "unknown"]
KnownEvidence = Literal["published", "code", "derived", "estimate"]
Severity = Literal["error", "advisory"]
Verdict = Literal["pass", "advisory", "unverified", "fail"]

T = TypeVar("T")
Text = Annotated[StrictStr, Field(min_length=1)]
Count = Annotated[StrictInt, Field(gt=0)]
Natural = Annotated[StrictInt, Field(ge=0)]
Number = Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)]


class _Table(BaseModel):
    """A TOML table: unknown keys are errors, contents are read-only."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Table):
    """Whole numbers from ``min`` to ``max``, both included."""

    min: StrictInt
    max: StrictInt

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self

    def __str__(self) -> str:
        return f"{self.min}..{self.max}"


class Alternative(_Table, Generic[T]):
    """What another source says about the same thing."""

    value: T
    evidence: KnownEvidence
    source: Text


class Fact(_Table, Generic[T]):
    """One figure of a target.

    Parameters
    ----------
    value
        A number is the most that is allowed, a range or a list what is allowed, true or false
        whether the chip has the feature. Absent exactly if the evidence is ``unknown``.
    severity : {"error", "advisory"}
        Whether breaking the limit stops a compilation or only earns a remark.
    evidence : {"published", "code", "derived", "estimate", "unknown"}
        Paper or vendor brief, open-source code, arithmetic on these, a guess, nothing.
    source : str
        The public source, or why there is none.
    unit : str, optional
    alternatives
        Sources that disagree.
    """

    value: T | None = None
    severity: Severity
    evidence: Evidence
    source: Text
    unit: Text | None = None
    alternatives: tuple[Alternative[T], ...] = ()

    @model_validator(mode="after")
    def _unknown_has_no_value(self) -> Fact[T]:
        if (self.evidence == "unknown") != (self.value is None):
            raise ValueError("a fact has a value, or evidence 'unknown' and no value")
        if self.value is None and self.alternatives:
            raise ValueError("a fact with alternatives is not unknown; state one as its value")
        return self

    def __bool__(self) -> bool:
        # `if target.learning.third_factor` would otherwise be true whatever the fact says.
        raise TypeError("a fact is neither true nor false; ask for its value")

    @property
    def values(self) -> tuple[T, ...]:
        """What each source says, the preferred one first; empty if unknown."""
        if self.value is None:
            return ()
        return (self.value, *(other.value for other in self.alternatives))

    def judge(self, used: int | str | bool) -> Verdict:
        """Judge a value.

        Where sources disagree a value fails only if every one of them refuses it; if some do,
        the verdict is ``advisory``. An unknown limit gives ``unverified``.
        """
        if self.value is None:
            return "unverified"
        admitted = [_admits(allowed, used) for allowed in self.values]
        if all(admitted):
            return "pass"
        return "advisory" if any(admitted) or self.severity == "advisory" else "fail"

    def describe(self) -> str:
        """Say what is allowed, in words short enough for a message."""
        if self.value is None:
            return "unknown"
        first, *others = (_describe(value) for value in self.values)
        return f"{first} (other sources: {', '.join(others)})" if others else first


class Given(Fact[T], Generic[T]):
    """A fact the compiler calculates with: a guess is allowed, silence is not."""

    value: T
    evidence: KnownEvidence


def _admits(allowed: Any, used: Any) -> bool:
    if isinstance(allowed, Range):
        return bool(allowed.min <= used <= allowed.max)
    if isinstance(allowed, tuple):
        return used in allowed
    return bool(used <= allowed)


def _describe(allowed: Any) -> str:
    if isinstance(allowed, tuple):
        return ", ".join(map(str, allowed))
    if isinstance(allowed, bool):
        return "yes" if allowed else "no"
    return str(allowed)


class CostFact(Given[Number]):
    """Energy or time of one event, or a static power."""

    unit: Text


class Topology(_Table):
    """Chips, tiles and cores."""

    chips: Given[tuple[Count, Count]]
    tiles_per_chip: Fact[tuple[Count, Count]]
    cores_per_tile: Fact[Count]
    cores_per_chip: Given[Count]
    embedded_processors_per_chip: Fact[Count]
    routing: Fact[Text]


class Limits(_Table):
    """Capacities. The chip-wide ones are left out where the ones per core imply them."""

    compartments_per_core: Fact[Count]
    synapse_memory_bits_per_core: Fact[Count]
    in_axons_per_core: Fact[Count]
    out_axons_per_core: Fact[Count]
    compartment_profiles_per_core: Fact[Count]
    threshold_profiles_per_core: Fact[Count]
    synapse_formats_per_core: Fact[Count]
    pre_trace_configs_per_core: Fact[Count]
    learning_rules_per_core: Fact[Count]
    epoch_lengths_per_core: Fact[Count]
    products_per_rule: Fact[Count]
    memory_bits_per_core: Fact[Count]
    routing_table_bytes_per_core: Fact[Count]
    spikes_into_chip_per_step: Fact[Count]
    neurons_per_chip: Fact[Count] | None = None
    synapses_per_chip: Fact[Count] | None = None


class Numbers(_Table):
    """Formats of neurons and synapses."""

    weight_bits: Fact[tuple[Count, ...]]
    weight_mixed: Fact[Range]
    weight_excitatory: Fact[Range]
    weight_inhibitory: Fact[Range]
    weight_exponent: Fact[Range]
    sign_modes: Fact[tuple[Text, ...]]
    delay: Fact[Range]
    du: Fact[Range]
    dv: Fact[Range]
    threshold: Fact[Range]
    bias_mantissa: Fact[Range]
    bias_exponent: Fact[Range]
    refractory: Fact[Range]
    current_bits: Fact[Count]
    current_overflow: Fact[Text]
    voltage_bits: Fact[Count]
    voltage_overflow: Fact[Text]
    graded_spike_bits: Fact[tuple[Natural, ...]]
    custom_neurons: Fact[StrictBool]


class Learning(_Table):
    """Formats of the learning engine."""

    grammar: Fact[Text]
    dependencies: Fact[tuple[Text, ...]]
    pre_traces: Fact[Count]
    post_traces: Fact[Count]
    trace: Fact[Range]
    impulse: Fact[Range]
    trace_tau: Fact[Range]
    tag: Given[Range]
    accumulator_bits: Fact[Count]
    mantissa: Fact[Range]
    exponent: Fact[Range]
    constant: Fact[Range]
    decimation: Fact[Range]
    epoch: Fact[Range]
    third_factor: Fact[StrictBool]


class Packing(_Table):
    """How synapses are laid out in memory and what the fields of a core are shared by."""

    word_bits: Given[Count]
    block_synapses: Given[Count]
    block_header_bits: Given[Natural]
    index_bits: Given[tuple[Natural, ...]]
    weight_grid_bits: Given[Count]
    delay_bits: Given[Natural]
    tag_bits: Given[Natural]
    in_axons_per_plastic_source: Given[Count]
    shared_per_core: Fact[tuple[Text, ...]]


class HardwareTarget(_Table):
    """A target: limits, number formats and cost constants, each with evidence and source.

    Made by :func:`lava_align.targets.load_target`. ``cost`` maps the name of a cost model to its
    constants.
    """

    format: Literal["hwdesc/1"] = Field(alias="schema")
    id: Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    family: Text
    title: Text
    revision: Text
    extends: Text | None = None
    topology: Topology
    limits: Limits
    number: Numbers
    learning: Learning
    packing: Packing
    cost: dict[str, dict[str, CostFact]] = {}
    _sha256: tuple[str, ...] = PrivateAttr(default=())

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the bytes of the target's file."""
        return self._sha256[0]

    @property
    def file_digests(self) -> tuple[str, ...]:
        """SHA-256 (hex) of the target's file and of every file it extends, nearest first."""
        return self._sha256

    @property
    def third_factor(self) -> bool:
        """Whether a neuron can hand its plastic synapses a third factor."""
        return self.learning.third_factor.value is True

    @property
    def graded_spikes(self) -> bool:
        """Whether spikes can carry a payload."""
        return any(bits > 0 for bits in self.number.graded_spike_bits.value or ())

    @property
    def custom_neurons(self) -> bool:
        """Whether neurons can run a program of the user's."""
        return self.number.custom_neurons.value is True

    @property
    def chips(self) -> int:
        """Number of chips."""
        rows, columns = self.topology.chips.value
        return rows * columns

    @property
    def cores(self) -> int:
        """Number of neurocores on all chips."""
        return self.chips * self.topology.cores_per_chip.value
