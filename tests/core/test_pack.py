"""Packing: which leaves are stacked, that nothing is lost, and that the work grows with shapes, not leaves."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import gradtx
from gradtx.core.stacks import BATCH, Stack


def many(n, shape=(3,)):
    return {f"w{i:03}": jnp.full(shape, float(i)) for i in range(n)}


def test_small_leaves_of_one_type_share_a_stack():
    params = {
        "a": jnp.ones((2, 3)),
        "b": jnp.zeros((2, 3)),
        "other shape": jnp.ones((3, 2)),
        "other dtype": jnp.ones((2, 3), jnp.bfloat16),
        "large": [jnp.ones((5, 5)), jnp.zeros((5, 5))],
        "none": None,
    }
    packed = gradtx.pack(params, largest=24)
    stacks = [part.value.shape for part in packed.parts if isinstance(part, Stack)]
    assert stacks == [(2, 2, 3)]
    assert len(packed.parts) == 6
    chex.assert_trees_all_equal(packed.unpack(), params)


def test_apart_keeps_leaves_apart():
    params = many(4)
    assert len(gradtx.pack(params).parts) == 1
    assert len(gradtx.pack(params, apart="w000").parts) == 2
    assert len(gradtx.pack(params, apart={"w000": 1, "w001": 1, "w002": 2, "w003": 3}).parts) == 3


def test_gradients_come_packed_in_forward_and_reverse_mode():
    params = many(2 * BATCH + 3)
    packed = gradtx.pack(params)
    loss = lambda tree: sum((i + 1) * jnp.sum(x**3) for i, x in enumerate(jax.tree.leaves(tree)))
    packed_loss = lambda packed: loss(packed.unpack())
    grads = jax.grad(loss)(params)
    chex.assert_trees_all_close(jax.grad(packed_loss)(packed).unpack(), grads)
    chex.assert_trees_all_close(packed.like(grads).unpack(), grads)
    tangent = jax.tree.map(jnp.ones_like, packed)
    hvp = jax.jvp(jax.grad(packed_loss), (packed,), (tangent,))[1]
    wanted = jax.jvp(jax.grad(loss), (params,), (tangent.unpack(),))[1]
    chex.assert_trees_all_close(hvp.unpack(), wanted)


def test_init_reads_only_shapes():
    packed = gradtx.pack(many(3))
    shapes = gradtx.pack(jax.eval_shape(lambda: many(3)))
    for tx in [gradtx.adamw(0.1), gradtx.sm3(0.1), gradtx.adafactor(0.1, min_dim_size_to_factor=1)]:
        chex.assert_trees_all_equal(tx.init(shapes), tx.init(packed))


def test_work_grows_with_shapes_not_leaves():
    tx = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(1e-3))

    def operations(n):
        packed = gradtx.pack(many(n))
        return jax.jit(gradtx.step).lower(tx, packed, tx.init(packed), packed).as_text().count(" = ")

    assert operations(100) == operations(10)


def test_a_mask_may_not_cut_a_stack():
    params = many(3)
    tx = gradtx.adamw(0.1, weight_decay=gradtx.decoupled(0.1, mask="w000"))
    packed = gradtx.pack(params)
    with pytest.raises(ValueError, match=r"w000 from w001, which are packed together; give .* apart="):
        tx.init(packed)
    packed = gradtx.pack(params, apart="w000")
    updates, _ = tx.update(packed, tx.init(packed), packed)
    wanted, _ = tx.update(params, tx.init(params), params)
    chex.assert_trees_all_close(updates.unpack(), wanted)


def test_partition_sees_the_tree_that_was_packed():
    params = {"a": many(3), "b": many(3, (2, 2))}
    tx = gradtx.partition({"sgd": gradtx.sgd(0.1), "adam": gradtx.adam(0.1)}, {"a/**": "sgd", "b/**": "adam"})
    packed = gradtx.pack(params)
    state, packed_state = tx.init(params), tx.init(packed)
    updates, state = tx.update(params, state, params)
    packed_updates, _ = tx.update(packed, packed_state, packed)
    chex.assert_trees_all_close(packed_updates.unpack(), updates)


def test_sharded_leaves_stay_as_they_are():
    mesh = jax.make_mesh((8,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    cut = NamedSharding(mesh, PartitionSpec("x"))
    params = {name: jax.device_put(np.ones(8, np.float32), cut) for name in "ab"}
    packed = gradtx.pack(params)
    assert len(packed.parts) == 2
    assert all(part.sharding == cut for part in packed.parts)


def test_like_refuses_another_tree():
    with pytest.raises(ValueError, match=r"w00|Dict"):
        gradtx.pack(many(3)).like(many(2))


def test_packed_goes_through_jit_and_donation():
    packed = gradtx.pack(many(5))
    tx = gradtx.adam(0.1)
    step = jax.jit(gradtx.step, donate_argnums=(1, 2))
    packed, state = step(tx, packed, tx.init(packed), jax.tree.map(jnp.ones_like, packed))
    assert isinstance(packed, gradtx.Packed)
    assert isinstance(state[0].mu, gradtx.Packed)
    assert set(packed.unpack()) == set(many(5))


def test_step_gathers_gradients_of_the_tree_that_was_packed():
    params = many(5)
    packed, tx = gradtx.pack(params), gradtx.adam(0.1)
    grads = jax.tree.map(jnp.ones_like, params)
    gathered, _ = gradtx.step(tx, packed, tx.init(packed), grads)
    wanted, _ = gradtx.step(tx, packed, tx.init(packed), packed.like(grads))
    chex.assert_trees_all_equal(gathered, wanted)
