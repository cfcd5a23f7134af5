"""Outputs in the memory of inputs: what a step reads is what was there before it, whatever it overwrites."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.one_pass import in_one_pass
from gradtx.core.precision import narrow
from gradtx.native.operations import OPERATIONS
from gradtx.native.program import compiled
from tests.native.support import calls, needs_native

pytestmark = needs_native

FLOATS = ("float32", "bfloat16", "float16", "float64")
# The new parameter and the new slot from parameter, slot and gradient; all numbers are exact in every dtype.
FORMS = {
    "the old parameter is kept": lambda p, s, g, to: (p - g, to(p, s)),
    "and held within a range": lambda p, s, g, to: (p - g, narrow(p, s.dtype)),
    "the old slot is kept": lambda p, s, g, to: (to(s, p), s + to(g, s)),
    "they change places": lambda p, s, g, to: (to(s, p), to(p, s)),
    "they change places and more": lambda p, s, g, to: (to(s, p) - g, to(p, s)),
    "the gradient is kept": lambda p, s, g, to: (p - g, to(g, s)),
    "both are the same": lambda p, s, g, to: (p - g, to(p - g, s)),
    "both are the old slot": lambda p, s, g, to: (to(s, p), to(to(s, p), s)),
    "there and back": lambda p, s, g, to: (to(to(p, s), p), to(p, s)),
    "each is the other's next": lambda p, s, g, to: (p + to(s, p), s - to(p, s)),
}


@pytest.mark.parametrize("low", FLOATS)
@pytest.mark.parametrize("high", FLOATS)
def test_casts_and_swaps(high, low):
    """Every pair of dtypes, every form, in one step: all are exact."""
    with jax.enable_x64(True):
        to = lambda x, like: x.astype(like.dtype)
        p, s, g = (np.arange(130) % 7 + k for k in (1, 20, 40))
        make = lambda: [{name: jnp.asarray(x, t) for name in FORMS} for x, t in ((p, high), (s, low), (g / 2, high))]
        step = lambda *xs: in_one_pass(
            lambda p, s, g: tuple(
                {name: f(p[name], s[name], g[name], to)[k] for name, f in FORMS.items()} for k in range(2)
            ),
            *xs,
        )
        for donate in ((), (0, 1)):
            jitted = jax.jit(step, donate_argnums=donate)
            assert calls(jitted.lower(*make()).as_text()) >= 1
            found = jax.device_get(jitted(*make()))
            for k, name in itertools.product(range(2), FORMS):
                wanted = FORMS[name](*(jnp.asarray(x[name]) for x in make()), to)[k]
                np.testing.assert_array_equal(found[k][name], np.asarray(wanted), err_msg=f"{name}, {k}, {donate}")


@pytest.mark.parametrize("low", ["bfloat16", "float16", "float32"])
def test_a_state_that_keeps_the_old_parameters(low):
    """From 1, after a step of 0.5: the state holds 1."""
    keep = gradtx.GradientTransformation(
        lambda params: jax.tree.map(lambda p: jnp.zeros(p.shape, low), params),
        lambda updates, state, params: (updates, jax.tree.map(lambda p: p.astype(low), params)),
    )
    with jax.enable_x64(True):
        params = {"w": jnp.ones(5, jnp.float64 if low == "float32" else jnp.float32)}
        tx = gradtx.chain(keep, gradtx.sgd(0.5))
        new, state = jax.jit(lambda p, s, g: gradtx.step(tx, p, s, g))(params, tx.init(params), params)
        np.testing.assert_array_equal(new["w"], 0.5)
        np.testing.assert_array_equal(np.asarray(state[0]["w"], np.float32), 1.0)


def alone(p, s, g):
    return p - g, s + 2 * p


def change_places(p, s, g):
    return s.astype(jnp.float32) - g, p.astype(s.dtype)


def scanned(p, s, g):
    return jax.lax.scan(lambda carry, _: (in_one_pass(change_places, *carry, g), None), (p, s), None, length=5)[0]


ARRAYS = {
    "one array as all": lambda x: in_one_pass(alone, x, x, x),
    "one constant as two": lambda x: in_one_pass(alone, jnp.zeros(5), jnp.zeros(5), x),
    "equal values of one program": lambda x: in_one_pass(alone, x * 2, x * 2, x),
    "read after the step": lambda x: (in_one_pass(alone, x, x + 1, x), jnp.cumsum(x)),
    "summed while it is overwritten": lambda x: in_one_pass(lambda p, s, g: (p - g, s + jnp.sum(p)), x, x + 1, x),
    "one element of what is overwritten": lambda x: in_one_pass(lambda p, s, g: (p - g, s + p[3]), x, x + 1, x),
    "of another shape than it was": lambda x: in_one_pass(lambda p, s, g: (p - g, jnp.stack([p, g])), x, x + 1, x),
    "of another dtype than it was": lambda x: in_one_pass(
        lambda p, s, g: (p - g, (s + p).astype(jnp.bfloat16)), x, x + 1, x
    ),
    "a carry that changes places": lambda x: scanned(x, x.astype(jnp.bfloat16), x),
    "a step in a step": lambda x: in_one_pass(lambda p, s, g: in_one_pass(alone, p - 1, s, g), x, x + 1, x),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_are_one_and_arrays_that_others_read(name):
    x = jnp.arange(5.0)
    step = jax.jit(lambda x: ARRAYS[name](x))
    assert calls(step.lower(x).as_text()) >= 1
    with gradtx.native.off():
        wanted = jax.jit(lambda x: ARRAYS[name](x))(x)
    chex.assert_trees_all_equal(step(x), wanted)
    chex.assert_trees_all_equal(x, jnp.arange(5.0))


def test_booleans_are_kept_by_xla():
    """A slot of booleans: the machine computes them, but has no memory for them."""
    p, s, g = jnp.arange(300.0), jnp.zeros(300, bool), jnp.full(300, 0.5)
    step = jax.jit(lambda *xs: in_one_pass(lambda p, s, g: (jnp.where(s, p, p - g), p > 9), *xs))
    new, kept = step(p, s, g)
    np.testing.assert_array_equal(new, np.arange(300.0) - 0.5)
    np.testing.assert_array_equal(kept, np.arange(300.0) > 9)


def test_a_clamp_of_what_is_the_same_everywhere():
    x = jnp.array([0.5, 1.5, 3.0])
    clamp = lambda p, s, g: (jax.lax.clamp(s, jnp.full(3, 2.0), p), s)
    step = jax.jit(lambda *xs: in_one_pass(clamp, *xs))
    np.testing.assert_array_equal(step(x, jnp.float32(1.0), x)[0], [0.5, 1.5, 2.0])
    np.testing.assert_array_equal(step(x, jnp.float32(2.5), x)[0], [0.5, 1.5, 2.5])


def test_a_sum_that_is_rounded_is_rounded_before_it_is_cast():
    """What does not fit in float16 is infinite; what is made an integer is one."""
    from gradtx.core.each import sum_each

    def total(leaves, one):
        step = lambda p, s, g: ([x + sum_each(one, g) for x in p], s)
        return jax.jit(lambda *xs: in_one_pass(step, *xs))(leaves, jnp.ones(3), leaves)[0][0]

    large = [jnp.full(8, 16384.0, jnp.float32) for _ in range(2)]
    in_half = lambda g: jnp.sum(g).astype(jnp.float16).astype(jnp.float32)
    assert np.isinf(total(large, in_half)).all()
    as_integers = lambda g: jnp.sum(g).astype(jnp.int32).astype(jnp.float32)
    np.testing.assert_allclose(total([jnp.full(3, 0.25), jnp.full(3, 0.25)], as_integers), 0.25)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_what_is_stored_narrow_is_rounded_and_held_by_its_store(monkeypatch, dtype):
    """Adam in 16 bits: one store, which rounds and holds; no node that nothing reads."""
    programs, right = [], compiled
    monkeypatch.setattr("gradtx.native.calls.compiled", lambda formula: programs.append(right(formula)) or programs[-1])
    params, tx = {"w": jnp.ones(5, dtype)}, gradtx.adam(0.1)
    jax.jit(lambda p, s, g: gradtx.step(tx, p, s, g)).lower(params, tx.init(params), params)
    ops = [OPERATIONS[code[0]].name for code in programs[-1].instructions]
    assert ops == ["load", "blend_square", "blend", "ratio_root", "load", "mul_add", "store_held"]
