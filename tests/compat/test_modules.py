"""Second derivatives, assignment, losses and aggregators under Optax's names: values, states, conventions."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx.compat.optax as ours
from gradtx.compat.optax import assignment, config, losses, second_order
from gradtx.compat.optax.experimental import aggregating

theirs = pytest.importorskip("optax")

RNG = np.random.default_rng(0)
PARAMS = {"b": jnp.zeros(()), "w": jnp.array([0.5, -1.0, 2.0])}
X = jnp.asarray(RNG.standard_normal((6, 3)), jnp.float32)
Y = jnp.asarray(RNG.standard_normal(6), jnp.float32)


def loss(params, x, y):
    return jnp.mean(jnp.tanh(x @ params["w"] + params["b"] - y) ** 2)


def optax_second_order(name, *args):
    with pytest.warns(DeprecationWarning):
        return getattr(theirs.second_order, name)(*args)


def test_second_derivatives_of_trees_as_vectors():
    v = jnp.array([1.0, -1.0, 0.5, 2.0])
    got, expected = second_order.hvp(loss, v, PARAMS, X, Y), optax_second_order("hvp", loss, v, PARAMS, X, Y)
    chex.assert_trees_all_close(got, expected, rtol=1e-5)
    got, expected = (
        second_order.hessian_diag(loss, PARAMS, X, Y),
        optax_second_order("hessian_diag", loss, PARAMS, X, Y),
    )
    chex.assert_trees_all_close(got, expected, rtol=1e-5)


def test_fisher_information_is_per_example_unless_optax_is_reproduced():
    each = jax.vmap(jax.grad(loss), (None, 0, 0))(PARAMS, X, Y)
    expected = jnp.concatenate([jnp.mean(each["b"] ** 2, 0)[None], jnp.mean(each["w"] ** 2, 0)])
    chex.assert_trees_all_close(second_order.fisher_diag(loss, PARAMS, X, Y), expected, rtol=1e-5)
    with config.reproducing_optax():
        got = second_order.fisher_diag(loss, PARAMS, X, Y)
    chex.assert_trees_all_close(got, optax_second_order("fisher_diag", loss, PARAMS, X, Y), rtol=1e-5)


def test_both_names_of_the_assignment():
    cost = jnp.asarray(RNG.standard_normal((4, 3)), jnp.float32)
    for name in ("hungarian_algorithm", "base_hungarian_algorithm"):
        i, j = getattr(assignment, name)(cost)
        p, q = getattr(theirs.assignment, name)(cost)
        np.testing.assert_allclose(cost[i, j].sum(), cost[p, q].sum(), rtol=1e-6)


def test_the_deprecated_divergence():
    p, q = jax.nn.log_softmax(X), jax.nn.softmax(2 * X)
    with pytest.warns(DeprecationWarning, match="use generalized_kl_divergence"):
        got = losses.convex_kl_divergence(p, q)
    with pytest.warns(DeprecationWarning):
        expected = theirs.losses.convex_kl_divergence(p, q)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def aggregators(ag, ox):
    """The same aggregators of both libraries."""
    sum_of = lambda u, s, p=None: (jax.tree.map(lambda g: g.sum(0), u), s)
    return {
        "average": ag.average_per_element_updates(),
        "both": ag.average_incrementally_updates([0], 2),
        "gather": ag.average_incrementally_updates(None, 2),
        "moments": ag.get_per_element_mean_and_sum_sq_diff_grads(0, 2),
        "track": ag.track_per_element_mean_and_variance_with_ema(0.8),
        "process": ag.process(ox.identity(), ag.Aggregator(ox.init_empty_state, sum_of), ox.adam(0.1)),
        "optimizer": ag.add_mean_variance_to_opt(ox.adam(0.1), 0.8, accumulation_steps=2),
        "one step": ag.add_mean_variance_to_opt(ox.sgd(0.1)),
    }


OURS, THEIRS = aggregators(aggregating, ours), aggregators(theirs.experimental.aggregating, theirs)


def layout(state):
    """Paths, class names, shapes and dtypes."""
    names = [type(x).__name__ for x in jax.tree.leaves(state, is_leaf=lambda x: hasattr(x, "_fields"))]
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return names, [(jax.tree_util.keystr(path), x.shape, x.dtype) for path, x in leaves]


@pytest.mark.parametrize("name", OURS)
def test_aggregators_have_the_same_states(name):
    for dtype in (jnp.float32, jnp.bfloat16):
        params = jax.tree.map(lambda p, d=dtype: p.astype(d), PARAMS)
        assert layout(OURS[name].init(params)) == layout(THEIRS[name].init(params))
    assert isinstance(OURS[name], ours.GradientTransformation)
    is_aggregator = isinstance(THEIRS[name], theirs.experimental.aggregating.Aggregator)
    assert isinstance(OURS[name], aggregating.Aggregator) == is_aggregator


@pytest.mark.parametrize("name", ["both", "moments", "process", "optimizer", "one step"])
def test_aggregators_have_the_same_numbers(name):
    grads = jnp.asarray(RNG.standard_normal((4, 5, 3)), jnp.float32)
    runs = []
    for tx, ag in ((OURS[name], aggregating), (THEIRS[name], theirs.experimental.aggregating)):
        state, results = tx.init(PARAMS["w"]), []
        with jax.numpy_dtype_promotion("standard"):
            for g in grads:
                updates, state = tx.update(g, state, PARAMS["w"])
                results.append(updates)
            debiased = ag.get_unbiased_mean_and_variance_ema(state) if name in ("optimizer", "one step") else ()
        runs.append((results, jax.tree.leaves(state), debiased))
    chex.assert_trees_all_close(*runs, rtol=1e-4, atol=1e-6)


def test_no_steps_are_refused():
    for ag in (aggregating, theirs.experimental.aggregating):
        with pytest.raises(ValueError, match="accumulation_steps"):
            ag.accumulate_avg_updates(0)


RESULTS = {
    "rows": lambda x: 2 * x, "scalar": jnp.sum, "row": lambda x: x.mean(0), "matrix": lambda x: x.T @ x,
    "dictionary": lambda x: {"a": x.sum(), "b": x.T}, "none": lambda x: jnp.zeros((0, 3)),
}  # fmt: skip


@pytest.mark.parametrize("real", [None, 1])
@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.parametrize("name", RESULTS)
def test_results_of_any_shape_are_concatenated(name, size, real):
    x = jnp.arange(24.0).reshape(8, 3)
    results = [
        module.microbatch(RESULTS[name], 0, size, module.AccumulationType.CONCAT, num_real_microbatches=real)(x)
        for module in (ours.microbatching, theirs.microbatching)
    ]
    chex.assert_trees_all_equal(*results)
