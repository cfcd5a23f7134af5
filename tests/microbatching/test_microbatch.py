"""Micro-batches of a function equal its whole batch."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gradtx.microbatching import AccumulationType, Accumulator, microbatch, reshape_batch_axis

MEAN, SUM, RUNNING_MEAN, CONCAT = AccumulationType
X = jnp.asarray(np.random.default_rng(0).standard_normal((12, 3)), jnp.float32)
W = jnp.asarray(np.random.default_rng(1).standard_normal((3, 2)), jnp.float32)
LARGEST = Accumulator(
    init=lambda x: jnp.full(x.shape, -jnp.inf, x.dtype),
    update=lambda largest, x, i: jnp.maximum(largest, x),
    finalize=lambda largest: largest,
    aggregate=lambda x: jnp.max(x, axis=0),
)


def loss(w, x, scale=1.0):
    return scale * jnp.mean(jnp.tanh(x @ w) ** 2)


def shapes(x):
    return {"rows": 2 * x, "total": jnp.sum(x), "mean": (jnp.mean(x, 0), None), "top": jnp.max(x)}


ACCUMULATORS = {"rows": CONCAT, "total": SUM, "mean": RUNNING_MEAN, "top": LARGEST}


@pytest.mark.parametrize("mean", [MEAN, RUNNING_MEAN])
@pytest.mark.parametrize("size", [1, 4, 12])
def test_gradients_equal_those_of_the_whole_batch(size, mean):
    whole = jax.value_and_grad(loss)
    f = jax.jit(microbatch(whole, 1, size, mean))
    chex.assert_trees_all_close(f(W, X), whole(W, X), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("size", [1, 4, 12])
def test_every_accumulator(size):
    got = microbatch(shapes, 0, size, ACCUMULATORS)(X)
    chex.assert_trees_all_close(got, shapes(X), rtol=1e-6, atol=1e-6)
    chex.assert_trees_all_equal(got["rows"], 2 * X)


def test_the_kth_micro_batch_takes_every_nth_row():
    seen = microbatch(lambda x: x[None], 0, 2, Accumulator(
        init=lambda x: jnp.zeros((4, 2)),
        update=lambda c, x, i: jax.lax.dynamic_update_index_in_dim(c, x[0], i, 0),
        finalize=lambda c: c,
        aggregate=lambda x: x,
    ))(jnp.arange(8.0))  # fmt: skip
    chex.assert_trees_all_equal(seen, jnp.arange(8.0).reshape(2, 4).T)
    chex.assert_trees_all_equal(seen, reshape_batch_axis(jnp.arange(8.0), 2))


def test_batch_axes_of_trees_as_two():
    x = jnp.arange(24).reshape(2, 6, 2)
    tree = reshape_batch_axis({"a": x, "b": x[:, :, 0]}, 3, axis=1)
    assert tree["a"].shape == (2, 2, 3, 2) and tree["b"].shape == (2, 2, 3)
    chex.assert_trees_all_equal(tree["a"][:, 1], x[:, 1::2])
    chex.assert_trees_all_equal(reshape_batch_axis(x, 1, axis=-1)[..., 1, 0], x[..., 1])


def test_batch_axes_by_position_and_by_name():
    f = lambda a, w, *, b: jnp.sum(a["x"] @ w) + jnp.sum(b)
    split = microbatch(f, [0], 3, argnames="b", in_axes=[0, -1])
    b = jnp.arange(24.0).reshape(2, 12)
    chex.assert_trees_all_close(split({"x": X}, W, b=b), f({"x": X}, W, b=b), rtol=1e-5)


@pytest.mark.parametrize(("count", "ran"), [(2, 2), (0, 0), (9, 4)])
def test_the_first_micro_batches_only(count, ran):
    f = lambda real: microbatch(
        lambda x: (x, *[jnp.mean(x)] * 3), 0, 2, (CONCAT, MEAN, RUNNING_MEAN, SUM), num_real_microbatches=real
    )(jnp.arange(8.0))
    rows, mean, running, total = jax.jit(f)(jnp.int32(count))
    chex.assert_trees_all_equal(rows, jnp.where(jnp.arange(8) % 4 < ran, jnp.arange(8.0), 0))
    means = np.array([2.0, 3.0, 4.0, 5.0])[:ran]
    np.testing.assert_allclose((mean, running, total), (means.sum() / 4, means.sum() / max(ran, 1), means.sum()))
    chex.assert_trees_all_equal(f(count), (rows, mean, running, total))


@pytest.mark.parametrize("mean", [MEAN, RUNNING_MEAN])
def test_a_microbatched_function_can_be_differentiated(mean):
    whole, split = jax.grad(loss), jax.jit(jax.grad(microbatch(loss, 1, 4, mean)))
    chex.assert_trees_all_close(split(W, X), whole(W, X), rtol=1e-6, atol=1e-7)


def test_dtypes_are_kept_and_sums_are_wide():
    f = lambda x: (jnp.sum(x), jnp.sum(x > 0, dtype=jnp.int32), x.astype(jnp.bfloat16), jnp.mean(x))
    got = microbatch(f, 0, 1, (SUM, SUM, CONCAT, RUNNING_MEAN))(jnp.full(4096, 0.25, jnp.bfloat16))
    assert [x.dtype for x in got] == [jnp.bfloat16, jnp.int32, jnp.bfloat16, jnp.bfloat16]
    assert float(got[0]) == 1024.0  # a bfloat16 sum would stop at 64
    assert int(got[1]) == 4096 and float(got[3]) == 0.25


def test_memory_is_that_of_one_micro_batch():
    wide, x = jnp.ones((3, 1024)), jnp.ones((512, 3))

    def temp(f: Any) -> int:
        analysis: Any = jax.jit(f).lower(wide, x).compile().memory_analysis()
        return analysis.temp_size_in_bytes

    assert temp(microbatch(jax.grad(loss), 1, 16)) < temp(jax.grad(loss)) / 4


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=["auto", "explicit"])
def test_a_sharded_batch_stays_sharded(kind):
    mesh = jax.make_mesh((4,), ("x",), axis_types=(kind,))
    whole = lambda x: (jnp.sum(x * x), 2 * x)
    with jax.set_mesh(mesh):
        x = jax.device_put(jnp.arange(48.0).reshape(16, 3), NamedSharding(mesh, PartitionSpec("x")))
        total, rows = jax.jit(microbatch(whole, 0, 4, (SUM, CONCAT)))(x)
        chex.assert_trees_all_close((jax.device_get(total), jax.device_get(rows)), jax.device_get(whole(x)))
        two = reshape_batch_axis(x, 4)
    if kind == AxisType.Explicit:
        assert rows.sharding.spec == PartitionSpec("x", None)
        assert two.sharding.spec == PartitionSpec(None, "x", None)


def test_no_size_is_the_function_itself():
    assert microbatch(loss, 1, None) is loss


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: microbatch(loss, 1, 5)(W, X), "must be divisible by microbatch_size 5, got 12 rows in argument 1"),
        (lambda: microbatch(loss, 1, 0), "microbatch_size must be a whole number >= 1, got 0"),
        (lambda: microbatch(loss, 1, 4, "max")(W, X), "wanted an AccumulationType or an Accumulator, got 'max'"),
        (lambda: microbatch(loss, 1, 4, {"a": SUM})(W, X), "not a prefix of the result"),
        (lambda: microbatch(loss, 1, 4, CONCAT)(W, X), r"first axis must be the 4 rows .* got float32\(\)"),
        (lambda: microbatch(loss, (0, 1), 3)(W[:, :1], X), "one batch, got rows: 0 has 3, 1 has 12"),
        (lambda: microbatch(loss, (), 3)(W, X), "one batch, got rows: none"),
        (lambda: microbatch(loss, 1, 4, in_axes=2)(W, X), r"argument 1 at \(root\) has no axis 2"),
        (lambda: microbatch(loss, 1, 4, in_axes=[0, 1]), "in_axes has 2 entries for 1 arguments"),
        (lambda: microbatch(lambda x: jnp.sum(x > 0), 0, 4, MEAN)(X), "no mean of the result at .*: sum it"),
        (lambda: reshape_batch_axis({"w": X}, 5), r"divisible by microbatch_size 5, got 12 rows in \['w'\]"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_missing_argument_is_named():
    with pytest.raises(TypeError, match="the call gives no argument 'b'"):
        microbatch(loss, 1, 4, argnames="b")(W, X)
