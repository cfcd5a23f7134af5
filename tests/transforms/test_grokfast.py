"""Grokfast: by hand, slow parts against fast ones, errors."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import train


def run(tx, gs):
    return np.asarray(train(tx, {"w": jnp.zeros(1)}, {"w": jnp.asarray(gs, jnp.float32)[:, None]})[2]["w"])[:, 0]


def test_by_hand():
    np.testing.assert_allclose(run(gradtx.grokfast(0.5, 2.0), [1, 3]), [1 + 2 * 1, 3 + 2 * 2])
    np.testing.assert_allclose(run(gradtx.grokfast_window(2, 2.0), [1, 3, 5]), [1, 3 + 2 * 2, 5 + 2 * 4])


@pytest.mark.parametrize("tx", [gradtx.grokfast(), gradtx.grokfast_window(20, 2.0)], ids=["ema", "window"])
def test_amplifies_the_slow_part_only(tx):
    slow, fast = run(tx, np.ones(400)), run(tx, (-1.0) ** np.arange(400))
    np.testing.assert_allclose(slow[-1], 3.0, rtol=1e-4)
    np.testing.assert_allclose(np.abs(fast[-1]), 1.0, rtol=0.03)


def test_errors():
    with pytest.raises(ValueError, match="grokfast_window: size must be in"):
        gradtx.grokfast_window(0)
