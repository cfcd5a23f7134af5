"""`micro_vmap` equals `jax.vmap`, `micro_grad` the gradients of single examples; agreement with Optax."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx.microbatching import AccumulationType, Accumulator, micro_grad, micro_vmap, microbatch, reshape_batch_axis

MEAN, SUM, RUNNING_MEAN, CONCAT = AccumulationType
RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.standard_normal((8, 3)), jnp.float32)
Y = jnp.asarray(RNG.standard_normal(8), jnp.float32)
W = jnp.asarray(RNG.standard_normal(3), jnp.float32)
PRODUCT = Accumulator(
    init=lambda x: jnp.ones(x.shape, x.dtype),
    update=lambda c, x, i: c * x,
    finalize=lambda c: -c,
    aggregate=lambda x: jnp.prod(x, axis=0),
)


def loss(w, x, y):
    return 0.5 * jnp.mean((x @ w - y) ** 2)


def row(x, w, *, y):
    return {"sum": x * y, "mean": (x @ w,), "row": (x, None), "product": 1 + 0.1 * x}


KINDS = {"sum": SUM, "mean": MEAN, "row": CONCAT, "product": PRODUCT}


@pytest.mark.parametrize("size", [None, 1, 4, 8])
def test_rows_are_mapped_and_gathered(size):
    got = jax.jit(micro_vmap(row, (0, None), microbatch_size=size, accumulator=KINDS))(X, W, y=Y)
    expected = {
        "sum": np.sum(X * Y[:, None], 0),
        "mean": (np.mean(X @ W),),
        "row": (X, None),
        "product": -np.prod(1 + 0.1 * X, 0),
    }
    chex.assert_trees_all_close(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [None, 2])
def test_by_default_it_is_vmap(size):
    f = lambda x, y: jnp.sum(x) * y
    got = micro_vmap(f, (0, 1), microbatch_size=size)(X, X.T)
    chex.assert_trees_all_close(got, jax.vmap(f, (0, 1))(X, X.T), rtol=1e-6)


def test_only_some_micro_batches_run():
    f = lambda real: micro_vmap(lambda x: x, microbatch_size=2, accumulator=SUM, num_real_microbatches=real)(Y)
    np.testing.assert_allclose(jax.jit(f)(jnp.int32(3)), np.sum(Y.reshape(2, 4)[:, :3]), rtol=1e-6)


def test_narrow_results_are_gathered_wide():
    ones = jnp.ones(4096, jnp.bfloat16)
    total = micro_vmap(lambda x: 0.25 * x, microbatch_size=64, accumulator=SUM)(ones)
    assert total.dtype == jnp.bfloat16 and float(total) == 1024.0


def test_another_vmap():
    calls = []

    def spy(fun, in_axes, out_axes):
        calls.append((in_axes, out_axes))
        return jax.vmap(fun, in_axes, out_axes, axis_name="rows")

    got = micro_vmap(lambda x: jax.lax.pmean(x, "rows"), microbatch_size=4, vmap_fn=spy)(Y)
    np.testing.assert_allclose(got[:2], [np.mean(Y[0::2]), np.mean(Y[1::2])], rtol=1e-6)
    assert calls == [((0,), 0)]


@pytest.mark.parametrize("keep", [True, False])
def test_gradients_of_examples(keep):
    f = micro_grad(
        loss,
        batch_argnums=(1, 2),
        keep_batch_dim=keep,
        microbatch_size=2,
        accumulator=(MEAN, CONCAT),
        transform_fn=lambda g: (g**2, 2 * g),
        metrics_fn=jnp.linalg.norm,
    )
    (squares, twice), aux = jax.jit(f)(W, X, Y)
    residual = X @ W - Y
    each = X * residual[:, None]
    chex.assert_trees_all_close(squares, jnp.mean(each**2, 0), rtol=1e-5)
    chex.assert_trees_all_close(twice, 2 * each, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(aux.values, 0.5 * residual**2, rtol=1e-5)
    chex.assert_trees_all_close(aux.metrics, jnp.linalg.norm(each, axis=1), rtol=1e-5)
    assert aux.aux is None


def test_gradients_with_auxiliary_output_in_several_arguments():
    f = lambda w, scale, x, y: (scale * loss(w, x, y), {"shape": jnp.array(x.shape)})
    (dw, dscale), aux = micro_grad(f, True, (0, 1), batch_argnums=(-2, -1))(W, 2.0, X, Y)
    whole = jax.grad(lambda *a: 8 * f(*a)[0], (0, 1))(W, 2.0, X, Y)
    chex.assert_trees_all_close((dw, dscale), whole, rtol=1e-5)
    np.testing.assert_array_equal(aux.aux["shape"], [[1, 3]] * 8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: micro_vmap(jnp.sum, microbatch_size=3)(X), "micro_vmap: the batch must be divisible by microbatch_s"),
        (lambda: micro_vmap(jnp.sum, microbatch_size=0), "micro_vmap: microbatch_size must be a whole number >= 1"),
        (lambda: micro_vmap(jnp.sum, (None,))(X), "micro_vmap: no argument has a batch axis"),
        (lambda: micro_vmap(jnp.sum, (0, 0))(X), "micro_vmap: in_axes has 2 entries for 1 arguments"),
        (lambda: micro_vmap(jnp.add)(X, W), "micro_vmap: the batch must be divisible by microbatch_size 8, got 3"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_results_are_mapped_to_the_first_axis_only():
    with pytest.raises(NotImplementedError, match="micro_vmap: out_axes must be 0, got 1"):
        micro_vmap(jnp.sum, 0, 1)


def test_agrees_with_optax():
    theirs = pytest.importorskip("optax").microbatching
    kind = lambda a: getattr(theirs.AccumulationType, a.name)
    x = jnp.arange(8.0) ** 2
    for a in AccumulationType:
        for real in (None, 3):
            f = lambda x: 2 * x
            ours = microbatch(f, 0, 2, a, num_real_microbatches=real)(x)
            chex.assert_trees_all_close(ours, theirs.microbatch(f, 0, 2, kind(a), num_real_microbatches=real)(x))
            ours = micro_vmap(f, microbatch_size=2, accumulator=a, num_real_microbatches=real)(x)
            options = dict(microbatch_size=2, accumulator=kind(a), num_real_microbatches=real)
            chex.assert_trees_all_close(ours, theirs.micro_vmap(f, **options)(x))
    options = dict(batch_argnums=(1, 2), microbatch_size=2, metrics_fn=jnp.linalg.norm)
    ours, others = micro_grad(loss, **options)(W, X, Y), theirs.micro_grad(loss, **options)(W, X, Y)
    chex.assert_trees_all_close(ours[0], others[0], rtol=1e-5)
    chex.assert_trees_all_close(tuple(ours[1]), tuple(others[1]), rtol=1e-5)
    assert ours[1]._fields == others[1]._fields
    chex.assert_trees_all_equal(reshape_batch_axis(x, 2), theirs.reshape_batch_axis(x, 2))
    assert [a.name for a in AccumulationType] == [a.name for a in theirs.AccumulationType]
    assert [a.value for a in AccumulationType] == [a.value for a in theirs.AccumulationType]
