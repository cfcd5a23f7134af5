"""Per-example clipping and private aggregation: by hand, against Optax, and what the noise is."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx

EXAMPLES = {"w": jnp.array([[0.0, 0.0, 0.0], [0.0, 3.0, 4.0], [4.0, 0.0, 3.0], [3.0, 4.0, 0.0]])}
PARAMS = {"w": jnp.zeros(3), "b": jnp.zeros(())}


def draw(seed, size=6):
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.standard_normal((size, *p.shape)), jnp.float32) for name, p in PARAMS.items()}


@pytest.mark.parametrize(("limit", "total", "clipped"), [(jnp.inf, 7.0, 0), (0.0, 0.0, 3), (1.25, 1.75, 3)])
def test_clipped_sums_by_hand(limit, total, clipped):
    for clip in (gradtx.per_example_global_norm_clip, gradtx.per_example_layer_norm_clip):
        sums, count = clip(EXAMPLES, limit)
        np.testing.assert_allclose(sums["w"], total, rtol=1e-6)
        assert (count["w"] if isinstance(count, dict) else count) == clipped


@pytest.mark.parametrize("uniform", [True, False])
def test_layers_share_the_limit(uniform):
    grads = jax.tree.map(lambda g: 100 * g[:1], draw(0))
    sums, counts = gradtx.per_example_layer_norm_clip(grads, 2.0, uniform)
    norms = [np.linalg.norm(sums["b"]), np.linalg.norm(sums["w"])]
    np.testing.assert_allclose(norms, [np.sqrt(2)] * 2 if uniform else [1.0, np.sqrt(3)], rtol=1e-5)
    assert counts == {"w": 1, "b": 1}


def test_clips_agree_with_optax():
    optax = pytest.importorskip("optax")

    @partial(jax.jit, static_argnums=0)
    def clipped(of, grads, limit):
        layers = [of.per_example_layer_norm_clip(grads, limit, uniform) for uniform in (True, False)]
        return of.per_example_global_norm_clip(grads, limit), layers

    for limit in (0.5, 2.0, 10.0):
        with jax.numpy_dtype_promotion("standard"):
            wanted = clipped(optax, draw(0), limit)
        chex.assert_trees_all_close(clipped(gradtx, draw(0), limit), wanted, rtol=1e-5)


def test_without_noise_it_is_the_mean_of_clipped_gradients():
    tx = gradtx.differentially_private_aggregate(1.25, 0.0)
    updates, _ = tx.update(EXAMPLES, tx.init({"w": jnp.zeros(3)}))
    np.testing.assert_allclose(updates["w"], 1.75 / 4, rtol=1e-6)


def test_the_noise_has_the_promised_deviation_and_changes():
    zero = {"w": jnp.zeros((4, 50_000))}
    tx = gradtx.differentially_private_aggregate(0.5, 3.0, key=1)
    state = tx.init({"w": jnp.zeros(50_000)})
    first, state = tx.update(zero, state)
    second, _ = tx.update(zero, state)
    np.testing.assert_allclose(np.std(first["w"]), 0.5 * 3.0 / 4, rtol=0.02)
    np.testing.assert_allclose(np.mean(first["w"]), 0, atol=0.01)
    assert not np.allclose(first["w"], second["w"])
    again, _ = tx.update(zero, tx.init({"w": jnp.zeros(50_000)}))
    chex.assert_trees_all_equal(first, again)


@pytest.mark.parametrize("momentum", [None, 0.9])
def test_dpsgd_without_noise_is_sgd_on_the_clipped_mean(momentum):
    tx = gradtx.dpsgd(0.1, 1.0, 0.0, momentum=momentum, nesterov=True, weight_decay=0.1)
    plain = gradtx.sgd(0.1, momentum, nesterov=momentum is not None, weight_decay=0.1)
    step = jax.jit(lambda tx, g, s, p: tx.update(g, s, p))
    params, state, other = PARAMS, tx.init(PARAMS), plain.init(PARAMS)
    for seed in range(5):
        updates, state = step(tx, draw(seed), state, params)
        mean = jax.tree.map(lambda g: g / 6, gradtx.per_example_global_norm_clip(draw(seed), 1.0)[0])
        expected, other = plain.update(mean, other, params)
        chex.assert_trees_all_close(updates, expected, rtol=1e-5, atol=1e-7)
        params = gradtx.apply_updates(params, updates)


def test_a_value_like_any_other():
    tx = gradtx.dpsgd(0.1, 1.0, 0.5, 3)
    assert tx == gradtx.dpsgd(0.1, 1.0, 0.5, 3) != gradtx.dpsgd(0.1, 1.0, 0.4, 3)
    total = lambda tx: sum(jnp.sum(u) for u in jax.tree.leaves(tx.update(draw(0), tx.init(PARAMS))[0]))
    gradients = jax.jit(jax.grad(total, allow_int=True))
    chex.assert_tree_all_finite([x for x in jax.tree.leaves(gradients(tx)) if x.dtype == jnp.float32])


@pytest.mark.parametrize(
    ("grads", "message"),
    [
        (PARAMS, r"the gradient at \['b'\] has shape \(\), wanted \(B\) with B = the number of examples"),
        (
            {"w": jnp.zeros((4, 3)), "b": jnp.zeros(5)},
            r"at \['w'\] has shape \(4, 3\), wanted \(B, 3\) with B = 5 examples",
        ),
        ({"w": jnp.zeros((5, 2)), "b": jnp.zeros(5)}, r"at \['w'\] has shape \(5, 2\), wanted \(B, 3\)"),
    ],
)
def test_gradients_need_an_axis_of_examples(grads, message):
    tx = gradtx.differentially_private_aggregate(1.0, 0.0)
    with pytest.raises(ValueError, match=f"differentially_private_aggregate: .*{message}"):
        tx.update(grads, tx.init(PARAMS), PARAMS)
    with pytest.raises(ValueError, match="per_example_global_norm_clip: the gradient at"):
        gradtx.per_example_global_norm_clip(PARAMS, 1.0)
