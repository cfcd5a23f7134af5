"""A global norm inside a partition: of the group, or of the whole tree."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx

GRADS = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([0.0, 4.0]), "n": jnp.arange(2)}
LABELS = {"a": "one", "b": "two", "n": "rest"}
ALONE = gradtx.GradientTransformation(lambda params: (), lambda updates, state, params=None: (updates, state))
PARTS = {"one": gradtx.clip_by_global_norm(1.0), "two": gradtx.clip_by_global_norm(2.0), "rest": ALONE}


@pytest.mark.parametrize(
    ("over", "a", "b"), [("group", [1.0, 0.0], [0.0, 2.0]), ("tree", [0.6, 0.0], [0.0, 1.6])], ids=["group", "tree"]
)
def test_norms(over, a, b):
    tx = gradtx.partition(PARTS, LABELS, norm_over=over)
    updates, _ = jax.jit(tx.update)(GRADS, tx.init(GRADS))
    chex.assert_trees_all_close((updates["a"], updates["b"]), (jnp.array(a), jnp.array(b)))


def test_the_outermost_tree_counts():
    inner = gradtx.partition({"one": gradtx.clip_by_global_norm(1.0)}, "one", norm_over="tree")
    tx = gradtx.partition({"one": inner, "rest": ALONE}, {"a": "one", "b": "rest", "n": "rest"}, norm_over="tree")
    updates, _ = tx.update(GRADS, tx.init(GRADS))
    chex.assert_trees_all_close(updates["a"], jnp.array([0.6, 0.0]))


def test_a_given_norm_counts():
    tx = gradtx.clip_by_global_norm(1.0)
    updates, _ = tx.update(GRADS["a"], tx.init(GRADS["a"]), global_norm=jnp.float32(6.0))
    chex.assert_trees_all_close(updates, jnp.array([0.5, 0.0]))


def test_errors():
    with pytest.raises(ValueError, match="partition: norm_over must be one of 'group', 'tree', got 'all'"):
        gradtx.partition(PARTS, LABELS, norm_over="all")
