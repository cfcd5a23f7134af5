"""Micro-batches of a function equal its whole batch."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import gradtx

X = jnp.asarray(np.random.default_rng(0).standard_normal((12, 3)), jnp.float32)
W = jnp.asarray(np.random.default_rng(1).standard_normal((3, 2)), jnp.float32)


def loss(w, x, scale=1.0):
    return scale * jnp.mean(jnp.tanh(x @ w) ** 2)


def shapes(x):
    return {"rows": 2 * x, "total": jnp.sum(x), "mean": (jnp.mean(x, 0), None)}


REDUCTIONS = {"rows": "concat", "total": "sum", "mean": "mean"}


@pytest.mark.parametrize("size", [1, 3, 4, 12])
def test_gradients_equal_those_of_the_whole_batch(size):
    whole = jax.value_and_grad(loss)
    for f in (gradtx.microbatch(whole, 1, size), jax.jit(gradtx.microbatch(whole, 1, size))):
        chex.assert_trees_all_close(f(W, X), whole(W, X), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("size", [1, 4, 12])
def test_every_reduction(size):
    got = gradtx.microbatch(shapes, 0, size, REDUCTIONS)(X)
    chex.assert_trees_all_close(got, shapes(X), rtol=1e-6, atol=1e-6)
    chex.assert_trees_all_equal(got["rows"], 2 * X)


def test_batch_axes_by_position_and_by_name():
    f = lambda a, w, *, b: jnp.sum(a["x"] @ w) + jnp.sum(b)
    split = gradtx.microbatch(f, [0], 3, "sum", argnames="b", in_axes=[0, -1])
    b = jnp.arange(24.0).reshape(2, 12)
    chex.assert_trees_all_close(split({"x": X}, W, b=b), f({"x": X}, W, b=b), rtol=1e-5)


def test_the_first_steps_only():
    f = gradtx.microbatch(lambda x: (x, jnp.mean(x)), 0, 2, ("concat", "mean"), steps=jnp.int32(2))
    rows, mean = jax.jit(f)(jnp.arange(8.0))
    chex.assert_trees_all_equal(rows, jnp.array([0.0, 1, 0, 0, 4, 5, 0, 0]))
    assert float(mean) == 2.5


def test_a_microbatched_function_can_be_differentiated():
    whole, split = jax.grad(loss), jax.grad(gradtx.microbatch(loss, 1, 4))
    chex.assert_trees_all_close(split(W, X), whole(W, X), rtol=1e-6, atol=1e-7)


def test_dtypes_are_kept_and_sums_are_wide():
    f = lambda x: (jnp.sum(x), jnp.sum(x > 0, dtype=jnp.int32), x.astype(jnp.bfloat16))
    got = gradtx.microbatch(f, 0, 1, ("sum", "sum", "concat"))(jnp.full(4096, 0.25, jnp.bfloat16))
    assert [x.dtype for x in got] == [jnp.bfloat16, jnp.int32, jnp.bfloat16]
    assert float(got[0]) == 1024.0  # a bfloat16 sum would stop at 64
    assert int(got[1]) == 4096


def test_memory_is_that_of_one_micro_batch():
    wide, x = jnp.ones((3, 1024)), jnp.ones((512, 3))

    def temp(f: Any) -> int:
        analysis: Any = jax.jit(f).lower(wide, x).compile().memory_analysis()
        return analysis.temp_size_in_bytes

    assert temp(gradtx.microbatch(jax.grad(loss), 1, 16)) < temp(jax.grad(loss)) / 4


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=["auto", "explicit"])
def test_a_sharded_batch_stays_sharded(kind):
    mesh = jax.make_mesh((4,), ("x",), axis_types=(kind,))
    whole = lambda x: (jnp.sum(x * x), 2 * x)
    with jax.set_mesh(mesh):
        x = jax.device_put(jnp.arange(48.0).reshape(16, 3), NamedSharding(mesh, PartitionSpec("x")))
        total, rows = jax.jit(gradtx.microbatch(whole, 0, 4, ("sum", "concat")))(x)
        chex.assert_trees_all_close((jax.device_get(total), jax.device_get(rows)), jax.device_get(whole(x)))
    if kind == AxisType.Explicit:
        assert rows.sharding.spec == PartitionSpec("x", None)


def test_no_size_is_the_function_itself():
    assert gradtx.microbatch(loss, 1, None) is loss


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradtx.microbatch(loss, 1, 5)(W, X), "must be divisible by size 5, got 12 rows in argument 1"),
        (lambda: gradtx.microbatch(loss, 1, 0), "size must be a whole number >= 1 or None, got 0"),
        (lambda: gradtx.microbatch(loss, 1, 4, "max"), "reduction must be one of 'mean', 'sum', 'concat', got 'max'"),
        (lambda: gradtx.microbatch(loss, 1, 4, {"a": "sum"})(W, X), "not a prefix of the result"),
        (lambda: gradtx.microbatch(loss, 1, 4, "concat")(W, X), r"first axis must be the 4 rows .* got float32\(\)"),
        (lambda: gradtx.microbatch(loss, (0, 1), 3)(W[:, :1], X), "one batch, got rows: 0 has 3, 1 has 12"),
        (lambda: gradtx.microbatch(loss, 1, 4, in_axes=2)(W, X), r"argument 1 at \(root\) has no axis 2"),
        (lambda: gradtx.microbatch(loss, 1, 4, in_axes=[0, 1]), "in_axes has 2 entries for 1 arguments"),
        (lambda: gradtx.microbatch(lambda x: jnp.sum(x > 0), 0, 4)(X), "no mean of the result at .*: sum it"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_missing_argument_is_named():
    with pytest.raises(TypeError, match="the call gives no argument 'b'"):
        gradtx.microbatch(loss, 1, 4, argnames="b")(W, X)
