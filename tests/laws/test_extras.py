"""Law: an extra argument of `update` is refused by name where it is taken and is of no use, and ignored elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.catalogue import FIRST, every_transformation
from tests.laws.refusals import Call, is_right, names_in, numbers, outcome
from tests.laws.test_states import extra_of

SEARCHES = {"scale_by_zoom_linesearch", "scale_by_backtracking_linesearch"}
TAKEN_BY = {
    "value": SEARCHES | {"reduce_on_plateau", "scale_by_polyak", "momo", "momo_adam"},
    "grad": SEARCHES,
    "value_fn": SEARCHES | {"scale_by_newton_cg"},
    "weight": {"accumulate"},
    "global_norm": {"clip_by_global_norm"},
    "grad_fn": {"sharpness_aware"},
    "obj_fn": {"hutchinson"},
    "sampled_obj_fn": {"gauss_newton_bartlett"},
}
NOT_NEEDED = {"value": {"scale_by_lbfgs", "scale_by_newton_cg"}, "global_norm": {"clip_by_global_norm"}}
NO_NUMBERS = {
    "text": "x", "object": object(), "set": {1}, "list": [1.0], "dictionary": {"a": 1.0}, "function": len,
    "complex": 1j, "array of text": np.array(["x"]), "vector": jnp.ones(3), "row": jnp.ones((1, 1)),
    "complex array": jnp.ones((), complex), "key": jax.random.key(0), "masked array": np.ma.ones(()),
    "extended precision": np.longdouble(1), "structure": jax.ShapeDtypeStruct((), jnp.float32),
}  # fmt: skip
NO_FUNCTIONS = {"text": "x", "number": 3, "array": jnp.ones(3), "class": int, "maker": gradtx.adam, "tuple": (len,)}
NO_TREES = {
    "text": "x", "number": 3, "another tree": {"x": jnp.ones(3)}, "list": [jnp.ones(3)], "function": len,
    "text in it": numbers() | {"vector": "x"}, "whole numbers": numbers() | {"vector": jnp.ones(3, int)},
    "another shape": numbers() | {"vector": jnp.ones(4)}, "object": object(),
}  # fmt: skip


def odd(name):
    """What an extra argument must not be."""
    return NO_TREES if name == "grad" else NO_FUNCTIONS if name.endswith("_fn") else NO_NUMBERS


def good(name):
    """What it may be, for those that need it beside another that is odd."""
    functions = {"grad_fn": lambda p: p, "sampled_obj_fn": lambda p, key: jnp.sum(p["vector"])}
    others = {"grad": numbers(1), "value": 1.0, "weight": 1.0, "global_norm": 1.0}
    return functions.get(name) or others.get(name, lambda p: jnp.sum(p["vector"] ** 2))


def takers(row, name):
    """Those inside a row that take an argument."""
    return names_in(row.tx) & (TAKEN_BY[name] | NOT_NEEDED.get(name, set()))


def run(row, extra):
    call = Call(numbers(1), row.tx.init(numbers()), numbers())
    return call, outcome(lambda g, s, p: row.tx.update(g, s, p, **extra), call.updates, call.state, call.params)


def problem(row, name, x, extra):
    """What is wrong with how a row takes an argument; None where nothing is."""
    result = run(row, extra | {name: x})[1]
    if not isinstance(result, Exception):
        return "accepted"
    by, _, told = str(result).partition(" ")
    right = type(result) in (TypeError, ValueError) and by.strip(":") in names_in(row.tx)
    return None if right and name in told else f"raised {result!r}"


def needed(row):
    return {name: good(name) for name in TAKEN_BY if takers(row, name)} | extra_of(row, numbers(), numbers(1))


@every_transformation
def test_extra_arguments_are_refused_by_name_or_ignored(row):
    extra, found = needed(row), {}
    _, right = run(row, extra)
    assert not isinstance(right, Exception)
    for name in TAKEN_BY:
        for what, x in odd(name).items() if takers(row, name) else ():
            if wrong := problem(row, name, x, extra):
                found[name, what] = wrong
    ignored = {name: "x" for name in TAKEN_BY if not takers(row, name)}
    call, result = run(row, extra | ignored)
    assert is_right(call, result)
    assert not found


@every_transformation
def test_what_is_needed_is_asked_for(row):
    extra, found = needed(row), {}
    for name in TAKEN_BY:
        asked = names_in(row.tx) & TAKEN_BY[name] - NOT_NEEDED.get(name, set())
        if asked and (wrong := problem(row, name, None, extra)):
            found[name] = wrong
    assert not found


def test_the_law_meets_every_taker():
    seen = {name for row in FIRST for name in names_in(row.tx)}
    assert not set().union(*TAKEN_BY.values()) - seen


@pytest.mark.parametrize("x", [1, 1.0, True, np.float32(1), np.int64(1), np.ones(()), jnp.ones((), jnp.bfloat16)])
def test_numbers_of_every_kind_are_taken(x):
    params = numbers()
    for tx in (gradtx.accumulate(gradtx.sgd(0.1), 1), gradtx.reduce_on_plateau(), gradtx.clip_by_global_norm(0.5)):
        tx.update(params, tx.init(params), params, weight=x, value=x, global_norm=x)
    for tx in (gradtx.scale_by_polyak(), gradtx.momo(), gradtx.scale_by_lbfgs()):
        tx.update(params, tx.init(params), params, value=x)


def test_what_functions_give_is_looked_at():
    params = numbers()
    two = lambda p, *key: jnp.ones(2) * p["vector"][0]
    calls = [(gradtx.hutchinson(), "obj_fn"), (gradtx.gauss_newton_bartlett(1.0), "sampled_obj_fn")]
    calls += [(gradtx.scale_by_newton_cg(), "value_fn"), (gradtx.scale_by_backtracking_linesearch(3), "value_fn")]
    for tx, name in calls:
        with pytest.raises(ValueError, match=rf"^{tx.name}: what {name} gives must be one number, got float32\(2,\)"):
            tx.update(params, tx.init(params), params, **({"value": 1.0, "grad": params} | {name: two}))
    tx = gradtx.sam(gradtx.sgd(0.1), 0.1)
    for wrong, message in ((jnp.ones(4), r"\['vector'\] has shape \(4,\), wanted \(3,\)"), ("x", "is str, wanted")):
        with pytest.raises((TypeError, ValueError), match="^sharpness_aware: .*" + message):
            tx.update(params, tx.init(params), params, grad_fn=lambda p, wrong=wrong: p | {"vector": wrong})


def test_a_monitors_measure_gets_a_number():
    tx = gradtx.monitor(gradtx.sgd(0.1), {"loss": lambda value: value})
    params = numbers()
    for x in ("x", None, [1.0], jnp.ones(2)):
        with pytest.raises((TypeError, ValueError), match=r"^monitor: value must be one number, got"):
            tx.update(params, tx.init(params), params, value=x)
