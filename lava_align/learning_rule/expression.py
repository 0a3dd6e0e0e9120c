"""A sum of products: the right-hand side of dw, dd or dt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lava_align.errors import InvalidInputError, Problem
from lava_align.learning_rule.parser import parse_products
from lava_align.learning_rule.terms import Product


def clock_problem(where: str, products: Iterable[Product]) -> Problem | None:
    """Say which clocks clash if the products use more than one ``uK``."""
    clocks = sorted({p.dependency for p in products if p.decimation is not None})
    if len(clocks) > 1:
        return Problem(where, f"clocks {', '.join(clocks)}", "one K for all uK of dw, dd and dt")
    return None


@dataclass(frozen=True)
class Expression:
    """A sum of products.

    Parameters
    ----------
    products : tuple of Product
        At least one; at most one clock ``uK`` among them.

    Raises
    ------
    InvalidInputError
        If there is no product or more than one clock.
    """

    products: tuple[Product, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "products", tuple(self.products))
        problems = [
            Problem("expression", repr(product), "a lava_align.learning_rule.Product")
            for product in self.products
            if not isinstance(product, Product)
        ]
        if not self.products:
            problems.append(Problem("expression", "no products", "at least one product"))
        clash = None if problems else clock_problem("expression", self.products)
        if problems or clash is not None:
            raise InvalidInputError(clash or problems)

    @classmethod
    def parse(cls, text: str, where: str = "expression") -> Expression:
        """Read an expression such as ``2^-3*x0*y1 - 3*2^-4*y0*(w + 2)``.

        Whitespace does not matter except between two names or numbers. What Lava 0.10.0 would
        misread or fail on is an error.

        Parameters
        ----------
        text : str
            The expression.
        where : str
            What error messages call it.

        Raises
        ------
        InvalidInputError
            With one problem per finding.
        """
        products = parse_products(text, where)
        problem = clock_problem(where, products)
        if problem is not None:
            raise InvalidInputError(problem)
        return cls(products)

    def __str__(self) -> str:
        first, *rest = self.products
        terms = [str(first)]
        for product in rest:
            terms.append("-" if product.mantissa < 0 else "+")
            terms.append(product.magnitude())
        return " ".join(terms)

    def lava(self) -> str:
        """Text that Lava 0.10.0 reads as exactly these products.

        The canonical text was chosen to be a fixed point of Lava's reader: one literal in front,
        the dependency before every factor, no sign inside a product. Only the blanks go.
        """
        return str(self).replace(" ", "")
