"""Trees, dtypes, derivatives, edges and errors of the projections; agreement with Optax."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx import projections
from gradtx.core.docstring import parsed

SCALED = [
    projections.projection_simplex,
    projections.projection_l1_ball,
    projections.projection_l1_sphere,
    projections.projection_l2_ball,
    projections.projection_l2_sphere,
    projections.projection_linf_ball,
    projections.projection_hypercube,
]
BALLS = SCALED[1:6]
TREE = {"a": jnp.array([[2.0, -1.0], [0.25, 0.5]]), "b": (jnp.array(-0.75), None)}
FLAT = jnp.array([2.0, -1.0, 0.25, 0.5, -0.75])
NORMAL = {"a": jnp.array([[1.0, 2.0], [-1.0, 0.0]]), "b": (jnp.array(0.5), None)}
FLAT_NORMAL = jnp.array([1.0, 2.0, -1.0, 0.0, 0.5])


def flat(tree):
    return jnp.concatenate([jnp.ravel(x) for x in jax.tree.leaves(tree)])


@pytest.mark.parametrize("project", SCALED, ids=lambda f: f.__name__)
def test_a_tree_is_one_vector(project):
    got = project(TREE, 0.8)
    chex.assert_trees_all_equal_structs(got, TREE)
    np.testing.assert_allclose(flat(got), project(FLAT, 0.8), rtol=1e-6)


def test_a_tree_is_one_vector_for_planes_and_boxes():
    got = projections.projection_vector(TREE, NORMAL)
    np.testing.assert_allclose(flat(got), projections.projection_vector(FLAT, FLAT_NORMAL), rtol=1e-6)
    for project in (projections.projection_hyperplane, projections.projection_halfspace):
        np.testing.assert_allclose(flat(project(TREE, NORMAL, -1.0)), project(FLAT, FLAT_NORMAL, -1.0), rtol=1e-6)
    got = projections.projection_box(TREE, {"a": 0.0, "b": -0.5}, 1.0)  # a prefix, and one number
    np.testing.assert_allclose(flat(got), [1.0, 0.0, 0.25, 0.5, -0.5])
    got = projections.projection_box(TREE, -1.0, {"a": 1.0, "b": -1.0})
    np.testing.assert_allclose(flat(got), [1.0, -1.0, 0.25, 0.5, -1.0])
    np.testing.assert_allclose(flat(projections.projection_non_negative(TREE)), [2.0, 0.0, 0.25, 0.5, 0.0])


@pytest.mark.parametrize("project", SCALED, ids=lambda f: f.__name__)
def test_narrow_dtypes_are_kept_and_computed_wide(project):
    x = jnp.asarray(np.random.default_rng(0).standard_normal(2000), jnp.bfloat16)
    y = jax.jit(project)(x, 3.0)
    assert y.dtype == jnp.bfloat16
    expected = jax.jit(project)(x.astype(jnp.float32), 3.0).astype(jnp.bfloat16)
    chex.assert_trees_all_equal(y, expected)


def test_integers_count_as_floats_except_in_boxes():
    chex.assert_trees_all_close(projections.projection_simplex(jnp.array([1, 2])), jnp.array([0.0, 1.0]))
    chex.assert_trees_all_close(projections.projection_l2_ball([3, 4.0]), [0.6, 0.8], rtol=1e-6)
    chex.assert_trees_all_equal(projections.projection_box(jnp.array([-1, 5]), 0, 3), jnp.array([0, 3]))
    chex.assert_trees_all_equal(projections.projection_box(jnp.array([-1, 5]), 0.5, 3), jnp.array([0.5, 3.0]))
    chex.assert_trees_all_equal(projections.projection_non_negative(jnp.array([-1, 5])), jnp.array([0, 5]))


@pytest.mark.parametrize("project", BALLS, ids=lambda f: f.__name__)
def test_complex_numbers_keep_their_direction(project):
    z = np.array([3 + 4j, -0.5j, 1 + 0j], np.complex64)
    y = np.asarray(project(z))
    np.testing.assert_allclose(abs(y), project(abs(z)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y, abs(y) * z / abs(z), rtol=1e-5, atol=1e-6)


def test_planes_of_complex_numbers():
    x, a = jnp.array([1 + 2j, 3 - 1j]), jnp.array([1j, 2 + 0j])
    np.testing.assert_allclose(projections.projection_vector(x, a), a * jnp.vdot(a, x) / 5, rtol=1e-5)
    np.testing.assert_allclose(jnp.vdot(a, projections.projection_hyperplane(x, a, 1 + 1j)), 1 + 1j, rtol=1e-5)
    np.testing.assert_allclose(jnp.vdot(a, projections.projection_halfspace(x, a, 1.0)).real, 1.0, rtol=1e-5)


@pytest.mark.parametrize("project", SCALED, ids=lambda f: f.__name__)
def test_derivatives_are_finite_at_zero_ties_and_infinity(project):
    derivative = jax.jit(jax.jacobian(project, argnums=(0, 1)))
    for x in ([0.0, 0.0, 0.0], [1.0, 1.0, -1.0], [5.0, 0.0, 0.0], [1e30, -1e30, 0.0]):
        chex.assert_tree_all_finite(derivative(jnp.array(x), 1.0))
    chex.assert_tree_all_finite(derivative(jnp.array([1.0, 2.0, 0.0]), 0.0))


@pytest.mark.parametrize("project", SCALED, ids=lambda f: f.__name__)
def test_derivatives_equal_differences(project):
    with jax.enable_x64(True):
        x, d = jnp.array([2.0, -1.2, 0.3, 0.7]), jnp.array([0.3, -0.4, 0.9, 0.1])
        along = jax.jit(lambda t: project(x + t * d, 1.1 + t * 0.7))
        slope = jax.jit(jax.jacfwd(along))(0.0)
        differences = (along(1e-6) - along(-1e-6)) / 2e-6
        np.testing.assert_allclose(slope, differences, atol=1e-8)


def test_what_a_simplex_leaves_at_zero_has_no_derivative():
    """An element that is tau exactly is one of those."""
    derivative = jax.jit(jax.jacobian(projections.projection_simplex, argnums=(0, 1)))
    of_x = np.array([[0.5, -0.5, 0], [-0.5, 0.5, 0], [0, 0, 0]], np.float32)
    wanted = of_x, np.array([0.5, 0.5, 0], np.float32)
    chex.assert_trees_all_close(derivative(jnp.array([2.0, 2.0, 1.5]), 1.0), wanted, atol=1e-6)


def test_masked_scores_get_no_share_of_a_simplex():
    x = jnp.array([0.3, -jnp.inf, 0.1])
    np.testing.assert_allclose(projections.projection_simplex(x), [0.6, 0.0, 0.4], rtol=1e-6)
    chex.assert_tree_all_finite(jax.jit(jax.jacobian(projections.projection_simplex))(x))


def test_directions_survive_squares_that_under_or_overflow():
    for size in (1e-30, 1e30):
        x = size * jnp.array([3.0, 4.0])
        np.testing.assert_allclose(projections.projection_l2_sphere(x), [0.6, 0.8], rtol=1e-6)


def test_a_zero_normal_changes_nothing():
    x, zero = jnp.array([1.0, 2.0]), jnp.zeros(2)
    chex.assert_trees_all_equal(projections.projection_hyperplane(x, zero, 1.0), x)
    chex.assert_trees_all_equal(projections.projection_halfspace(x, zero, -1.0), x)
    chex.assert_trees_all_equal(projections.projection_vector(x, zero), zero)
    gradient = jax.jit(jax.jacobian(lambda a: projections.projection_hyperplane(x, a, 1.0)))(zero)
    chex.assert_tree_all_finite(gradient)


def test_empty_trees_and_arrays_pass():
    for project in SCALED:
        assert project({}) == {}
        assert project(jnp.zeros((2, 0))).shape == (2, 0)


def test_a_large_simplex_sums_to_its_scale():
    x = jnp.asarray(np.random.default_rng(0).uniform(-1, 0, 100_000), jnp.float32)
    y = projections.projection_simplex(x, 7.0)
    assert abs(float(jnp.sum(y)) - 7) < 1e-4 and float(jnp.min(y)) >= 0


def test_stacks_by_vmap():
    xs = jnp.stack([FLAT, -FLAT, 0.1 * FLAT])
    expected = jnp.stack([projections.projection_l1_ball(x) for x in xs])
    np.testing.assert_allclose(jax.jit(jax.vmap(projections.projection_l1_ball))(xs), expected, rtol=1e-6)


@pytest.mark.parametrize("project", SCALED, ids=lambda f: f.__name__)
def test_a_negative_scale_is_refused(project):
    with pytest.raises(ValueError, match=rf"{project.__name__}: scale must be >= 0, got -1"):
        project(FLAT, -1)


def test_errors():
    z = {"w": jnp.ones(2, jnp.complex64)}
    for project in (projections.projection_simplex, projections.projection_hypercube):
        with pytest.raises(TypeError, match=rf"{project.__name__}: wanted real .* complex64\(2,\) at \['w'\]"):
            project(z)
    with pytest.raises(TypeError, match="projection_non_negative: wanted real numbers"):
        projections.projection_non_negative(z)
    for lower, upper in ((2, 1), (2.0, 1.0), (0.5, -1.0)):
        with pytest.raises(ValueError, match=f"projection_box: lower must not be above upper, got {lower} > {upper}"):
            projections.projection_box(FLAT, lower, upper)


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    tree = {"a": TREE["a"], "b": TREE["b"][0]}
    normal = {"a": NORMAL["a"], "b": NORMAL["b"][0]}

    @partial(jax.jit, static_argnums=0)
    def projected(of, tree, normal, x, scales):
        found = {f.__name__: jax.vmap(getattr(of, f.__name__), (None, 0))(tree, scales) for f in SCALED[:-1]}
        for name in ("projection_halfspace", "projection_hyperplane"):
            found[name] = getattr(of, name)(tree, normal, -1.0)
        found["projection_vector"] = of.projection_vector(tree, normal)
        found["projection_hypercube"] = of.projection_hypercube(x, 0.3)  # theirs takes a tree with a tree only
        return found | {"projection_box": of.projection_box(x, -0.5, 0.5)}

    operands = tree, normal, FLAT, jnp.array([0.5, 3.0])
    with jax.numpy_dtype_promotion("standard"):
        wanted = projected(optax.projections, *operands)
    chex.assert_trees_all_close(projected(projections, *operands), wanted, rtol=1e-5, atol=1e-6)


def test_docstrings_tell_what_projections_share():
    told = parsed(projections.projection_l2_ball.__doc__)
    assert told.arguments["scale"] == "at least 0, the radius."
    assert told.sections["Returns"] == "\n    A tree like `tree`, computed in float32 or wider."
    assert told.sections["Raises"] == "\n    ValueError: for a negative scale."
    refused = parsed(projections.projection_simplex.__doc__).sections["Raises"]
    assert refused == "\n    TypeError: for a complex leaf.\n    ValueError: for a negative scale."
