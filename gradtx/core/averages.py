"""The few formulas that most rules are made of: averages, their debiasing, squares and safe roots."""

import math

import jax
import jax.numpy as jnp

from gradtx.core.precision import cast, real_dtype
from gradtx.core.typing import Array, ArrayLike


def ema(average: Array, x: Array, decay: ArrayLike) -> Array:
    """Exponential moving average: `decay * average + (1 - decay) * x`.

    Args:
        average: the average so far.
        x: what is new, of its shape.
        decay: in [0, 1], a number.
    """
    return decay * average + (1 - decay) * x


def debias(average: Array, decay: ArrayLike, count: Array) -> Array:
    """An average that started at zero, divided by the weight it has gathered: `average / (1 - decay^count)`.

    Args:
        average: what `ema` made of `count` numbers.
        decay: in [0, 1), as `ema` had it.
        count: how many numbers are in it, >= 1; the `count` that a rule sees.
    """
    return average / missing_weight(decay, cast(count, real_dtype(average.dtype)))


def debias_ahead(average: Array, x: Array, decay: ArrayLike, count: Array) -> Array:
    """The debiased average as it will be after one more step with the same `x`: Nesterov's look ahead, as in NAdam.

    Args:
        average: what `ema` made of `count` numbers, of which `x` is the last.
        x: that number.
        decay: in [0, 1), as `ema` had it.
        count: how many numbers are in it, >= 1.
    """
    return saturate(decay * debias(average, decay, count + 1) + debias((1 - decay) * x, decay, count))


def missing_weight(decay: ArrayLike, count: Array) -> Array:
    """`1 - decay^count` without cancellation, for `decay` in [0, 1) and a floating `count` >= 1.

    Computed as -expm1(count log1p(decay - 1)): exact to rounding for decays near 1 and for any count, and with a
    finite gradient at decay = 0.
    """
    rest = jnp.asarray(1 - decay, count.dtype)
    some = rest < 1
    log = jnp.log1p(-jnp.where(some, rest, 0.5))
    return jnp.where(count == 1, rest, jnp.where(some, -jnp.expm1(count * log), 1))


def adam_correction(b1: ArrayLike, b2: ArrayLike, count: Array) -> Array:
    """`sqrt(1 - b2^count) / (1 - b1^count)`: what debiasing both of Adam's averages does to a step, but for eps."""
    return sqrt(missing_weight(b2, count)) / missing_weight(b1, count)


def abs_sq(x: Array) -> Array:
    """|x|^2, real also for complex `x`."""
    return jnp.square(x.real) + jnp.square(x.imag) if jnp.iscomplexobj(x) else jnp.square(x)


def finite_abs_sq(x: Array) -> Array:
    """`abs_sq`, and where it overflows the largest finite number: for rules that subtract or divide such squares."""
    return saturate(abs_sq(x))


@jax.custom_jvp
def sqrt(x: Array) -> Array:
    """Square root whose derivative at zero is zero instead of infinite."""
    return jnp.sqrt(x)


@sqrt.defjvp
def _sqrt_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    root = sqrt(x)
    positive = x > 0
    return root, jnp.where(positive, dx / (2 * jnp.where(positive, root, 1)), 0)


def cbrt(x: Array) -> Array:
    """Cube root of `x` >= 0 whose derivative at zero is zero instead of infinite."""
    positive = x > 0
    return jnp.where(positive, jnp.cbrt(jnp.where(positive, x, 1)), 0)


def mean(x: Array, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Array:
    """The mean over axes (all by default), divided before it is summed: finite where `x` is; 0 over no elements.

    Args:
        x: an array.
        axis: over which axes.
        keepdims: whether these stay, with length 1.
    """
    axes, count = _reduced(x, axis)
    return jnp.sum(x / count, axis=axes, keepdims=keepdims)


def mean_sq(x: Array, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Array:
    """The mean of |x|^2 over axes (all by default), a real array, infinite only where a square is; see `mean`."""
    # Scaled before it is squared and summed: XLA's reductions on the CPU are several times slower on scaled squares.
    axes, count = _reduced(x, axis)
    return jnp.sum(abs_sq(x * count**-0.5), axis=axes, keepdims=keepdims)


def _reduced(x: Array, axis: int | tuple[int, ...] | None) -> tuple[tuple[int, ...], int]:
    """The axes of a reduction, and over how many elements it is, at least 1."""
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    return axes, max(1, math.prod(x.shape[i] for i in axes))


def rms(x: Array) -> Array:
    """The root of the mean of |x|^2, a real scalar; its gradient at zero is zero."""
    return sqrt(mean_sq(x))


@jax.custom_jvp
def safe_divide(x: Array, y: Array) -> Array:
    """`x / y`, and zero where `y` is zero, with derivatives that are zero there, and finite where `y` is tiny."""
    zero = y == 0
    return jnp.where(zero, 0, x / jnp.where(zero, 1, y))


@safe_divide.defjvp
def _safe_divide_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    """d(x / y) = (dx - x / y dy) / y: JAX's own rule has 1 / y^2, which overflows."""
    (x, y), (dx, dy) = primals, tangents
    with jax.numpy_dtype_promotion("standard"):  # of a complex x and a real y
        ratio = safe_divide(x, y)
        return ratio, safe_divide(dx - ratio * dy, y)


def divide_up_to(x: Array, y: Array, most: ArrayLike) -> Array:
    """`min(x / y, most)`, also where `y` is too small to divide by; 0 where x < 0 = y.

    Args:
        x: real numbers.
        y: real numbers >= 0.
        most: a number > 0.
    """
    long = x >= most * y
    return jnp.where(long, most, safe_divide(x, jnp.where(long, 1, y)))


def shortening(size: Array, most: ArrayLike) -> Array:
    """min(1, most / size): what makes `size` at most `most`; 1 where it is NaN."""
    long = size > most
    return jnp.where(long, most / jnp.where(long, size, 1), 1)


def saturate(x: Array, power: int = 1) -> Array:
    """`x`, held where its `power` is the largest finite number of its dtype; infinity too, but NaN stays.

    Args:
        x: an array; a complex one is left as it is.
        power: >= 1: to which power it will be taken.
    """
    if jnp.iscomplexobj(x):
        return x
    top = float(jnp.finfo(x.dtype).max) ** (1 / power)
    return jnp.clip(x, -top, top)


def sign(x: Array) -> Array:
    """The sign of a real number; for complex `x`, x / |x| and zero at zero."""
    return jnp.sign(x)


def agreement(x: Array, y: Array) -> Array:
    """Positive where `x` and `y` point the same way, negative where they point apart, else 0; never overflows.

    For complex numbers, the sign of the real part of conj(x) y.
    """
    return (jnp.conj(sign(x)) * sign(y)).real if jnp.iscomplexobj(x) else jnp.sign(x) * jnp.sign(y)
