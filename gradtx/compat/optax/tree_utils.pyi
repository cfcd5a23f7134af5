"""Optax's tools for trees under their long names: `optax.tree_utils.tree_X`."""

# Written by `python -m tests.compat.stubs`.

from gradtx.compat.optax.tree_math import tree_add as tree_add
from gradtx.compat.optax.tree_math import tree_add_scale
from gradtx.compat.optax.tree_math import tree_allclose as tree_allclose
from gradtx.compat.optax.tree_math import tree_bias_correction as tree_bias_correction
from gradtx.compat.optax.tree_math import tree_clip as tree_clip
from gradtx.compat.optax.tree_math import tree_conj as tree_conj
from gradtx.compat.optax.tree_math import tree_div as tree_div
from gradtx.compat.optax.tree_math import tree_full_like as tree_full_like
from gradtx.compat.optax.tree_math import tree_max as tree_max
from gradtx.compat.optax.tree_math import tree_min as tree_min
from gradtx.compat.optax.tree_math import tree_mul as tree_mul
from gradtx.compat.optax.tree_math import tree_ones_like as tree_ones_like
from gradtx.compat.optax.tree_math import tree_real as tree_real
from gradtx.compat.optax.tree_math import tree_scale
from gradtx.compat.optax.tree_math import tree_size as tree_size
from gradtx.compat.optax.tree_math import tree_sub as tree_sub
from gradtx.compat.optax.tree_math import tree_sum as tree_sum
from gradtx.compat.optax.tree_math import tree_update_infinity_moment as tree_update_infinity_moment
from gradtx.compat.optax.tree_math import tree_update_moment as tree_update_moment
from gradtx.compat.optax.tree_math import tree_update_moment_per_elem_norm as tree_update_moment_per_elem_norm
from gradtx.compat.optax.tree_math import tree_vdot as tree_vdot
from gradtx.compat.optax.tree_math import tree_where as tree_where
from gradtx.compat.optax.tree_math import tree_zeros_like as tree_zeros_like
from gradtx.compat.optax.tree_search import NamedTupleKey as NamedTupleKey
from gradtx.compat.optax.tree_search import tree_get as tree_get
from gradtx.compat.optax.tree_search import tree_get_all_with_path as tree_get_all_with_path
from gradtx.compat.optax.tree_search import tree_map_params as tree_map_params
from gradtx.compat.optax.tree_search import tree_set as tree_set
from gradtx.compat.optax.tree_types import tree_batch_shape as tree_batch_shape
from gradtx.compat.optax.tree_types import tree_cast as tree_cast
from gradtx.compat.optax.tree_types import tree_cast_like as tree_cast_like
from gradtx.compat.optax.tree_types import tree_dtype as tree_dtype
from gradtx.compat.optax.tree_types import tree_random_like as tree_random_like
from gradtx.compat.optax.tree_types import tree_split_key_like as tree_split_key_like
from gradtx.compat.optax.tree_types import tree_unwrap_random_key_data as tree_unwrap_random_key_data
from typing import Any
import jax

tree_add_scalar_mul = tree_add_scale
tree_scalar_mul = tree_scale

def tree_l1_norm(tree: Any, *, ord: int | str | float | None = 1, squared: bool = False) -> jax.Array:
    """The norm of all elements as one vector; its gradient at zero is zero."""
def tree_l2_norm(tree: Any, *, ord: int | str | float | None = 2, squared: bool = False) -> jax.Array:
    """The norm of all elements as one vector; its gradient at zero is zero."""
def tree_linf_norm(tree: Any, *, ord: int | str | float | None = 'inf', squared: bool = False) -> jax.Array:
    """The norm of all elements as one vector; its gradient at zero is zero."""
