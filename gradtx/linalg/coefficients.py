"""What the arguments of Newton-Schulz iterations may be."""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import jax
import numpy as np

from gradtx.core.arguments import Guess, Interval, OneOf, shown
from gradtx.core.functions import IsFunction
from gradtx.core.typing import Array
from gradtx.linalg.newton_schulz import COEFFICIENTS, PRECONDITIONINGS

ORTHOGONALISER = IsFunction("of stacked matrices, (k, m, n) -> (k, m, n)", least=1, most=1)
Orthogonaliser: TypeAlias = Annotated[Callable[[Array], Array], ORTHOGONALISER] | None
"""A function (k, m, n) -> (k, m, n) of stacked matrices, or None for Newton-Schulz."""

Preconditioning: TypeAlias = Annotated[str, OneOf(*PRECONDITIONINGS)]
"""How a matrix is scaled before Newton-Schulz."""


class IsCoefficients(Guess):
    """A name, a triple or a sequence of triples; the numbers are leaves."""

    wanted = f"one of {', '.join(map(repr, COEFFICIENTS))}, (a, b, c) or a sequence of such triples"
    number = Interval("(-inf, inf)")

    def convert(self, where: str, name: str, x: Any) -> Any:
        if isinstance(x, str) and x in COEFFICIENTS:
            return str(x)
        for leaf in [] if isinstance(x, str) else jax.tree.leaves(x):
            self.number(where, name, leaf)
        shape = () if isinstance(x, str) else form_of(x)
        if not shape or shape[-1] != 3 or 0 in shape:
            raise ValueError(f"{where}: {name} must be {self.wanted}, got {shown(x)}")
        return x


def form_of(x: Any) -> tuple[int, ...]:
    """The shape of an array, or of sequences of numbers; a number may be an array of those of many optimizers."""
    if not isinstance(x, list | tuple):
        return tuple(np.shape(x))
    (part,) = {form_of(y) if isinstance(y, list | tuple) else () for y in x}
    return len(x), *part


Coefficients: TypeAlias = Annotated[Any, IsCoefficients("")]
"""Newton-Schulz coefficients: see `gradtx.linalg.newton_schulz.orthogonalise`."""
