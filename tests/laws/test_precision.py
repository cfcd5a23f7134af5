"""The low-precision matrix: no gradient within the square root of the largest value makes NaN or Inf."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.catalogue import FIRST, every_transformation, under_laws
from tests.laws.test_values import skip_exempt
from tests.support import make_params, train

STEPS = 20
# A scalar and a matrix for each dtype would be as many programs again for the same rule.
NARROW = {jnp.float16: {"matrix": (4, 3)}, jnp.bfloat16: {"scalar": ()}, jnp.float32: {"scalar": (), "matrix": (4, 3)}}


def patterns(p, dtype):
    """Five gradients for 20 steps: all zero, one zero, smallest subnormal, huge, alternating sign."""
    huge = 65504.0 if dtype == jnp.float16 else 1e18
    tiny = float(jnp.finfo(dtype).smallest_subnormal)
    t = np.arange(STEPS).reshape(-1, *[1] * p.ndim)
    ones = np.ones((STEPS, *p.shape))
    one_zero = ones.copy()
    one_zero.reshape(STEPS, -1)[:, 0] = 0
    return jnp.asarray(np.stack([0 * ones, one_zero, tiny * ones, huge * ones, ones * (-1.0) ** t]), dtype)


@every_transformation
def test_finite(row):
    check(row, NARROW)


@under_laws(FIRST, pytest.mark.exhaustive)
def test_finite_in_float64(row):
    with jax.enable_x64(True):
        check(row, {jnp.float64: {"scalar": (), "matrix": (4, 3)}})


def check(row, kinds):
    """No pattern makes what is not finite, in leaves of the dtypes and shapes given."""
    skip_exempt(row, "precision")
    params = {d.__name__ + k: p for d, shapes in kinds.items() for k, p in make_params(d, shapes=shapes).items()}
    grads = {name: patterns(p, p.dtype) for name, p in params.items()}
    run = jax.jit(jax.vmap(lambda g: train(row.tx, params, g, row.extra)))
    _, state, updates = run(grads)
    for what, tree in (("state", state), ("updates", updates)):
        for path, x in jax.tree_util.tree_leaves_with_path(tree):
            if jnp.issubdtype(x.dtype, jnp.inexact):
                finite = np.isfinite(np.asarray(x, np.float64)).reshape(5, -1).all(axis=1)
                assert finite.all(), f"{what}{jax.tree_util.keystr(path)}: patterns {np.flatnonzero(~finite)}"
