"""Optax's tools for trees under their long names: `optax.tree_utils.tree_X`."""

import warnings
from functools import partial
from typing import Any

from gradtx.compat.optax.names import show
from gradtx.compat.optax.tree_math import tree_add_scale, tree_norm, tree_scale

show(
    __name__,
    """
tree_math: tree_add tree_add_scale tree_allclose tree_bias_correction tree_clip tree_conj tree_div tree_full_like
    tree_max tree_min tree_mul tree_norm tree_ones_like tree_real tree_scale tree_size tree_sub tree_sum
    tree_update_infinity_moment tree_update_moment tree_update_moment_per_elem_norm tree_vdot tree_where
    tree_zeros_like
tree_search: NamedTupleKey tree_get tree_get_all_with_path tree_map_params tree_set
tree_types: tree_batch_shape tree_cast tree_cast_like tree_dtype tree_random_like tree_split_key_like
    tree_unwrap_random_key_data
""",
)

_DEPRECATED = {
    "tree_add_scalar_mul": (tree_add_scale, "tree_add_scale"),
    "tree_scalar_mul": (tree_scale, "tree_scale"),
    "tree_l1_norm": (partial(tree_norm, ord=1), "tree_norm(..., ord=1)"),
    "tree_l2_norm": (partial(tree_norm, ord=2), "tree_norm"),
    "tree_linf_norm": (partial(tree_norm, ord="inf"), "tree_norm(..., ord='inf')"),
}


def __getattr__(name: str) -> Any:
    """A function under a name that Optax gave up.

    Raises:
        AttributeError: no such name.
    """
    if name not in _DEPRECATED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function, instead = _DEPRECATED[name]
    warnings.warn(f"tree_utils.{name} is deprecated: use tree_utils.{instead}", DeprecationWarning, stacklevel=2)
    return function
