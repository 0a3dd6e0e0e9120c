"""How the report says numbers and findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NONE = "–"

_SIMULATORS = {
    "native": "lava_align's own integer engine, made to equal Lava's fixed-point CPU model",
    "lava-fixed_pt": "Lava's fixed-point CPU model, a simulation",
    "lava-floating_pt": "Lava's floating-point CPU model, a simulation",
    "brian2": "Brian2, a floating-point simulation of the paper's equations",
}

# Without the same input there is no claim of sameness, only of nothing seen against it.
_SENTENCES = {
    ("EQUIVALENT", True): "The chip form behaves as the reference does.",
    ("EQUIVALENT", False): "The chip form is consistent with the reference.",
    ("DIFFERENT", True): "The chip form does not behave as the reference does.",
    ("DIFFERENT", False): "The chip form does not behave as the reference does.",
    ("INCONCLUSIVE", True): "It cannot be said whether the chip form behaves as the reference.",
    ("INCONCLUSIVE", False): "It cannot be said whether the chip form behaves as the reference.",
}


def number(value: Any) -> str:
    """Four significant digits, a true minus sign, a dash for what does not exist."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        text = str(value)
    elif isinstance(value, float):
        text = f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"
    else:
        return str(value)
    return text.replace("-", "−") if "e" not in text else _scientific(text)


def _scientific(text: str) -> str:
    mantissa, exponent = text.split("e")
    power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa.replace('-', '−')}×10{power}"


def percent(share: float | None) -> str:
    """Return a share in percent, without digits that say nothing."""
    if share is None:
        return NONE
    return f"{100 * share:.0f} %" if abs(share) >= 0.01 or share == 0 else f"{100 * share:.2g} %"


def signed_percent(share: float | None) -> str:
    """Return a relative error in percent, with its sign."""
    if share is None:
        return NONE
    if share == 0:
        return "0 %"
    sign = "−" if share < 0 else "+"
    size = 100 * abs(share)
    return f"{sign}{size:.0f} %" if size >= 10 else f"{sign}{size:.2g} %"


def duration_text(seconds: float | None) -> str:
    """Return a time with the unit that suits it."""
    if seconds is None:
        return NONE
    if seconds != 0 and abs(seconds) < 0.1:
        return f"{number(seconds * 1e3)} ms"
    return f"{number(float(seconds))} s"


def phrase(name: str) -> str:
    """Return an identifier as words."""
    return str(name).replace("_", " ")


def system_note(backend: str) -> dict[str, Any]:
    """What a backend's name says about where its run took place.

    A name that is not one of our simulators belongs to a recording somebody brought, about which
    nothing is known here.
    """
    known = backend in _SIMULATORS
    return {
        "backend": backend,
        "simulated": known,
        "text": _SIMULATORS.get(backend, "a recording from elsewhere"),
    }


def verdict_sentence(verdict: Mapping[str, Any]) -> dict[str, str]:
    """The verdict as a sentence, and one more on what it rests on."""
    outcome = verdict["outcome"]
    rows = [row for row in verdict["rows"] if row["primary"]]
    found = [row["endpoint"] for row in rows if row["outcome"] == outcome]
    listed = ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")
    count = f"{len(found)} of {len(rows)} endpoints"
    detail = {
        "EQUIVALENT": f"{count} lie inside margins fixed before the chip form was looked at.",
        "DIFFERENT": f"{count} differ: {listed}.",
        "INCONCLUSIVE": f"{count} undecided: {listed or 'there is nothing to compare'}.",
    }[outcome]
    return {"word": outcome, "sentence": _SENTENCES[outcome, verdict["paired"]], "detail": detail}


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and texts of a nested mapping by name; names joined by dots, lists by commas.

    The order is that of the names because a mapping from a JSON file may come in any.
    """
    for key, value in sorted(values.items()):
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}.")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(number(entry) for entry in value)
        else:
            yield name, number(value)
