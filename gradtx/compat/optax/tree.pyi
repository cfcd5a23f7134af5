"""Optax's tools for trees under their short names: `optax.tree.X` is `optax.tree_utils.tree_X`."""

# Written by `python -m tests.compat.stubs`.

from gradtx.compat.optax.base import DTypeOrNone
from gradtx.compat.optax.base import Number
from gradtx.compat.optax.tree_search import tree_get
from gradtx.compat.optax.tree_search import tree_get_all_with_path
from gradtx.compat.optax.tree_search import tree_map_params
from gradtx.compat.optax.tree_search import tree_set
from gradtx.compat.optax.tree_utils import tree_add
from gradtx.compat.optax.tree_utils import tree_add_scale
from gradtx.compat.optax.tree_utils import tree_allclose
from gradtx.compat.optax.tree_utils import tree_batch_shape
from gradtx.compat.optax.tree_utils import tree_bias_correction
from gradtx.compat.optax.tree_utils import tree_dtype
from gradtx.compat.optax.tree_utils import tree_max
from gradtx.compat.optax.tree_utils import tree_min
from gradtx.compat.optax.tree_utils import tree_norm
from gradtx.compat.optax.tree_utils import tree_random_like
from gradtx.compat.optax.tree_utils import tree_size
from gradtx.compat.optax.tree_utils import tree_split_key_like
from gradtx.compat.optax.tree_utils import tree_sum
from gradtx.compat.optax.tree_utils import tree_update_infinity_moment
from gradtx.compat.optax.tree_utils import tree_update_moment
from gradtx.compat.optax.tree_utils import tree_update_moment_per_elem_norm
from gradtx.compat.optax.tree_utils import tree_vdot
from typing import Any

add = tree_add
add_scale = tree_add_scale
allclose = tree_allclose
batch_shape = tree_batch_shape
bias_correction = tree_bias_correction
dtype = tree_dtype
get = tree_get
get_all_with_path = tree_get_all_with_path
map_params = tree_map_params
max = tree_max
min = tree_min
norm = tree_norm
random_like = tree_random_like
set = tree_set
size = tree_size
split_key_like = tree_split_key_like
sum = tree_sum
update_infinity_moment = tree_update_infinity_moment
update_moment = tree_update_moment
update_moment_per_elem_norm = tree_update_moment_per_elem_norm
vdot = tree_vdot

def cast(tree: Any, dtype: DTypeOrNone) -> Any:
    """In a dtype, or as it is for None, leaf by leaf."""
def cast_like(tree: Any, other_tree: Any) -> Any:
    """In the dtype of another, leaf by leaf."""
def clip(tree: Any, min_value: Number | None = None, max_value: Number | None = None) -> Any:
    """Every element held between two numbers, of which either may be None, leaf by leaf."""
def conj(tree: Any) -> Any:
    """The complex conjugate, leaf by leaf."""
def div(tree_x: Any, tree_y: Any) -> Any:
    """x / y, leaf by leaf."""
def full_like(tree: Any, fill_value: Number, dtype: DTypeOrNone = None) -> Any:
    """Arrays of one number, of another dtype where one is asked for, leaf by leaf."""
def mul(tree_x: Any, tree_y: Any) -> Any:
    """x y, leaf by leaf."""
def ones_like(tree: Any, dtype: DTypeOrNone = None) -> Any:
    """As `tree_full_like`, of 1, leaf by leaf."""
def real(tree: Any) -> Any:
    """The real part, leaf by leaf."""
def scale(scalar: Number, tree: Any) -> Any:
    """scalar x, leaf by leaf."""
def sub(tree_x: Any, tree_y: Any) -> Any:
    """x - y, leaf by leaf."""
def unwrap_random_key_data(input_tree: Any) -> Any:
    """The numbers of random keys in place of the keys, so that they can be compared, leaf by leaf."""
def where(condition: Number, tree_x: Any, tree_y: Any) -> Any:
    """x or y, leaf by leaf."""
def zeros_like(tree: Any, dtype: DTypeOrNone = None) -> Any:
    """As `tree_full_like`, of 0, leaf by leaf."""
