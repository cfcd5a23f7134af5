"""Steps under `vmap` with a named axis, or one that is cut over a mesh: what is inside sees the axis."""

import chex
import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import gradtx
from tests.native.support import normal

ROWS = normal((8, 3))
AHEAD = [(k, (k + 1) % 8) for k in range(8)]
SHUFFLED = [3, 1, 0, 2, 7, 6, 4, 5]
ALONG = {
    "ppermute": lambda g: lax.ppermute(g, "i", AHEAD),
    "pshuffle": lambda g: lax.pshuffle(g, "i", SHUFFLED),
    "psum": lambda g: g / lax.psum(jnp.sum(g**2), "i"),
    "psum_scatter": lambda g: lax.all_gather(lax.psum_scatter(jnp.stack([g] * 8), "i"), "i")[3],
    "axis_index": lambda g: g * lax.axis_index("i").astype(g.dtype),
    "a constant": lambda g: g * lax.ppermute(jnp.ones_like(g) * lax.axis_index("i").astype(g.dtype), "i", AHEAD),
}


def stepping(rule):
    tx = gradtx.stateless_leafwise(rule)
    return lambda x: gradtx.step(tx, {"a": x, "b": 2 * x}, tx.init({"a": x, "b": x}), {"a": x, "b": 2 * x})[0]


@pytest.mark.parametrize("name", ALONG)
def test_collectives_in_a_rule(name):
    """Plain, differentiated, and below another axis: as the rule alone."""
    rule = ALONG[name]
    ours, theirs = stepping(rule), lambda x: {"a": x + rule(x), "b": 2 * x + rule(2 * x)}
    total = lambda step: lambda x: jax.tree.reduce(jnp.add, jax.tree.map(lambda y: jnp.sum(jnp.sin(y)), step(x)))
    both = jnp.stack([ROWS, 0.5 * ROWS])

    def seen(step):
        along = jax.vmap(step, axis_name="i")
        return along(ROWS), jax.vmap(along)(both), jax.vmap(jax.grad(total(step)), axis_name="i")(ROWS)

    chex.assert_trees_all_close(*jax.device_get(jax.jit(lambda: (seen(ours), seen(theirs)))()), rtol=1e-5, atol=1e-6)


def test_an_axis_that_is_cut_over_a_mesh():
    """`spmd_axis_name` reaches constraints and `shard_map` in a rule."""
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    here = stepping(lambda g: lax.with_sharding_constraint(g, NamedSharding(mesh, P(None))))
    text = jax.jit(jax.vmap(here, spmd_axis_name="x")).lower(ROWS).as_text()
    assert '[{"x"}, {}]' in text
    assert "{?}" not in text
    mapped = stepping(lambda g: jax.shard_map(lambda x: 2 * x, mesh=mesh, in_specs=P(), out_specs=P())(g))
    wanted = {"a": 3 * ROWS, "b": 6 * ROWS}
    chex.assert_trees_all_close(jax.device_get(jax.jit(jax.vmap(mapped, spmd_axis_name="x"))(ROWS)), wanted)


def test_what_is_one_for_the_whole_axis_stays_so():
    """Of gradients averaged along the axis, there is one step."""
    tx = gradtx.adam(0.1)
    step = lambda g: gradtx.step(tx, ROWS[0], tx.init(ROWS[0]), lax.pmean(g, "i"))[0]
    one = jax.vmap(step, axis_name="i", out_axes=None)(jnp.abs(ROWS) + 1)
    chex.assert_trees_all_close(jax.device_get(one), ROWS[0] - 0.1, rtol=1e-5)
