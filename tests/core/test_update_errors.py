"""What `init` and `update` refuse: the transformation, the leaf's path, both sides; and the state stays as it was."""

from collections import namedtuple
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.leafwise import leafwise

PARAMS = {"w": jnp.ones((3, 4)), "b": jnp.ones(3)}


def tree(**changes):
    return PARAMS | changes


def schedule(step):
    return 0.1


BAD_UPDATES = {
    "shape": (tree(w=jnp.ones((4, 3))), r"updates and state differ at \['w'\]: \(4, 3\) != \(3, 4\)"),
    "extra leaf": (tree(c=jnp.ones(2)), r"updates and state have different trees: only updates has \['c'\]"),
    "lost leaf": ({"w": PARAMS["w"]}, r"updates and state have different trees: only state has \['b'\]"),
    "other names": ({"v": PARAMS["w"], "b": PARAMS["b"]}, r"only updates has \['v'\]"),
    "other container": ([PARAMS["b"], PARAMS["w"]], r"only updates has \[0\]"),
    "deeper": (tree(w={"x": PARAMS["w"]}), r"only updates has \['w'\]\['x'\]"),
    "complex": (tree(w=jnp.ones((3, 4), complex)), r"differ at \['w'\]: complex64 cannot be kept in float32"),
    "integer": (
        tree(b=jnp.ones(3, int)),
        r"the update at \['b'\] is int32\(3,\), wanted a floating-point.*masked or part",
    ),
    "boolean": (tree(b=np.ones(3, bool)), r"the update at \['b'\] is bool\(3,\), wanted"),
}


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("case", BAD_UPDATES)
def test_updates_that_do_not_fit_the_state(case, jitted):
    updates, message = BAD_UPDATES[case]
    tx = gradtx.adam(0.1)
    _, state = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    before = jax.tree.map(np.array, state)
    with pytest.raises((ValueError, TypeError), match="^scale_by_adam: .*" + message):
        (jax.jit(tx.update) if jitted else tx.update)(updates, state, PARAMS)
    chex.assert_trees_all_equal(state, before)
    chex.assert_tree_all_finite(tx.update(PARAMS, state, PARAMS)[0])


WRONG_STATES = [
    (gradtx.scale_by_adam(), None, "scale_by_adam: state must be ScaleByAdamState from init, got NoneType"),
    (gradtx.scale_by_adam(), gradtx.ema(0.9).init(PARAMS), "must be ScaleByAdamState from init, got EmaState"),
    (gradtx.scale_by_adam(), gradtx.adam(0.1).init(PARAMS), "must be ScaleByAdamState from init, got tuple"),
    (gradtx.scale_by_lr(schedule), (), "scale_by_lr: state must be ScaleByScheduleState from init, got tuple"),
    (gradtx.scale_by_lr(schedule), gradtx.clip(0.1).init(PARAMS), "must be ScaleByScheduleState.*, got EmptyState"),
    (gradtx.scale_by_momentum(schedule), gradtx.scale_by_momentum(0.9).init(PARAMS), "got TraceState"),
    (gradtx.adam(0.1), gradtx.scale_by_adam().init(PARAMS), "chain: state must be the tuple of 2 from init, got Scale"),
    (gradtx.adam(0.1), gradtx.sgd(0.1, weight_decay=0.1).init(PARAMS), "tuple of 2 from init, got tuple of 3"),
    (gradtx.named_chain(a=gradtx.clip(1.0)), (), r"named_chain: state must have the keys \['a'\], got tuple of 0"),
    (
        gradtx.named_chain(a=gradtx.clip(1.0)),
        {"b": ()},
        r"named_chain: state must have the keys \['a'\], got dict of 1",
    ),
]


@pytest.mark.parametrize(("tx", "state", "message"), WRONG_STATES, ids=[row[2][:70] for row in WRONG_STATES])
def test_a_state_of_something_else(tx, state, message):
    with pytest.raises((TypeError, ValueError), match=message):
        tx.update(PARAMS, state, PARAMS)


def averages_defined_anew():
    class AverageState(NamedTuple):
        mu: gradtx.Slot

    return AverageState


def test_a_state_is_known_by_where_its_type_is_defined():
    """One whose definition ran again, as in a notebook, will do; one that only has its name and its fields will not."""
    rule = lambda g, s: (g, s)
    tx, old = leafwise(rule, averages_defined_anew()), leafwise(rule, averages_defined_anew()).init(PARAMS)
    chex.assert_trees_all_equal(tx.update(PARAMS, old)[0], PARAMS)
    with pytest.raises(TypeError, match="state must be AverageState from init, got AverageState"):
        tx.update(PARAMS, namedtuple("AverageState", "mu")(old.mu))


NEEDS_PARAMS = [gradtx.add_decayed_weights(0.1), gradtx.adamw(0.1), gradtx.sgd(0.1, weight_decay=gradtx.coupled(0.1))]


@pytest.mark.parametrize("tx", NEEDS_PARAMS, ids=lambda tx: tx.name)
def test_missing_params(tx):
    call = r"^add_decayed_weights needs params: call update\(updates, state, params\)"
    with pytest.raises(ValueError, match=call):
        tx.update(PARAMS, tx.init(PARAMS))
    with pytest.raises(ValueError, match=r"updates and params differ at \['b'\]: \(3,\) != \(4,\)"):
        tx.update(PARAMS, tx.init(PARAMS), tree(b=jnp.ones(4)))
    with pytest.raises(ValueError, match=r"updates and params have different trees: only params has \['c'\]"):
        tx.update(PARAMS, tx.init(PARAMS), tree(c=jnp.ones(4)))
    nowhere = gradtx.replace(tx, weight_decay=schedule)
    with pytest.raises(ValueError, match=call):
        nowhere.update(PARAMS, nowhere.init(PARAMS))


BAD_PARAMS = {
    "integer": (jnp.ones(3, int), r"int32\(3,\)"),
    "boolean": (jnp.ones(3, bool), r"bool\(3,\)"),
    "Python integer": (3, "int"),
    "string": ("x", "str"),
    "key": (jax.random.key(0), r"key<fry>\(\)"),
    "integer structure": (jax.ShapeDtypeStruct((3,), jnp.int8), r"int8\(3,\)"),
}


@pytest.mark.parametrize("case", BAD_PARAMS)
def test_parameters_that_are_no_numbers(case):
    leaf, got = BAD_PARAMS[case]
    message = (
        rf"^scale_by_adam: the parameter at \['a'\]\[0\] is {got}, wanted a floating-point or complex array; .*masked"
    )
    with pytest.raises(TypeError, match=message):
        gradtx.adam(0.1).init({"a": [leaf], "w": jnp.ones(3)})
    with pytest.raises(TypeError, match=r"the parameter at \(root\)"):
        gradtx.adam(0.1).init(leaf)


def sign_rule(g, *, value):
    return value * jnp.sign(g)


only_real = gradtx.transformation(lambda: leafwise(sign_rule, real_only=True, value=1.0))
takes_value = gradtx.transformation(lambda: leafwise(sign_rule, reduce=lambda updates, value: {"value": value}))


def test_a_missing_argument_of_update():
    tx = takes_value()
    with pytest.raises(TypeError, match=r"needs value: call update\(updates, state, params, value=\.\.\.\)"):
        tx.update(PARAMS, tx.init(PARAMS))
    updates, _ = gradtx.chain(gradtx.adam(0.1), tx).update(PARAMS, (gradtx.adam(0.1).init(PARAMS), ()), value=3.0)
    chex.assert_trees_all_equal(updates["b"], jnp.full(3, -3.0))


def test_rules_that_mean_nothing_for_complex_numbers():
    tx, params = only_real(), {"z": jnp.ones(2, complex)}
    for call in (lambda: tx.init(params), lambda: tx.update(params, tx.init(PARAMS))):
        with pytest.raises(
            TypeError, match=r"at \['z'\] is complex64\(2,\).*no meaning for complex.*masked or partition"
        ):
            call()


def test_zero_size_leaves_scalars_and_empty_trees_are_no_errors():
    params = {"zero": jnp.zeros((0, 3)), "scalar": jnp.array(2.0), "empty": {}, "none": None}
    for tx in (gradtx.adamw(0.1), gradtx.rmsprop(0.1), gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.sgd(0.1))):
        updates, _ = tx.update(params, tx.init(params), params)
        chex.assert_trees_all_equal_structs(updates, params)
        chex.assert_tree_all_finite(updates)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_gradients_that_are_not_finite_pass_through(bad):
    params = {"w": jnp.ones(2)}
    tx = gradtx.adam(0.1)
    updates, _ = tx.update({"w": jnp.array([1.0, bad])}, tx.init(params), params)
    assert np.isfinite(updates["w"]).tolist() == [True, False]


PAIRS = {"updates alone": lambda g, s, p=None: g, "three": lambda g, s, p=None: (g, s, 1), "None": lambda g, s, p: None}


@pytest.mark.parametrize("case", PAIRS)
def test_a_pair_of_ones_own_that_gives_no_pair(case):
    own = gradtx.GradientTransformation(lambda params: (), PAIRS[case])
    maker = gradtx.transformation(lambda: gradtx.GradientTransformation(lambda params: (), PAIRS[case]))()
    for tx in (own, maker, gradtx.masked(own, True), gradtx.accumulate(gradtx.chain(own, gradtx.sgd(0.1)), 1)):
        with pytest.raises(TypeError, match=r"^\S+: update must give \(updates, state\), got"):
            tx.update(PARAMS, tx.init(PARAMS), PARAMS)
