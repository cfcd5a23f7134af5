"""GaLore: subspaces, memory, agreement with Optax."""

from itertools import pairwise

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx import DimensionNumbers
from gradtx.core.selection import MaskedNode
from tests.support import train

SHAPES = {"wide": (4, 7), "tall": (7, 4), "bias": (3,)}


def draw(seed, steps=(), shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.standard_normal((*steps, *shape)), jnp.float32) for name, shape in shapes.items()}


def test_one_step_by_hand():
    # The first singular vector of diag(1, 3) is the second axis; Adam's first direction there is the sign.
    g = {"w": jnp.diag(jnp.array([1.0, -3.0]))}
    tx = gradtx.scale_by_galore(1, scale=0.5)
    updates, state = tx.update(g, tx.init(g))
    np.testing.assert_allclose(gradtx.find_state(state, "projector")["w"], [[0.0], [1.0]], atol=1e-6)
    np.testing.assert_allclose(updates["w"], [[0.0, 0.0], [0.0, -0.5]], atol=1e-6)


@pytest.mark.parametrize("side", ["smaller", "larger"])
def test_shapes_of_the_state(side):
    tx = gradtx.scale_by_galore(2, side=side)
    state = tx.init(draw(0))
    shapes = lambda tree: {name: getattr(x, "shape", x) for name, x in tree.items()}
    n = 4 if side == "smaller" else 7
    assert shapes(gradtx.find_state(state, "projector")) == {"wide": (n, 2), "tall": (n, 2), "bias": MaskedNode()}
    long = 11 - n
    left = {"wide": (2, long), "tall": (long, 2)} if side == "smaller" else {"wide": (long, 2), "tall": (2, long)}
    assert shapes(gradtx.find_state(state, "mu")) == left | {"bias": (3,)}


def test_updates_have_the_rank_and_lie_in_the_span_of_the_gradient():
    grads = draw(1)
    tx = gradtx.scale_by_galore(2)
    updates, _ = tx.update(grads, tx.init(grads))
    for name in ("wide", "tall"):
        assert np.linalg.matrix_rank(updates[name], tol=1e-4) == 2
    u, _, _ = np.linalg.svd(grads["wide"])
    np.testing.assert_allclose(u[:, 2:].T @ updates["wide"], 0, atol=1e-5)


def test_the_subspace_changes_every_gap_steps_only():
    tx = gradtx.scale_by_galore(2, 3)
    state = tx.init(draw(0))
    update = jax.jit(tx.update)
    kept = []
    for seed in range(7):
        _, state = update(draw(seed), state)
        kept.append(np.asarray(gradtx.find_state(state, "projector")["wide"]))
    changed = [not np.array_equal(a, b) for a, b in pairwise(kept)]
    assert changed == [False, False, True, False, False, True]
    np.testing.assert_allclose(kept[-1].T @ kept[-1], np.eye(2), atol=1e-6)


def test_full_rank_with_momentum_is_momentum():
    params, grads = draw(0), draw(1, (10,))
    base = gradtx.scale_by_momentum(0.9)
    ours, _, _ = train(gradtx.galore(0.1, 7, 20, base_optimizer=base), params, grads)
    plain, _, _ = train(gradtx.sgd(0.1, 0.9), params, grads)
    chex.assert_trees_all_close(ours, plain, atol=1e-5)


def test_kernels_of_more_axes_equal_their_matrices():
    kernel = {"q": draw(1, shapes={"q": (4, 3, 5)})["q"]}
    tx = gradtx.scale_by_galore(2, weight_dimension_numbers=DimensionNumbers(0, (1, 2)))
    together, _ = tx.update(kernel, tx.init(kernel))
    matrix = {"q": kernel["q"].reshape(4, 15)}
    tx = gradtx.scale_by_galore(2)
    apart, _ = tx.update(matrix, tx.init(matrix))
    np.testing.assert_allclose(together["q"].reshape(4, 15), apart["q"], atol=1e-5)
    stack = gradtx.scale_by_galore(2, weight_dimension_numbers=DimensionNumbers(1, 2))
    updates, _ = stack.update(kernel, stack.init(kernel))
    for i in range(4):
        one = {"q": kernel["q"][i]}
        np.testing.assert_allclose(updates["q"][i], tx.update(one, tx.init(one))[0]["q"], atol=1e-5)


@pytest.mark.parametrize("gap", [30, 6])
def test_agrees_with_optax(gap):
    optax, contrib = pytest.importorskip("optax"), pytest.importorskip("optax.contrib")
    params = draw(0)
    # One direction dominates, so that the signs of singular vectors do not flip between subspaces.
    grads = jax.tree.map(lambda p, g: 5 * jnp.abs(p) + 0.1 * g, params, draw(1, (20,)))
    numbers = dict(rank=1, update_proj_gap=gap, scale=0.5, weight_decay=0.1)
    mine = gradtx.galore(0.1, side="larger", base_optimizer=gradtx.scale_by_adam(0.9, 0.9), **numbers)
    other = contrib.galore(0.1, base_optimizer=optax.scale_by_adam(0.9, 0.9), **numbers)
    ours, _, _ = jax.jit(lambda p, g: train(mine, p, g))(params, grads)
    with jax.numpy_dtype_promotion("standard"):
        theirs, _, _ = jax.jit(lambda p, g: train(other, p, g))(params, grads)
    chex.assert_trees_all_close(ours, theirs, atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"galore: rank must be in \[1, inf\), got 0"):
        gradtx.galore(0.1, 0)
    with pytest.raises(ValueError, match="galore: side must be one of 'smaller', 'larger', got 'left'"):
        gradtx.galore(0.1, side="left")
    with pytest.raises(ValueError, match="add_decayed_weights needs params"):
        tx = gradtx.galore(0.1, base_optimizer=gradtx.add_decayed_weights(0.1))
        tx.update(draw(0), tx.init(draw(0)), draw(0))
