"""What a comparison found, row by row, and what may be said because of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from lava_align.errors import ExitCode, InvalidInputError, Problem

SCHEMA = "lava-align-verdict/1"


class Outcome(str, Enum):
    """The three things a comparison can end with."""

    EQUIVALENT = "EQUIVALENT"
    DIFFERENT = "DIFFERENT"
    INCONCLUSIVE = "INCONCLUSIVE"


_EXIT_CODES = {
    Outcome.EQUIVALENT: ExitCode.OK,
    Outcome.DIFFERENT: ExitCode.DIFFERENT,
    Outcome.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}

_CLAIMS = {
    (Outcome.EQUIVALENT, True): "With the same input, the candidate differs from the reference by "
    "less than the seed-to-seed variability of the reference.",
    (Outcome.EQUIVALENT, False): "The candidate is consistent with the seed-to-seed variability of "
    "the reference; one run on its own input can show no more.",
    (Outcome.DIFFERENT, True): "With the same input, the candidate differs from the reference by "
    "more than the seed-to-seed variability of the reference.",
    (Outcome.DIFFERENT, False): "The candidate differs from the reference by more than any of the "
    "reference runs differs from the others.",
    (Outcome.INCONCLUSIVE, True): "Nothing is claimed.",
    (Outcome.INCONCLUSIVE, False): "Nothing is claimed.",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """The finding on one endpoint.

    Parameters
    ----------
    endpoint, kind, unit : str
        What was compared.
    primary : bool
        False: reported, but without a say in the outcome.
    candidate, reference : float or None
        The values; None for a vector, whose comparison is the distance, or an absent endpoint.
    distance, margin : float or None
        None where an endpoint or the margin does not exist.
    inside : bool or None
        Whether the distance is at most the margin; None if it cannot be said.
    rank_p : float or None
        Without pairing: share of reference runs, candidate included, that are at least as far
        from the mean as the candidate. At the smallest 1 / (runs + 1).
    candidate_left_out, reference_left_out : int
        Neurons that could not enter the mean; of several reference runs the largest number.
    outcome : Outcome
        What this endpoint alone says.
    reason : str
        Why, in plain words.
    remedy : str
        For INCONCLUSIVE, what would decide it; else empty.
    """

    endpoint: str
    kind: str
    unit: str
    primary: bool
    candidate: float | None
    reference: float | None
    distance: float | None
    margin: float | None
    inside: bool | None
    rank_p: float | None
    candidate_left_out: int
    reference_left_out: int
    outcome: Outcome
    reason: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of a comparison with everything behind it.

    Parameters
    ----------
    paired : bool
        Whether candidate and reference had the same input spikes.
    rows : tuple of Row
        One per endpoint.
    n_reference : int
        Reference runs behind the margins.
    margins_digest : str
        SHA-256 of the margins, fixed before the candidate was read.
    candidate_digest : str
        SHA-256 of the candidate recording.
    reference_digests : tuple of str
        SHA-256 of the reference recordings it was compared with.
    notes : tuple of str
        What a reader must know besides, e.g. that the pairing could not be checked.
    """

    paired: bool
    rows: tuple[Row, ...]
    n_reference: int
    margins_digest: str
    candidate_digest: str
    reference_digests: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """DIFFERENT if one primary row is; else EQUIVALENT if all are; else INCONCLUSIVE."""
        outcomes = {row.outcome for row in self.rows if row.primary}
        if Outcome.DIFFERENT in outcomes:
            return Outcome.DIFFERENT
        return Outcome.EQUIVALENT if outcomes == {Outcome.EQUIVALENT} else Outcome.INCONCLUSIVE

    @property
    def claim(self) -> str:
        """The sentence this verdict entitles its reader to, and no more."""
        return _CLAIMS[self.outcome, self.paired]

    @property
    def findings(self) -> tuple[Row, ...]:
        """Primary rows that made the outcome what it is; empty for EQUIVALENT."""
        outcome = self.outcome
        if outcome is Outcome.EQUIVALENT:
            return ()
        return tuple(row for row in self.rows if row.primary and row.outcome is outcome)

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of a command that ends with this verdict."""
        return _EXIT_CODES[self.outcome]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts, strings and finite numbers, fit for JSON.

        The derived ``outcome`` and ``claim`` are included for readers without this package.
        """
        plain = asdict(self)
        for row in plain["rows"]:
            row["outcome"] = row["outcome"].value
        derived = {"outcome": self.outcome.value, "claim": self.claim}
        return {"schema": SCHEMA, **derived, **plain}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """Undo :meth:`to_dict`, also after a way through JSON.

        Raises
        ------
        InvalidInputError
            If ``data`` is not such a dictionary, or its outcome does not follow from its rows.
        """
        try:
            if data["schema"] != SCHEMA:
                raise ValueError(f"schema {data['schema']!r}")
            verdict = cls(
                paired=data["paired"],
                rows=tuple(
                    Row(**{**row, "outcome": Outcome(row["outcome"])}) for row in data["rows"]
                ),
                n_reference=data["n_reference"],
                margins_digest=data["margins_digest"],
                candidate_digest=data["candidate_digest"],
                reference_digests=tuple(data["reference_digests"]),
                notes=tuple(data["notes"]),
            )
            if data["outcome"] != verdict.outcome.value:
                found = f"outcome {data['outcome']}, rows say {verdict.outcome.value}"
                raise ValueError(found)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(Problem("verdict", repr(error), f"a {SCHEMA} value")) from error
        return verdict
