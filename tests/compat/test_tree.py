"""Optax's tools for trees: the same results and dtypes, and what programs find in states."""

from collections import OrderedDict
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import DictKey, SequenceKey

import gradtx.compat.optax as optax
from gradtx.compat.optax.tree_utils import NamedTupleKey

X = {"a": jnp.array([1.0, -2.0]), "b": [jnp.array(3.0), None]}
Y = {"a": jnp.array([0.5, 4.0]), "b": [jnp.array(-1.0), None]}
COMPLEX = [jnp.array([3 + 4j, 0j], jnp.complex64)]

CALLS = {
    "add": lambda t: t.add(X, Y, X),
    "sub": lambda t: t.sub(X, Y),
    "mul": lambda t: t.mul(X, Y),
    "div": lambda t: t.div(X, Y),
    "scale": lambda t: t.scale(0.5, X),
    "add_scale": lambda t: t.add_scale(X, 0.5, Y),
    "conj": lambda t: t.conj(COMPLEX),
    "real": lambda t: t.real(COMPLEX),
    "clip": lambda t: t.clip(X, -1.0, max_value=2.0),
    "where": lambda t: t.where(jnp.array([True, False]), X["a"], Y["a"]),
    "full_like": lambda t: t.full_like(X, 7, "float16"),
    "zeros_like": lambda t: t.zeros_like(X),
    "ones_like": lambda t: t.ones_like(X, jnp.int32),
    "cast": lambda t: t.cast(X, jnp.bfloat16),
    "cast_like": lambda t: t.cast_like(X["a"], jnp.zeros(2, jnp.int32)),
    "sum": lambda t: t.sum(X, associative_reduction=True),
    "max": lambda t: t.max(X),
    "min": lambda t: t.min(X),
    "size": lambda t: jnp.asarray(t.size(X)),
    "vdot": lambda t: t.vdot(X, Y),
    "vdot(complex)": lambda t: t.vdot(COMPLEX, COMPLEX),
    "norms": lambda t: [t.norm(X, ord, squared) for ord in (None, 1, 2, jnp.inf, "inf") for squared in (False, True)],
    "norm(complex)": lambda t: [t.norm(COMPLEX, ord) for ord in (1, 2, "inf")],
    "update_moment": lambda t: [t.update_moment(X, Y, 0.9, order) for order in (1, 2, 3)],
    "per_elem_norm": lambda t: [t.update_moment_per_elem_norm(COMPLEX, COMPLEX, 0.9, order) for order in (1, 2, 4)],
    "infinity_moment": lambda t: t.update_infinity_moment(COMPLEX, COMPLEX, 0.9, 0.1),
    "bias_correction": lambda t: t.bias_correction(X, 0.9, jnp.int32(3)),
    "batch_shape": lambda t: t.batch_shape(X, (3,)),
    "allclose": lambda t: [t.allclose(X, X), t.allclose(X, Y)],
    "split_key_like": lambda t: t.unwrap_random_key_data(t.split_key_like(jax.random.key(3), X)),
    "random_like": lambda t: t.random_like(jax.random.key(3), X, jax.random.uniform, jnp.bfloat16),
    "random_like(complex)": lambda t: t.random_like(jax.random.PRNGKey(3), COMPLEX),
}


@pytest.mark.parametrize("name", CALLS)
def test_equal_optax(name):
    theirs = pytest.importorskip("optax")
    with jax.numpy_dtype_promotion("standard"):
        wanted = CALLS[name](theirs.tree)
    got = CALLS[name](optax.tree)
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        assert (a.dtype, jnp.shape(a)) == (b.dtype, jnp.shape(b))
        np.testing.assert_allclose(np.asarray(a, complex), np.asarray(b, complex), rtol=1e-5)


def test_a_tree_that_is_none():
    m = {"a": jnp.ones(2)}
    assert optax.tree.add_scale(None, 1, m) is None
    assert optax.tree.update_moment(None, m, 1, 1) is None
    assert optax.tree.update_infinity_moment(None, m, 1, 1) is None
    assert optax.tree.update_moment_per_elem_norm(None, m, 1, 1) is None
    for empty in ({}, [None, {}], None):
        assert optax.tree.sum(empty) == optax.tree.vdot(empty, empty) == optax.tree.norm(empty) == 0


def test_numbers_are_trees():
    assert optax.tree.add_scale(3, 0.1, 2) == pytest.approx(3.2)


def test_16_bits_are_computed_wide():
    x = jnp.full(4096, 1.001, jnp.float16)
    np.testing.assert_array_equal(optax.tree.norm(300 * x), jnp.float16(64 * 300 * float(x[0])))
    moment = jnp.ones(2, jnp.bfloat16)
    for count in (1, 10, 1000):
        corrected = optax.tree.bias_correction(moment, 0.999, jnp.int32(count))
        assert corrected.dtype == jnp.bfloat16 and jnp.all(jnp.isfinite(corrected))
    assert jax.tree.map(jnp.result_type, optax.tree.scale(0.1, [x])) == [jnp.float16]


@pytest.mark.parametrize("dtype", [jnp.int8, jnp.uint8, jnp.float32])
def test_extremes_ignore_empty_arrays(dtype):
    tree = [jnp.zeros(0, dtype), jnp.array([jnp.inf, 1.0])]
    with jax.numpy_dtype_promotion("standard"):
        assert (optax.tree.max(tree), optax.tree.min(tree)) == (jnp.inf, 1.0)
    assert optax.tree.max([jnp.zeros(0, dtype)]) == -jnp.inf


def test_norm_refuses_other_orders():
    with pytest.raises(ValueError, match="ord"):
        optax.tree.norm(X, 3)


def test_norm_has_a_gradient_at_zero():
    np.testing.assert_array_equal(jax.grad(optax.tree.norm)(jnp.zeros(2)), [0.0, 0.0])


def test_dtype():
    bf16, f16, f32 = (jnp.zeros(1, dtype) for dtype in (jnp.bfloat16, jnp.float16, jnp.float32))
    assert optax.tree.dtype([bf16, bf16]) == jnp.bfloat16
    assert optax.tree.dtype({}) == jnp.float32
    assert optax.tree.dtype([bf16, f32], "lowest") == jnp.bfloat16
    assert optax.tree.dtype([bf16, f32], "highest") == jnp.float32
    assert optax.tree.dtype([bf16, f16], "promote") == jnp.float32
    for tree, handler in [([bf16, f32], None), ([bf16, f16], "highest"), ([bf16, f16], "lowest"), ([f32], "any")]:
        with pytest.raises(ValueError, match="dtype"):
            optax.tree.dtype(tree, handler)


def test_batch_shape_of_types():
    tree = optax.tree.batch_shape([jax.ShapeDtypeStruct((2,), jnp.float32)], (5, 1))
    assert tree == [jax.ShapeDtypeStruct((5, 1, 2), jnp.float32)]


def test_deprecated_names():
    for name, args in (("add_scalar_mul", (X, 2.0, Y)), ("scalar_mul", (2.0, X)), ("l2_norm", (X,))):
        with pytest.warns(DeprecationWarning, match=name):
            function = getattr(optax.tree_utils, f"tree_{name}")
        assert jax.tree.leaves(function(*args))
    with pytest.warns(DeprecationWarning):
        assert optax.tree_utils.tree_linf_norm(X) == 3.0
    with pytest.warns(DeprecationWarning):
        assert optax.tree_utils.tree_l1_norm(X, squared=True) == 36.0
    with pytest.raises(AttributeError):
        getattr(optax.tree_utils, "tree_" + "nothing")


class Inner(NamedTuple):
    """A state inside another."""

    count: Any
    extra: Any = None


class Outer(NamedTuple):
    """A state."""

    count: Any
    inner: Any


STATE = (Outer(1, {"count": Inner(2, {"k": 3})}), [Inner(4)])


def test_get_all_with_path():
    found = optax.tree.get_all_with_path(STATE, "count")
    assert [value for _, value in found] == [1, 4, Inner(2, {"k": 3}), 2]
    assert found[2][0] == (SequenceKey(0), NamedTupleKey("Outer", "inner"), DictKey("count"))
    assert jax.tree_util.keystr(found[1][0]) == "[1][0]Inner.count"
    assert optax.tree.get_all_with_path(STATE, "nothing") == []
    assert optax.tree.get_all_with_path(jnp.ones(2), "count") == []


def test_get():
    assert optax.tree.get(STATE, "k") == 3
    assert optax.tree.get(STATE, "Outer") is STATE[0]
    assert optax.tree.get(STATE, "nothing", default=7) == 7
    with pytest.raises(KeyError, match="4 values"):
        optax.tree.get(STATE, "count")
    in_outer = lambda path, value: isinstance(path[-1], NamedTupleKey) and path[-1].tuple_name == "Outer"
    assert optax.tree.get(STATE, "count", filtering=in_outer) == 1
    state = optax.chain(optax.add_noise(1.0, 0.9, 0), optax.scale_by_adam()).init(X["a"])
    assert optax.tree.get(state, "AddNoiseState") is state[0]


def test_get_and_set_under_jit():
    state = optax.adam(1e-3).init(X)
    new = jax.jit(lambda s, n: optax.tree.set(s, count=optax.tree.get(s, "count") + n))(state, jnp.int32(5))
    assert optax.tree.get(new, "count") == 5


def test_set():
    assert optax.tree.set(STATE, count=0) == (Outer(0, {"count": 0}), [Inner(0)])
    assert optax.tree.set(STATE, k=9, Outer="state") == ("state", STATE[1])
    numbers = lambda path, value: value == 4
    assert optax.tree.set(STATE, numbers, count=0) == (STATE[0], [Inner(0)])
    assert optax.tree.set({"a": {"a": 1.0}, "b": {"a": 1}}, lambda p, v: isinstance(v, dict), a={"c": 0.0}) == {
        "a": {"c": 0.0},
        "b": {"a": 1},
    }
    assert type(optax.tree.set(OrderedDict(b=1, a=None), a=2)) is OrderedDict
    for call in (lambda: optax.tree.set(STATE, nothing=1), lambda: optax.tree.set(STATE, lambda p, v: False, k=1)):
        with pytest.raises(KeyError, match="no value"):
            call()


MASK = {"a": True, "b": False}
# By name, the arrays of the state that belong to one parameter, and the transformation.
WRAPPED = {
    "adam": (4, lambda: optax.adam(optax.linear_schedule(1.0, 0.1, 5))),
    "decay": (4, lambda: optax.adamw(1e-3, mask=MASK)),
    "decay(function)": (4, lambda: optax.adamw(1e-3, mask=lambda params: {"a": True, "b": params["b"][0].ndim > 0})),
    "partition": (2, lambda: optax.partition({0: optax.adam(1.0), 1: optax.sgd(1.0)}, {"a": 0, "b": 1})),
    "selective": (2, lambda: optax.selective_transform(optax.adam(1.0), freeze_mask=MASK)),
    "masked": (1, lambda: optax.masked(optax.trace(0.9), lambda params: {"a": True, "b": [False, None]})),
    "inject": (4, lambda: optax.inject_hyperparams(optax.adamw)(1e-3)),
    "MultiSteps": (6, lambda: optax.MultiSteps(optax.adam(1.0), 2, should_skip_update_fn=optax.skip_not_finite)),
    "conditional": (
        4,
        lambda: optax.conditionally_transform(optax.apply_if_finite(optax.adam(1.0), 1), lambda step: True),
    ),
    "lookahead": (4, lambda: optax.lookahead(optax.adam(1.0), 2, 0.5)),
    "monitor": (2, lambda: optax.chain(optax.trace(0.9), optax.snapshot("norm", optax.tree.norm))),
    "lbfgs": (10, lambda: optax.lbfgs(memory_size=3)),
    "backtracking": (2, lambda: optax.scale_by_backtracking_linesearch(3, store_grad=True)),
    "sam": (6, lambda: optax.contrib.sam(optax.adam(1.0), optax.sgd(1.0))),
    "schedule_free": (4, lambda: optax.contrib.schedule_free_adamw()),
    "mechanize": (6, lambda: optax.contrib.mechanize(optax.adam(1.0))),
    "plateau": (4, lambda: optax.chain(optax.adam(1.0), optax.contrib.reduce_on_plateau())),
    "split": (4, lambda: optax.contrib.split_real_and_imaginary(optax.adam(1.0))),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_map_params(name):
    slots, make = WRAPPED[name]
    tx = make()
    state = tx.init(X)
    mapped = optax.tree.map_params(tx, lambda slot: "slot", state)
    assert jax.tree.structure(mapped) == jax.tree.structure(state)
    assert jax.tree.leaves(mapped).count("slot") == slots
    rest = optax.tree.map_params(tx.init, lambda slot: None, state)
    assert len(jax.tree.leaves(rest)) == len(jax.tree.leaves(state)) - slots


def test_map_params_with_more_trees():
    tx = optax.adam(optax.linear_schedule(1.0, 0.1, 5))
    specs = {"a": "on a", "b": ["on b", None]}
    state = optax.tree.map_params(tx, lambda _, spec: spec, tx.init(X), specs, transform_non_params=lambda _: None)
    assert state == (optax.ScaleByAdamState(None, specs, specs), optax.ScaleByScheduleState(None))


def test_map_params_of_a_masked_state():
    tx = optax.masked(optax.trace(0.9), {"a": True, "b": False})
    name = lambda slot, spec: None if isinstance(slot, optax.MaskedNode) else spec
    is_leaf = lambda x: isinstance(x, optax.MaskedNode)
    state = optax.tree.map_params(tx, name, tx.init(X), {"a": 1, "b": 2}, is_leaf=is_leaf)
    assert state.inner_state.trace == {"a": 1, "b": None}


def test_map_params_of_a_state_of_dictionaries():
    init = lambda params: {"count": 1, "slots": {"mu": params, "nu": params}}
    state = optax.tree.map_params(init, lambda x: 0, init(X))
    assert state == {"count": 1, "slots": {"mu": {"a": 0, "b": [0, None]}, "nu": {"a": 0, "b": [0, None]}}}
