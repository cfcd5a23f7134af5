"""Rows: Sophia and the estimates of curvature that it uses, on losses for which chance plays no part."""

import jax
import jax.numpy as jnp

import gradtx
from gradtx.core import precision
from tests.oracles import sophia
from tests.rows import Row


def bowl(params):
    """The sum of -cos(x) over all elements: its gradient is sin(x), its Hessian diagonal with cos(x)."""
    return sum((-jnp.sum(jnp.cos(x)) for x in jax.tree.leaves(precision.widen(params))), jnp.zeros(()))


def loss(params, grads):
    """What `hutchinson` needs."""
    return {"obj_fn": bowl}


def sampled_loss(params, grads):
    """What `gauss_newton_bartlett` needs; the key plays no part."""
    return {"sampled_obj_fn": lambda params, key: bowl(params)}


ROWS = [
    Row(gradtx.hutchinson(3), sophia.hutchinson, extra=loss, complex="refused"),
    Row(gradtx.gauss_newton_bartlett(0.5), sophia.gauss_newton_bartlett, extra=sampled_loss, complex="refused"),
    Row(
        gradtx.scale_by_sophia(gradtx.hutchinson(3), 0.8, 0.9, gamma=2.0, update_interval=3, debias=True),
        sophia.sophia,
        extra=loss,
        complex="refused",
    ),
    Row(gradtx.sophia_h(0.01, gamma=1.0, update_interval=4), sophia.sophia_h, extra=loss, complex="refused"),
    Row(gradtx.sophia_g(0.01, 8.0, update_interval=1), sophia.sophia_g, extra=sampled_loss, complex="refused"),
]
