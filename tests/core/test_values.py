"""Values: they print, compare, hash, copy and pickle as the call that built them, and never change."""

import copy
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import stacked

NAMESPACE = {name: getattr(gradtx, name) for name in gradtx.__dict__} | {"jax": jax, "jnp": jnp}


def kernels_only(params):
    return jax.tree.map(lambda p: p.ndim == 2, params)


ODD = [
    gradtx.clip_by_global_norm(float("inf")),
    gradtx.adam(jnp.array(0.1), b1=np.array(0.5, np.float32), nesterov=True),
    gradtx.adam(np.float64(0.1), np.float32(0.5)),  # pyright: ignore[reportArgumentType]
    gradtx.adamw(1e-3, weight_decay=gradtx.coupled(0.1, kernels_only)),
    gradtx.add_decayed_weights(0.1, ("*/kernel", "**/scale")),
    gradtx.add_decayed_weights(0.1, ("*/kernel",)),
    gradtx.add_decayed_weights(0.1, {"w": True, "b": [False, True]}),
    gradtx.add_noise(0.1, 0.5, key=jax.random.key(3)),
    gradtx.add_noise(0.1, 0.5, key=jax.random.PRNGKey(3)),
    gradtx.add_noise(0.1, 0.5, key=jax.random.key(3, impl="rbg")),
    gradtx.scale_by_schedule(kernels_only),
    gradtx.chain(),
    gradtx.named_chain(b=gradtx.identity(), a=gradtx.chain(gradtx.clip(1.0), gradtx.sgd(0.1, None))),
    gradtx.stored(gradtx.adam(0.1), {"*/kernel": "float16"}, mu=jnp.bfloat16),
]
every_odd = pytest.mark.parametrize("tx", ODD, ids=repr)


@every_odd
def test_repr_of_odd_arguments_evaluates_to_an_equal_value(tx):
    again = eval(repr(tx), NAMESPACE | {"kernels_only": kernels_only})
    assert again == tx
    assert hash(again) == hash(tx)


def test_repr_has_every_hyperparameter():
    assert repr(gradtx.adam(1e-3)) == "adam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0)"
    assert repr(gradtx.adam(1e-3, nesterov=True)).endswith("eps=1e-08, nesterov=True, eps_root=0.0)")
    assert "weight_decay=0.0001" in repr(gradtx.adamw(1e-3)), "what acts by default"
    assert repr(gradtx.scale_by_lion(mode="".join(["ha", "rd"]))) == repr(gradtx.scale_by_lion()), "an equal default"
    assert repr(ODD[0]) == "clip_by_global_norm(max_norm=float('inf'))"
    assert repr(ODD[5]) == "add_decayed_weights(weight_decay=0.1, mask=('*/kernel',))"
    assert repr(gradtx.adam) == "<GradientTransformation maker adam>"


@every_odd
def test_copies_and_pickles_are_equal(tx):
    for again in (copy.copy(tx), copy.deepcopy(tx), pickle.loads(pickle.dumps(tx))):
        assert type(again) is type(tx)
        assert again == tx
        assert hash(again) == hash(tx)
        assert jax.tree.structure(again) == jax.tree.structure(tx)


def test_equality_is_by_value_and_type():
    adam = gradtx.adam(jnp.array([1e-3, 1e-2]))
    assert adam == gradtx.adam(np.array([1e-3, 1e-2], np.float32))
    assert adam != gradtx.adam(jnp.array([1e-3, 2e-2]))
    assert adam != gradtx.adam(jnp.array([1e-3, 1e-2], jnp.bfloat16))
    assert adam != gradtx.adam(1e-3)
    assert gradtx.adam(1e-3) != gradtx.adamw(1e-3, weight_decay=None)
    assert gradtx.adam(1e-3) != gradtx.adam(1e-3, nesterov=True)
    assert gradtx.adam(1e-3) != "adam"
    assert gradtx.add_noise(0.1, 0.5, jax.random.key(1)) != gradtx.add_noise(0.1, 0.5, jax.random.key(2))
    assert gradtx.add_noise(0.1, 0.5, jax.random.key(1)) != gradtx.add_noise(0.1, 0.5, 1)
    assert len({gradtx.adam(1e-3), gradtx.adam(1e-3), gradtx.adam(2e-3)}) == 2


def test_tracers_are_equal_to_themselves_only_and_have_no_hash():
    @jax.jit
    def inside(tx):
        assert tx == tx
        assert tx != gradtx.replace(tx, b1=0.5)
        assert tx != gradtx.adam(1e-3)
        assert "float32[]" in repr(tx)
        with pytest.raises(TypeError, match="traced hyperparameter has no value to hash"):
            hash(tx)
        return tx

    assert inside(gradtx.adam(1e-3)).b2.dtype == jnp.float32


def test_values_are_immutable():
    tx = gradtx.adam(1e-3)
    with pytest.raises(AttributeError, match=r"adam is immutable.*gradtx\.replace\(tx, b1=\.\.\.\)"):
        tx.b1 = 0.5
    with pytest.raises(AttributeError):
        del tx.b1  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match="'adam' has no attribute 'momentum'"):
        tx.momentum
    tx.arguments["b1"] = 0.5
    assert tx == gradtx.adam(1e-3)


def test_arguments_are_attributes():
    tx = gradtx.adamw(1e-3, b1=0.8, nesterov=True, weight_decay=gradtx.coupled(0.1, "w"))
    assert (tx.learning_rate, tx.b1, tx.nesterov) == (1e-3, 0.8, True)
    assert (tx.weight_decay.weight_decay, tx.weight_decay.mask) == (0.1, "w")


def test_unpacks_as_the_pair():
    tx = gradtx.adam(0.1)
    init, update = tx
    params = {"w": jnp.ones(3)}
    one, two = update(params, init(params), params), tx.update(params, tx.init(params), params)
    chex.assert_trees_all_equal(one, two)


def test_static_argument_of_jit_hits_the_cache_by_value():
    traces = []

    def step(tx, g):
        traces.append(tx)
        return tx.update(g, tx.init(g), g)[0]

    run = jax.jit(step, static_argnums=0)
    for _ in range(3):
        run(gradtx.adamw(1e-3, weight_decay=gradtx.coupled(jnp.array(0.1), {"w": True})), {"w": jnp.ones(2)})
    assert len(traces) == 1
    run(gradtx.adamw(2e-3, weight_decay=gradtx.coupled(jnp.array(0.1), {"w": True})), {"w": jnp.ones(2)})
    assert len(traces) == 2


def test_leaves_are_named_by_path():
    tx = gradtx.chain(gradtx.clip(0.5), gradtx.adam(0.1))
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tx)]
    assert paths[:3] == [".links[0].max_delta", ".links[1].learning_rate", ".links[1].b1"]


def test_stacking_keeps_names():
    two = stacked([gradtx.adam(0.1), gradtx.adam(0.2)])
    chex.assert_trees_all_equal(two.learning_rate, jnp.array([0.1, 0.2]))
    assert two.name == "adam"


def test_an_optimizer_with_another_zero_is_another():
    """Else a jitted function that takes it as a static argument runs the program of the first."""
    assert gradtx.scale(0.0) != gradtx.scale(-0.0)
    assert gradtx.scale(0.0) == gradtx.scale(0.0) == gradtx.scale(0)
    update = jax.jit(lambda tx, g: tx.update(g, tx.init(g))[0], static_argnums=0)
    for zero in (0.0, -0.0):
        np.testing.assert_array_equal(1 / update(gradtx.scale(zero), jnp.ones(2)), np.copysign(np.inf, zero))


def test_only_calls_are_checked():
    """What is made of a value's leaves, such as a step along a gradient, is taken as it is, whatever builds it."""
    for make in (gradtx.adam, gradtx.scale_by_lr):
        with pytest.raises(ValueError, match="learning_rate"):
            make(-1.0)
        uphill = jax.tree.map(lambda x: -x if x == 1.0 else x, make(1.0))
        u, _ = uphill.update(jnp.ones(()), uphill.init(jnp.ones(())))
        np.testing.assert_allclose(u, 1.0, rtol=1e-6)
        assert make.as_given(-1.0) == uphill
