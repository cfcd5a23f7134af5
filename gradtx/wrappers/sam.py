"""SAM and ASAM: gradients taken where the loss nearby is largest."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from gradtx.core import errors, precision, tree
from gradtx.core.apply import apply_updates
from gradtx.core.arguments import Interval
from gradtx.core.averages import abs_sq, safe_divide, sqrt
from gradtx.core.extras import wide_function
from gradtx.core.fields import GatedState, InnerState
from gradtx.core.hyperparameters import NonNegative
from gradtx.core.lifted import lifted
from gradtx.core.loops import either
from gradtx.core.restart import counted_like
from gradtx.core.rules import keep_type
from gradtx.core.slots import CopySlot, copied
from gradtx.core.transformation import GradientTransformation, Inner, Pair, ours, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.wrappers.evaluation import from_slots

Climbs: TypeAlias = Annotated[int, Interval("[0, inf)", integer=True, static=True)]
"""A whole number >= 0. Static."""

Rest = Callable[[Any, PyTree], Any]  # the climb's state after a step down, from the one before and the parameters


class SAMState(NamedTuple):
    """State of `sharpness_aware`, and so of `sam` and `asam`."""

    opt_state: InnerState  # the optimizer's
    adv_state: InnerState  # the climb's


class AlternatingSAMState(NamedTuple):
    """State of `sharpness_aware(alternate=True)`."""

    steps_since_sync: Array  # int32, climbs since the last step down: above 0 while the parameters are uphill
    opt_state: GatedState
    adv_state: GatedState
    cache: CopySlot  # the parameters before the climb

    def evaluation_params(self, params: PyTree) -> PyTree:
        """The parameters, without the climb."""
        formula = lambda p, cache: jnp.where(self.steps_since_sync > 0, cache, p)
        return from_slots("sam", formula, params, self.cache)


def climb_rule(g: Array, *, rho: ArrayLike, norm: Array) -> Array:
    """u = rho g / ||g||."""
    return rho * safe_divide(g, norm)


def adaptive_climb_rule(g: Array, p: Array, *, rho: ArrayLike, eta: ArrayLike, norm: Array) -> Array:
    """u = rho T^2 g / ||T g||, T = |theta| + eta."""
    size = jnp.abs(p) + eta
    return rho * size * (size * safe_divide(g, norm))


def adapted_norm(updates: PyTree, params: PyTree, eta: ArrayLike) -> dict[str, Array]:
    """||T g||, T = |theta| + eta."""
    square = lambda g, p: jnp.square(jnp.abs(p) + eta) * abs_sq(g)
    return {"norm": sqrt(tree.sum_of(square, updates, params))}


@lifted(climb_rule, reduce=lambda updates: {"norm": tree.norm(updates)})
def scale_to_norm(rho: NonNegative):
    """Give the whole update the norm rho: u <- rho g / ||g||, and 0 where g is 0; SAM's climb.

    Source: Foret et al. 2021, arXiv:2010.01412.
    """


@lifted(adaptive_climb_rule, reduce=adapted_norm)
def scale_to_adaptive_norm(rho: NonNegative, eta: NonNegative = 0.01):
    """Give the update a norm that counts large parameters less: u <- rho T^2 g / ||T g||, T = |theta| + eta.

    It is ASAM's climb: a parameter that is twice as large moves twice as far.

    Args:
        eta: at least 0, what a parameter at 0 counts as.

    Source: Kwon et al. 2021, arXiv:2102.11600.
    """


@transformation
def sharpness_aware(
    optimizer: Inner, climb: Inner, *, climbs: Climbs = 1, reset_climb: bool = False, alternate: bool = False
) -> Pair:
    """Give an optimizer the gradient at a point uphill from the parameters.

    At each step, with L the loss:

        eps <- climb(grad L(theta))
        theta <- theta + optimizer(grad L(theta + eps))

    and with more `climbs` the first line again from theta + eps, with the gradient there, before the second.

    The later gradients come from `grad_fn`, an extra argument: `update(grads, state, params, grad_fn=grad_fn)`, a
    function of the parameters, with the batch of `grads` in it.

    With `alternate` there is no `grad_fn`: the first of each two updates is eps, the second leads from there to the
    next theta, so the gradients of the training loop do for both. In between, `evaluation_params` gives theta.

    Args:
        optimizer: takes the step down.
        climb: a transformation of the gradient into eps, such as `scale_to_norm(rho)`.
        climbs: steps uphill before the step down, at least 0.
        reset_climb: whether the climb's state starts anew after each step down.
        alternate: whether an update is either a climb or the step down.

    State: `SAMState(opt_state, adv_state)`; with `alternate`
        `AlternatingSAMState(steps_since_sync, opt_state, adv_state, cache)`, one value per parameter more.

    Raises: TypeError from `update` without `grad_fn`; ValueError without params.

    Source: Foret et al. 2021, arXiv:2010.01412.
    """
    tx, up = ours(optimizer), ours(climb)
    rest = lambda adv_state, params: counted_like(up.init(params), adv_state) if reset_climb else adv_state
    return _two_calls(tx, up, climbs, rest) if alternate else _one_call(tx, up, climbs, rest)


def _one_call(tx: GradientTransformation, up: GradientTransformation, climbs: int, rest: Rest) -> Pair:
    def init(params: PyTree) -> SAMState:
        return SAMState(tx.init(params), up.init(params))

    def update(updates: PyTree, state: SAMState, params: PyTree = None, **extra: Any) -> tuple[PyTree, SAMState]:
        errors.check_params("sharpness_aware", params)
        gradient = wide_function("sharpness_aware", "grad_fn", extra)
        grads, point, adv_state = updates, params, state.adv_state
        for _ in range(climbs):
            eps, adv_state = up.within(grads, adv_state, point, **extra)
            point = apply_updates(point, eps)
            new = gradient(point)
            if jax.tree.structure(new) != jax.tree.structure(params):
                errors.structure_mismatch("sharpness_aware", "grad_fn(params)", params, new)
            for (path, p), x in zip(jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(new), strict=True):
                errors.check_inexact("sharpness_aware", "gradient of grad_fn", path, x)
                if jnp.shape(x) != jnp.shape(p):
                    where = f"{errors.path_str(path)} has shape {jnp.shape(x)}, wanted {jnp.shape(p)}"
                    raise ValueError(f"sharpness_aware: grad_fn(params) at {where}")
            # A parameter without a gradient has none at the other point either.
            grads = tree.map_given(lambda g, x: x, updates, new)
        steps, opt_state = tx.within(grads, state.opt_state, params, **extra)
        return steps, SAMState(opt_state, rest(adv_state, params))

    return Pair(init, update, "numbers", SAMState)


def _two_calls(tx: GradientTransformation, up: GradientTransformation, climbs: int, rest: Rest) -> Pair:
    def init(params: PyTree) -> AlternatingSAMState:
        cache = jax.tree.map(lambda p: copied(p, p.dtype), params)
        return AlternatingSAMState(jnp.zeros((), jnp.int32), tx.init(params), up.init(params), cache)

    def update(
        updates: PyTree, state: AlternatingSAMState, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, AlternatingSAMState]:
        errors.check_params("sharpness_aware", params)
        taken = state.steps_since_sync
        start = jax.tree.map(lambda p, c: jnp.where(taken == 0, p, precision.cast(c, p.dtype)), params, state.cache)
        cache = jax.tree.map(keep_type, start, state.cache)

        def climb() -> tuple[PyTree, AlternatingSAMState]:
            eps, adv_state = up.within(updates, state.adv_state, params, **extra)
            return eps, AlternatingSAMState(taken + 1, state.opt_state, adv_state, cache)

        def step() -> tuple[PyTree, AlternatingSAMState]:
            steps, opt_state = tx.within(updates, state.opt_state, start, **extra)
            steps = tree.map_given(jnp.add, steps, tree.difference(start, params))
            adv_state = rest(state.adv_state, start)
            return steps, AlternatingSAMState(jnp.zeros((), jnp.int32), opt_state, adv_state, cache)

        steps, new_state = either(taken < climbs, climb, step)
        return steps, new_state

    return Pair(init, update, "numbers", AlternatingSAMState, {"steps_since_sync": 0})


@transformation
def sam(optimizer: Inner, rho: NonNegative = 0.05, *, alternate: bool = False) -> GradientTransformation:
    """Sharpness-aware minimisation: the gradient is taken at theta + rho g / ||g||; see `sharpness_aware`.

        update(grads, state, params, grad_fn=lambda params: jax.grad(loss_fn)(params, batch))

    Args:
        optimizer: takes the step down.
        rho: at least 0, how far uphill; a number or a schedule. The paper: 0.05 for CIFAR and ImageNet.
        alternate: whether two updates make a step, and there is no `grad_fn`.

    State: that of `sharpness_aware`.

    Source: Foret et al. 2021, Algorithm 1, arXiv:2010.01412.
    """
    return sharpness_aware(optimizer, scale_to_norm(rho), alternate=alternate)


@transformation
def asam(
    optimizer: Inner, rho: NonNegative = 0.5, eta: NonNegative = 0.01, *, alternate: bool = False
) -> GradientTransformation:
    """Adaptive SAM: the gradient is taken at theta + rho T^2 g / ||T g||, T = |theta| + eta; see `sharpness_aware`.

    Its sharpness does not change when the parameters are rescaled.

    Args:
        optimizer: takes the step down.
        rho: at least 0, how far uphill; a number or a schedule. The paper: 0.5 to 2.
        eta: at least 0, what a parameter at 0 counts as.
        alternate: whether two updates make a step, and there is no `grad_fn`.

    State: that of `sharpness_aware`.

    Source: Kwon et al. 2021, arXiv:2102.11600; differs: the authors' code leaves biases out of T.
    """
    return sharpness_aware(optimizer, scale_to_adaptive_norm(rho, eta), alternate=alternate)
