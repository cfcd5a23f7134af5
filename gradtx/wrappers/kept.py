"""Parameters of 16 bits that lose nothing: what of a step is below their spacing is kept, or left to chance."""

from typing import Any, cast

import jax
import jax.numpy as jnp

from gradtx.core import border, errors, precision
from gradtx.core.keeping import KeepingRule, Kept
from gradtx.core.leafwise import Leafwise, leafwise
from gradtx.core.precision import is_narrow
from gradtx.core.spacing import SMALLEST
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Extra, PyTree


@transformation
def kept(inner: Inner, keeping: Kept, /) -> Pair:
    """Let parameters of 16 bits take steps that are smaller than their spacing; those of 32 bits are left alone.

        tx = gradtx.kept(gradtx.adamw(1e-4), gradtx.residual())     # 8 bits more: float32 in all but its size
        tx = gradtx.kept(gradtx.adamw(1e-4), gradtx.stochastic())   # nothing more
        tx = gradtx.kept(gradtx.adamw(1e-4), gradtx.kahan())        # 16 bits more
        tx = gradtx.kept(gradtx.adamw(1e-4), gradtx.master())       # 32 bits more

    A bfloat16 near 1 has neighbours at a distance of 1/128 and 1/256: steps of less than half of that are lost, each
    time. What is kept here adds up instead. The optimizer sees the parameters in full, and starts with them in float32.
    Updates lead exactly from one parameter of 16 bits to another, in `step` as in `update` and `apply_updates`, also
    Optax's; so `kept` is put around all else that changes them. Only a step by more than half of the parameter may end
    a little beside, if gradients of 16 bits make updates be so, too; `step` has none.

    Args:
        inner: the optimizer.
        keeping: `stochastic`, `kahan`, `residual` or `master`.

    State: `StochasticState(inner_state, count)`, `KahanState(inner_state, count, compensation)`,
        `ResidualState(inner_state, count, residual)` or `MasterState(inner_state, master)`. `full_params` gives the
        parameters in full.

    Raises:
        ValueError: from `update` without params.
        TypeError: gradients of a dtype of less range than the parameter's, such as float16 for bfloat16: updates in it
            would vanish.
    """
    tx, way = ours(inner), cast(KeepingRule, keeping.build())
    link, landing = (
        leafwise(way.rule, way.state, beside=("given",), direct=direct, **way.named).named("kept")
        for direct in (False, True)
    )

    def init(params: PyTree) -> Any:
        return link.init(params, inner_state=tx.init(_wide_types(params)))

    def run(link: Leafwise, updates: PyTree, state: Any, params: PyTree, extra: Extra) -> tuple[PyTree, Any]:
        errors.check_params("kept", params)
        given = border.as_given(updates)
        _check_range(given, params)
        with border.noted({}):
            full = state.full_params(params)
            steps, inner_state = tx.within(updates, state.inner_state, full, **extra)
        return link.update(steps, state._replace(inner_state=inner_state), params, given=given)

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        return run(link, updates, state, params, extra)

    def lands(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        new, state = run(landing, updates, state, params, extra)
        return precision.round_like(new, params), state

    return Pair(init, update, "numbers", way.state, link.starts | dict.fromkeys(link.slots), lands=lands)


def _wide_types(params: PyTree) -> PyTree:
    """The parameters in the dtypes that maths on them runs in, or the types of these."""

    def one(p: Any) -> Any:
        if not isinstance(p, jax.ShapeDtypeStruct):
            return p
        return p.update(dtype=precision.compute_dtype(p.dtype))

    return precision.widen(jax.tree.map(one, params))


def _check_range(updates: PyTree, params: PyTree) -> None:
    """Refuse updates of a dtype that does not reach as far down as the parameter's."""
    least = lambda x: float(jnp.finfo(x.dtype).smallest_subnormal)
    leaves = jax.tree_util.tree_leaves_with_path(params)
    for (path, p), u in zip(leaves, jax.tree.leaves(updates), strict=False):
        if errors.is_inexact(p) and is_narrow(p.dtype) and least(u) > max(least(p), SMALLEST):
            raise TypeError(
                f"kept: updates in {u.dtype} at {errors.path_str(path)} cannot hold steps of {p.dtype}; "
                "use gradtx.step, or gradients in float32"
            )
