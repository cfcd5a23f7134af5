"""How the numbers of a state are kept: any slot of any transformation, in a dtype of the user's choice."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, cast

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.arguments import Accept, IsDType
from gradtx.core.codecs.blocks import float8
from gradtx.core.codecs.coded import Codec, encoded, opened
from gradtx.core.repack import items_first, repacked, unpacked
from gradtx.core.selection import check_used, matches
from gradtx.core.slots import SlotMark
from gradtx.core.stacks import Stack, is_stack
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Array, DType, PyTree
from gradtx.core.walk import map_chosen


class IsWay(Accept):
    """A dtype, a codec, or a dictionary from patterns on the parameters' paths to such; static."""

    dynamic = False
    wanted = "a floating-point dtype, a codec such as int8(), or a dictionary from patterns on paths to such"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if isinstance(x, Codec):
            return x
        if not isinstance(x, Mapping):
            return self._dtype(where, name, x)
        patterns = cast("Mapping[Any, Any]", x)
        if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
            raise self.refusal(where, name, x)
        if any(isinstance(way, Mapping) for way in patterns.values()):
            raise self.refusal(where, name, x)
        return {pattern: self.convert(where, f"{name}[{pattern!r}]", way) for pattern, way in patterns.items()}

    def _dtype(self, where: str, name: str, x: Any) -> Any:
        try:
            dtype = IsDType().convert(where, name, x)
            return float8(dtype) if dtype.itemsize == 1 else dtype
        except Exception:
            raise self.refusal(where, name, x) from None


Way: TypeAlias = Annotated[DType | Codec | Mapping[str, DType | Codec], IsWay()]
"""How the numbers of a slot are kept: a dtype or a codec, or one for each pattern on the parameters' paths."""


@transformation
def stored(inner: Inner, /, *codecs: Way, **slots: Way) -> Pair:
    """Keep slots of a transformation, whatever is in it, in other dtypes than those in which they start, or in codes.

        tx = gradtx.stored(gradtx.adamw(1e-3), mu="bfloat16")                  # one slot
        tx = gradtx.stored(gradtx.adamw(1e-3), "bfloat16")                     # every slot
        tx = gradtx.stored(gradtx.adamw(1e-3), "bfloat16", nu="float32")       # every slot but one
        tx = gradtx.stored(gradtx.adamw(1e-3), mu={"embedding/**": "float16"})  # of some parameters
        tx = gradtx.stored(gradtx.adamw(1e-3), gradtx.log8())                  # in codes of 8 bits

    Only the state changes, from `init` on: rules compute as without it, and each step rounds the slots once, to what
    it found them in. A copy of the parameters (DoG's first ones, schedule-free's z) would hide steps below its
    spacing: it stays as it is unless it is named. Derivatives by hyperparameters pass through a slot in codes by its
    scales alone; through one in `log8` or `log4` they do not pass.

    Args:
        inner: the transformation: a chain, a wrapper, an optimizer, or a user's own whose state declares slots.
        *codecs: at most one, for every slot that `slots` does not name, but for copies of parameters: a floating-point
            dtype, a codec (`log8`, `log4`, `int8`, `int4`, `float8`, which a dtype of 8 bits stands for), or a
            dictionary from patterns on the parameters' paths (`*` is any one key, `**` any number) to such, of which
            the first that matches counts. A complex slot takes the complex dtype of that precision, or codes for both
            parts; slots of truth values stay.
        **slots: the same for slots by name, wherever in the state they are.

    State: that of `inner`, with a `Coded` node for each array that is kept in codes.

    Raises:
        ValueError: more than one codec for all; from `init`, a name that no slot has, or a pattern without a match.
    """
    if len(codecs) > 1:
        raise ValueError(f"stored: wanted one codec for all slots, got {len(codecs)}; name slots: stored(tx, mu=...)")
    tx = ours(inner)

    def init(params: PyTree) -> Any:
        return map_chosen("stored", tx.name, in_way, codecs, slots, tx.init(params), params, exact=False)

    return Pair(init, tx.within, "anything", through=tx)


def in_way(way: Any, mark: SlotMark, slot: PyTree) -> PyTree:
    """A tree of a slot's arrays, each as it is to be kept."""
    slot = opened(items_first(mark, slot))
    if not isinstance(way, Mapping):
        return items_first(mark, jax.tree.map(lambda x: kept_in(way, mark, x), slot, is_leaf=is_stack))
    patterns = cast("Mapping[str, Any]", way)
    leaves, treedef = jax.tree_util.tree_flatten_with_path(unpacked(slot))
    # A slot may have several arrays for one parameter, below its path.
    above = [[path[:end] for end in range(len(path), -1, -1)] for path, _ in leaves]
    for pattern in patterns:
        if not any(matches(pattern, at) for paths in above for at in paths):
            check_used("stored", "slot", [pattern], [path for path, _ in leaves])
    asked = ([way for pattern, way in patterns.items() if any(matches(pattern, at) for at in paths)] for paths in above)
    new = [kept_in(ways[0], mark, x) if ways else x for (_, x), ways in zip(leaves, asked, strict=True)]
    return items_first(mark, repacked(treedef.unflatten(new), slot))


def kept_in(way: Any, mark: SlotMark, x: Any) -> Any:
    """An array of a slot, or a stack of them, in a dtype or in codes; what is no number as it is."""
    if isinstance(x, Stack):
        codes = isinstance(way, Codec)
        of_item = lambda y: kept_in(way, mark, y)
        return Stack(jax.tree.map(jax.vmap(of_item) if codes else of_item, x.value))
    if not isinstance(way, Codec):
        return in_dtype(x, way)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    return encoded(x, way, positive=mark.positive, counts=not mark.counted)


def in_dtype(x: Array, dtype: DType) -> Array:
    """A slot's array in a dtype; a complex one in the complex dtype of that precision, what is no number as it is."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        dtype = precision.promote(dtype, jnp.complex64)
    elif jnp.issubdtype(dtype, jnp.complexfloating):
        dtype = precision.real_dtype(dtype)
    return precision.narrow(x, dtype)
