"""Numbers: norms, counts, matrices; gradtx's own under Optax's names."""

import warnings

import jax

from gradtx.compat.optax.base import Number, Updates
from gradtx.core.tree_math import tree_norm
from gradtx.linalg.inverse_root import matrix_inverse_pth_root as matrix_inverse_pth_root
from gradtx.linalg.nnls import nnls as nnls
from gradtx.linalg.power_iteration import power_iteration as power_iteration
from gradtx.numerics import multi_normal as multi_normal
from gradtx.numerics import safe_increment as safe_increment
from gradtx.numerics import safe_norm as safe_norm
from gradtx.numerics import safe_root_mean_squares as safe_root_mean_squares
from gradtx.numerics import scale_gradient as scale_gradient


def global_norm(updates: Updates) -> jax.Array:
    """Deprecated: `optax.tree.norm`."""
    warnings.warn("optax.global_norm is deprecated, use optax.tree.norm", DeprecationWarning, stacklevel=2)
    return tree_norm(updates)


def safe_int32_increment(count: Number) -> jax.Array:
    """As `safe_increment`."""
    return safe_increment(count)
