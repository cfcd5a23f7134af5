"""What makes a projection one, for points that hypothesis picks; and quadratic programmes as oracles."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.projections.sets import SETS, N, compiled

POINTS = arrays(np.float64, N, elements=st.floats(-50, 50))
CONVEX = [name for name, s in SETS.items() if s.convex]
EXAMPLES = settings(max_examples=40, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def in_float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", SETS)
@EXAMPLES
@given(x=POINTS)
def test_feasible_and_idempotent(name, x):
    project = compiled(name)
    y = project(x)
    assert SETS[name].residual(y) < 1e-12 * (1 + np.abs(x).sum())
    np.testing.assert_allclose(project(y), y, atol=1e-12 * (1 + np.abs(x).sum()))


@pytest.mark.parametrize("name", SETS)
@EXAMPLES
@given(x=POINTS, seed=st.integers(0, 2**32 - 1))
def test_no_other_point_of_the_set_is_nearer(name, x, seed):
    y = compiled(name)(x)
    rng = np.random.default_rng(seed)
    for spread in (0.01, 0.3, 5.0):
        for other in map(SETS[name].near, y + spread * rng.standard_normal((5, N))):
            assert np.linalg.norm(x - y) <= np.linalg.norm(x - other) + 1e-9


@pytest.mark.parametrize("name", CONVEX)
@EXAMPLES
@given(x=POINTS, z=POINTS)
def test_distances_never_grow(name, x, z):
    project = compiled(name)
    assert np.linalg.norm(project(x) - project(z)) <= np.linalg.norm(x - z) + 1e-11


@pytest.mark.parametrize("name", CONVEX)
def test_equals_a_quadratic_programme(name):
    rng = np.random.default_rng(3)
    for scale in (0.3, 1.0, 3.0):
        for x in scale * rng.standard_normal((4, N)):
            np.testing.assert_allclose(compiled(name)(x), SETS[name].oracle(x), atol=2e-6)


@pytest.mark.parametrize("name", SETS)
def test_nan_stays_nan(name):
    """A point that is none is projected onto no point of the set, which would hide it."""
    for i in range(N):
        assert np.isnan(compiled(name)(np.where(np.arange(N) == i, np.nan, 1.5))).any()
