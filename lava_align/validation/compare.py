"""Judging one candidate run against reference runs, with margins fixed beforehand.

With *paired* input the candidate saw the spikes of one reference run and is compared with that
run. With independent input it is compared with the mean of the reference runs, and a distance
counts as a difference only if none of the reference runs is as far from the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.recording import Recording
from lava_align.validation.endpoints import Absence, Endpoint, Forwards, average, distance, measure
from lava_align.validation.margins import Margin, Margins
from lava_align.validation.shape import shape_problems
from lava_align.validation.verdict import Outcome, Row, Verdict

_REMEDIES = {
    Absence.SILENT: "drive the population in both systems, or leave its endpoints out",
    Absence.CONSTANT: "let the weights learn in both systems, or leave the endpoint out",
    Absence.TOO_FEW_SPIKES: "a longer run, or a stronger drive",
    Absence.NOT_PROBED: "probe it",
    Absence.NO_SNAPSHOT: "record the weights after the last step",
    Absence.NOT_FINITE: "a run whose weights stay finite",
}


def judge(
    candidate: Recording,
    reference: Recording | Sequence[Recording],
    margins: Margins,
    forwards: Forwards,
    *,
    paired: bool,
) -> Verdict:
    """Compare a candidate run with the reference.

    Parameters
    ----------
    candidate : Recording
    reference : Recording or sequence of Recording
        ``paired``: the one reference run that had the candidate's input spikes. Otherwise at
        least ``margins.settings.min_runs`` reference runs, usually those behind ``margins``.
    margins : Margins
        From :func:`~lava_align.validation.margins.derive_margins`.
    forwards : mapping
        Plastic projection name to forward weights, shape (n_pre, n_post) of the projection.
    paired : bool
        Whether candidate and reference had the same input spikes.

    Returns
    -------
    Verdict
        EQUIVALENT: every primary endpoint inside its margin. DIFFERENT: one is outside, and
        without pairing also farther than any reference run; or a population is silent, or weights
        are constant, in one system alone. INCONCLUSIVE: anything else.

    Raises
    ------
    InvalidInputError
        If time step, length, populations, sizes or snapshots do not match, if ``paired`` is given
        several reference runs, or if both runs recorded their input and it differs.
    """
    references = (reference,) if isinstance(reference, Recording) else tuple(reference)
    problems = list(_problems(candidate, references, margins, paired))
    if problems:
        raise InvalidInputError(problems)
    settings = margins.settings.measure
    of_candidate = {e.name: e for e in measure(candidate, forwards, settings)}
    of_references = [{e.name: e for e in measure(r, forwards, settings)} for r in references]
    rows = tuple(
        _row(
            margin,
            _get(of_candidate, margin),
            [_get(measured, margin) for measured in of_references],
            margins,
            paired,
        )
        for margin in margins.margins
    )
    return Verdict(
        paired=paired,
        rows=rows,
        n_reference=margins.n_runs,
        margins_digest=margins.digest(),
        candidate_digest=candidate.digest(),
        reference_digests=tuple(r.digest() for r in references),
        notes=_notes(candidate, references, paired),
    )


def _get(measured: dict[str, Endpoint], margin: Margin) -> Endpoint:
    """Return the endpoint a margin belongs to; a run that knows nothing of it did not probe it."""
    absent = Endpoint(
        name=margin.name,
        kind=margin.kind,
        unit=margin.unit,
        values=np.empty(0),
        absence=Absence.NOT_PROBED,
    )
    return measured.get(margin.name, absent)


def _row(
    margin: Margin,
    candidate: Endpoint,
    references: Sequence[Endpoint],
    margins: Margins,
    paired: bool,
) -> Row:
    existing = [e for e in references if e.absence is None]
    mean = average(existing) if existing else references[0]
    gap = rank_p = inside = None
    if candidate.absence is None and mean.absence is None:
        gap = distance(candidate, mean)
        inside = None if margin.margin is None else gap <= margin.margin
        rank_p = None if paired else _rank_p(gap, margin.distances)
    needed = margins.settings.min_runs
    n_runs = min(len(margin.distances), needed if paired else len(existing))
    if gap is None:
        outcome, reason, remedy = _of_absence(candidate, references, mean)
    elif margin.margin is None or n_runs < needed:
        outcome, reason, remedy = _of_runs(margin, n_runs, needed)
    else:
        outcome, reason, remedy = _of_distance(gap, margin.margin, margin, paired)
    return Row(
        endpoint=margin.name,
        kind=margin.kind,
        unit=margin.unit,
        primary=margin.kind in margins.settings.primary,
        candidate=candidate.scalar,
        reference=mean.scalar,
        distance=gap,
        margin=margin.margin,
        inside=inside,
        rank_p=rank_p,
        candidate_left_out=candidate.left_out,
        reference_left_out=max(e.left_out for e in references),
        outcome=outcome,
        reason=reason,
        remedy=remedy,
    )


def _of_absence(
    candidate: Endpoint, references: Sequence[Endpoint], mean: Endpoint
) -> tuple[Outcome, str, str]:
    """Conclude from an endpoint that does not exist in the candidate or in the reference."""
    of_candidate, of_reference = candidate.absence, mean.absence
    of_runs = {e.absence for e in references}
    if of_candidate is not None and of_candidate.is_behaviour and of_runs == {None}:
        reason = f"{of_candidate.value} in the candidate, not in the reference"
        return Outcome.DIFFERENT, reason, ""
    # Every run must show it: a mean without a pattern can come from runs that have one.
    if (
        of_candidate is None
        and of_reference is not None
        and of_reference.is_behaviour
        and of_runs == {of_reference}
    ):
        reason = f"{of_reference.value} in the reference, not in the candidate"
        return Outcome.DIFFERENT, reason, ""
    found = {
        who: absence
        for who, absence in (("candidate", of_candidate), ("reference", of_reference))
        if absence is not None
    }
    reason = ", ".join(f"{absence.value} in the {who}" for who, absence in found.items())
    remedies = dict.fromkeys(_REMEDIES[absence] for absence in found.values())
    return Outcome.INCONCLUSIVE, reason, "; ".join(remedies)


def _of_runs(margin: Margin, n_runs: int, needed: int) -> tuple[Outcome, str, str]:
    """Conclude from too few reference runs that have the endpoint."""
    reason = f"{n_runs} reference runs have this endpoint, {needed} are needed"
    if margin.margin is None:
        reason = f"no margin: {margin.decided_by}, {needed} are needed"
    return Outcome.INCONCLUSIVE, reason, f"{needed - n_runs} more reference runs that have it"


def _of_distance(
    gap: float, limit: float, margin: Margin, paired: bool
) -> tuple[Outcome, str, str]:
    """Conclude from a distance and a margin that both exist."""
    numbers = f"distance {gap:.4g}, margin {limit:.4g} ({margin.decided_by})"
    if gap <= limit:
        return Outcome.EQUIVALENT, f"inside: {numbers}", ""
    if paired:
        return Outcome.DIFFERENT, f"outside: {numbers}", ""
    farthest = max(margin.distances)
    if gap > farthest:
        reason = f"outside: {numbers}; the farthest reference run is at {farthest:.4g}"
        return Outcome.DIFFERENT, reason, ""
    reason = f"outside: {numbers}; but a reference run is at {farthest:.4g}"
    remedy = "a run on the input of a reference run (paired), or longer runs, which vary less"
    return Outcome.INCONCLUSIVE, reason, remedy


def _rank_p(gap: float, distances: Sequence[float]) -> float:
    return (1 + sum(d >= gap for d in distances)) / (len(distances) + 1)


def _problems(
    candidate: Recording, references: Sequence[Recording], margins: Margins, paired: bool
) -> list[Problem]:
    found = []
    if not references or (paired and len(references) > 1):
        allowed = "the one run with the candidate's input" if paired else "at least one run"
        found.append(Problem("reference", f"{len(references)} runs", allowed))
    found += shape_problems(margins.shape, candidate, "candidate")
    for index, reference in enumerate(references):
        found += shape_problems(margins.shape, reference, f"reference run {index}")
    if paired and references:
        for name in sorted(set(candidate.stimuli) & set(references[0].stimuli)):
            if candidate.stimuli[name] != references[0].stimuli[name]:
                allowed = "the same input spikes, or paired=False"
                found.append(Problem(f"stimuli.{name}", "differs from the reference's", allowed))
    return found


def _notes(candidate: Recording, references: Sequence[Recording], paired: bool) -> tuple[str, ...]:
    if paired and not (candidate.stimuli and set(candidate.stimuli) == set(references[0].stimuli)):
        return ("The pairing is taken on trust: not every input was recorded in both runs.",)
    return ()
