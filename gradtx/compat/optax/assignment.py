"""Linear assignment: gradtx's own under Optax's names."""

import jax

from gradtx.assignment import hungarian_algorithm as hungarian_algorithm


def base_hungarian_algorithm(cost_matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """As `hungarian_algorithm`: Optax has two implementations of one function.

    Args:
        cost_matrix: real, of any shape (n, m).

    Returns:
        Row and column indices of length min(n, m).
    """
    return hungarian_algorithm(cost_matrix)
