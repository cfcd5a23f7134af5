"""Label smoothing."""

import jax.numpy as jnp
import numpy as np

from gradtx import losses

ONE_HOT = jnp.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def test_by_hand():
    np.testing.assert_array_equal(losses.smooth_labels(ONE_HOT, 0.0), ONE_HOT)
    np.testing.assert_allclose(losses.smooth_labels(ONE_HOT, 1.0), jnp.full((2, 3), 1 / 3), rtol=1e-6)
    alpha = jnp.array([[0.3], [0.6]])
    wanted = [[0.1, 0.8, 0.1], [0.6, 0.2, 0.2]]
    np.testing.assert_allclose(losses.smooth_labels(ONE_HOT, alpha), wanted, rtol=1e-6)


def test_a_mask_counts_classes():
    where = jnp.array([[True, True, False], [False, False, False]])
    got = losses.smooth_labels(ONE_HOT, 0.2, where=where)
    np.testing.assert_allclose(got[0, :2], [0.1, 0.9], rtol=1e-6)
    assert np.all(np.isfinite(got))
