"""Keys of programs: equal for what computes the same, and none for what may hold arrays or change."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.keys import Unkeyed, key_of


def made(number, function=None):
    def inner(g):
        return number * g if function is None else function(g)

    return inner


def test_functions_of_the_same_code_and_values_have_one_key():
    assert key_of(made(2.0)) == key_of(made(2.0)) != key_of(made(3.0))
    assert key_of(made(1, made(2))) == key_of(made(1, made(2))) != key_of(made(1, made(3)))
    assert key_of(made(0.0)) != key_of(made(-0.0))
    assert key_of(made(1)) != key_of(made(1.0)) != key_of(made(True))
    assert key_of(partial(made, 1)) == key_of(partial(made, 1)) != key_of(partial(made, 2))
    assert key_of(made(float("nan"))) == key_of(made(float("nan")))
    assert key_of(made(gradtx.adam(0.1))) == key_of(made(gradtx.adam(0.1))) != key_of(made(gradtx.adam(0.2)))
    assert key_of(jnp.tanh) == key_of(jnp.tanh) != key_of(jnp.cosh)
    one, two = (eval("lambda g: g + 1") for _ in range(2))  # equal code, written twice
    assert key_of(one) != key_of(two)


def test_what_may_hold_arrays_or_change_has_no_key():
    class Thing:
        def rule(self, g):
            return g

    for x in (jnp.ones(2), np.ones(2), np.float32(1), [1], {"a": 1}, Thing(), Thing().rule, object()):
        for closed_over in (x, made(x), partial(made, x), (1, x), made(1, made(x))):
            with pytest.raises(Unkeyed):
                key_of(closed_over)
    with pytest.raises(Unkeyed):
        key_of(made(gradtx.adam(jnp.float32(0.1))))
    with pytest.raises(Unkeyed):
        key_of(gradtx.GradientTransformation(lambda p: (), lambda u, s, p=None: (u, s)))


rate, numbers = 0.5, [1.0]


def helper(step):
    return rate * step


def test_what_a_function_reads_from_its_module_counts(monkeypatch):
    reading = lambda: lambda step: helper(step)
    first = key_of(reading())
    assert key_of(reading()) == first
    monkeypatch.setitem(globals(), "rate", 0.25)
    assert key_of(reading()) != first
    with pytest.raises(Unkeyed):
        key_of(lambda step: numbers[0] * step)
    results = []
    for value in (0.5, 0.25):  # as in a script's loop: one piece of code, and a global variable that changes
        monkeypatch.setitem(globals(), "rate", value)
        tx = gradtx.sgd(lambda step: rate * jnp.ones(()))
        results.append(float(tx.update(jnp.ones(()), tx.init(jnp.ones(())))[0]))
    assert results == [-0.5, -0.25]
