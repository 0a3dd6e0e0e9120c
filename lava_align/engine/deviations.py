"""Where lava-nc 0.10.0 departs from what is documented of the chip, one by one.

The engine reproduces all of them under the semantics ``lava-0.10.0``. What the chip does is what
Intel's papers, tutorials and Lava's own comments say; nothing here was measured on a chip.
"""

from __future__ import annotations

from dataclasses import dataclass

from lava_align.engine.base import Semantics


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """One departure.

    Parameters
    ----------
    key : str
        Its name in the documentation.
    lava : str
        What Lava's integer models do.
    chip : str
        What the chip is documented to do.
    source : str
        Where, below ``lava/`` of lava-nc 0.10.0.
    changed_by : str or None
        The semantics that do as documented; None if all do as Lava.
    """

    key: str
    lava: str
    chip: str
    source: str
    changed_by: Semantics | None = None


CONNECTION = "magma/core/model/py/connection.py"
APPLIER = "magma/core/learning/learning_rule_applier.py"

DEVIATIONS = (
    Deviation(
        key="shared-synapse-rounding",
        lava="one random number per epoch rounds all synapses, and dw, dd and dt alike",
        chip="every update is rounded by itself",
        source=f"{CONNECTION}:936-973",
        changed_by="independent-rounding",
    ),
    Deviation(
        key="shared-trace-rounding",
        lava="one random number per learning epoch rounds x1 and x2 of all neurons in all of its "
        "steps, another one y1, y2 and y3",
        chip="every trace is rounded by itself in every step",
        source=f"{CONNECTION}:832-849",
        changed_by="independent-rounding",
    ),
    Deviation(
        key="fixed-synapse-seed",
        lava="synapses of every projection are rounded with seed 2, whatever rng_seed is",
        chip="cores have random numbers of their own",
        source=f"{CONNECTION}:692",
        changed_by="independent-rounding",
    ),
    Deviation(
        key="fractional-impulse",
        lava="the fraction of an impulse is added with twice its probability; impulses are whole "
        "numbers here, so that this never happens",
        chip="the fraction is the probability",
        source=f"{CONNECTION}:669 against magma/core/learning/random.py:50",
    ),
    Deviation(
        key="shift-not-undone",
        lava="a product of several factors is shifted right by sum(widths) + 4 - 15 bits, which "
        "nothing makes up for, and rounded towards minus infinity",
        chip="a product has the value that is written",
        source=f"{APPLIER}:303-315",
    ),
    Deviation(
        key="mac-wrap",
        lava="a product wraps at 32 bits before it is shifted",
        chip="not documented; a change of sign is not expected",
        source=f"{APPLIER}:271-306",
    ),
    Deviation(
        key="accumulator-floor",
        lava="accumulators stop at -32769, one below 16 bits",
        chip="accumulators have 15 bits and a sign",
        source=f"{APPLIER}:317-326",
    ),
    Deviation(
        key="tag-floor",
        lava="tag 1 goes down to -257, one below 9 bits",
        chip="a tag has at most 8 bits and a sign",
        source=f"{CONNECTION}:1162-1166",
    ),
    Deviation(
        key="odd-mixed-weights",
        lava="learned weights of mixed sign may be odd; only initial ones are made even",
        chip="the lowest of 9 bits is always 0",
        source=f"{CONNECTION}:1130-1142, utils/weightutils.py:204-247",
    ),
    Deviation(
        key="learned-weight-bits",
        lava="weight_bits truncates initial weights only; learned ones have full resolution",
        chip="a stored weight has weight_bits",
        source="proc/dense/models.py:164-172",
    ),
    Deviation(
        key="unclipped-initial-weights",
        lava="initial weights of plastic synapses are not clipped before the first learning epoch",
        chip="a stored weight has 8 bits and a sign",
        source="proc/dense/models.py:164-172",
    ),
    Deviation(
        key="last-spike-of-epoch",
        lava="of several spikes of a neuron in an epoch only the last has a time; the impulses of "
        "the others count as if they had come when the epoch began",
        chip="further spikes of an epoch add their impulses; how is not documented",
        source=f"{CONNECTION}:719-788, 832-869",
    ),
    Deviation(
        key="third-factor-range",
        lava="y1, y2, y3 of a three-factor rule may be negative or above 127; a postsynaptic spike "
        "clips them to 0..127 for the rest of its epoch",
        chip="traces have 7 bits without sign",
        source=f"{CONNECTION}:397-412, 930-934",
    ),
    Deviation(
        key="third-factor-decay",
        lava="y1, y2, y3 of a three-factor rule decay by exp(-1/65535), rounded stochastically, "
        "between their arrival and their use",
        chip="they are used as they are written",
        source="magma/core/learning/learning_rule.py:743-748",
    ),
    Deviation(
        key="payload-wrap",
        lava="half a payload is rounded to even and taken modulo 256, so that 255 gives a trace of "
        "128",
        chip="a trace has at most 127",
        source=f"{CONNECTION}:722",
    ),
    Deviation(
        key="payload-of-all",
        lava="with added payloads every trace x1 is wrapped and limited in every step, also of "
        "neurons that are silent",
        chip="a payload acts on the trace of its own neuron",
        source=f"{CONNECTION}:738-754",
    ),
    Deviation(
        key="learned-delay-inert",
        lava="tag 2 is learned and delays nothing",
        chip="it is the delay of the synapse",
        source=f"{CONNECTION}:123",
    ),
    Deviation(
        key="current-wraps-once",
        lava="a current outside 24 bits is moved by 2^24 once, so that it can stay outside, and "
        "-2^23 becomes 2^23",
        chip="registers have 24 bits",
        source="proc/lif/models.py:157-173",
    ),
)
