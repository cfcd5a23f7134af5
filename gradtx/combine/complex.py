"""Complex parameters as pairs of real ones."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.degree import of
from gradtx.core.errors import is_inexact
from gradtx.core.fields import InnerState
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Array, PyTree


class SplitRealAndImaginaryArrays(NamedTuple):
    """What stands for a complex array inside `split_real_and_imaginary`."""

    real: Array
    imaginary: Array


class SplitRealAndImaginaryState(NamedTuple):
    inner_state: InnerState  # the inner transformation's, with a pair for each complex leaf


@transformation(degree=of("inner"))
def split_real_and_imaginary(inner: Inner) -> Pair:
    """Run a transformation on the real and imaginary parts of complex leaves as if they were two parameters.

    Real leaves stay as they are. It gives any transformation, also one that refuses complex leaves, the run on
    (real, imaginary) pairs. Updates must be of the kind that is added to parameters: JAX's gradient of a real
    function with respect to a complex parameter is the conjugate of the direction of ascent.

    Args:
        inner: the transformation; masks and labels inside it see paths that end in `real` and `imaginary`.

    State: `SplitRealAndImaginaryState(inner_state)`.
    """
    tx = ours(inner)

    def init(params: PyTree) -> SplitRealAndImaginaryState:
        return SplitRealAndImaginaryState(tx.init(_split(params)))

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> Any:
        new, inner_state = tx.within(_split(updates), state.inner_state, _split(params), **extra)
        merge = lambda x: jax.lax.complex(x.real, x.imaginary) if _is_pair(x) else x
        return jax.tree.map(merge, new, is_leaf=_is_pair), SplitRealAndImaginaryState(inner_state)

    return Pair(init, update, "anything", SplitRealAndImaginaryState)


def _split(tree: PyTree) -> PyTree:
    return jax.tree.map(_split_leaf, tree)


def _split_leaf(x: Any) -> Any:
    if not is_inexact(x) or not jnp.issubdtype(jnp.result_type(x), jnp.complexfloating):
        return x
    dtype = jnp.result_type(x)
    if isinstance(x, jax.ShapeDtypeStruct):
        part: Any = jax.ShapeDtypeStruct(x.shape, precision.real_dtype(dtype), sharding=x.sharding)
        return SplitRealAndImaginaryArrays(part, part)
    return SplitRealAndImaginaryArrays(jnp.real(x), jnp.imag(x))


def _is_pair(x: Any) -> bool:
    return isinstance(x, SplitRealAndImaginaryArrays)
