"""Optax's tools for trees under their long names: `optax.tree_utils.tree_X`."""

# Written by `python -m tests.compat.stubs`.

from collections.abc import Callable
from gradtx.compat.optax.base import DTypeOrNone
from gradtx.compat.optax.base import Number
from gradtx.compat.optax.tree_search import NamedTupleKey as NamedTupleKey
from gradtx.compat.optax.tree_search import tree_get as tree_get
from gradtx.compat.optax.tree_search import tree_get_all_with_path as tree_get_all_with_path
from gradtx.compat.optax.tree_search import tree_map_params as tree_map_params
from gradtx.compat.optax.tree_search import tree_set as tree_set
from typing import Any
import jax

def tree_add(tree_x: Any, tree_y: Any, *other_trees: Any) -> Any:
    """x + y + ..., leaf by leaf."""
def tree_add_scalar_mul(tree_x: Any, scalar: Number, tree_y: Any) -> Any:
    """x + scalar y, leaf by leaf; None where x has None."""
def tree_add_scale(tree_x: Any, scalar: Number, tree_y: Any) -> Any:
    """x + scalar y, leaf by leaf; None where x has None."""
def tree_allclose(a: Any, b: Any, rtol: Number = 1e-05, atol: Number = 1e-08, equal_nan: bool = False) -> Number:
    """Whether two trees agree to a tolerance in every element."""
def tree_batch_shape(tree: Any, shape: tuple[int, ...] = ()) -> Any:
    """Every leaf repeated along new leading axes of these lengths; of a type of array, the type of that."""
def tree_bias_correction(moment: Any, decay: Number, count: Number) -> Any:
    """A moving average that began at zero, over the weight it has gathered: m / (1 - decay^count)."""
def tree_cast(tree: Any, dtype: DTypeOrNone) -> Any:
    """In a dtype, or as it is for None, leaf by leaf."""
def tree_cast_like(tree: Any, other_tree: Any) -> Any:
    """In the dtype of another, leaf by leaf."""
def tree_clip(tree: Any, min_value: Number | None = None, max_value: Number | None = None) -> Any:
    """Every element held between two numbers, of which either may be None, leaf by leaf."""
def tree_conj(tree: Any) -> Any:
    """The complex conjugate, leaf by leaf."""
def tree_div(tree_x: Any, tree_y: Any) -> Any:
    """x / y, leaf by leaf."""
def tree_dtype(tree: Any, mixed_dtype_handler: str | None = None) -> Any:
    """The dtype of all leaves; JAX's default float of a tree without any."""
def tree_full_like(tree: Any, fill_value: Number, dtype: DTypeOrNone = None) -> Any:
    """Arrays of one number, of another dtype where one is asked for, leaf by leaf."""
def tree_l1_norm(tree: Any, *, ord: int | str | float | None = 1, squared: bool = False) -> jax.Array:
    """The norm of all elements as one vector, in the dtype of the leaves; `ord` may be None, which means 2."""
def tree_l2_norm(tree: Any, *, ord: int | str | float | None = 2, squared: bool = False) -> jax.Array:
    """The norm of all elements as one vector, in the dtype of the leaves; `ord` may be None, which means 2."""
def tree_linf_norm(tree: Any, *, ord: int | str | float | None = 'inf', squared: bool = False) -> jax.Array:
    """The norm of all elements as one vector, in the dtype of the leaves; `ord` may be None, which means 2."""
def tree_max(tree: Any) -> Any:
    """The largest element, and minus infinity without elements."""
def tree_min(tree: Any) -> Any:
    """The smallest element, and infinity without elements."""
def tree_mul(tree_x: Any, tree_y: Any) -> Any:
    """x y, leaf by leaf."""
def tree_norm(tree: Any, ord: int | str | float | None = None, squared: bool = False) -> jax.Array:
    """The norm of all elements as one vector, in the dtype of the leaves; `ord` may be None, which means 2."""
def tree_ones_like(tree: Any, dtype: DTypeOrNone = None) -> Any:
    """As `tree_full_like`, of 1, leaf by leaf."""
def tree_random_like(
    rng_key: jax.Array, target_tree: Any, sampler: Callable[..., Any] = ..., dtype: DTypeOrNone = None
) -> Any:
    """A tree of random arrays of the shapes and dtypes of another, with keys as in `tree_split_key_like`."""
def tree_real(tree: Any) -> Any:
    """The real part, leaf by leaf."""
def tree_scalar_mul(scalar: Number, tree: Any) -> Any:
    """scalar x, leaf by leaf."""
def tree_scale(scalar: Number, tree: Any) -> Any:
    """scalar x, leaf by leaf."""
def tree_size(tree: Any) -> int:
    """The number of elements."""
def tree_split_key_like(rng_key: jax.Array, target_tree: Any) -> Any:
    """A tree with a random key for every leaf of another: `jax.random.split(key, leaves)`, in their order."""
def tree_sub(tree_x: Any, tree_y: Any) -> Any:
    """x - y, leaf by leaf."""
def tree_sum(tree: Any, associative_reduction: bool = False) -> Any:
    """The sum of all elements; the number 0 without leaves. Both orders of summation are one here."""
def tree_unwrap_random_key_data(input_tree: Any) -> Any:
    """The numbers of random keys in place of the keys, so that they can be compared, leaf by leaf."""
def tree_update_infinity_moment(updates: Any, moments: Any, decay: Number, eps: Number) -> Any:
    """A decaying maximum: max(|g| + eps, decay m); None where g is None."""
def tree_update_moment(updates: Any, moments: Any, decay: Number, order: float) -> Any:
    """The moving average of g^order: decay m + (1 - decay) g^order; None where g is None."""
def tree_update_moment_per_elem_norm(updates: Any, moments: Any, decay: Number, order: float) -> Any:
    """The moving average of |g|^order, of a complex g too: decay m + (1 - decay) |g|^order; None where g is None."""
def tree_vdot(tree_x: Any, tree_y: Any) -> Any:
    """The inner product sum conj(x) y of two trees; the number 0 without leaves."""
def tree_where(condition: Number, tree_x: Any, tree_y: Any) -> Any:
    """x or y, leaf by leaf."""
def tree_zeros_like(tree: Any, dtype: DTypeOrNone = None) -> Any:
    """As `tree_full_like`, of 0, leaf by leaf."""
def weakly_typed(x: jax.Array) -> jax.Array:
    """A float that widens no array it meets, as Python's numbers do not."""
