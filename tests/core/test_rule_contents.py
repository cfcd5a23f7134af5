"""What a rule may hold: arrays, control flow, keys, functions with derivatives of their own, callbacks."""

import contextlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import gradtx
from gradtx.transforms.momentum import TraceState

TWO = jnp.array(2.0)
ROW = jnp.array([1.0, -2.0, 3.0])
HOST = np.arange(3.0, dtype=np.float32)
SQUARE = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 0.5], [0.25, 0.0, 1.0]], np.float32)
KEPT = np.array([True, False, True])
KEY = jax.random.key(3)
TREE = {"a": ROW, "b": (HOST, jnp.float32(0.5))}
EDGES = np.array([-1.0, 0.0, 1.0], np.float32)


@jax.custom_jvp
def with_jvp(g):
    return jnp.sin(g) * ROW


@jax.custom_vjp
def with_vjp(g):
    return jnp.sin(g) * ROW


with_jvp.defjvp(lambda primals, tangents: (with_jvp(*primals), jnp.cos(primals[0]) * ROW * tangents[0]))
with_vjp.defvjp(lambda g: (with_vjp(g), g), lambda g, out: (jnp.cos(g) * ROW * out,))
nested = jax.jit(lambda g: g * ROW + jnp.where(KEPT, g, 0))

RULES = {
    "number": lambda g: g * TWO,
    "array": lambda g: g * ROW,
    "numpy": lambda g: g * HOST + SQUARE @ g,
    "tree": lambda g: g * TREE["a"] + TREE["b"][0] * TREE["b"][1],
    "mask": lambda g: jnp.where(KEPT, g, 0) + jnp.where(jnp.arange(3) > 0, g, 0),
    "indices": lambda g: g[np.array([2, 0, 1])].at[0].multiply(TWO),
    "polyval": lambda g: jnp.polyval(HOST, g) + jnp.polyval(ROW, g),
    "interp": lambda g: jnp.interp(g, EDGES, HOST),
    "searchsorted": lambda g: g * jnp.searchsorted(EDGES, g).astype(g.dtype),
    "digitize": lambda g: g * jnp.digitize(g, EDGES).astype(g.dtype),
    "histogram": lambda g: g * jnp.histogram(g, bins=EDGES)[0].astype(g.dtype)[:1],
    "cond": lambda g: lax.cond(g[0] > 0, lambda x: x * ROW, lambda x: x + HOST, g),
    "loops": lambda g: lax.scan(lambda x, c: (c * x + HOST, None), lax.fori_loop(0, 3, lambda i, x: x * ROW, g), ROW)[
        0
    ],
    "derivatives": lambda g: with_jvp(g) + with_vjp(g) + jax.grad(lambda x: jnp.sum(jnp.sin(x * ROW)))(g),
    "nested": jax.jit(lambda g: nested(g) * HOST + jax.checkpoint(lambda x: jnp.sin(x * ROW))(g)),
    "keys": lambda g: g * jax.random.normal(KEY, g.shape) + jax.random.uniform(jax.random.fold_in(KEY, 1), g.shape),
    "callback": lambda g: jax.debug.callback(lambda x: None, g) or g * ROW,
}
PARAMS = {"a": jnp.array([0.5, -0.25, 0.75]), "b": jnp.array([0.1, 0.2, 0.3])}
GRADS = {"a": jnp.array([0.65, -0.475, 1.025]), "b": jnp.array([0.05, 0.2, -0.35])}


def seen_from_all_sides(rule, step):
    """The step with a rule, its derivative, and two steps at once."""
    run = lambda params, grads: step(rule, params, grads)
    size = lambda grads: sum(jnp.sum(x**2) for x in jax.tree.leaves(run(PARAMS, grads)))
    twice = jax.tree.map(lambda x: jnp.stack([x, 0.5 * x]), (PARAMS, GRADS))
    vmapped = () if rule is RULES["callback"] else jax.vmap(run)(*twice)
    return run(PARAMS, GRADS), jax.grad(size)(GRADS), vmapped


def directly(rule, params, grads):
    return jax.tree.map(lambda p, g: p - 0.1 * rule(g), params, grads)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_may_hold_anything(name):
    check(RULES[name], gradtx.stateless_leafwise(RULES[name]))


def test_a_function_of_trees_may_hold_anything():
    rule = lambda g: RULES["array"](g) + RULES["interp"](g) + RULES["cond"](g)
    check(rule, gradtx.stateless(lambda updates, params: jax.tree.map(rule, updates)))


def check(rule, link):
    """Steps by a link are those by its rule, with the native kernel and without."""
    tx = gradtx.chain(link, gradtx.scale(-0.1))

    def step(_, params, grads):
        return gradtx.step(tx, params, tx.init(params), grads)[0]

    @jax.jit
    def results():
        with gradtx.native.off():
            plain = seen_from_all_sides(rule, step)
        return seen_from_all_sides(rule, step), plain, seen_from_all_sides(rule, directly)

    ours, plain, wanted = results()
    chex.assert_trees_all_close(ours, wanted, rtol=1e-5, atol=1e-5)
    chex.assert_trees_all_close(plain, wanted, rtol=1e-5, atol=1e-5)


def test_a_rule_of_a_state_with_constants_scans():
    """With slots, the parameter, a norm of what was multiplied by a constant, packed and not."""

    def rule(g, s, p):
        trace = 0.5 * s.trace + g * ROW + jnp.interp(p, EDGES, HOST)
        return -0.1 * trace, s._replace(trace=trace)

    own = gradtx.transformation(lambda: gradtx.leafwise(rule, TraceState))
    tx = gradtx.chain(gradtx.stateless_leafwise(RULES["array"]), gradtx.clip_by_global_norm(1.0), own())

    def train(params, grads):
        body = lambda carry, _: (gradtx.step(tx, *carry, grads), None)
        return lax.scan(body, (params, tx.init(params)), None, length=3)[0][0]

    norm = jnp.sqrt(sum(jnp.sum((g * ROW) ** 2) for g in GRADS.values()))
    wanted, trace = PARAMS, jax.tree.map(jnp.zeros_like, PARAMS)
    for _ in range(3):
        clipped = jax.tree.map(lambda g: g * ROW / norm, GRADS)
        trace = jax.tree.map(lambda t, g, p: 0.5 * t + g * ROW + jnp.interp(p, EDGES, HOST), trace, clipped, wanted)
        wanted = jax.tree.map(lambda p, t: p - 0.1 * t, wanted, trace)
    for off in (contextlib.nullcontext, gradtx.native.off):
        with off():
            run = lambda *trees: train(*trees)
            chex.assert_trees_all_close(jax.jit(run)(PARAMS, GRADS), wanted, rtol=1e-5, atol=1e-6)
            packed = jax.jit(run)(gradtx.pack(PARAMS), gradtx.pack(GRADS))
            chex.assert_trees_all_close(packed.unpack(), wanted, rtol=1e-5, atol=1e-6)
