"""Reductions over a tree, in float32 or wider, with finite gradients at zero."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import tree

TREE = {"a": jnp.array([3.0, -4.0]), "b": [jnp.array(12.0), None, jnp.zeros((0, 2))]}


def test_reductions():
    assert tree.total(TREE) == 11
    assert tree.norm_sq(TREE) == 169
    assert tree.norm(TREE) == 13
    assert tree.norm_l1(TREE) == 19
    assert tree.vdot(TREE, TREE) == 169
    assert tree.size(TREE) == 3


def test_empty_trees():
    for reduction in (tree.total, tree.norm_sq, tree.norm, tree.norm_l1):
        out = reduction({})
        assert (out, out.dtype, out.shape) == (0, jnp.float32, ())
    assert tree.size([]) == 0


def test_the_gradient_of_the_norm_at_zero_is_zero():
    zeros = jax.tree.map(jnp.zeros_like, TREE)
    chex.assert_trees_all_equal(jax.grad(tree.norm)(zeros), zeros)
    chex.assert_trees_all_close(jax.grad(tree.norm)(TREE)["a"], jnp.array([3.0, -4.0]) / 13)


def test_complex():
    z = {"a": jnp.array([3 + 4j]), "b": jnp.array([1j])}
    w = {"a": jnp.array([1 - 1j]), "b": jnp.array([2j])}
    assert tree.norm_sq(z) == 26
    assert tree.norm_sq(z).dtype == jnp.float32
    assert tree.vdot(z, w) == sum(np.vdot(z[k], w[k]).real for k in z)


def test_low_precision_is_summed_in_float32():
    x = {"a": jnp.ones(2**12, jnp.bfloat16), "b": jnp.full(3, 300.0, jnp.float16)}
    assert tree.total(x) == 2**12 + 900
    assert tree.norm_sq(x) == 2**12 + 270000
    assert tree.norm_sq(x).dtype == jnp.float32


def test_mixed_dtypes_take_the_widest():
    with jax.enable_x64(True):
        x = {"a": jnp.ones(2, jnp.float64), "b": jnp.ones(2, jnp.bfloat16)}
        assert tree.norm(x).dtype == jnp.float64
        y = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones(2, jnp.float32)}
        assert tree.vdot(x, y) == 4
