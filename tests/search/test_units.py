"""The unit of a loss, and that of the parameters, change nothing but the numbers' unit."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx

EXPONENTS = (-12, -8, -4, -1, 1, 4, 8, 12)
BACKTRACKING = gradtx.scale_by_backtracking_linesearch(30, store_grad=True)
UNBOUNDED = gradtx.scale_by_backtracking_linesearch(30, max_learning_rate=jnp.inf, store_grad=True)
METHODS = {
    "lbfgs": gradtx.lbfgs(),
    "lbfgs, backtracking": gradtx.lbfgs(linesearch=BACKTRACKING),
    "newton_cg": gradtx.newton_cg(),
    "newton_cg, backtracking": gradtx.newton_cg(linesearch=BACKTRACKING),
    "gradient, zoom": gradtx.chain(gradtx.sgd(1.0), gradtx.scale_by_zoom_linesearch(20)),
    "gradient, backtracking": gradtx.chain(gradtx.sgd(1.0), UNBOUNDED),
}


def scaled_rosenbrock(x, factor, unit):
    x = x / unit
    return factor * jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def scaled_fit(w, factor, unit):
    """Least squares whose curvatures are 4e3 to 4e7."""
    rng = np.random.default_rng(0)
    a = jnp.asarray(rng.standard_normal((2000, 5)) * [1, 3, 10, 30, 100], w.dtype)
    return factor * jnp.sum((a @ (w / unit - jnp.asarray([1, -2, 3, -4, 5], w.dtype))) ** 2)


def scaled_bowl(x, factor, unit):
    return factor * jnp.sum((x / unit - 1) ** 2)


PROBLEMS = {
    "rosenbrock 2": (scaled_rosenbrock, np.array([-1.2, 1.0])),
    "rosenbrock 5": (scaled_rosenbrock, np.zeros(5)),
    "rosenbrock 20": (scaled_rosenbrock, np.tile([-1.2, 1.0], 10)),
    "fit": (scaled_fit, np.zeros(5)),
    "bowl": (scaled_bowl, np.array([5.0, 3.0])),
}


def solved(problem, tx, dtype, factor=1.0, unit=1.0, **more):
    loss, start = PROBLEMS[problem]
    number = lambda x: jnp.asarray(x, dtype)
    return gradtx.solve(loss, number(start * unit), tx, args=(number(factor), number(unit)), **more)


def as_many(end, base):
    """Whether two took as many iterations, up to 20 %, or two where there are few: what is no power of two rounds."""
    few, many = int(end.iterations), int(base.iterations)
    return abs(few - many) <= max(2, 0.2 * many)


# In float64, whose range is wider, one method with each part.
IN_DOUBLE = [("lbfgs", "float64"), ("newton_cg, backtracking", "float64")]


@pytest.mark.parametrize(("method", "dtype"), [*((method, "float32") for method in METHODS), *IN_DOUBLE])
def test_powers_of_two_change_no_bit(method, dtype):
    """A power of two is exact in every product and sum, so that each iterate is the same to the last bit.

    So is the default tolerance, by which a loss that is small for its unit alone is solved, too.
    """
    with jax.enable_x64(True):
        for problem in ("rosenbrock 5", "bowl") if "gradient" in method else ("rosenbrock 5",):
            run = partial(solved, problem, METHODS[method], dtype, max_iterations=60)
            base = run()
            assert base.converged or ("gradient" in method and problem != "bowl")
            for power in (-40, -3, 1, 40):
                end = run(factor=2.0**power)
                np.testing.assert_array_equal(end.params, base.params, f"loss times 2^{power}")
                np.testing.assert_array_equal(end.value, base.value * 2.0**power)
                assert (end.evaluations, end.reason) == (base.evaluations, base.reason)
            for power in (-20, 20):
                end = run(unit=2.0**power)
                np.testing.assert_array_equal(end.params, base.params * 2.0**power, f"params times 2^{power}")
                assert (end.evaluations, end.reason) == (base.evaluations, base.reason)


@pytest.mark.parametrize("tx", [gradtx.scale_by_zoom_linesearch(30), BACKTRACKING], ids=lambda tx: tx.name)
def test_a_search_along_a_line_does_not_see_the_unit(tx):
    loss, start = PROBLEMS["rosenbrock 20"]
    x = jnp.asarray(start, jnp.float32)
    u = jax.grad(loss)(x, 0.01, 1.0)

    @jax.jit
    def steps(factor):
        f = lambda x: loss(x, factor, 1.0)
        value, grad = jax.value_and_grad(f)(x)
        state = tx.update(-u, tx.init(x), x, value=value, grad=grad, value_fn=f)[1]
        return state.learning_rate, state.value / factor, state.info.num_linesearch_steps

    want = steps(1.0)
    assert want[0] > 0
    for power in (-50, -1, 1, 50):
        assert [float(x) for x in steps(2.0**power)] == [float(x) for x in want]


@pytest.mark.parametrize(
    "tx",
    [
        gradtx.sign_sgd(0.1), gradtx.lion(0.1), gradtx.rprop(0.1), gradtx.adam(0.1, eps=1e-30),
        gradtx.rmsprop(0.1, eps=1e-30), gradtx.adamax(0.1, eps=1e-30), gradtx.normalize_by_update_norm(eps=1e-30),
    ],
    ids=lambda tx: tx.name,
)  # fmt: skip
def test_what_divides_by_the_gradients_size_does_not_see_the_unit(tx):
    x = jnp.array([0.3, -1.2, 2.0])

    @jax.jit
    def path(factor):
        grad = jax.grad(lambda x: factor * jnp.sum((x - jnp.arange(3.0)) ** 4))

        def body(carry, _):
            x, state = carry
            u, state = tx.update(grad(x), state, x)
            x = gradtx.apply_updates(x, u)
            return (x, state), x

        return jax.lax.scan(body, (x, tx.init(x)), length=6)[1]

    for power in (-20, 1, 20):
        np.testing.assert_array_equal(path(2.0**power), path(1.0))


def test_a_sum_converges_like_its_mean():
    whole, mean = (solved("fit", gradtx.lbfgs(), "float32", factor, tol=2e-2 * factor) for factor in (1.0, 1 / 2000))
    assert whole.converged and mean.converged and mean.iterations <= 45
    assert as_many(whole, mean)
    np.testing.assert_allclose(whole.params, [1, -2, 3, -4, 5], rtol=1e-3)


def test_a_small_loss_is_solved():
    """One whose factor is no power of two, which are exact."""
    end = solved("bowl", gradtx.lbfgs(), "float32", 1e-9)
    assert end.converged and end.iterations <= 5
    np.testing.assert_allclose(end.params, [1, 1], rtol=1e-4)


def test_a_guess_that_is_far_too_long_is_cut_by_orders_of_magnitude():
    losses = [lambda x: 10 + jnp.sum(x**2), lambda x: jnp.sum(x**4), lambda x: jnp.sum(jnp.cosh(x) - 1)]
    tx = gradtx.scale_by_zoom_linesearch(20)

    @jax.jit
    def found(which, guess):
        loss, x = lambda x: jax.lax.switch(which, losses, x), jnp.array([1.0, 2.0])
        value, grad = jax.value_and_grad(loss)(x)
        state = tx.init(x)._replace(learning_rate=guess)
        return tx.update(-grad, state, x, value=value, grad=grad, value_fn=loss)[1].info

    with jax.enable_x64(True):
        for which in range(len(losses)):
            for guess in (1e3, 1e8, 1e14):
                info = found(which, jnp.asarray(guess))
                assert info.decrease_error == info.curvature_error == 0
                assert info.num_linesearch_steps <= 20


@pytest.mark.slow
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("method", [name for name in METHODS if "gradient" not in name])
def test_iterations_over_all_factors(method, problem):
    for dtype in ("float32", "float64"):
        if (method, problem, dtype) == ("lbfgs, backtracking", "fit", "float32"):
            continue  # at a condition of 1e4 its pairs, of any curvature above 0, are made of rounding
        with jax.enable_x64(True):
            run = partial(solved, problem, METHODS[method], dtype)
            base = run(1.0)
            assert base.converged, base.message
            for exponent in EXPONENTS:
                end = run(10.0**exponent)
                assert end.converged, (dtype, exponent, end.message)
                assert as_many(end, base), (dtype, exponent, end.iterations, base.iterations)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lbfgs", "newton_cg"])
def test_iterations_over_all_units_of_the_parameters(method):
    with jax.enable_x64(True):
        for problem in PROBLEMS:
            run = partial(solved, problem, METHODS[method], "float64", 1.0)
            base = run(1.0)
            for exponent in (-6, -3, 3, 6):
                end = run(10.0**exponent)
                assert end.converged and as_many(end, base), (problem, exponent, end.message, end.iterations)
