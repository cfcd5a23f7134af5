"""What users' functions read is seen when it changes after they were compiled; what remembers calls runs at each."""

import builtins
import types
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import compilations

factor, table, sizes, numbers = 2.0, [2.0], (2.0, "x"), np
other: Any = types.ModuleType("other")


def helper(x):
    return factor * x


def outcomes(tx, change):
    """The updates of three steps before a change and three after it."""
    g = jnp.ones(())
    run = lambda: [float(tx.update(g, tx.init(g), g)[0]) for _ in range(3)]
    before = run()
    change()
    return before, run()


def replaced(function, **attributes):
    return lambda: [setattr(function, name, x) for name, x in attributes.items()]


def with_default():
    def times(g, by=2.0):
        return by * g

    return (lambda g: times(g)), replaced(times, __defaults__=(3.0,))


def with_named_default():
    def rule(g, *, by=2.0):
        return by * g

    return rule, replaced(rule, __kwdefaults__={"by": 3.0})


def with_an_entry_of_a_named_default():
    rule, _ = with_named_default()
    return rule, lambda: (rule.__kwdefaults__ or {}).update(by=3.0)


def of_a_variable():
    by = 2.0

    def change():
        nonlocal by
        by = 3.0

    return (lambda g: by * g), change


def of_a_variable_within():
    by = 2.0

    def change():
        nonlocal by
        by = 3.0

    return (lambda g: sum([(lambda x: by * x)(y) for y in [g]])), change


def of_its_own_attribute():
    def rule(g):
        me = rule
        return me.by * g

    rule.by = 2.0
    return rule, replaced(rule, by=3.0)


def with_other_code():
    def rule(g):
        return 2 * g

    return rule, replaced(rule, __code__=(lambda g: 3 * g).__code__)


def by_a_builtin():
    space: dict[str, Any] = {"__builtins__": builtins}
    exec("def rule(g): return max(2, 1) * g", space)
    return space["rule"], lambda: space.update(max=lambda a, b: 3)


def through_a_wrapper():
    inner, change = with_named_default()

    @wraps(jnp.abs)
    def rule(g):
        return inner(g)

    return rule, change


CHANGES: dict[str, Any] = {
    "default": with_default,
    "named default": with_named_default,
    "entry of the named defaults": with_an_entry_of_a_named_default,
    "variable": of_a_variable,
    "variable of a function within": of_a_variable_within,
    "attribute": of_its_own_attribute,
    "code": with_other_code,
    "builtin": by_a_builtin,
    "wrapper": through_a_wrapper,
    "global": lambda: ((lambda g: factor * g), lambda: globals().update(factor=3.0)),
    "global of a helper": lambda: ((lambda g: helper(g)), lambda: globals().update(factor=3.0)),
    "helper": lambda: ((lambda g: helper(g)), lambda: globals().update(helper=lambda x: 3 * x)),
    "tuple": lambda: ((lambda g: sizes[0] * g), lambda: globals().update(sizes=(3.0,))),
    "type of a number": lambda: ((lambda g: (2 if numbers is np else 3) * g), lambda: globals().update(numbers=jnp)),
    "a list that it becomes": lambda: ((lambda g: jnp.sum(jnp.array(factor)) * g),
                                       lambda: globals().update(factor=[1.0, 2.0])),
    "function of a module": lambda: ((lambda g: other.by(g)), lambda: setattr(other, "by", lambda g: 3 * g)),
    "element": lambda: ((lambda g: table[0] * g), lambda: table.__setitem__(0, 3.0)),
}  # fmt: skip


@pytest.fixture
def at_two():
    held = dict(globals())
    table[0], other.by = 2.0, lambda g: 2 * g
    yield
    globals().update({name: held[name] for name in ("factor", "helper", "sizes", "numbers")})


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_function_reads_is_seen_when_it_changes_after_it_was_compiled(name, at_two):
    rule, change = CHANGES[name]()
    tx = gradtx.stateless_leafwise(rule)
    assert outcomes(tx, change) == ([2, 2, 2], [3, 3, 3])


def test_a_number_that_changes_back_finds_its_program():
    tx = gradtx.stateless_leafwise(lambda g: factor * g)
    g, step = jnp.ones(3), lambda: tx.update(g, tx.init(g))[0]
    for number in (2.0, 2.0, 3, 3):
        globals().update(factor=number)
        assert step()[0] == number
    assert compilations(lambda: [globals().update(factor=float("2")), step(), step()]) == 0


def counting():
    calls = []
    return lambda g: (calls.append(1), len(calls) * g)[1]


def counting_by_nonlocal():
    calls = 0

    def rule(g):
        nonlocal calls
        calls += 1
        return calls * g

    return rule


def counting_by_attribute():
    def rule(g):
        rule.calls += 1
        return rule.calls * g

    rule.calls = 0
    return rule


@gradtx.transformation
def counting_maker():
    return gradtx.leafwise(counting())


@gradtx.transformation
def counting_in_its_body():
    calls = []

    def rule(g):
        calls.append(1)
        return len(calls) * g

    return gradtx.leafwise(rule)


@gradtx.transformation
def counting_in_a_schedule():
    calls = {"n": 0}

    def rate(step):
        calls["n"] += 1
        return step * 0 + calls["n"]

    return gradtx.leafwise(lambda g, *, rate: rate * g, rate=gradtx.Schedule(rate))


COUNTING = {
    "list": lambda: gradtx.stateless_leafwise(counting()),
    "nonlocal": lambda: gradtx.stateless_leafwise(counting_by_nonlocal()),
    "attribute": lambda: gradtx.stateless_leafwise(counting_by_attribute()),
    "maker": counting_maker,
    "body": counting_in_its_body,
}


@pytest.mark.parametrize("name", COUNTING)
def test_what_remembers_its_calls_runs_at_each(name):
    tx, g = COUNTING[name](), jnp.ones(())
    assert [float(tx.update(g, tx.init(g))[0]) for _ in range(4)] == [1, 2, 3, 4]


def test_a_schedule_in_a_users_maker_that_remembers_its_calls_runs_at_each():
    tx, g = counting_in_a_schedule(), jnp.ones(())
    seen = [float(tx.update(g, tx.init(g))[0]) for _ in range(4)]
    assert seen == [seen[0] + k for k in range(4)]


def test_a_tree_with_code_of_its_own_is_not_trusted():
    @jax.tree_util.register_pytree_node_class
    class Model:
        scale = 2.0

        def __init__(self, w):
            self.w = w

        def tree_flatten(self):
            return (self.w,), None

        @classmethod
        def tree_unflatten(cls, _, children):
            return cls(*children)

        def scaled(self):
            return Model(self.scale * self.w)

    tx, g = gradtx.stateless(lambda updates: updates.scaled()), Model(jnp.ones(()))
    run = lambda: [float(tx.update(g, tx.init(g))[0].w) for _ in range(3)]
    assert run() == [2, 2, 2]
    Model.scale = 3.0
    assert run() == [3, 3, 3]


def test_what_jax_prints_is_printed_at_each_step(capsys):
    def rule(g):
        jax.debug.print("{}", g)
        return g

    tx, g = gradtx.stateless_leafwise(rule), jnp.ones(())
    for k in range(4):
        tx.update(k * g, tx.init(g))
    jax.effects_barrier()
    assert capsys.readouterr().out.split() == ["0.0", "1.0", "2.0", "3.0"]
    assert compilations(lambda: tx.update(g, tx.init(g))) == 0
