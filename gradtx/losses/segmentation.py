"""Dice losses: overlap of predicted and true regions."""

from collections.abc import Callable, Iterable
from typing import Literal

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gradtx.core.averages import safe_divide
from gradtx.core.eager import compiled
from gradtx.core.precision import cast, compute_dtype, narrow, number_in
from gradtx.core.typing import Array, ArrayLike, DType
from gradtx.losses.inputs import Values, check_shapes, checked_axis, common_dtype
from gradtx.losses.ranges import held
from gradtx.losses.softmax import log_softmax

Reduction = Literal["mean", "sum", "none"]


def dice_loss(
    predictions: Values, targets: Values, *, class_weights: Values | None = None, smooth: ArrayLike = 1.0,
    alpha: ArrayLike = 0.5, beta: ArrayLike = 0.5, apply_softmax: bool = True, reduction: Reduction = "mean",
    ignore_background: bool = False, axis: int | Iterable[int] | None = None,
) -> Array:  # fmt: skip
    """One less the Dice coefficient of each class: how far predicted regions are from the true ones.

    With I = sum(p t) the overlap, FP = sum(p (1 - t)) and FN = sum((1 - p) t), for each class

        1 - (I + smooth) / (I + alpha FP + beta FN + smooth)

    which is computed as (alpha FP + beta FN) over that denominator, and is 0 where there is nothing to find and nothing
    found. At alpha = beta = 1/2 it is the Dice loss, else Tversky's.

    Args:
        predictions: logits of shape (batch, ..., classes), of which the softmax is p, or the sigmoid where there is
            one class. One array may lack that one axis of length 1 that the other has.
        targets: t in [0, 1], one-hot, of the same shape.
        class_weights: of shape (classes,), factors of the losses; 1 by default.
        smooth: at least 0.
        alpha: at least 0, the weight of false positives.
        beta: at least 0, the weight of false negatives.
        apply_softmax: False where the predictions are p already.
        reduction: over the classes: 'mean', 'sum' or 'none'.
        ignore_background: leave out the first class, if there are several.
        axis: which axes the sums are over; by default all but the first and the last.

    Returns:
        The losses, of the shape without these axes and, unless `reduction` is 'none', the classes.

    Raises:
        ValueError: other shapes; an unknown reduction; p that are no valid probability distributions (not looked at
            under `jit` and `grad`).

    Source: Milletari, Navab & Ahmadi 2016, arXiv:1606.04797; Salehi, Erdogmus & Gholipour 2017, arXiv:1706.05721.
    """
    axis = axis if axis is None else tuple(np.ravel(np.asarray(axis)).tolist())
    options = (smooth, alpha, beta, apply_softmax, reduction, ignore_background, axis)
    loss = _dice_loss(predictions, targets, class_weights, *options)
    if not apply_softmax:
        _check_probabilities("dice_loss", predictions, targets)
    return loss


@compiled
def _dice_loss(
    predictions: Values, targets: Values, class_weights: Values | None, smooth: ArrayLike, alpha: ArrayLike,
    beta: ArrayLike, apply_softmax: bool, reduction: Reduction, ignore_background: bool, axis: tuple[int, ...] | None,
) -> Array:  # fmt: skip
    p, t, dtype = _regions("dice_loss", predictions, targets, apply_softmax)
    smooth, alpha, beta = (number_in(x, p.dtype) for x in (smooth, alpha, beta))
    losses = _class_losses(p, t, _summed_axes(axis, p.ndim), smooth, alpha, beta)
    return narrow(_reduced(losses, class_weights, reduction, ignore_background), dtype)


def binary_dice_loss(
    predictions: Values, targets: Values, *, smooth: ArrayLike = 1.0, apply_sigmoid: bool = True
) -> Array:
    """`dice_loss` of one region.

        1 - (I + smooth) / (sum(p) / 2 + sum(t) / 2 + smooth), with I = sum(p t)

    Args:
        predictions: logits of shape (batch, ...) or (batch, ..., 1), of which the sigmoid is p.
        targets: t in [0, 1], of either shape.
        smooth: at least 0.
        apply_sigmoid: False where the predictions are p already.

    Returns:
        The losses, of shape (batch,).

    Raises:
        ValueError: other shapes; p outside [0, 1] (not looked at under `jit` and `grad`).
    """
    predictions, targets = (
        x if x.shape[-1:] == (1,) else x[..., None] for x in map(jnp.asarray, (predictions, targets))
    )
    return dice_loss(predictions, targets, smooth=smooth, apply_softmax=apply_sigmoid)


def multiclass_generalized_dice_loss(
    predictions: Values, targets: Values, *, smooth: ArrayLike = 1.0, apply_softmax: bool = True,
    ignore_background: bool = False,
) -> Array:  # fmt: skip
    """The mean of `dice_loss` over batch and classes, in which rare classes weigh more.

    With n_c the sum of the targets of class c over batch and space, its weight is

        w_c = classes v_c / sum(v), with v_c = 1 / (n_c^2 + 1e-7)

    so that a class without targets outweighs all others.

    Args:
        predictions: logits of shape (batch, ..., classes), of which the softmax is p.
        targets: t in [0, 1], one-hot, of the same shape.
        smooth: at least 0.
        apply_softmax: False where the predictions are p already.
        ignore_background: leave out the first class, though not out of the sum over v.

    Returns:
        A scalar.

    Raises:
        ValueError: other shapes; p that are no valid probability distributions (not looked at under `jit` and `grad`).

    Source: Sudre et al. 2017, arXiv:1707.03237, whose loss weights numerator and denominator; this one the losses.
    """
    loss = _generalized_dice_loss(predictions, targets, smooth, apply_softmax, ignore_background)
    if not apply_softmax:
        _check_probabilities("multiclass_generalized_dice_loss", predictions, targets)
    return loss


@compiled
def _generalized_dice_loss(
    predictions: Values, targets: Values, smooth: ArrayLike, apply_softmax: bool, ignore_background: bool
) -> Array:
    p, t, dtype = _regions("multiclass_generalized_dice_loss", predictions, targets, apply_softmax)
    losses = _class_losses(p, t, _summed_axes(None, p.ndim), number_in(smooth, p.dtype), 0.5, 0.5)
    v = 1 / (jnp.square(jnp.sum(t, range(t.ndim - 1))) + 1e-7)
    mean = jnp.mean(_reduced(losses, v.size * v / jnp.sum(v), "mean", ignore_background))
    return narrow(mean if ignore_background else held(mean, 0, 1), dtype)


def _regions(name: str, predictions: Values, targets: Values, activate: bool) -> tuple[Array, Array, DType]:
    """Probabilities and targets, in one shape and a wide dtype, and the dtype to round to."""
    x, t = jnp.asarray(predictions), jnp.asarray(targets)
    dtype = common_dtype(name, predictions=x, targets=t)
    x, t = _with_classes(x, t)
    check_shapes(name, "equal", predictions=x, targets=t)
    x, t = (cast(y, compute_dtype(dtype)) for y in (x, t))
    if activate:
        x = jax.nn.sigmoid(x) if x.shape[-1] == 1 else jnp.exp(log_softmax(x))
    return x, t, dtype


def _with_classes(x: Array, t: Array) -> tuple[Array, Array]:
    """Both with the axis of length 1 that one of them may lack."""
    x = x[..., None] if x.ndim == t.ndim - 1 and t.shape[-1] == 1 else x
    return x, t[..., None] if t.ndim == x.ndim - 1 and x.shape[-1] == 1 else t


def _check_probabilities(name: str, predictions: Values, targets: Values) -> None:
    """Refuse numbers that are no probabilities, to the precision of their dtype; tracers are taken on trust."""
    if isinstance(predictions, jax.core.Tracer):
        return
    x = _with_classes(jnp.asarray(predictions), jnp.asarray(targets))[0]
    p, error = np.asarray(x, np.float64), max(1e-5, float(jnp.finfo(x.dtype).eps))
    total = p.sum(-1) if p.shape[-1] > 1 else np.ones(())
    if np.all(p >= -error) and np.all(p <= 1 + error) and np.all(np.abs(total - 1) <= error):
        return
    raise ValueError(
        f"{name}: wanted valid probability distributions over the last axis, "
        f"got numbers in [{p.min():.6g}, {p.max():.6g}] and sums in [{total.min():.6g}, {total.max():.6g}]"
    )


def _class_losses(
    p: Array, t: Array, axes: tuple[int, ...], smooth: ArrayLike, alpha: ArrayLike, beta: ArrayLike
) -> Array:
    overlap = jnp.sum(p * t, axes)
    missed = alpha * jnp.sum(p * (1 - t), axes) + beta * jnp.sum((1 - p) * t, axes)
    return safe_divide(missed, overlap + missed + smooth)


def _summed_axes(axis: int | Iterable[int] | None, ndim: int) -> tuple[int, ...]:
    given = checked_axis("dice_loss", axis, ndim)
    axes = range(1, ndim - 1) if given is None else [int(i) % ndim for i in np.ravel(np.asarray(given))]
    if ndim - 1 in axes:
        raise ValueError(f"dice_loss: axis must leave out the last one, of the classes, got {axis}")
    return tuple(axes)


def _reduced(losses: Array, weights: Values | None, reduction: Reduction, ignore_background: bool) -> Array:
    """The losses of the classes, weighted and reduced."""
    if reduction not in _REDUCTIONS:
        raise ValueError(f"dice_loss: reduction must be one of {', '.join(_REDUCTIONS)}, got {reduction!r}")
    classes = losses.shape[-1]
    if weights is not None:
        if jnp.shape(weights) != (classes,):
            raise ValueError(f"dice_loss: class_weights must have shape {(classes,)}, got {jnp.shape(weights)}")
        losses = cast(weights, losses.dtype) * losses
    return _REDUCTIONS[reduction](losses[..., 1:] if ignore_background and classes > 1 else losses)


_REDUCTIONS: dict[str, Callable[[Array], Array]] = {
    "mean": lambda losses: jnp.mean(losses, -1),
    "sum": lambda losses: jnp.sum(losses, -1),
    "none": lambda losses: losses,
}
