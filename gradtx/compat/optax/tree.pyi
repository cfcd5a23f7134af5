"""Optax's tools for trees under their short names: `optax.tree.X` is `optax.tree_utils.tree_X`."""

# Written by `python -m tests.compat.stubs`.

from gradtx.compat.optax.tree_math import tree_add
from gradtx.compat.optax.tree_math import tree_add_scale
from gradtx.compat.optax.tree_math import tree_allclose
from gradtx.compat.optax.tree_math import tree_bias_correction
from gradtx.compat.optax.tree_math import tree_clip
from gradtx.compat.optax.tree_math import tree_conj
from gradtx.compat.optax.tree_math import tree_div
from gradtx.compat.optax.tree_math import tree_full_like
from gradtx.compat.optax.tree_math import tree_max
from gradtx.compat.optax.tree_math import tree_min
from gradtx.compat.optax.tree_math import tree_mul
from gradtx.compat.optax.tree_math import tree_norm
from gradtx.compat.optax.tree_math import tree_ones_like
from gradtx.compat.optax.tree_math import tree_real
from gradtx.compat.optax.tree_math import tree_scale
from gradtx.compat.optax.tree_math import tree_size
from gradtx.compat.optax.tree_math import tree_sub
from gradtx.compat.optax.tree_math import tree_sum
from gradtx.compat.optax.tree_math import tree_update_infinity_moment
from gradtx.compat.optax.tree_math import tree_update_moment
from gradtx.compat.optax.tree_math import tree_update_moment_per_elem_norm
from gradtx.compat.optax.tree_math import tree_vdot
from gradtx.compat.optax.tree_math import tree_where
from gradtx.compat.optax.tree_math import tree_zeros_like
from gradtx.compat.optax.tree_search import tree_get
from gradtx.compat.optax.tree_search import tree_get_all_with_path
from gradtx.compat.optax.tree_search import tree_map_params
from gradtx.compat.optax.tree_search import tree_set
from gradtx.compat.optax.tree_types import tree_batch_shape
from gradtx.compat.optax.tree_types import tree_cast
from gradtx.compat.optax.tree_types import tree_cast_like
from gradtx.compat.optax.tree_types import tree_dtype
from gradtx.compat.optax.tree_types import tree_random_like
from gradtx.compat.optax.tree_types import tree_split_key_like
from gradtx.compat.optax.tree_types import tree_unwrap_random_key_data

add = tree_add
add_scale = tree_add_scale
allclose = tree_allclose
batch_shape = tree_batch_shape
bias_correction = tree_bias_correction
cast = tree_cast
cast_like = tree_cast_like
clip = tree_clip
conj = tree_conj
div = tree_div
dtype = tree_dtype
full_like = tree_full_like
get = tree_get
get_all_with_path = tree_get_all_with_path
map_params = tree_map_params
max = tree_max
min = tree_min
mul = tree_mul
norm = tree_norm
ones_like = tree_ones_like
random_like = tree_random_like
real = tree_real
scale = tree_scale
set = tree_set
size = tree_size
split_key_like = tree_split_key_like
sub = tree_sub
sum = tree_sum
unwrap_random_key_data = tree_unwrap_random_key_data
update_infinity_moment = tree_update_infinity_moment
update_moment = tree_update_moment
update_moment_per_elem_norm = tree_update_moment_per_elem_norm
vdot = tree_vdot
where = tree_where
zeros_like = tree_zeros_like
