"""Muon: one step by hand, orthogonal directions, agreement with Optax, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx import DimensionNumbers
from tests.support import train

SHAPES = {"a": (4, 6), "b": (6, 4), "c": (4, 6), "bias": (3,), "qkv": (3, 4, 2, 2)}


def draw(seed, steps=()):
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.standard_normal((*steps, *shape)), jnp.float32) for name, shape in SHAPES.items()}


def test_one_step_by_hand():
    # A diagonal gradient orthogonalises entrywise: sigma -> a s + b s^3 + c s^5 of its normalised entries.
    g = {"w": jnp.diag(jnp.array([3.0, 4.0]))}
    tx = gradtx.muon(0.1, (2.0, -1.5, 0.5), 1, eps=0.0)
    updates, state = tx.update(g, tx.init(g), g)
    s = np.array([0.6, 0.8])
    np.testing.assert_allclose(updates["w"], np.diag(-0.1 * (2 * s - 1.5 * s**3 + 0.5 * s**5)), rtol=1e-6)
    np.testing.assert_allclose(gradtx.find_state(state, "muon/mu")["w"], 0.05 * g["w"], rtol=1e-6)


def test_directions_are_orthogonal_and_scaled_by_shape():
    tx = gradtx.muon(1.0, "exact", consistent_rms=0.2)
    params = draw(0)
    updates, _ = tx.update(draw(1), tx.init(params), params)
    for name in ("a", "b"):
        np.testing.assert_allclose(np.linalg.svd(updates[name], compute_uv=False), 0.2 * np.sqrt(6), rtol=1e-3)
        np.testing.assert_allclose(np.sqrt(np.mean(np.square(updates[name]))), 0.2, rtol=1e-3)


@pytest.mark.parametrize("factor", ["none", "width", "spectral"])
def test_shape_factors(factor):
    g = {"w": draw(1)["a"]}  # four inputs, six outputs
    tx = gradtx.scale_by_muon("exact", shape_factor=factor)
    updates, _ = tx.update(g, tx.init(g))
    expected = 1.0 if factor == "none" else np.sqrt(1.5)
    np.testing.assert_allclose(np.linalg.svd(updates["w"], compute_uv=False), expected, rtol=1e-3)


def test_a_stack_equals_its_matrices_apart():
    stack = {"w": jnp.stack([draw(1)["a"], 3 * draw(2)["a"]])}
    numbers = DimensionNumbers(1, 2)
    for adaptive in (False, True):
        tx = gradtx.scale_by_muon(weight_dimension_numbers=numbers, adaptive=adaptive)
        together, _ = tx.update(stack, tx.init(stack))
        tx = gradtx.scale_by_muon(adaptive=adaptive)
        for i in range(2):
            one = {"w": stack["w"][i]}
            apart, _ = tx.update(one, tx.init(one))
            np.testing.assert_allclose(together["w"][i], apart["w"], rtol=1e-4, atol=1e-5)


def test_without_bias_correction_it_is_the_original_code():
    g = {"w": draw(1)["a"]}
    tx = gradtx.scale_by_muon(beta=0.9, bias_correction=False)
    state = tx.init(g)
    buffer = 0
    for seed in range(1, 5):
        g = {"w": draw(seed)["a"]}
        updates, state = tx.update(g, state)
        buffer = buffer + 0.1 * (g["w"] - buffer)
        expected = gradtx.orthogonalise(g["w"] + 0.9 * (buffer - g["w"]))
        np.testing.assert_allclose(updates["w"], expected, atol=1e-4)


def test_an_orthogonaliser_of_your_own():
    def exact(matrix):
        m, n = matrix.shape
        left, _, right = jnp.linalg.svd(matrix, full_matrices=False)
        assert left.shape == (m, min(m, n))
        return left @ right

    g = {"w": draw(1)["a"]}
    tx = gradtx.scale_by_muon(orthogonaliser=exact)
    updates, _ = tx.update(g, tx.init(g))
    np.testing.assert_allclose(np.linalg.svd(updates["w"], compute_uv=False), 1, rtol=1e-5)


def test_iterations_in_bfloat16():
    g = {"w": draw(1)["a"]}
    tx = gradtx.scale_by_muon("exact", ns_precision="bfloat16")
    updates, _ = tx.update(g, tx.init(g))
    assert updates["w"].dtype == jnp.float32
    np.testing.assert_allclose(np.linalg.svd(updates["w"], compute_uv=False), 1, atol=0.05)


def test_patterns_choose_muon_and_adam():
    numbers = {"c": None, "qkv": DimensionNumbers(1, (0, 2, 3)), "**": "auto"}
    tx = gradtx.muon(0.02, weight_dimension_numbers=numbers)
    state = tx.init(draw(0))
    assert {name for name, x in gradtx.find_state(state, "muon/mu").items() if hasattr(x, "shape")} == {"a", "b", "qkv"}
    assert {name for name, x in gradtx.find_state(state, "scale_by_adam/mu").items() if hasattr(x, "shape")} == {
        "c",
        "bias",
    }
    updates, _ = tx.update(draw(1), state, draw(0))
    chex.assert_trees_all_equal_shapes(updates, draw(0))


OPTIONS = [
    {},
    dict(consistent_rms=0.2, nesterov=False),
    dict(ns_coeffs="dion", preconditioning="aol"),
    dict(adaptive=True, ns_steps=3),
    dict(weight_decay=0.1, beta=0.8),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_agrees_with_optax(options):
    contrib = pytest.importorskip("optax.contrib")
    rest = dict(adam_b2=0.99, adam_learning_rate=0.01)
    params, grads = draw(0), draw(1, (20,))
    ours, _, _ = jax.jit(lambda p, g: train(gradtx.muon(0.02, **rest, **options), p, g))(params, grads)
    with jax.numpy_dtype_promotion("standard"):
        theirs, _, _ = jax.jit(lambda p, g: train(contrib.muon(0.02, **rest, **options), p, g))(params, grads)
    chex.assert_trees_all_close(ours, theirs, atol=1e-5)


def test_agrees_with_optax_on_kernels_of_more_axes():
    contrib = pytest.importorskip("optax.contrib")
    params, grads = draw(0), draw(1, (20,))
    numbers = dict.fromkeys(SHAPES, (0, 1)) | {"bias": None, "qkv": (1, (3, 0))}
    of = lambda kind: {name: x if x is None else kind(*x) for name, x in numbers.items()}
    mine = gradtx.muon(0.02, weight_dimension_numbers=of(DimensionNumbers))
    other = contrib.muon(0.02, muon_weight_dimension_numbers=of(contrib.MuonDimensionNumbers))
    ours, _, _ = jax.jit(lambda p, g: train(mine, p, g))(params, grads)
    with jax.numpy_dtype_promotion("standard"):
        theirs, _, _ = jax.jit(lambda p, g: train(other, p, g))(params, grads)
    chex.assert_trees_all_close(ours, theirs, atol=1e-5)


def test_matrices_of_one_shape_share_their_products():
    params = draw(0)
    tx = gradtx.muon(0.02)
    text = str(jax.make_jaxpr(lambda g, s: tx.update(g, s))(params, tx.init(params)))
    assert text.count("dot_general") == 2 * 3  # two shapes, three products per step of a rolled loop


def test_errors():
    with pytest.raises(ValueError, match=r"scale_by_muon: the leaf at \['bias'\] has shape \(3,\), wanted a matrix"):
        gradtx.scale_by_muon().init(draw(0))
    with pytest.raises(ValueError, match="one of 'keller', 'dion'"):
        gradtx.muon(0.02, "newton")
    with pytest.raises(ValueError, match="label pattern 'qvk' matches no parameter"):
        gradtx.muon(0.02, weight_dimension_numbers={"qvk": None, "**": "auto"}).init(draw(0))
    with pytest.raises(ValueError, match=r"muon: shape_factor must be one of"):
        gradtx.muon(0.02, shape_factor="rms")
