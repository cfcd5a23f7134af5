"""Chains, masks, partitions and conditions, as Optax's programs use them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
import gradtx.compat.optax as optax

PARAMS = {"a": {"x": jnp.ones(2), "y": jnp.full((2, 2), 3.0)}, "b": jnp.full(3, 2.0)}
GRADS = jax.tree.map(jnp.ones_like, PARAMS)
NEEDS_ARG = optax.GradientTransformationExtraArgs(
    lambda params: (), lambda g, s, p=None, *, arg, **extra: (jax.tree.map(lambda x: x * arg, g), s)
)


def shapes(tree):
    return jax.tree.map(jnp.shape, tree)


def test_chain():
    plain = optax.GradientTransformation(lambda params: 0, lambda g, s, p=None: (g, s + 1))
    tx = optax.chain(plain, NEEDS_ARG, optax.scale(2.0))
    assert isinstance(tx, optax.GradientTransformationExtraArgs)
    state = tx.init(PARAMS)
    assert state == (0, (), optax.EmptyState())
    assert type(state) is tuple
    updates, state = tx.update(GRADS, state, arg=3.0, other=1)
    np.testing.assert_array_equal(updates["b"], [6.0, 6.0, 6.0])
    assert state[0] == 1
    with pytest.raises(TypeError, match="arg"):
        tx.update(GRADS, state)
    with pytest.raises(ValueError, match="3 from init, got 1"):
        tx.update(GRADS, state[:1], arg=3.0)


def test_named_chain():
    tx = optax.named_chain(("second", optax.trace(0.9)), ("first", NEEDS_ARG))
    updates, state = tx.update(GRADS, tx.init(PARAMS), arg=2.0)
    assert list(state) == ["second", "first"]
    assert isinstance(state, dict)
    np.testing.assert_array_equal(state["second"].trace["b"], GRADS["b"])
    np.testing.assert_array_equal(updates["b"], 2 * GRADS["b"])
    with pytest.raises(ValueError, match="names must differ"):
        optax.named_chain(("one", tx), ("one", tx))


HIDDEN = optax.MaskedNode()


@pytest.mark.parametrize(
    ("mask", "trace", "firsts"),
    [
        ({"a": False, "b": True}, {"a": HIDDEN, "b": (3,)}, [1, 1, 5]),
        ({"a": {"x": True, "y": False}, "b": np.bool_(True)}, {"a": {"x": (2,), "y": HIDDEN}, "b": (3,)}, [5, 1, 5]),
        (
            lambda params: jax.tree.map(lambda p: p.ndim < 2, params),
            {"a": {"x": (2,), "y": HIDDEN}, "b": (3,)},
            [5, 1, 5],
        ),
        (False, HIDDEN, [1, 1, 1]),
        (True, {"a": {"x": (2,), "y": (2, 2)}, "b": (3,)}, [5, 5, 5]),
    ],
)
def test_masked(mask, trace, firsts):
    tx = optax.masked(optax.chain(optax.trace(0.9), optax.scale(5.0)), mask)
    state = tx.init(PARAMS)
    assert isinstance(state, optax.MaskedState)
    assert shapes(state.inner_state[0].trace) == trace
    updates, new_state = jax.jit(tx.update)(GRADS, state)
    assert jax.tree.structure(new_state) == jax.tree.structure(state)
    for result in (updates, tx.update(GRADS, state, PARAMS)[0]):
        assert [x.ravel()[0] for x in jax.tree.leaves(result)] == firsts


@pytest.mark.parametrize("mask", [{"a": True}, {"a": True, "b": True, "c": True}, {"a": {"x": {"z": True}}, "b": True}])
def test_a_mask_that_does_not_fit(mask):
    with pytest.raises(ValueError, match="masked: the mask does not fit the params"):
        optax.masked(optax.trace(0.9), mask).init(PARAMS)


def test_masks_nest():
    inner = optax.masked(optax.scale(3.0), {"a": {"x": True, "y": False}, "b": True})
    updates, _ = optax.masked(inner, {"a": True, "b": False}).update(
        GRADS, optax.masked(inner, {"a": True, "b": False}).init(PARAMS)
    )
    assert [float(x.ravel()[0]) for x in jax.tree.leaves(updates)] == [3.0, 1.0, 1.0]


def test_a_callable_tree_is_a_mask_and_no_function():
    @jax.tree_util.register_pytree_node_class
    class Layer:
        """A module that can be called, as Equinox's."""

        def __init__(self, weight):
            self.weight = weight

        def tree_flatten(self):
            return (self.weight,), None

        @classmethod
        def tree_unflatten(cls, aux, children):
            return cls(*children)

        def __call__(self, x):
            raise AssertionError("a tree of booleans was called")

    params = Layer(jnp.ones(2))
    tx = optax.masked(optax.scale(2.0), Layer(True))
    updates, _ = tx.update(params, tx.init(params), params)
    np.testing.assert_array_equal(updates.weight, [2.0, 2.0])
    labelled = optax.partition({"frozen": optax.set_to_zero()}, Layer("frozen"))
    assert isinstance(labelled.init(params), optax.PartitionState)


def test_masked_extra_arguments():
    see = optax.GradientTransformationExtraArgs(lambda params: (), lambda g, s, p=None, **extra: (g, shapes(extra)))
    mask = {"a": False, "b": True}
    for flag, a in ((True, optax.MaskedNode()), (False, {"x": (2,), "y": (2, 2)})):
        tx = optax.masked(see, mask, mask_compatible_extra_args=flag)
        _, state = tx.update(GRADS, tx.init(PARAMS), PARAMS, like=PARAMS, value=jnp.ones(()))
        assert state.inner_state == {"like": {"a": a, "b": (3,)}, "value": ()}


@pytest.mark.parametrize("empty", [[], (), {}])
def test_empty_containers(empty):
    for tx in (
        optax.masked(optax.trace(0.9), lambda params: params),
        optax.masked(optax.trace(0.9), True),
        optax.partition({"all": optax.trace(0.9)}, lambda params: params),
        optax.partition({"all": optax.trace(0.9)}, "all"),
    ):
        updates, _ = tx.update(empty, tx.init(empty))
        assert type(updates) is type(empty)
        assert len(updates) == 0


@pytest.mark.parametrize("labels", [{"a": 1, "b": 2}, lambda params: {"a": 1, "b": 2}])
def test_partition(labels):
    tx = optax.partition({1: optax.trace(0.9), 2: NEEDS_ARG, 3: optax.adam(1.0)}, labels)
    state = tx.init(PARAMS)
    assert shapes(state.inner_states[1].inner_state.trace) == {"a": {"x": (2,), "y": (2, 2)}, "b": optax.MaskedNode()}
    updates, state = tx.update(GRADS, state, PARAMS, arg=7.0)
    updates, state = tx.update(GRADS, state, arg=7.0)
    np.testing.assert_allclose(updates["a"]["x"], [1.9, 1.9])
    np.testing.assert_allclose(updates["b"], [7.0, 7.0, 7.0])
    with pytest.raises(TypeError, match="arg"):
        tx.update(GRADS, state)
    assert optax.multi_transform is optax.partition


def test_partition_refuses_unknown_labels():
    with pytest.raises(ValueError, match="wanted labels of"):
        optax.partition({"one": optax.scale(1.0)}, {"a": "one", "b": "two"}).init(PARAMS)
    with pytest.raises(ValueError, match="partition: the tree of labels does not fit the params"):
        optax.partition({"one": optax.scale(1.0)}, {"a": "one"}).init(PARAMS)


@pytest.mark.parametrize(
    "mask", [True, np.bool_(True), {"a": True, "b": False}, lambda params: {"a": True, "b": False}]
)
def test_freeze(mask):
    tx = optax.freeze(mask)
    state = tx.init(PARAMS)
    assert state.inner_state == optax.EmptyState()
    updates, _ = tx.update(GRADS, state)
    assert float(updates["a"]["x"][0]) == 0.0
    assert float(updates["b"][0]) == (1.0 if isinstance(mask, dict) or callable(mask) else 0.0)


def test_selective_transform():
    tx = optax.selective_transform(optax.sgd(1.0), freeze_mask={"a": True, "b": False})
    updates, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS)
    assert float(updates["a"]["y"][0, 0]) == 0.0
    np.testing.assert_array_equal(updates["b"], [-1.0, -1.0, -1.0])
    frozen = optax.selective_transform(optax.sgd(1.0), freeze_mask=True)
    assert not any(jnp.any(x) for x in jax.tree.leaves(frozen.update(GRADS, frozen.init(PARAMS))[0]))


def test_without_params_after_params():
    wrapped = (
        optax.chain(optax.trace(0.9)),
        optax.masked(optax.trace(0.9), True),
        optax.partition({0: optax.trace(0.9)}, 0),
        optax.inject_hyperparams(optax.trace)(0.9),
        optax.flatten(optax.trace(0.9)),
    )
    for tx in wrapped:
        _, state = tx.update(GRADS, tx.init(PARAMS), PARAMS)
        updates, _ = tx.update(GRADS, state)
        np.testing.assert_allclose(updates["b"], 1.9 * GRADS["b"], rtol=1e-6)


def test_conditions():
    grads = jnp.ones(2)
    for make, off in ((optax.conditionally_transform, 1.0), (optax.conditionally_mask, 0.0)):
        tx = make(optax.trace(0.5), lambda step: step % 2 == 0)
        state, seen = tx.init(grads), []
        for _ in range(3):
            updates, state = tx.update(grads, state, value=1.0)
            seen.append(float(updates[0]))
        assert seen == [1.0, off, 1.5]
        assert int(state.step) == 3
        told = make(optax.scale(5.0), lambda step, value, **extra: value > 0, forward_extra_args=True)
        assert float(told.update(grads, told.init(grads), value=-1.0, other=2)[0][0]) == off
        with pytest.raises(TypeError):
            make(optax.scale(5.0), lambda step, value: True).update(grads, told.init(grads), value=1.0)


def test_apply_if_finite():
    tx = optax.apply_if_finite(optax.trace(0.5), 2)
    state, nan = tx.init(jnp.ones(())), jnp.array(jnp.nan)
    for g, u, count in ((1.0, 1.0, 0), (nan, 0.0, 1), (nan, 0.0, 2), (2.0, 2.5, 0), (nan, 0.0, 1), (nan, 0.0, 2)):
        updates, state = tx.update(jnp.asarray(g), state)
        assert (float(updates), int(state.notfinite_count)) == (u, count)
    updates, state = tx.update(nan, state)
    assert jnp.isnan(updates)
    assert (int(state.total_notfinite), bool(state.last_finite)) == (5, False)


def test_apply_if_finite_under_pmap():
    tx = optax.apply_if_finite(optax.sgd(1.0), 2)
    many = jnp.ones((1, 3))
    updates, state = jax.pmap(tx.update)(many, jax.pmap(tx.init)(many))
    np.testing.assert_array_equal(updates, -many)
    assert state.notfinite_count.shape == (1,)


def test_flatten():
    tx = optax.flatten(optax.adam(0.1))
    assert tx.init(PARAMS)[0].mu.shape == (9,)
    updates, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS)
    assert shapes(updates) == shapes(PARAMS)
    np.testing.assert_allclose(updates["b"], -0.1, rtol=1e-5)


def labels_by_size(params, small):
    """A label for each leaf."""
    return jax.tree.map(lambda p: small if p.size < 4 else "large", params)


def large_ones(params):
    """A mask."""
    return jax.tree.map(lambda p: p.size >= 4, params)


@pytest.mark.parametrize("library", [optax, gradtx], ids=["compat", "gradtx"])
def test_a_function_may_be_a_pytree(library):
    """As `jax.tree_util.Partial` is, or what `equinox.internal.closure_to_pytree` makes of a function."""
    params = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}
    labels = jax.tree_util.Partial(labels_by_size, small="small")
    tx = library.partition({"large": library.scale(2.0), "small": library.scale(3.0)}, labels)
    updates, _ = tx.update(params, tx.init(params), params)
    assert (float(updates["w"][0, 0]), float(updates["b"][0])) == (2, 3)
    tx = library.masked(library.scale(2.0), jax.tree_util.Partial(large_ones))
    updates, _ = tx.update(params, tx.init(params), params)
    assert (float(updates["w"][0, 0]), float(updates["b"][0])) == (2, 1)


@jax.tree_util.register_pytree_node_class
class Model:
    """A callable whose parameters are its leaves."""

    def __init__(self, w, b):
        self.w, self.b = w, b

    def __call__(self, x):
        raise AssertionError("a tree is not called")

    def tree_flatten(self):
        return (self.w, self.b), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)


@pytest.mark.parametrize("library", [optax, gradtx], ids=["compat", "gradtx"])
def test_a_callable_model_of_masks_or_labels_is_a_tree(library):
    params = Model(jnp.ones(2), jnp.ones(2))
    for tx in (
        library.masked(library.scale(2.0), Model(True, False)),
        library.partition({"a": library.scale(2.0), "b": library.scale(1.0)}, Model("a", "b")),
    ):
        updates, _ = tx.update(params, tx.init(params), params)
        assert (float(updates.w[0]), float(updates.b[0])) == (2, 1)
