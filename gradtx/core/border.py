"""The border of a transformation: updates are widened as a user gives them, and rounded once as they go back."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.codecs.coded import any_coded, opened, recoded, seed_of
from gradtx.core.errors import is_inexact
from gradtx.core.repack import arranged, items_first
from gradtx.core.slots import SlotMark
from gradtx.core.typing import Array, PyTree

P = ParamSpec("P")
R = TypeVar("R")

Given = Mapping[str, Any]
"""The dtypes of updates that were widened, by their paths."""

_given: ContextVar[Given] = ContextVar("given", default=MappingProxyType({}))


@contextmanager
def noted(given: Given) -> Generator[None]:
    """Within the block, `as_given` goes by these dtypes."""
    token = _given.set(given)
    try:
        yield
    finally:
        _given.reset(token)


@contextmanager
def crossed(updates: PyTree) -> Generator[PyTree]:
    """Within the block: the updates in their compute dtypes; `as_given` undoes that for whoever needs it."""
    wide = precision.widen(updates)
    if wide is updates:  # also where one transformation of a user's calls another
        yield wide
        return
    leaves = jax.tree_util.tree_leaves_with_path(updates)
    with noted({jax.tree_util.keystr(path): precision.dtype_of(x) for path, x in leaves if is_inexact(x)}):
        yield wide


def as_given(updates: PyTree) -> PyTree:
    """Updates in the dtypes in which they came to the outermost border; where that is not known, as they are."""
    given = _given.get()
    if not given:
        return updates
    leaves, treedef = jax.tree_util.tree_flatten_with_path(updates)
    dtype = lambda path, x: given.get(jax.tree_util.keystr(path), precision.dtype_of(x))
    return treedef.unflatten([precision.narrow(x, dtype(path, x)) if is_inexact(x) else x for path, x in leaves])


def rounded(new: PyTree, like: PyTree) -> PyTree:
    """`new` in the dtypes of `like`; of a pair, the first part, where that alone is such a tree.

    What is another tree stays as it is: it is for whoever takes it to refuse.
    """
    try:
        return precision.round_like(new, like)
    except ValueError:
        return (rounded(new[0], like), *new[1:]) if type(new) is tuple and new else new


def seen(mark: SlotMark, slot: PyTree, updates: PyTree) -> PyTree:
    """A slot as a pair sees it: wide numbers, packed as the updates are."""
    return items_first(mark, arranged(precision.widen(opened(items_first(mark, slot))), updates))


def closed(mark: SlotMark, new: PyTree, like: PyTree, count: Callable[[], Any], name: str) -> PyTree:
    """The inverse of `seen`: in the stacks, and in the dtypes or codes, of the old slot.

    What is rounded at random is so by the count.
    """
    old = items_first(mark, like)
    new = arranged(items_first(mark, new), old)
    if any_coded(old):
        new = recoded(new, old, seed_of(count(), name))
    return items_first(mark, rounded(new, old))


def widely(function: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Decorate a function of an array, or of a tree of arrays: it is computed in float32 or wider, and rounded once.

    It sees arrays in their compute dtypes, and in its first argument whole numbers as floats. What it gives is rounded
    to the dtypes of that argument: a tree like it, or the first part of a pair, or one array for all.
    """

    @wraps(function)
    def call(x: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        x = jax.tree.map(_as_floats, x)
        return _like(function(precision.widen(x), *_wide(args), **_wide(kwargs)), x)

    return call


def _wide(tree: R) -> R:
    """The arrays of a tree in their compute dtypes."""
    return jax.tree.map(lambda x: precision.widen(x) if hasattr(x, "dtype") else x, tree)


def _as_floats(x: Any) -> Array:
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else precision.cast(x, jnp.result_type(float))


def _like(new: Any, x: PyTree) -> Any:
    """What a function gives, in the dtypes of what it takes; real numbers in the real dtypes of complex ones."""
    real = lambda y, dtype: dtype if jnp.iscomplexobj(y) else precision.real_dtype(dtype)
    if jax.tree.structure(new) == jax.tree.structure(x):
        return jax.tree.map(lambda y, old: precision.narrow(y, real(y, old.dtype)), new, x)
    if isinstance(new, tuple):
        return (_like(new[0], x), *new[1:])
    widest = max((old.dtype for old in jax.tree.leaves(x)), key=lambda dtype: dtype.itemsize)
    return precision.narrow(new, real(new, widest))


def seen_widely(function: Callable[..., R], x: PyTree) -> tuple[Callable[..., R], PyTree]:
    """A user's function of a tree such as `x` as one of wider numbers, which it sees rounded; and `x` in such."""
    return lambda y, *args: function(precision.round_like(y, x), *args), precision.widen(x)
