"""Linear assignment: gradtx's own under Optax's names."""

import jax

from gradtx.assignment import hungarian_algorithm as hungarian_algorithm


def base_hungarian_algorithm(cost_matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """As `hungarian_algorithm`: Optax has two implementations of one function."""
    return hungarian_algorithm(cost_matrix)
