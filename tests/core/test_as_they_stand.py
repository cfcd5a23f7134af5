"""What eager calls do not trace: what looks at numbers, may change unseen, or is another's."""

import functools
import random
import types

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradtx
from tests.support import compilations


class Held:
    times, scale = 0, 2.0

    def schedule(self, step):
        return self.scale * jnp.ones(())

    __call__ = schedule


class Heir(Held):
    pass


held, scale = Held(), 2.0
numbers = iter(range(2, 100))
settings = types.ModuleType("settings")


def as_it_stands(rule):
    """The updates of two steps by a rule, and how often it ran on (2,) leaves of numbers."""
    tx = gradtx.stateless_leafwise(rule)
    params = {"a": jnp.array([1.0, -2.0]), "b": jnp.array([3.0, 4.0])}
    return [jax.tree.map(np.asarray, tx.update(k * params["a"], tx.init(params))[0]).tolist() for k in (1, 2)]


def test_rules_that_look_at_numbers_run_as_they_stand():
    assert as_it_stands(lambda g: g * float(g[0])) == [[1, -2], [4, -8]]
    assert as_it_stands(lambda g: g if g[0] > 1 else -g) == [[-1, 2], [2, -4]]
    assert as_it_stands(lambda g: g[g > 0].sum() * g) == [[1, -2], [4, -8]]
    assert as_it_stands(lambda g: jnp.asarray(np.sort(np.asarray(g)))) == [[-2, 1], [-4, 2]]


def test_a_users_rule_runs_on_numbers_at_each_step():
    seen = []
    assert as_it_stands(lambda g: seen.append(g) or 2 * g) == [[2, -4], [4, -8]]
    assert len(seen) == 2 and all(isinstance(g, jax.Array) and not isinstance(g, jax.core.Tracer) for g in seen)


def test_what_a_rule_closes_over_is_seen_when_it_changes():
    box = {"scale": 2.0}
    tx = gradtx.stateless_leafwise(lambda g: box["scale"] * g)
    g = jnp.ones(3)
    first = tx.update(g, tx.init(g))[0]
    box["scale"] = 3.0
    assert (first[0], tx.update(g, tx.init(g))[0][0]) == (2, 3)


def two_steps(tx, change, times=1):
    """The updates of two steps, each run some times, between which something changes."""
    g = jnp.ones(())
    run = lambda: {float(tx.update(g, tx.init(g))[0]) for _ in range(times)}
    (first,) = run()
    change()
    (second,) = run()
    return first, second


def attribute_of_a_function(step):
    return attribute_of_a_function.scale


@gradtx.transformation
def own():
    return gradtx.stateless_leafwise(lambda g: -Held.scale * g)


@gradtx.transformation
def of_own():
    return gradtx.chain(own(), gradtx.scale(1.0))


def wrapping(held):
    return functools.update_wrapper(held, lambda step: 0.0)


def nonlocal_variable():
    scale = 2.0

    def change():
        nonlocal scale
        scale = 3.0

    return gradtx.sgd(lambda step: scale), change


def default_of_an_argument():
    def schedule(step, scale=2.0):
        return scale

    return gradtx.sgd(schedule), lambda: setattr(schedule, "__defaults__", (3.0,))


FROM_2_TO_3 = {
    "global": lambda: (gradtx.sgd(lambda step: scale), lambda: globals().update(scale=3.0)),
    "nonlocal": nonlocal_variable,
    "class": lambda: (gradtx.sgd(lambda step: Held.scale), lambda: setattr(Held, "scale", 3.0)),
    "object": lambda: (gradtx.sgd(lambda step: held.scale), lambda: setattr(held, "scale", 3.0)),
    "module": lambda: (gradtx.sgd(lambda step: settings.scale), lambda: setattr(settings, "scale", 3.0)),
    "function of a module": lambda: (gradtx.sgd(lambda step: settings.f()), lambda: setattr(settings, "scale", 3.0)),
    "attribute of a function": lambda: (
        gradtx.sgd(attribute_of_a_function),
        lambda: setattr(attribute_of_a_function, "scale", 3.0),
    ),
    "attribute by a string": lambda: (
        gradtx.sgd(lambda step: getattr(Held, "sc" + "ale")),
        lambda: setattr(Held, "scale", 3.0),
    ),
    "inherited": lambda: (gradtx.sgd(lambda step: Heir.scale), lambda: setattr(Held, "scale", 3.0)),
    "default": default_of_an_argument,
    "method": lambda: (gradtx.sgd(held.schedule), lambda: setattr(held, "scale", 3.0)),
    "object that is called": lambda: (gradtx.sgd(held), lambda: setattr(held, "scale", 3.0)),
    "object that wraps": lambda: (gradtx.sgd(wrapping(held)), lambda: setattr(held, "scale", 3.0)),
    "of a user's own": lambda: (own(), lambda: setattr(Held, "scale", 3.0)),
    "of one made of these": lambda: (of_own(), lambda: setattr(Held, "scale", 3.0)),
    "rule": lambda: (gradtx.stateless_leafwise(lambda g: -scale * g), lambda: globals().update(scale=3.0)),
    "iterator": lambda: (gradtx.stateless_leafwise(lambda g: -next(numbers) * g), lambda: None),
}


@pytest.fixture
def at_two():
    def again():
        globals().update(scale=2.0, held=Held(), numbers=iter(range(2, 100)))
        Held.scale = attribute_of_a_function.scale = settings.scale = 2.0
        exec("def f(): return scale", vars(settings))

    again()
    yield
    again()


@pytest.mark.parametrize("name", FROM_2_TO_3)
def test_what_a_function_reads_is_seen_when_it_changes(name, at_two):
    tx, change = FROM_2_TO_3[name]()
    assert two_steps(tx, change, times=1 if name == "iterator" else 3) == (-2, -3)


@pytest.mark.parametrize("name", ["global", "class", "module", "function of a module", "of a user's own", "rule"])
def test_and_under_a_trace_of_its_own(name, at_two):
    """As `jax.jit` of a new function reads it anew."""
    tx, change = FROM_2_TO_3[name]()
    g = jnp.ones(())
    updated = lambda: float(jax.jit(lambda g: tx.update(g, tx.init(g))[0])(g))
    first = updated()
    change()
    assert (first, updated()) == (-2, -3)


def test_what_a_rule_does_besides_it_does_at_each_step(capsys):
    def counting(g):
        Held.times += 1
        return g

    as_it_stands(counting)
    assert Held.times == 2
    as_it_stands(lambda g: print(float(g[0])) or g)
    assert capsys.readouterr().out == "1.0\n2.0\n"
    (one, _), (two, _) = as_it_stands(lambda g: g * random.random())
    assert two != 2 * one


def test_pairs_of_functions_and_other_libraries_run_as_they_stand():
    seen = []

    def update(updates, state, params=None):
        seen.append(float(updates["layer0"][0]))
        return updates, state

    tx = gradtx.chain(gradtx.GradientTransformation(lambda params: (), update), gradtx.scale(2.0))
    g = {"layer0": jnp.ones(5)}
    for _ in range(3):
        tx.update(g, tx.init(g))
    assert seen == [1, 1, 1]
    with jax.numpy_dtype_promotion("standard"):
        mixed = gradtx.chain(optax.scale(3.0), gradtx.scale(2.0))
        assert mixed.update(g, mixed.init(g))[0]["layer0"].tolist() == [6.0] * 5


def all_of(params):
    return dict.fromkeys(params, True)


USERS = {
    "rule": lambda: gradtx.chain(own(), gradtx.adam(0.1)),
    "schedule": lambda: gradtx.adam(lambda step: 0.1 / jnp.float32(step + 1)),
    "mask": lambda: gradtx.masked(gradtx.adam(0.1), lambda p: jax.tree.map(lambda x: x.ndim > 0, p)),
    "mask of the decay": lambda: gradtx.adamw(0.1, weight_decay=gradtx.decoupled(0.1, all_of)),
}


@pytest.mark.parametrize("name", USERS)
def test_around_a_users_function_what_is_gradtxs_own_is_compiled(name):
    """Each link, or each rule for each type of leaf: for all optimizers made anew."""
    params = {str(k): jnp.full(5, k + 1.0) for k in range(6)}
    tx = USERS[name]()
    state = tx.init(params)
    for _ in range(2):  # the second compiles what stays what it is
        USERS[name]().update(params, state, params)
    assert compilations(lambda: USERS[name]().update(params, state, params)) == 0
    wanted = jax.jit(tx.update)(params, state, params)
    chex.assert_trees_all_close(tx.update(params, state, params), wanted, rtol=1e-6)


class Theirs:
    init = staticmethod(lambda params: ())
    update = staticmethod(lambda updates, state, params=None: (jax.tree.map(lambda g: 2 * g, updates), state))


GATED = {
    "sam": lambda: gradtx.sam(Theirs(), alternate=True),
    "apply_if_finite": lambda: gradtx.apply_if_finite(Theirs(), 3),
    "conditionally": lambda: gradtx.conditionally_transform(Theirs(), lambda step: step > 1),
    "accumulate": lambda: gradtx.accumulate(Theirs(), 2),
}


@pytest.mark.parametrize("name", GATED)
def test_what_runs_another_librarys_code_at_some_steps_compiles_nothing_for_it(name):
    tx, params = GATED[name](), {"w": jnp.arange(1.0, 4.0)}

    def steps(update):
        state, found = tx.init(params), []
        for _ in range(4):
            updates, state = update(params, state, params)
            found.append(updates)
        return found, state

    wanted = steps(jax.jit(tx.update))
    chex.assert_trees_all_close(steps(tx.update), wanted, rtol=1e-6)
    assert compilations(lambda: steps(tx.update)) == 0
