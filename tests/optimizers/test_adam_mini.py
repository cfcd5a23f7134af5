"""Adam-mini: one step by hand, blocks by axis, memory, Adam as the limit, errors."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train


def test_one_step_by_hand():
    g = jnp.array([[3.0, 0.0], [4.0, 1.0]])
    tx = gradtx.scale_by_adam_mini(eps=1e-8)
    u, state = tx.update(g, tx.init(g))
    np.testing.assert_allclose(u, g / np.sqrt([12.5, 0.5]), rtol=1e-6)  # a column is an output unit
    assert state.nu.shape == (1, 2)


@pytest.mark.parametrize(
    ("axis", "shape"), [(-1, (1, 1, 1, 4)), (-2, (1, 1, 2, 1)), (0, (2, 1, 1, 1)), (None, (1,) * 4)]
)
def test_blocks_by_axis(axis, shape):
    nu = gradtx.scale_by_adam_mini(block_axis=axis).init(make_params()).nu
    assert nu["kernel"].shape == shape
    assert nu["vector"].shape == (1,)
    assert nu["scalar"].shape == ()


def test_blocks_of_one_element_see_adam():
    params, grads = {"w": jnp.ones((1, 6))}, {"w": make_grads(10)["kernel"].reshape(10, 8, 6)[:, :1]}
    ours = train(gradtx.adam_mini(0.1), params, grads)[2]
    chex.assert_trees_all_close(ours, train(gradtx.adam(0.1), params, grads)[2], rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="scale_by_adam_mini: block_axis 2 is not an axis of a leaf with 2"):
        gradtx.scale_by_adam_mini(block_axis=2).init({"w": jnp.ones((3, 2))})
