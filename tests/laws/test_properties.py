"""Random trees and random chains: `update` is total, trees are kept, jit equals eager, states can be named."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import types_of

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")
pytestmark = pytest.mark.slow


class Pair(NamedTuple):
    """A container with names."""

    first: Any
    second: Any


@jax.tree_util.register_dataclass
@dataclass
class Layer:
    """A container with attributes."""

    kernel: Any
    bias: Any


MAKERS = [
    lambda: gradtx.clip_by_global_norm(0.7),
    lambda: gradtx.clip(0.5),
    lambda: gradtx.scale(-0.1),
    lambda: gradtx.sgd(0.1, 0.9),
    lambda: gradtx.adam(gradtx.linear_schedule(0.1, 0.01, 5)),
    lambda: gradtx.adamw(0.01, weight_decay=0.1),
    lambda: gradtx.rmsprop(0.01),
    lambda: gradtx.adafactor(0.01),
    lambda: gradtx.lion(0.01),
    lambda: gradtx.scale_by_trust_ratio(),
    lambda: gradtx.masked(gradtx.adam(0.01), lambda p: jax.tree.map(lambda x: x.ndim > 0, p)),
    lambda: gradtx.partition({"a": gradtx.sgd(0.1, 0.9), "b": gradtx.adam(0.1)}, "b"),
    lambda: gradtx.flatten(gradtx.adam(0.01)),
    lambda: gradtx.ema_params(gradtx.sgd(0.1)),
    lambda: gradtx.lookahead(gradtx.adam(0.01), 2, 0.5),
    lambda: gradtx.accumulate(gradtx.sgd(0.1, 0.9), 2),
]
shapes = st.sampled_from([(), (3,), (2, 3), (0, 2), (1, 2, 2)])
arrays = st.tuples(shapes, st.sampled_from(["float32", "float32", "bfloat16"])).map(list)
leaves = st.integers(0, 4).flatmap(lambda i: st.none() if i == 4 else arrays)
keys = st.sampled_from(["w", "b", "mu", "count", "a/b"])


def containers(children):
    """Every kind of container, the empty ones too."""
    return st.one_of(
        st.dictionaries(keys, children, max_size=3).map(lambda d: ("dict", d)),
        st.lists(children, max_size=3).map(lambda xs: ("list", xs)),
        st.lists(children, max_size=2).map(lambda xs: ("tuple", xs)),
        st.tuples(children, children).map(lambda xs: ("pair", xs)),
        st.tuples(children, children).map(lambda xs: ("layer", xs)),
    )


subtrees = st.recursive(leaves, containers, max_leaves=6)
# Hypothesis likes small trees; three in one are not so small.
plans = st.one_of(
    subtrees, *[containers(subtrees)] * 2, st.tuples(arrays, subtrees, subtrees).map(lambda xs: ("list", xs))
)
chains = st.lists(st.sampled_from(range(len(MAKERS))), min_size=1, max_size=3)
settings = hypothesis.settings(max_examples=50, deadline=None, derandomize=True, database=None)


def build(plan, rng):
    """The tree that a plan describes, with normal numbers."""
    if plan is None:
        return None
    if isinstance(plan, list):
        return jnp.asarray(rng.standard_normal(plan[0]), plan[1])
    kind, inside = plan
    if kind == "dict":
        return {key: build(x, rng) for key, x in inside.items()}
    built = [build(x, rng) for x in inside]
    return {"list": list, "tuple": tuple, "pair": lambda xs: Pair(*xs), "layer": lambda xs: Layer(*xs)}[kind](built)


@settings
@hypothesis.given(plans, chains)
def test_update_is_total_keeps_trees_and_jits(plan, links):
    tx = gradtx.chain(*(MAKERS[i]() for i in links))
    params, grads = build(plan, np.random.default_rng(0)), build(plan, np.random.default_rng(1))
    state = tx.init(params)
    updates, after = tx.update(grads, state, params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), updates) == jax.tree.map(lambda x: (x.shape, x.dtype), grads)
    chex.assert_tree_all_finite((updates, after))
    assert jax.tree.structure(after) == jax.tree.structure(state) and types_of(after) == types_of(state)
    jitted, jitted_after = jax.jit(tx.update)(grads, state, params)
    for x, y in zip(jax.tree.leaves((updates, after)), jax.tree.leaves((jitted, jitted_after)), strict=True):
        tolerance = 1e-2 if x.dtype == jnp.bfloat16 else 1e-5
        np.testing.assert_allclose(np.asarray(x, np.float64), np.asarray(y, np.float64), rtol=tolerance, atol=tolerance)


@settings
@hypothesis.given(plans, chains)
def test_states_are_named_restored_and_mapped(plan, links):
    tx = gradtx.chain(*(MAKERS[i]() for i in links))
    params = build(plan, np.random.default_rng(0))
    state = tx.init(params)
    saved = gradtx.state_dict(state)
    assert len(saved) == len(jax.tree.leaves(state))
    for name, x in saved.items():
        assert any(x is found for found in gradtx.find_states(state, name).values())
    chex.assert_trees_all_equal(gradtx.restore(jax.eval_shape(tx.init, params), saved)[0], state)
    kept = gradtx.extend(tx, state, params, params)
    assert all(x is y for x, y in zip(jax.tree.leaves(kept), jax.tree.leaves(state), strict=True))
    chex.assert_trees_all_equal(gradtx.map_slots(lambda slot, p: slot, tx, state, params), state)
    described = gradtx.describe(tx, params)
    assert described.state_bytes == sum(link.bytes for link in described.links)
