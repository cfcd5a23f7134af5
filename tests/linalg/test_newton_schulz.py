"""Newton-Schulz: singular values in the published bands, for every set of coefficients and every kind of matrix."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.linalg.newton_schulz import COEFFICIENTS, PRECONDITIONINGS

BANDS = {
    "keller": (0.68, 1.14),
    "dion": (0.977, 1.035),
    "polar_express": (0.865, 1.125),
    "polar_express_2": (0.855, 1.145),
    "cans": (0.88, 1.12),
    "turbo": (0.74, 1.09),
    "exact": (0.9995, 1.001),
}


def matrix(m, n, lowest=1e-2, seed=0):
    """A matrix with singular values spread over [lowest, 1], and its orthogonal factor."""
    rng = np.random.default_rng(seed)
    k = min(m, n)
    left = np.linalg.qr(rng.standard_normal((m, m)))[0][:, :k]
    right = np.linalg.qr(rng.standard_normal((n, n)))[0][:, :k]
    return left * np.geomspace(lowest, 1, k) @ right.T, left @ right.T


def singular_values(x):
    return np.linalg.svd(np.asarray(x, np.float64), compute_uv=False)


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_singular_values_lie_in_the_published_band(name):
    x, _ = matrix(48, 64)
    pre = "aol" if name == "turbo" else "spectral"
    values = singular_values(gradtx.orthogonalise(jnp.asarray(x, jnp.float32), name, preconditioning=pre))
    low, high = BANDS[name]
    assert low <= values.min() and values.max() <= high


@pytest.mark.parametrize("shape", [(8, 8), (5, 9), (9, 5)])
@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
def test_many_steps_give_the_orthogonal_factor(shape, preconditioning):
    with jax.enable_x64(True):
        x, factor = matrix(*shape)
        y = gradtx.orthogonalise(jnp.asarray(x), "exact", 14, preconditioning=preconditioning)
        np.testing.assert_allclose(singular_values(y), 1, atol=1e-9)
        if preconditioning != "aol":  # scaling rows changes the factor
            np.testing.assert_allclose(y, factor, atol=1e-9)


def test_agrees_with_numpy_over_a_stack():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).standard_normal((2, 3, 6, 4))
        expected = x / (np.linalg.norm(x, axis=(-2, -1), keepdims=True) + 1e-8)
        for a, b, c in [(3.0, -3.0, 1.0), (2.0, -1.5, 0.5)]:
            gram = expected.swapaxes(-1, -2) @ expected
            expected = a * expected + expected @ (b * gram + c * gram @ gram)
        y = gradtx.orthogonalise(jnp.asarray(x), ((3.0, -3.0, 1.0), (2.0, -1.5, 0.5)))
        np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_complex_matrices_become_unitary():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((3, 5)) + 1j * rng.standard_normal((3, 5)), jnp.complex64)
    for pre in PRECONDITIONINGS:
        y = gradtx.orthogonalise(x, "exact", preconditioning=pre)
        np.testing.assert_allclose(y @ y.conj().T, np.eye(3), atol=2e-3)


def test_steps_beyond_the_list_converge_and_fewer_take_the_first():
    x = jnp.asarray(matrix(6, 6)[0], jnp.float32)
    rows = COEFFICIENTS["dion"]
    chex.assert_trees_all_close(gradtx.orthogonalise(x, "dion", 2), gradtx.orthogonalise(x, rows[:2]), rtol=1e-6)
    np.testing.assert_allclose(singular_values(gradtx.orthogonalise(x, "dion", 8)), 1, atol=1e-4)
    five = gradtx.orthogonalise(x, (2.0, -1.5, 0.5))
    chex.assert_trees_all_equal(five, gradtx.orthogonalise(x, [(2.0, -1.5, 0.5)] * 5))


def test_the_loop_is_rolled():
    lengths = [
        len(str(jax.make_jaxpr(lambda x, k=k: gradtx.orthogonalise(x, "keller", k))(jnp.ones((4, 4)))))
        for k in (5, 500)
    ]
    assert lengths[1] < 1.2 * lengths[0]


@pytest.mark.parametrize("scale", [0.0, 1e-38, 1e18])
@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
def test_finite_with_finite_derivatives_at_any_scale(scale, preconditioning):
    x = scale * jnp.asarray(matrix(4, 3)[0], jnp.float32)
    loss = lambda x, a: jnp.sum(gradtx.orthogonalise(x, (a, -1.25, 0.375), preconditioning=preconditioning))
    chex.assert_tree_all_finite((loss(x, 1.875), jax.grad(loss, 1)(x, 1.875)))


def test_agrees_with_optax():
    contrib = pytest.importorskip("optax.contrib")
    x = jnp.asarray(matrix(6, 4)[0], jnp.float32)
    old = contrib._muon.orthogonalize_via_newton_schulz
    with jax.numpy_dtype_promotion("standard"):
        for pre in PRECONDITIONINGS:
            expected = old(x, jnp.asarray(COEFFICIENTS["dion"]), preconditioning=pre)
            chex.assert_trees_all_close(gradtx.orthogonalise(x, "dion", preconditioning=pre), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (dict(coefficients="muon"), "one of keller, dion, .*got 'muon'"),
        (dict(coefficients=(1.0, 2.0)), r"must be \(a, b, c\) or a sequence of them"),
        (dict(coefficients=((1.0, 2.0), (1.0,))), "must be numbers"),
        (dict(preconditioning="l1"), "preconditioning must be one of frobenius, spectral, aol, schatten, got 'l1'"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        gradtx.orthogonalise(jnp.ones((2, 2)), **kwargs)


def test_vectors_are_refused():
    with pytest.raises(ValueError, match=r"wanted matrices, of shape \(..., m, n\), got \(3,\)"):
        gradtx.orthogonalise(jnp.ones(3))


@pytest.mark.parametrize("wrong", [(1.0, float("nan"), 2.0), [(1.0, 2.0, 3.0), (1.0, 2.0, float("inf"))]])
def test_a_coefficient_that_is_no_number_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=r"^muon: ns_coeffs must be in \(-inf, inf\), got (nan|inf)$"):
        gradtx.muon(0.1, wrong)
