"""What pydantic finds wrong with an experiment file, said in the file's own words.

A faulty file is also repaired with stand-ins, so that the parts that are well-formed can be
checked against each other and a user hears of everything at once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from lava_align.errors import Problem

Path = tuple[int | str, ...]

_NEURONS = {"lif", "escape"}
_KINDS = {"normal", "uniform", "constant", "file", "poisson", "images", "spikes", "mixed"}

_WORDS = {
    "missing": "this key is required",
    "string_type": "a string",
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "list_type": "a list",
    "finite_number": "a finite number",
    "int_parsing_size": "a smaller number",
}

_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}

_STAND_INS: dict[str, Any] = {
    "schema": "lava-align-experiment/1",
    "size": 1,
    "tau_m": "10 ms",
    "tau_syn": "10 ms",
    "refractory": "10 ms",
    "pre": "",
    "post": "",
    "name": "",
    "mirrors": "",
    "population": "",
    "weight": 0.0,
    "weights": {"kind": "constant", "value": 0.0},
    "mean": 0.0,
    "sd": 0.0,
    "low": 0.0,
    "high": 0.0,
    "value": 0.0,
    "rate": "0 Hz",
    "max_rate": "0 Hz",
    "drive": {"kind": "poisson", "rate": "0 Hz"},
}
"""Valid values for required keys, put in so that the rest of a faulty file can be checked too."""


def key_path(loc: tuple[int | str, ...]) -> Path:
    """Path of keys without the discriminator values that pydantic puts in between."""
    path: list[int | str] = []
    for index, part in enumerate(loc):
        previous = path[-1] if path else ""
        inserted = part in _KINDS and (
            previous in ("weights", "drive") or isinstance(previous, int)
        )
        inserted |= index == 2 and loc[0] == "populations" and part in _NEURONS
        if not inserted and part not in ("str", "float"):
            path.append(part)
    return tuple(path)


def shown_path(path: Path) -> str:
    """Write a path of keys as ``stimuli.input.drive.parts[0].rate``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "the file"


def table_problems(error: ValidationError) -> Iterator[Problem]:
    """Say pydantic's findings in our words: key path, value, what is allowed."""
    seen: set[str] = set()
    for item in error.errors(include_url=False):
        path, kind, context = key_path(item["loc"]), item["type"], item.get("ctx", {})
        value = item.get("input")
        found = "a table" if isinstance(value, Mapping) else _shortened(repr(value))
        allowed = _WORDS.get(kind, item["msg"].removeprefix("Value error, "))
        for bound, words in _BOUNDS.items():
            if bound in context:
                allowed = f"{words} {context[bound]}"
        if kind == "extra_forbidden":
            found, allowed = "unknown key", "remove it, or see `lava-align example`"
        elif kind == "missing":
            found = "missing"
        elif kind == "union_tag_invalid":
            path, found = (*path, "kind"), _shortened(repr(context["tag"]))
            allowed = f"one of: {context['expected_tags']}"
        elif kind == "union_tag_not_found":
            path, found = (*path, "kind"), "missing"
            allowed = "this key is required and says which kind is meant"
        elif kind == "literal_error":
            allowed = f"one of: {context['expected']}"
        elif path[-2:-1] == ("parameters",):
            allowed = "a number, or a string with a unit"
        elif kind == "too_short":
            found, allowed = "none", "at least one"
        where = shown_path(path)
        # A value that may be one of two types is complained of twice.
        if where not in seen:
            seen.add(where)
            yield Problem(where, found, allowed[:1].lower() + allowed[1:])


def is_consequence(problem: Problem, error: ValidationError) -> bool:
    """Whether a problem found after the repair may come from a stand-in and not from the user."""
    for item in error.errors(include_url=False):
        path = key_path(item["loc"])
        if item["type"] == "extra_forbidden":
            continue
        faulty = shown_path(path[:2])
        if problem.where == faulty or problem.where.startswith((f"{faulty}.", f"{faulty} ")):
            return True
        if len(path) > 1 and f"'{path[1]}'" in problem.value:
            return True
        if path[-1:] == ("size",) and problem.where.endswith((".weights", ".images", ".neurons")):
            return True
    return False


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def repaired(content: Mapping[str, Any], error: ValidationError) -> dict[str, Any]:
    """Copy a faulty file's content with its faults taken out, so that the rest can be checked."""
    made = copy.deepcopy(dict(content))
    # Backwards, so that the indices of lists stay valid.
    for item in sorted(error.errors(), key=lambda e: tuple(map(str, e["loc"])), reverse=True):
        path = key_path(item["loc"])
        if path:
            _repair(made, path)
    return made


def _repair(content: Any, path: Path) -> None:
    """Put a stand-in under ``path``, or take away what is there."""
    for part in path[:-1]:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return
    key = path[-1]
    if key in _STAND_INS:
        content[key] = copy.deepcopy(_STAND_INS[str(key)])
    elif isinstance(content, dict):
        content.pop(key, None)
    elif isinstance(content, list) and isinstance(key, int) and key < len(content):
        del content[key]
