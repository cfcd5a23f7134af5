"""Perturbed functions against closed forms, at fixed keys."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gradtx.perturbations import Gumbel, Normal, make_perturbed_fun

KEY = jax.random.key(0)
X = jnp.array([0.3, -0.2, 0.8])


def hardmax(x):
    return jax.nn.one_hot(jnp.argmax(x), len(x))


@jax.custom_jvp
def no_derivative(x):
    return jnp.sum(x**2)


@no_derivative.defjvp
def _(primals, tangents):
    raise AssertionError("the derivative of the function was asked for")


@pytest.mark.parametrize("baseline", [True, False])
def test_the_hard_maximum_under_gumbel_noise_is_softmax(baseline):
    f = make_perturbed_fun(hardmax, 20_000, 0.5, Gumbel(), baseline)
    soft = lambda x: jax.nn.softmax(x / 0.5)
    np.testing.assert_allclose(jax.jit(f)(KEY, X), soft(X), atol=0.01)
    np.testing.assert_allclose(jax.jit(jax.jacobian(f, 1))(KEY, X), jax.jacobian(soft)(X), atol=0.04)


def test_two_derivatives_and_that_of_sigma_under_normal_noise():
    # E (x + s z)^2 = x^2 + s^2, summed over the elements.
    f = lambda x, s: make_perturbed_fun(no_derivative, 100_000, s, Normal())(KEY, x)
    x, s = jnp.array([0.5, -1.0]), 0.8
    value, slopes = jax.jit(jax.value_and_grad(f, (0, 1)))(x, s)
    np.testing.assert_allclose(value, 1.25 + 2 * s**2, atol=0.02)
    np.testing.assert_allclose(slopes[0], 2 * x, atol=0.06)
    np.testing.assert_allclose(slopes[1], 4 * s, atol=0.1)
    np.testing.assert_allclose(jax.jit(jax.hessian(f))(x, s), 2 * jnp.eye(2), atol=0.2)


def test_the_baseline_lowers_the_variance():
    shifted = lambda x: 100 + jnp.sum(x**2)
    keys = jax.random.split(KEY, 50)
    slopes = [
        jax.vmap(jax.grad(make_perturbed_fun(shifted, 20, 0.5, Normal(), baseline), 1), (0, None))(keys, X)
        for baseline in (True, False)
    ]
    assert np.all(10 * np.std(slopes[0], axis=0) < np.std(slopes[1], axis=0))


def test_trees_loops_and_branches():
    def f(x):
        steps = jax.lax.while_loop(lambda c: c < x["a"], lambda c: c + 1, 0.0)  # has no reverse-mode derivative
        return {"steps": steps, "up": x["b"][0] > x["b"][1], "n": jnp.int32(3)}

    x = {"a": jnp.array(2.5), "b": (jnp.array(1.0), jnp.array(0.0))}
    smooth = make_perturbed_fun(f, 2000, 0.3, Normal())
    out = jax.jit(smooth)(KEY, x)
    assert out["n"] == 3.0 and out["n"].dtype == jnp.float32
    np.testing.assert_allclose(out["up"], scipy.stats.norm.cdf(1 / (0.3 * np.sqrt(2))), atol=0.01)
    slope = jax.jit(jax.grad(lambda x: smooth(KEY, x)["up"]))(x)
    chex.assert_trees_all_equal_shapes_and_dtypes(slope, x)
    expected = scipy.stats.norm.pdf(1 / (0.3 * np.sqrt(2))) / (0.3 * np.sqrt(2))
    np.testing.assert_allclose([slope["b"][0], slope["b"][1]], [expected, -expected], atol=0.03)


def test_narrow_inputs_keep_their_dtype():
    seen = []

    def f(x):
        seen.append(x.dtype)
        return x

    out = make_perturbed_fun(f, 500, 0.1, Normal())(KEY, jnp.ones(2, jnp.bfloat16))
    assert out.dtype == jnp.bfloat16 and set(seen) == {jnp.dtype(jnp.bfloat16)}
    np.testing.assert_allclose(np.asarray(out, np.float32), 1.0, atol=0.02)


@pytest.mark.parametrize(("noise", "oracle"), [(Gumbel(), scipy.stats.gumbel_r), (Normal(), scipy.stats.norm)])
def test_distributions(noise, oracle):
    z = np.linspace(-2, 5, 9, dtype=np.float32)
    np.testing.assert_allclose(noise.log_prob(z), oracle.logpdf(z), rtol=1e-5)
    draws = noise.sample(KEY, (5000,), jnp.float32)
    assert scipy.stats.kstest(draws, oracle.cdf).pvalue > 0.01
    assert noise.sample(KEY).shape == ()
    assert type(noise)() == noise and hash(type(noise)()) == hash(noise)


def test_errors():
    with pytest.raises(ValueError, match="make_perturbed_fun: num_samples must be >= 1, got 0"):
        make_perturbed_fun(hardmax, 0)
    with pytest.raises(ValueError, match=r"make_perturbed_fun: sigma must be > 0, got 0\.0"):
        make_perturbed_fun(hardmax, 5, 0.0)
    with pytest.raises(TypeError, match=r"wanted real arrays, got int32\(2,\) at \['n'\]"):
        make_perturbed_fun(lambda x: x, 5)(KEY, {"n": jnp.arange(2)})


def test_equals_optax_at_one_key():
    optax = pytest.importorskip("optax")
    x = {"a": X, "b": jnp.array(2.0)}
    f = lambda x: hardmax(x["a"]) * x["b"]
    for baseline in (True, False):
        ours = make_perturbed_fun(f, 30, 0.5, Gumbel(), baseline)
        theirs = optax.perturbations.make_perturbed_fun(f, 30, 0.5, optax.perturbations.Gumbel(), baseline)
        got, expected = (jax.jit(lambda x, h=h: (h(KEY, x), jax.jacobian(h, 1)(KEY, x)))(x) for h in (ours, theirs))
        chex.assert_trees_all_close(got, expected, rtol=1e-5, atol=1e-5)
