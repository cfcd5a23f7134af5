"""Linear assignment: gradtx's own under Optax's names, of which two are of one function."""

from gradtx.assignment import hungarian_algorithm as base_hungarian_algorithm
from gradtx.assignment import hungarian_algorithm as hungarian_algorithm

__all__ = ["base_hungarian_algorithm", "hungarian_algorithm"]
