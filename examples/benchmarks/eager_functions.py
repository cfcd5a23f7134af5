"""The functions of the eager table, with the arguments that they are called with."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from examples.benchmarks.eager_calls import Row


def functions() -> Iterator[Row]:
    """Losses, projections, functions of trees and all else that is called with arrays."""
    for name, given in (losses() | projections() | numbers() | trees()).items():
        yield Row(name, lambda find, name=name, given=given: partial(find(name.split(",")[0]), *given))


def losses() -> dict[str, tuple[Any, ...]]:
    """Losses of 64 numbers, or of 8 examples of 10 classes."""
    x, logits = jnp.linspace(-2, 2, 64), jnp.linspace(-2, 2, 80).reshape(8, 10)
    y, labels, p = jnp.asarray(x > 0, jnp.float32), jnp.arange(8), jax.nn.softmax(logits)
    regions = jax.nn.sigmoid(jnp.linspace(-1, 1, 32)).reshape(2, 4, 4, 1)
    frames = jnp.zeros((2, 5, 4)), jnp.zeros((2, 5)), jnp.ones((2, 3), jnp.int32), jnp.zeros((2, 3))
    found: dict[str, tuple[Any, ...]] = {}
    for given, names in (
        ((x, y), "l2_loss squared_error huber_loss log_cosh sigmoid_binary_cross_entropy sigmoid_focal_loss"),
        ((x, y), "sparsemax_loss"),
        ((x, 2 * y - 1), "hinge_loss perceptron_loss"),
        ((logits, p), "softmax_cross_entropy safe_softmax_cross_entropy poly_loss_cross_entropy cosine_similarity"),
        ((logits, p), "cosine_distance ranking_softmax_loss"),
        ((logits, labels), "softmax_cross_entropy_with_integer_labels multiclass_hinge_loss ntxent"),
        ((logits, labels), "multiclass_perceptron_loss multiclass_sparsemax_loss"),
        ((jnp.log(p), p), "kl_divergence convex_kl_divergence generalized_kl_divergence"),
        ((jnp.log(p), jnp.log(p)), "kl_divergence_with_log_targets"),
        ((regions, regions), "dice_loss binary_dice_loss multiclass_generalized_dice_loss"),
        ((logits, logits + 1, logits - 1), "triplet_margin_loss"),
        ((p, 0.1), "smooth_labels"),
        (frames, "ctc_loss ctc_loss_with_forward_probs"),
    ):
        found |= {f"losses.{name}": given for name in names.split()}
    return found


def projections() -> dict[str, tuple[Any, ...]]:
    """Projections of one array and of a tree."""
    x = jnp.linspace(-2, 2, 64)
    found: dict[str, tuple[Any, ...]] = {
        "projection_simplex": (x,), "projection_box, numbers": (x, -1.0, 1.0),
        "projection_box, whole numbers": (x, 0, 1), "projection_hypercube": (x,),
        "projection_hypercube, scaled": (x, 2.0),
    }  # fmt: skip
    for kind, z in (("array", x), ("tree", {"a": x, "b": x.reshape(8, 8), "c": jnp.float32(0.3)})):
        below, above = (jax.tree.map(lambda a, by=by: a + by, z) for by in (-1, 1))
        found |= {f"projection_box, {kind}": (z, below, above), f"projection_non_negative, {kind}": (z,)}
        found |= {f"projection_{name}, {kind}": (z, z, 1.0) for name in ("hyperplane", "halfspace")}
        balls = ("l1_ball", "l1_sphere", "l2_ball", "l2_sphere", "linf_ball")
        found |= {f"projection_{name}, {kind}": (z, 1.0) for name in balls}
        found |= {f"projection_vector, {kind}": (z, z)}
    return {f"projections.{name}": given for name, given in found.items()}


def numbers() -> dict[str, tuple[Any, ...]]:
    """Numerics, linear algebra, and what averages and clips trees."""
    x, count, matrix = jnp.linspace(-2, 2, 64), jnp.int32(3), jnp.eye(8) + 0.1
    tree, examples = {"a": x, "b": x + 1}, [jnp.ones((4, 8)), jnp.ones((4, 3))]
    loss = lambda p, inputs, targets: jnp.sum(p["a"] ** 3)
    few, data = {"a": jnp.ones(2)}, (matrix, matrix)
    return {
        "safe_increment": (count,), "safe_int32_increment": (count,), "safe_norm": (x, 1e-6),
        "safe_root_mean_squares": (x, 1e-6), "scale_gradient": (tree, 0.5), "incremental_update": (tree, tree, 0.1),
        "periodic_update": (tree, tree, count, 2), "per_example_global_norm_clip": (examples, 1.0),
        "per_example_layer_norm_clip": (examples, 1.0), "matrix_inverse_pth_root": (matrix, 4),
        "power_iteration": (matrix,), "nnls": (matrix, jnp.ones(8), 5), "assignment.hungarian_algorithm": (matrix,),
        "assignment.base_hungarian_algorithm": (matrix,), "second_order.hvp": (loss, jnp.ones(2), few, *data),
        "second_order.hessian_diag": (loss, few, *data), "second_order.fisher_diag": (loss, few, *data),
    }  # fmt: skip


def trees() -> dict[str, tuple[Any, ...]]:
    """Functions of a tree of ten leaves."""
    x, key, count = jnp.linspace(-2, 2, 64), jax.random.key(0), jnp.int32(3)
    t = {f"{k}": x + k for k in range(10)}
    c, state = jax.tree.map(lambda x: jax.lax.complex(x, x), t), optax.adam(1e-3).init(t)
    found: dict[str, tuple[Any, ...]] = {
        "scale": (0.5, t), "add_scale": (t, 0.5, t), "batch_shape": (t, (2,)), "bias_correction": (t, 0.9, count),
        "cast": (t, jnp.bfloat16), "clip": (t, -1.0, 1.0), "conj": (c,), "real": (c,), "full_like": (t, 2.0),
        "norm": (t,), "norm, 1": (t, 1), "norm, inf": (t, "inf"), "where": (jnp.bool_(True), t, t),
        "random_like": (key, t), "split_key_like": (key, t), "unwrap_random_key_data": ({"a": key, "b": x},),
        "update_infinity_moment": (t, t, 0.9, 1e-8), "get": (state, "count"), "get_all_with_path": (state, "mu"),
    }  # fmt: skip
    found |= dict.fromkeys(("dtype", "zeros_like", "ones_like", "max", "min", "sum", "size"), (t,))
    found |= dict.fromkeys(("add", "sub", "mul", "div", "allclose", "cast_like", "vdot"), (t, t))
    found |= dict.fromkeys(("update_moment", "update_moment_per_elem_norm"), (t, t, 0.9, 2))
    return {f"tree.{name}": given for name, given in found.items()}
