"""How the numbers of a state are kept: any slot of any transformation, in a dtype of the user's choice."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, cast

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.arguments import Accept, IsDType
from gradtx.core.repack import repacked, unpacked
from gradtx.core.selection import check_used, matches
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Array, DType, PyTree
from gradtx.core.walk import map_chosen


class IsCodec(Accept):
    """A dtype, or a dictionary from patterns on the parameters' paths to dtypes; static."""

    dynamic = False
    wanted = "a floating-point dtype, or a dictionary from patterns on paths to dtypes"
    dtype = IsDType()

    def convert(self, where: str, name: str, x: Any) -> Any:
        if not isinstance(x, Mapping):
            return self.dtype(where, name, x)
        patterns = cast("Mapping[Any, Any]", x)
        if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
            raise self.refusal(where, name, x)
        return {pattern: self.dtype(where, f"{name}[{pattern!r}]", dtype) for pattern, dtype in patterns.items()}


Codec: TypeAlias = Annotated[DType | Mapping[str, DType], IsCodec()]
"""How the numbers of a slot are kept: a dtype, or one for each pattern on the parameters' paths."""


@transformation
def stored(inner: Inner, /, *codecs: Codec, **slots: Codec) -> Pair:
    """Keep slots of a transformation, whatever is in it, in other dtypes than those in which they start.

        tx = gradtx.stored(gradtx.adamw(1e-3), mu="bfloat16")                  # one slot
        tx = gradtx.stored(gradtx.adamw(1e-3), "bfloat16")                     # every slot
        tx = gradtx.stored(gradtx.adamw(1e-3), "bfloat16", nu="float32")       # every slot but one
        tx = gradtx.stored(gradtx.adamw(1e-3), mu={"embedding/**": "float16"})  # of some parameters

    Only the state changes, from `init` on: rules compute as without it, and each step rounds the slots once, to what
    it found them in. What is kept of the parameters themselves (DoG's first ones, schedule-free's z)
    then hides steps below its spacing: name the slots, to leave that out.

    Args:
        inner: the transformation: a chain, a wrapper, an optimizer, or a user's own whose state declares slots.
        *codecs: at most one, for every slot that `slots` does not name: a floating-point dtype, or a dictionary from
            patterns on the parameters' paths (`*` is any one key, `**` any number) to dtypes, of which the first that
            matches counts. A complex slot takes the complex dtype of that precision; slots of truth values stay.
        **slots: the same for slots by name, wherever in the state they are.

    State: that of `inner`.

    Raises:
        ValueError: more than one codec for all; from `init`, a name that no slot has, or a pattern without a match.
    """
    if len(codecs) > 1:
        raise ValueError(f"stored: wanted one codec for all slots, got {len(codecs)}; name slots: stored(tx, mu=...)")
    tx = ours(inner)

    def init(params: PyTree) -> Any:
        return map_chosen("stored", tx.name, in_codec, codecs, slots, tx.init(params), params)

    return Pair(init, tx.within, "anything", through=tx)


def in_codec(codec: Any, slot: PyTree) -> PyTree:
    """A tree of a slot's arrays, each as its codec keeps it."""
    if not isinstance(codec, Mapping):
        return jax.tree.map(lambda x: in_dtype(x, codec), slot)
    patterns = cast("Mapping[str, DType]", codec)
    leaves, treedef = jax.tree_util.tree_flatten_with_path(unpacked(slot))
    # A slot may have several arrays for one parameter, below its path.
    above = [[path[:end] for end in range(len(path), -1, -1)] for path, _ in leaves]
    for pattern in patterns:
        if not any(matches(pattern, at) for paths in above for at in paths):
            check_used("stored", "slot", [pattern], [path for path, _ in leaves])
    asked = (
        [dtype for pattern, dtype in patterns.items() if any(matches(pattern, at) for at in paths)] for paths in above
    )
    new = [in_dtype(x, dtypes[0]) if dtypes else x for (_, x), dtypes in zip(leaves, asked, strict=True)]
    return repacked(treedef.unflatten(new), slot)


def in_dtype(x: Array, dtype: DType) -> Array:
    """A slot's array in a dtype; a complex one in the complex dtype of that precision, what is no number as it is."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        dtype = precision.promote(dtype, jnp.complex64)
    elif jnp.issubdtype(dtype, jnp.complexfloating):
        dtype = precision.real_dtype(dtype)
    return precision.narrow(x, dtype)
