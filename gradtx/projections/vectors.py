"""What the projections share: a tree as one vector of wide numbers and back, sizes and directions of its elements."""

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeAlias, cast

import jax
import jax.numpy as jnp

from gradtx.core import averages, precision
from gradtx.core.border import widely
from gradtx.core.docstring import Docstring, parsed, written
from gradtx.core.eager import compiled
from gradtx.core.errors import describe, path_str
from gradtx.core.typing import Array, ArrayLike, PyTree

P = ParamSpec("P")


Onto: TypeAlias = Callable[Concatenate[PyTree, P], PyTree]

ARGUMENTS = {
    "tree": "arrays, taken together as one vector; a complex number counts by its modulus.",
    "scale": "at least 0, the radius.",
}


def projection(*, real: bool = False) -> Callable[[Onto[P]], Onto[P]]:
    """Decorate a projection with a scale: it sees arrays of floating-point or complex numbers, and scales >= 0.

    What the docstring leaves out of arguments, result and errors is written here. `real` refuses complex leaves.
    """

    def decorate(onto: Onto[P]) -> Onto[P]:
        name, told = onto.__name__, parsed(onto.__doc__)

        @functools.wraps(onto)
        def checked(tree: PyTree, *args: P.args, **kwargs: P.kwargs) -> PyTree:
            if real:
                check_real(name, tree)
            for scale in (*args, *kwargs.values()):
                check_scale(name, cast(ArrayLike, scale))
            return widely(onto)(tree, *args, **kwargs)

        refused = "\n    TypeError: for a complex leaf." * real + "\n    ValueError: for a negative scale."
        sections = {"Returns": "\n    A tree like `tree`, computed in float32 or wider.", "Raises": refused}
        checked.__doc__ = written(Docstring(told.text, ARGUMENTS | told.arguments, sections | told.sections))
        return compiled(checked)

    return decorate


def check_real(name: str, tree: PyTree) -> None:
    """Refuse complex leaves.

    Raises:
        TypeError: names the projection and the leaf's path.
    """
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.iscomplexobj(x):
            raise TypeError(f"{name}: wanted real numbers, got {describe(jnp.asarray(x))} at {path_str(path)}")


def check_scale(name: str, scale: ArrayLike) -> None:
    """Refuse a negative number; a traced one is not looked at.

    Raises:
        ValueError: names the projection and what was given.
    """
    if isinstance(scale, int | float) and scale < 0:
        raise ValueError(f"{name}: scale must be >= 0, got {scale!r}")


def join(tree: PyTree) -> tuple[Array, Callable[[Array], PyTree]]:
    """All elements of real leaves as one vector in the widest of their compute dtypes, and the way back."""
    leaves, treedef = jax.tree.flatten(tree)
    dtype = precision.scalar_dtype(tree)
    parts = [jnp.ravel(precision.cast(x, dtype)) for x in leaves]

    def split(vector: Array) -> PyTree:
        ends = [sum(part.size for part in parts[: i + 1]) for i in range(len(parts))]
        pieces = jnp.split(vector, ends[:-1]) if parts else []
        return treedef.unflatten([jnp.reshape(y, x.shape) for x, y in zip(leaves, pieces, strict=True)])

    return jnp.concatenate(parts) if parts else jnp.zeros(0, dtype), split


def sizes(tree: PyTree) -> PyTree:
    """|x| of every element, with a finite derivative at zero."""
    size = lambda x: averages.sqrt(averages.abs_sq(x)) if jnp.iscomplexobj(x) else jnp.abs(x)
    return jax.tree.map(size, tree)


def direction(x: Array) -> Array:
    """x / |x|, and 1 where x is 0."""
    sign = averages.safe_divide(x, sizes(x).astype(x.dtype)) if jnp.iscomplexobj(x) else jnp.sign(x)
    return jnp.where(x == 0, 1, sign)


def resize(x: Array, size: Array) -> Array:
    """The numbers with the directions of `x` and these sizes."""
    return direction(x) * precision.cast(size, precision.real_dtype(x.dtype)).astype(x.dtype)
