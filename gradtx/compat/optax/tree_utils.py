"""Optax's tools for trees under their long names: `optax.tree_utils.tree_X`."""

import functools
import inspect
import math
import operator
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax.base import PyTree
from gradtx.compat.optax.names import document, show
from gradtx.core import averages, precision
from gradtx.core.eager import compiled
from gradtx.core.errors import is_none
from gradtx.core.tree_math import tree_random_like as random_like
from gradtx.core.tree_math import tree_split_key as split_key
from gradtx.core.typing import Array, ArrayLike

_is_key: Callable[[Any], bool] = lambda x: hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)

show(__name__, "tree_search: NamedTupleKey tree_get tree_get_all_with_path tree_map_params tree_set")

_LEAF_BY_LEAF: dict[str, tuple[str, Any]] = {
    "sub": ("x - y", lambda tree_x, tree_y: tree_x - tree_y),
    "mul": ("x y", lambda tree_x, tree_y: tree_x * tree_y),
    "div": ("x / y", lambda tree_x, tree_y: tree_x / tree_y),
    "scale": ("scalar x", lambda scalar, tree: scalar * tree),
    "conj": ("The complex conjugate", lambda tree: jnp.conj(tree)),  # noqa: PLW0108
    "real": ("The real part", lambda tree: jnp.real(tree)),  # noqa: PLW0108
    "clip": (
        "Every element held between two numbers, of which either may be None",
        lambda tree, min_value=None, max_value=None: jnp.clip(tree, min_value, max_value),
    ),
    "where": ("x or y", lambda condition, tree_x, tree_y: jnp.where(condition, tree_x, tree_y)),  # noqa: PLW0108
    "full_like": (
        "Arrays of one number, of another dtype where one is asked for",
        lambda tree, fill_value, dtype=None: jnp.full_like(tree, fill_value, dtype=dtype),
    ),
    "zeros_like": ("As `tree_full_like`, of 0", lambda tree, dtype=None: jnp.zeros_like(tree, dtype=dtype)),
    "ones_like": ("As `tree_full_like`, of 1", lambda tree, dtype=None: jnp.ones_like(tree, dtype=dtype)),
    "cast": ("In a dtype, or as it is for None", lambda tree, dtype: tree if dtype is None else tree.astype(dtype)),
    "cast_like": ("In the dtype of another", lambda tree, other_tree: tree.astype(other_tree.dtype)),
    "unwrap_random_key_data": (
        "The numbers of random keys in place of the keys, so that they can be compared",
        lambda input_tree: jax.random.key_data(input_tree) if _is_key(input_tree) else input_tree,
    ),
}
"""What acts on each leaf by itself: what it says and does, of the leaves of those arguments that are called trees."""


def _over_leaves(name: str, doc: str, f: Callable[..., Any]) -> Callable[..., PyTree]:
    takes = inspect.signature(f)
    kinds: Any = {"dtype": jax.typing.DTypeLike | None, "min_value": ArrayLike | None, "max_value": ArrayLike | None}
    kind = lambda p: PyTree if "tree" in p.name else kinds.get(p.name, ArrayLike)
    parameters = [p.replace(annotation=kind(p)) for p in takes.parameters.values()]

    def function(*args: Any, **kwargs: Any) -> PyTree:
        given = takes.bind(*args, **kwargs).arguments
        trees = [key for key in given if "tree" in key]
        each = lambda *leaves: f(**given | dict(zip(trees, leaves, strict=True)))
        return jax.tree.map(each, *(given[key] for key in trees))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}, leaf by leaf."
    vars(function)["__signature__"] = inspect.Signature(parameters, return_annotation=PyTree)
    return compiled(function) if name in ("tree_clip", "tree_where") else function


globals().update({f"tree_{name}": _over_leaves(f"tree_{name}", *row) for name, row in _LEAF_BY_LEAF.items()})


def tree_add(tree_x: PyTree, tree_y: PyTree, *other_trees: PyTree) -> PyTree:
    """x + y + ..., leaf by leaf."""
    return jax.tree.map(lambda *xs: functools.reduce(operator.add, xs), tree_x, tree_y, *other_trees)


def _wide(f: Callable[..., Any], *trees: PyTree) -> Any:
    """`f(*trees)`; where all arrays in them are of 16 bits, computed in float32 and rounded once at the end."""
    leaves = jax.tree.leaves(trees)
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.result_type(*leaves) if leaves else jnp.float32
    if precision.compute_dtype(dtype) == dtype:
        # Complex and real may meet here: |g|^2 is real.
        with jax.numpy_dtype_promotion("standard") if any(map(jnp.iscomplexobj, leaves)) else nullcontext():
            return f(*trees)
    widened = jax.tree.map(lambda x: precision.cast(x, jnp.float32) if hasattr(x, "dtype") else x, trees)
    return jax.tree.map(lambda x: precision.narrow(x, dtype), f(*widened))


@compiled
def tree_add_scale(tree_x: PyTree, scalar: ArrayLike, tree_y: PyTree) -> PyTree:
    """x + scalar y, leaf by leaf; None where x has None."""
    add = lambda x, y: None if x is None else _wide(lambda a, s, b: a + s * b, x, scalar, y)
    return jax.tree.map(add, tree_x, tree_y, is_leaf=is_none)


@compiled
def tree_sum(tree: PyTree, associative_reduction: bool = False) -> Any:
    """The sum of all elements; the number 0 without leaves. Both orders of summation are one here."""
    del associative_reduction
    return _wide(lambda x: _summed(jnp.sum, x), tree)


@compiled
def tree_vdot(tree_x: PyTree, tree_y: PyTree) -> Any:
    """The inner product sum conj(x) y of two trees; the number 0 without leaves."""
    product = lambda x, y: jnp.vdot(x, y, precision=jax.lax.Precision.HIGHEST)
    return _wide(lambda x, y: _summed(product, x, y), tree_x, tree_y)


@compiled
def tree_max(tree: PyTree) -> Any:
    """The largest element, and minus infinity without elements."""
    parts = [jnp.max(jnp.asarray(x)) for x in jax.tree.leaves(tree) if jnp.size(x)]
    return functools.reduce(jnp.maximum, parts, -math.inf)


@compiled
def tree_min(tree: PyTree) -> Any:
    """The smallest element, and infinity without elements."""
    parts = [jnp.min(jnp.asarray(x)) for x in jax.tree.leaves(tree) if jnp.size(x)]
    return functools.reduce(jnp.minimum, parts, math.inf)


def tree_size(tree: PyTree) -> int:
    """The number of elements."""
    return sum(jnp.size(x) for x in jax.tree.leaves(tree))


@compiled
def tree_norm(tree: PyTree, ord: int | str | float | None = None, squared: bool = False) -> Array:
    """The norm of all elements as one vector, in the dtype of the leaves; `ord` may be None, which means 2."""
    norm = lambda x: gradtx.tree_norm(x, 2 if ord is None else ord, squared=squared)
    return _wide(norm, tree)


@compiled
def tree_allclose(
    a: PyTree, b: PyTree, rtol: ArrayLike = 1e-5, atol: ArrayLike = 1e-8, equal_nan: bool = False
) -> ArrayLike:
    """Whether two trees agree to a tolerance in every element."""
    close = jax.tree.map(lambda x, y: jnp.allclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan), a, b)
    return functools.reduce(jnp.logical_and, jax.tree.leaves(close), jnp.asarray(True))


@partial(compiled, static=("decay",))
def tree_update_moment(updates: PyTree, moments: PyTree, decay: ArrayLike, order: float) -> PyTree:
    """The moving average of g^order: decay m + (1 - decay) g^order; None where g is None."""
    return _average(lambda g: g**order, updates, moments, decay)


@partial(compiled, static=("decay",))
def tree_update_moment_per_elem_norm(updates: PyTree, moments: PyTree, decay: ArrayLike, order: float) -> PyTree:
    """The moving average of |g|^order, of a complex g too: decay m + (1 - decay) |g|^order; None where g is None."""
    half, odd = divmod(order, 2)
    return _average(lambda g: abs(g) ** order if odd else averages.abs_sq(g) ** half, updates, moments, decay)


@partial(compiled, static=("decay",))
def tree_update_infinity_moment(updates: PyTree, moments: PyTree, decay: ArrayLike, eps: ArrayLike) -> PyTree:
    """A decaying maximum: max(|g| + eps, decay m); None where g is None."""
    largest = lambda g, m, d, e: jnp.maximum(abs(g) + e, d * m)
    each = lambda g, m: None if g is None else _wide(largest, g, m, decay, eps)
    return jax.tree.map(each, updates, moments, is_leaf=is_none)


@partial(compiled, static=("decay",))
def tree_bias_correction(moment: PyTree, decay: ArrayLike, count: ArrayLike) -> PyTree:
    """A moving average that began at zero, over the weight it has gathered: m / (1 - decay^count)."""

    def correct(m: Any) -> Array:
        m = jnp.asarray(m)
        return precision.narrow(averages.debias(precision.widen(m), decay, jnp.asarray(count)), m.dtype)

    return jax.tree.map(correct, moment)


def _average(power: Callable[[Any], Any], updates: PyTree, moments: PyTree, decay: ArrayLike) -> PyTree:
    mean = lambda g, m, d: averages.ema(m, power(g), d)
    each = lambda g, m: None if g is None else _wide(mean, g, m, decay)
    return jax.tree.map(each, updates, moments, is_leaf=is_none)


def _summed(f: Callable[..., Any], *trees: PyTree) -> Any:
    """The sum of f of all leaves."""
    return sum(jax.tree.leaves(jax.tree.map(f, *trees)))


def tree_dtype(tree: PyTree, mixed_dtype_handler: str | None = None) -> Any:
    """The dtype of all leaves; JAX's default float of a tree without any.

    Args:
        tree: a tree of arrays.
        mixed_dtype_handler: what to give where they differ: "lowest" or "highest", the one that is promoted to all
            others or that all others are promoted to; "promote", what all are promoted to; None, an error.

    Raises:
        ValueError: they differ and there is no such dtype; an unknown handler.
    """
    dtypes = list(dict.fromkeys(jnp.dtype(jnp.result_type(x)) for x in jax.tree.leaves(tree)))
    if not dtypes:
        return jnp.dtype(jnp.result_type(float))
    if mixed_dtype_handler not in (None, "promote", "highest", "lowest"):
        wanted = "None, 'promote', 'highest' or 'lowest'"
        raise ValueError(f"tree_dtype: mixed_dtype_handler must be {wanted}, got {mixed_dtype_handler!r}")
    if len(dtypes) > 1 and mixed_dtype_handler is None:
        raise ValueError(f"tree_dtype: leaves are of {', '.join(map(str, dtypes))}, wanted one dtype or a handler")
    if mixed_dtype_handler == "promote":
        return functools.reduce(precision.promote, dtypes)
    return functools.reduce(lambda x, y: _chosen(x, y, mixed_dtype_handler == "highest"), dtypes)


def _chosen(x: Any, y: Any, highest: bool) -> Any:
    both = precision.promote(x, y)
    if both not in (x, y):
        raise ValueError(f"tree_dtype: neither of {x} and {y} is promoted to the other")
    return x if (both == x) == highest else y


def tree_batch_shape(tree: PyTree, shape: tuple[int, ...] = ()) -> PyTree:
    """Every leaf repeated along new leading axes of these lengths; of a type of array, the type of that."""

    def batched(x: Any) -> Any:
        if isinstance(x, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct((*shape, *x.shape), x.dtype)
        return jnp.broadcast_to(x, (*shape, *jnp.shape(x)))

    return jax.tree.map(batched, tree)


def tree_split_key_like(rng_key: jax.Array, target_tree: PyTree) -> PyTree:
    """A tree with a random key for every leaf of another: `jax.random.split(key, leaves)`, in their order."""
    return split_key(rng_key, target_tree)


def tree_random_like(
    rng_key: jax.Array, target_tree: PyTree, sampler: Callable[..., Any] = jax.random.normal,
    dtype: jax.typing.DTypeLike | None = None,
) -> PyTree:  # fmt: skip
    """A tree of random arrays of the shapes and dtypes of another, with keys as in `tree_split_key_like`."""
    return random_like(rng_key, target_tree, sampler, dtype)


@compiled
def weakly_typed(x: jax.Array) -> jax.Array:
    """A float that widens no array it meets, as Python's numbers do not."""
    return jnp.broadcast_to(jnp.asarray(0.0), x.shape).at[...].set(x)


document(__name__)
_DEPRECATED = {
    "tree_add_scalar_mul": (tree_add_scale, "tree_add_scale"),
    "tree_scalar_mul": (globals()["tree_scale"], "tree_scale"),
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
