"""L-BFGS: gradients times an inverse Hessian put together from the last few steps."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.combine.chain import chain
from gradtx.core import precision, tree
from gradtx.core.averages import safe_divide
from gradtx.core.errors import check_params
from gradtx.core.explicit import laid_out_like
from gradtx.core.extras import one_number
from gradtx.core.fields import Joint, JointCount
from gradtx.core.hyperparameters import NonNegative, PositiveInt
from gradtx.core.slots import ExactSlot, MemorySlot, Slot, scalar, zeros, zeros_shaped
from gradtx.core.transformation import GradientTransformation, Inner, Pair, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.search.line import filled, first_length, times
from gradtx.search.zoom import scale_by_zoom_linesearch
from gradtx.transforms.scale import identity, scale, scale_by_lr

CAREFUL = 0.1  # the part of ||theta|| that a step may change it by before any curvature is known
ZOOM = scale_by_zoom_linesearch(20, initial_guess_strategy="one")


class ScaleByLBFGSState(NamedTuple):
    """State of `scale_by_lbfgs`. Pair i is s_i = theta_i+1 - theta_i and y_i = g_i+1 - g_i, at i mod memory_size."""

    count: JointCount  # int32, steps taken
    params: ExactSlot  # theta of the step before
    updates: Slot  # g of the step before
    diff_params_memory: MemorySlot  # (memory_size, *shape), the s_i
    diff_updates_memory: MemorySlot  # (memory_size, *shape), the y_i
    weights_memory: Joint  # (memory_size,), 1 / <s_i, y_i>, and 0 for a pair that is left out


Weigh: TypeAlias = Callable[[ScaleByLBFGSState, PyTree, Array], tuple[Array, Array]]
"""`(state, s, <s, y>)` to the weight of the pair and those of the pairs before it."""

Begin: TypeAlias = Callable[[PyTree, Array | None, ScaleByLBFGSState, Array], Array]
"""`(g, value, state, order)` to gamma, where the places in memory are in the order of time."""


def curved(state: ScaleByLBFGSState, s: PyTree, inner: Array) -> tuple[Array, Array]:
    """The weight of a new pair, 0 where it shows no curvature, and those of the old ones.

    The curvature <s, y> is compared with the slope <s, g> before the step, which has the units that it has.
    """
    positive = inner > float(jnp.finfo(inner.dtype).eps) * jnp.abs(tree.vdot(s, state.updates))
    weight = jnp.where(positive & jnp.isfinite(inner), safe_divide(jnp.ones_like(inner), inner), 0)
    # After a step that did not move, the memory led nowhere: begin again.
    return weight, jnp.where(tree.all_zero(s), 0, state.weights_memory)


def remembered(state: ScaleByLBFGSState, params: PyTree, g: PyTree, weigh: Weigh) -> ScaleByLBFGSState:
    """The state with the pair of the last step in its memory."""
    size = state.weights_memory.shape[0]
    first = state.count == 0
    difference = lambda new, old: jax.tree.map(lambda x, y: jnp.where(first, 0, x - y), new, old)
    s, y = difference(params, state.params), difference(g, state.updates)
    weight, weights = weigh(state, s, tree.vdot(s, y))
    slot = (state.count - 1) % size
    put = lambda memory, x: jax.tree.map(lambda m, x: m.at[slot].set(x), memory, x)
    return ScaleByLBFGSState(
        count=jnp.where(state.count < jnp.iinfo(jnp.int32).max, state.count + 1, state.count),
        params=params,
        updates=g,
        diff_params_memory=put(state.diff_params_memory, s),
        diff_updates_memory=put(state.diff_updates_memory, y),
        weights_memory=weights.at[slot].set(precision.cast(weight, weights.dtype)),
    )


def scale_of(state: ScaleByLBFGSState, at: Array) -> Array:
    """<s, y> / <y, y> of the pair that lies there; 0 for one that is left out."""
    rho = state.weights_memory[at]
    y = jax.tree.map(lambda m: m[at], state.diff_updates_memory)
    unit = tree.unit(y)
    yy = tree.scaled_norm_sq(y, unit)  # <y, y> / unit^2
    return safe_divide(safe_divide(safe_divide(jnp.ones_like(rho), rho), unit), yy) / unit


def first_scale(g: PyTree, value: Array | None, state: ScaleByLBFGSState, order: Array) -> Array:
    """gamma: <s, y> / <y, y> of the newest pair, and before there is one what makes a step of `first_length`."""
    rho, size = state.weights_memory[order], order.shape[0]
    newest = size - 1 - jnp.argmax(rho[::-1] > 0)
    norm = tree.scaled_norm(g)
    start = safe_divide(first_length(state.params, value, norm, CAREFUL), norm)
    known = safe_divide(jnp.ones_like(rho), rho)[newest] > 0
    return jnp.where(known, scale_of(state, order[newest]), start)


def two_loops(
    g: PyTree, value: Array | None, state: ScaleByLBFGSState, scale_init_precond: bool, begin: Begin
) -> PyTree:
    """H g, by the two-loop recursion over the pairs in memory."""
    size = state.weights_memory.shape[0]
    order = (state.count - 1 + jnp.arange(size, dtype=jnp.int32)) % size  # from the oldest to the newest
    s_all, y_all, rho = state.diff_params_memory, state.diff_updates_memory, state.weights_memory
    entry = lambda memory, i: jax.tree.map(lambda m: m[i], memory)
    add = lambda q, factor, x: jax.tree.map(lambda a, b: a + times(factor, b), q, x)

    def back(q: PyTree, i: Array) -> tuple[PyTree, Array]:
        a = rho[i] * tree.vdot(entry(s_all, i), q)
        return add(q, -a, entry(y_all, i)), a

    q, a = jax.lax.scan(back, g, order, reverse=True)
    if scale_init_precond:
        gamma = begin(g, value, state, order)
        q = jax.tree.map(lambda x: times(gamma, x), q)

    def forth(q: PyTree, i_a: tuple[Array, Array]) -> tuple[PyTree, None]:
        i, a = i_a
        b = rho[i] * tree.vdot(entry(y_all, i), q)
        return add(q, a - b, entry(s_all, i)), None

    return jax.lax.scan(forth, q, (order, a))[0]


@transformation
def scale_by_lbfgs(memory_size: PositiveInt = 10, scale_init_precond: bool = True) -> Pair:
    """Multiply gradients by an estimate of the inverse Hessian from the last steps: u <- H g.

    H follows from the pairs s = theta_t - theta_t-1, y = g_t - g_t-1 of the last memory_size steps, the oldest first:

        H <- (1 - rho s y^T) H (1 - rho y s^T) + rho s s^T,   rho = 1 / <s, y>

    from H = gamma 1, gamma = <s, y> / <y, y> of the newest pair. Without pairs ||u|| = min(||theta|| / 10,
    2 |f| / ||g||), of what is above 0 and known (`value=f`), and 1 without either. A pair with
    <s, y> <= eps |<s, g_t-1>| (eps: the dtype's) is left out, as in SciPy. After a step of 0 all pairs are. So another
    unit of the loss, f and g times a number, changes no u, and another unit of theta nothing but the unit of u.

    Args:
        memory_size: at least 1.
        scale_init_precond: whether gamma is as above; else it is 1.

    State: `ScaleByLBFGSState(count, params, updates, diff_params_memory, diff_updates_memory, weights_memory)`,
        2 memory_size + 2 values per parameter.

    Raises: ValueError from `update` without params.

    Source: Nocedal & Wright 2006, Algorithm 7.4; Liu & Nocedal 1989. The first length follows Hager
        & Zhang 2006, I0, with other factors. Optax keeps every pair.
    """
    return lbfgs_pair(memory_size, scale_init_precond, curved, first_scale)


def lbfgs_pair(memory_size: int, scale_init_precond: bool, weigh: Weigh, begin: Begin) -> Pair:
    """The pair behind `scale_by_lbfgs`, for what weighs a new pair and what H begins with."""
    name = "scale_by_lbfgs"
    memory = zeros_shaped(lambda p: jnp.broadcast_to(p, (memory_size, *p.shape)))
    weights = scalar(np.zeros(memory_size))
    starts: dict[str, Any] = {
        "diff_params_memory": memory,
        "diff_updates_memory": memory,
        "weights_memory": weights,
    }

    def init(params: PyTree) -> ScaleByLBFGSState:
        each = lambda start: jax.tree.map(start, params)
        count = jnp.zeros((), jnp.int32)
        return ScaleByLBFGSState(count, each(zeros()), each(zeros()), each(memory), each(memory), weights(params))

    def update(
        updates: PyTree, state: ScaleByLBFGSState, params: PyTree = None, *, value: ArrayLike | None = None
    ) -> tuple[PyTree, ScaleByLBFGSState]:
        check_params(name, params)
        like = lambda x, slot: jax.tree.map(lambda a, b: laid_out_like(precision.cast(a, b.dtype), b), x, slot)
        g = like(filled(name, "updates", params, updates), state.updates)
        state = remembered(state, like(params, state.params), g, weigh)
        loss = None if value is None else precision.cast(one_number(name, "value", value), state.weights_memory.dtype)
        direction = two_loops(g, loss, state, scale_init_precond, begin)
        return tree.map_given(lambda u, d: d, updates, direction), state

    return Pair(init, update, "numbers", ScaleByLBFGSState, starts)


@transformation
def lbfgs(
    learning_rate: NonNegative | None = None, memory_size: PositiveInt = 10, scale_init_precond: bool = True,
    linesearch: Inner | None = ZOOM,
) -> GradientTransformation:  # fmt: skip
    """L-BFGS: theta <- theta - eta H g, with H from `scale_by_lbfgs` and eta from a line search.

        value, grad = gradtx.value_and_grad_from_state(loss)(params, state=state)
        updates, state = tx.update(grad, state, params, value=value, grad=grad, value_fn=loss)

    or in one call: `gradtx.solve(loss, params)`. The loss should not change from step to step: give it all the data.

    Args:
        learning_rate: None, or a number or schedule >= 0 that -H g is multiplied by before the search.
        memory_size: at least 1, the pairs that H is made of.
        scale_init_precond: whether H starts from <s, y> / <y, y> and not from 1.
        linesearch: a line search, or None for the learning rate alone.

    State: a tuple of the states of `scale_by_lbfgs`, of the scale and of the line search;
        2 memory_size + 3 values per parameter.

    Raises: TypeError from `update` without what the line search needs: value, grad, value_fn.

    Source: Nocedal & Wright 2006, Algorithm 7.5.
    """
    down = scale(-1.0) if learning_rate is None else scale_by_lr(learning_rate)
    return chain(
        scale_by_lbfgs(memory_size, scale_init_precond), down, identity() if linesearch is None else linesearch
    )
