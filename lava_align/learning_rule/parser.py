"""Reads sums of products, and rejects what Lava 0.10.0 would misread or fail on.

Lava's own reader (``symbolic_equation.py``, ``product_series.py``) takes the text symbol by symbol
and has no grammar, so much that is wrong passes: ``x1**2`` is read as ``2*x1``, ``(2*x1)`` as
``x1 + 2``, ``sgn(-w)`` as ``sgn(w)``, ``u10`` as ``0*u1``, ``x0*-2*y0*w`` as ``x0 - 2*y0*w``,
``(x1 + 2 + 3)`` as ``x1 + 2``, ``(-x1)`` as ``x1``, and ``(x0)`` as nothing. The language here is
the part of Lava's on which it does as written::

    expression = ["+" | "-"] product {("+" | "-") product}
    product    = atom {"*" atom}
    atom       = number | "(" ["+" | "-"] scaling ")" | dependency | variable
               | "(" sum ")" | "sgn(" sum ")"
    sum        = variable and constant, added or subtracted in either order, or one variable
    scaling    = number | integer "*" "2^" integer
    number     = integer | "2^" ["+" | "-"] integer

Brackets hold no brackets, so cutting at the signs and asterisks outside brackets leaves atoms that
regular expressions recognise; every atom is looked at, so all findings come at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from lava_align.errors import InvalidInputError, Problem
from lava_align.learning_rule.terms import (
    COEFFICIENTS,
    CONSTANT_MAX,
    CONSTANT_MIN,
    DEPENDENCIES,
    SPIKE_DEPENDENCIES,
    Factor,
    Product,
)

_NAME = r"[A-Za-z_][A-Za-z_0-9]*"
_INTEGER = r"(?:0|[1-9][0-9]{0,8})"
_SCALING = rf"(?:{_INTEGER}\*)?2\^[+-]?{_INTEGER}|{_INTEGER}"

_GAP = re.compile(r"([A-Za-z_0-9.]+)\s+([A-Za-z_0-9.]+)")
_NUMBER_ATOM = re.compile(rf"2\^[+-]?{_INTEGER}|{_INTEGER}")
_DECIMAL = re.compile(r"[0-9]*\.[0-9]*|[0-9.]+[eE][+-]?[0-9]+")
_SCALING_IN_BRACKETS = re.compile(rf"([+-]?)({_SCALING})")
_VARIABLE_FIRST = re.compile(rf"([+-]?)({_NAME})(?:([+-])({_SCALING}))?")
_CONSTANT_FIRST = re.compile(rf"([+-]?)({_SCALING})([+-])({_NAME})")

_SUMS = "(var + c), (var - c) or (c - var) with one variable and one whole number"

Scaling = tuple[int, int]
"""Mantissa and exponent."""


class _Fault(Exception):
    """Something wrong with one atom: what it is, what is allowed."""

    def __init__(self, value: str, allowed: str) -> None:
        super().__init__(value)
        self.value, self.allowed = value, allowed


def parse_products(text: str, where: str) -> tuple[Product, ...]:
    """Read the products of ``text``; ``where`` names the expression in problems.

    Raises
    ------
    InvalidInputError
        With one problem per finding, each naming the product it is in.
    """
    problems = list(_text_problems(text, where))
    if problems:
        raise InvalidInputError(problems)
    products = []
    for part in _cut_products(re.sub(r"\s+", "", text)):
        try:
            products.append(_product(part, f"{where}, product '{part}'"))
        except InvalidInputError as error:
            problems.extend(error.problems)
    if problems:
        raise InvalidInputError(problems)
    return tuple(products)


def _text_problems(text: object, where: str) -> Iterator[Problem]:
    if not isinstance(text, str):
        yield Problem(where, repr(text), "text such as '2^-3*x0*y1'")
        return
    if not text.strip():
        yield Problem(where, "empty", "at least one product, such as '2^-3*x0*y1'")
    for character in sorted(set(re.sub(r"[A-Za-z_0-9\s+\-*/^().]", "", text))):
        yield Problem(where, f"character {character!r}", "names, whole numbers and + - * ^ ( )")
    for gap in _GAP.finditer(text):
        yield Problem(
            where,
            f"no operator between '{gap[1]}' and '{gap[2]}' in '{gap[0]}'",
            f"write {gap[1]}*{gap[2]}",
        )
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
    if depth != 0:
        yield Problem(where, f"unbalanced brackets in '{text.strip()}'", "a ) for every (")


def _outside(text: str, characters: str) -> Iterator[int]:
    """Positions of ``characters`` outside brackets."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and character in characters:
            yield position


def _cut_products(text: str) -> list[str]:
    """Cut at the signs between products; each part keeps its sign."""
    parts, start = [], 0
    for position in _outside(text, "+-"):
        # A sign after ^ belongs to the exponent, one after * or / or in 1e-3 to a faulty atom.
        if position > start and not re.search(r"[\^*/]$|[0-9][eE]$", text[start:position]):
            parts.append(text[start:position])
            start = position
    return [*parts, text[start:]]


def _cut_atoms(text: str) -> list[str]:
    cuts = [-1, *_outside(text, "*"), len(text)]
    return [text[a + 1 : b] for a, b in pairwise(cuts)]


def _product(text: str, where: str) -> Product:
    sign = -1 if text.startswith("-") else 1
    body = text[1:] if text[:1] in ("+", "-") else text
    if not body:
        raise InvalidInputError(Problem(where, f"sign '{text}' with no product", "one sign each"))
    if "**" in body:
        raise InvalidInputError(
            Problem(where, "power '**'", "no powers: write the factor again, as in x1*x1")
        )
    mantissa, exponent = sign, 0
    dependency: str | None = None
    factors: list[Factor] = []
    problems: list[Problem] = []
    for atom in _cut_atoms(body):
        try:
            (by, plus), term = _atom(atom)
            if isinstance(term, str):
                dependency, term = _gate(dependency, term)
        except _Fault as fault:
            problems.append(Problem(where, fault.value, fault.allowed))
        except InvalidInputError as error:
            problems.extend(_placed(error, where))
        else:
            mantissa, exponent = mantissa * by, exponent + plus
            if term is not None:
                factors.append(term)
    # A faulty atom that names a dependency was meant to be it.
    if dependency is None and not (problems and re.search("x0|y0|u", body)):
        problems.append(Problem(where, "no dependency", "each product needs one of x0, y0, u0..u9"))
    try:
        product = Product(mantissa, exponent, dependency or "x0", tuple(factors))
    except InvalidInputError as error:
        problems.extend(_placed(error, where))
    if problems:
        raise InvalidInputError(problems)
    return product


def _placed(error: InvalidInputError, where: str) -> Iterator[Problem]:
    for problem in error.problems:
        yield Problem(where, f"{problem.where}: {problem.value}", problem.allowed)


def _gate(dependency: str | None, name: str) -> tuple[str, Factor | None]:
    """Take ``name`` for the dependency if there is none yet, else for a coincidence factor."""
    if dependency is None:
        return name, None
    if name in SPIKE_DEPENDENCIES:
        return dependency, Factor(name)
    if dependency in SPIKE_DEPENDENCIES:
        raise _Fault(f"{name} after {dependency}", f"the clock first: {name}*{dependency}*...")
    raise _Fault(f"{dependency} and {name}", "one clock uK per product")


def _atom(atom: str) -> tuple[Scaling, Factor | str | None]:
    """Scaling, and the factor or the name of the dependency, that one atom stands for."""
    if _NUMBER_ATOM.fullmatch(atom):
        return _scaling(atom), None
    if atom in DEPENDENCIES:
        return (1, 0), atom
    if re.fullmatch(r"u[0-9]*", atom):
        raise _Fault(f"clock {atom}", "u0..u9; Lava reads one digit")
    if re.fullmatch(_NAME, atom):
        return (1, 0), Factor(atom)
    if re.fullmatch(r"\([^()]*\)", atom):
        return _bracket(atom[1:-1])
    if re.fullmatch(r"sgn\([^()]*\)", atom):
        return (1, 0), _sign(atom[4:-1])
    raise _atom_fault(atom)


def _atom_fault(atom: str) -> _Fault:
    if not atom:
        return _Fault("'*' with nothing on one side", "factors joined by single *")
    if atom[0] in "+-":
        return _Fault(
            f"sign inside a product: '{atom}'",
            "the sign in front of the product; Lava begins a new product here",
        )
    if "/" in atom:
        return _Fault(f"division: '{atom}'", "multiply by 2^-k instead")
    if _DECIMAL.fullmatch(atom):
        return _Fault(f"decimal number '{atom}'", COEFFICIENTS)
    if re.search(r"\([^)]*\(", atom):
        return _Fault(f"nested brackets: '{atom}'", _SUMS)
    if "^" in atom:
        return _Fault(
            f"power '{atom}'", "2^k with a whole number k only; write x1*x1 for a squared trace"
        )
    if re.fullmatch(r"[0-9]+", atom):
        return _Fault(f"number '{atom}'", "a whole number below 10^9 without leading zeros")
    return _Fault(f"'{atom}' is not a factor", "names, numbers, (var + c) and sgn(w) joined by *")


def _scaling(text: str) -> Scaling:
    """Mantissa and exponent of ``m``, ``2^e`` or ``m*2^e``."""
    if "^" not in text:
        return int(text), 0
    front, exponent = text.split("^")
    return int(front[:-2]) if "*" in front else 1, int(exponent)


def _constant(sign: str, text: str | None) -> int:
    if text is None:
        return 0
    mantissa, exponent = _scaling(text)
    if exponent < 0:
        raise _Fault(
            f"constant {text} is not a whole number",
            "whole constants; the fixed-point model drops fractions",
        )
    # The power is not computed before its exponent is known to be small.
    if exponent >= CONSTANT_MAX.bit_length() + 1:
        raise _Fault(f"constant {text}", f"a whole number {CONSTANT_MIN}..{CONSTANT_MAX}")
    value = mantissa << exponent
    return -value if sign == "-" else value


def _bracket(inner: str) -> tuple[Scaling, Factor | None]:
    scaling = _SCALING_IN_BRACKETS.fullmatch(inner)
    if scaling:
        mantissa, exponent = _scaling(scaling[2])
        return (-mantissa if scaling[1] == "-" else mantissa, exponent), None
    sign, name, constant = _sum(inner, f"({inner})")
    if constant is None:
        if name in SPIKE_DEPENDENCIES:
            raise _Fault(f"'({inner})'", f"{name} without brackets; Lava drops it in brackets")
        if sign < 0:
            raise _Fault(
                f"'({inner})'", f"the sign in front of the product; Lava reads it as {name}"
            )
        return (1, 0), Factor(name)
    # c - var is -(var - c): the sign goes into the mantissa, as it does in Lava.
    return (sign, 0), Factor(name, sign * constant)


def _sign(inner: str) -> Factor:
    sign, name, constant = _sum(inner, f"sgn({inner})")
    if sign < 0:
        raise _Fault(
            f"'sgn({inner})': negative variable",
            "sgn(w), sgn(w + c) with w, d or t; put the sign in front of the product",
        )
    return Factor(name, constant or 0, sgn=True)


def _sum(inner: str, atom: str) -> tuple[int, str, int | None]:
    """Sign and name of the variable, and the constant (None if there is none)."""
    match = _VARIABLE_FIRST.fullmatch(inner)
    if match:
        sign, name, sign_constant, constant = match.groups()
    else:
        match = _CONSTANT_FIRST.fullmatch(inner)
        if not match:
            raise _Fault(f"'{atom}'", f"{_SUMS}; scalings stand in front of the product")
        sign_constant, constant, sign, name = match.groups()
    value = None if constant is None else _constant(sign_constant, constant)
    return (-1 if sign == "-" else 1), name, value
