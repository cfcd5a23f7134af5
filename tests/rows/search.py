"""Rows: line searches, L-BFGS, Newton-CG."""

import jax
import jax.numpy as jnp

import gradtx
from gradtx.core import averages, precision, tree
from tests.oracles import search
from tests.rows import Row


def least_after(step):
    """A loss that is least at theta + step u, u the update, and scaled so that its gradient fits a float16."""

    def extra(params, grads):
        params, grads = jax.lax.stop_gradient((params, grads))
        wide = precision.widen(params)
        size = jnp.maximum(averages.sqrt(tree.norm_sq(grads)), 1)
        away = jax.tree.map(lambda g, p: step * precision.cast(g, p.dtype), grads, wide)

        def loss(q):
            distance = lambda x, p, d: averages.abs_sq(((x - p) - d) / size.astype(x.dtype))
            return tree.sum_of(distance, q, wide, away) / 2

        value, grad = jax.value_and_grad(loss)(params)
        return {"value": value, "grad": grad, "value_fn": loss}

    return extra


def bowls(params, grads):
    """A loss whose Hessian is 1, 2, 3, ... on the leaves."""

    def loss(q):
        leaves = jax.tree.leaves(q.unpack() if isinstance(q, gradtx.Packed) else q)
        return sum(((i + 1) * tree.norm_sq(x) / 2 for i, x in enumerate(leaves)), jnp.zeros(()))

    return {"value_fn": loss}


SPLIT = {"complex": "value_fn is a function of the complex parameters"}

ROWS = [
    Row(gradtx.scale_by_lbfgs(3), search.scale_by_lbfgs, complex="pairs"),
    Row(gradtx.scale_by_lbfgs(2, False), search.scale_by_lbfgs, complex="pairs", label="unscaled"),
    Row(gradtx.lbfgs(0.5, 3, linesearch=None), search.lbfgs, complex="pairs"),
    Row(
        gradtx.scale_by_zoom_linesearch(10, curv_rtol=0.1, initial_guess_strategy="one"),
        search.zoom,
        extra=least_after(3.0),
        complex="pairs",
    ),
    Row(
        gradtx.scale_by_backtracking_linesearch(12, 0.41, 0.7, store_grad=True),
        search.backtracking,
        extra=least_after(0.5),
        complex="pairs",
    ),
    Row(
        gradtx.scale_by_backtracking_linesearch(12, 0.41),
        search.backtracking,
        extra=least_after(0.5),
        complex="pairs",
        label="values",
    ),
    Row(gradtx.scale_by_newton_cg(12, 1e-14), search.newton_cg, extra=bowls, complex="refused", exempt=SPLIT),
    Row(gradtx.newton_cg(0.5, 12, 1e-14, None), search.half_newton, extra=bowls, complex="refused", exempt=SPLIT),
]
