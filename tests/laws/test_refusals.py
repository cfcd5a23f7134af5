"""Law: what `init` and `update` cannot take, they refuse, with a name and the path; all else they do right.

Nothing is computed: a call is traced, so a refusal costs what it takes to find the fault.
"""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.catalogue import FIRST, every_transformation, under_laws
from tests.laws.refusals import Call, is_right, malformed_calls, names_in, numbers, outcome, random_call
from tests.laws.test_states import extra_of


@pytest.fixture(autouse=True, scope="module")
def whole_tracebacks():
    """Nobody reads the tracebacks, and to filter them takes JAX longer than the calls take."""
    before = jax.config.jax_traceback_filtering
    jax.config.update("jax_traceback_filtering", "off")
    yield
    jax.config.update("jax_traceback_filtering", before)


def judge(row, call, result):
    """What is wrong with the outcome of a call, in words; None where nothing is."""
    if isinstance(result, Exception):
        if call.right:
            return f"refused: {result!r}"
        name = re.match(r"\w*", str(result)).group()
        if type(result) not in (TypeError, ValueError) or name not in names_in(row.tx):
            return f"raised {result!r}"
        return None
    if call.wrong:
        return "accepted"
    return None if is_right(call, result) else f"gave {result}"


def run(row, call, extra):
    return outcome(lambda g, s, p: row.tx.update(g, s, p, **extra), call.updates, call.state, call.params)


@every_transformation
def test_malformed_calls_are_refused(row):
    state, extra = row.tx.init(numbers()), extra_of(row, numbers(), numbers(1))
    before = jax.tree.map(lambda x: x, state)
    found = {}
    for name, call in malformed_calls(row.tx, state, calls_a_function=has_function(row)):
        if problem := judge(row, call, run(row, call, extra)):
            found[name] = problem
    assert not found
    chex.assert_trees_all_equal_structs(state, before)


def has_function(row):
    return any(map(callable, extra_of(row, numbers(), numbers(1)).values()))


BAD_LEAVES = ["x", object(), {1}, len, 3, True, np.array(["x"]), np.ones(3, np.longdouble), np.ma.ones(3)]


@every_transformation
def test_parameters_that_are_no_numbers_are_refused(row):
    bad = [*BAD_LEAVES, jax.random.key(0), jnp.ones(3, int), jnp.ones(3, bool)]
    for leaf in bad:
        call = Call(None, None, numbers() | {"vector": leaf}, wrong=True)
        assert judge(row, call, outcome(row.tx.init, call.params)) is None, leaf


@under_laws([row for row in FIRST if not has_function(row)])
def test_random_calls_are_refused_or_done_right(row):
    rng = np.random.default_rng(sum(map(ord, row.id)))
    state, extra = row.tx.init(numbers()), extra_of(row, numbers(), numbers(1))
    for _ in range(8):
        call = random_call(rng, state)
        assert judge(row, call, run(row, call, extra)) is None, call


def test_the_paths_are_named():
    params = {"a": [jnp.ones((4, 3)), jnp.ones(3)]}
    wrong = {"a": [jnp.ones((1, 3)), jnp.ones(3)]}
    path = r"\['a'\]\[0\]"
    for tx in (
        gradtx.adafactor(0.1),
        gradtx.grokfast_window(3),
        gradtx.sm3(0.1),
        gradtx.adam_mini(0.1),
        gradtx.lbfgs(),
    ):
        with pytest.raises(ValueError, match=path):
            tx.update(wrong, tx.init(params), params, value=0.0, grad=wrong, value_fn=lambda p: 0.0)
        with pytest.raises(ValueError, match=path):
            tx.update(wrong, tx.init(params), wrong, value=0.0, grad=wrong, value_fn=lambda p: 0.0)
    state = gradtx.scale_by_factored_rms(min_dim_size_to_factor=1).init(params)
    kinds = r"is float32\(3,\), wanted float32\(1,\) for float32\(1, 3\)"
    message = f"^scale_by_factored_rms: the state's v_row at {path} {kinds}"
    with pytest.raises(ValueError, match=message):
        gradtx.scale_by_factored_rms(min_dim_size_to_factor=1).update(wrong, state)


@pytest.mark.parametrize(
    "make",
    [
        lambda tx: gradtx.accumulate(tx, 2),
        lambda tx: gradtx.chain(tx, gradtx.scale_by_backtracking_linesearch(3)),
        lambda tx: gradtx.chain(tx, gradtx.scale_by_zoom_linesearch(3)),
        gradtx.schedule_free_sgd,
        gradtx.monitor,
    ],
)
def test_python_floats_are_leaves(make):
    tx = make(gradtx.sgd(0.5)) if make is not gradtx.schedule_free_sgd else make(0.5)
    params, grads = {"w": 1.0, "v": np.float32(2)}, {"w": 0.5, "v": 1.0}
    extra = {"value": 1.0, "grad": grads, "value_fn": lambda p: p["w"] ** 2 / 2 + p["v"] ** 2 / 2}
    as_arrays = lambda tree: jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), tree)
    results = [
        tx.update(g, tx.init(p), p, **(extra | {"grad": g}))[0]
        for p, g in ((params, grads), (as_arrays(params), as_arrays(grads)))
    ]
    chex.assert_trees_all_equal(*results)


def test_single_examples_pass_what_stands_before_their_average():
    params = {"w": jnp.ones(3)}
    examples = {"w": jnp.ones((5, 3))}
    tx = gradtx.chain(gradtx.clip(0.5), gradtx.differentially_private_aggregate(9.0, 0.0), gradtx.sgd(1.0))
    chex.assert_trees_all_close(tx.update(examples, tx.init(params), params)[0]["w"], -0.5 * jnp.ones(3))
    with pytest.raises(ValueError, match=r"^clip: updates and params differ at \['w'\]: \(5, 3\) != \(3,\)"):
        gradtx.clip(0.5).update(examples, (), params)


def test_the_trees_that_differ_are_named():
    params, more = (
        {"w": jnp.ones((4, 3)), "b": jnp.ones(3)},
        {"w": jnp.ones((4, 3)), "b": jnp.ones(3), "x": jnp.ones(2)},
    )
    for tx in (gradtx.muon(0.1), gradtx.masked(gradtx.sgd(0.1), True), gradtx.dog()):
        with pytest.raises(ValueError, match=r"^\w+: updates and params have different trees: only params has \['x'\]"):
            tx.update(params, tx.init(params), more)
