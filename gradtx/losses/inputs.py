"""What the losses share: arrays in a wide dtype, results rounded once, shapes that fit, masks that hide."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Literal, ParamSpec, TypeAlias, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import precision
from gradtx.core.arguments import shown
from gradtx.core.docstring import Docstring, parsed, written
from gradtx.core.eager import compiled
from gradtx.core.errors import describe
from gradtx.core.typing import Array, DType
from gradtx.losses.ranges import Divergence, not_below_zero

P = ParamSpec("P")
R = TypeVar("R")

Values: TypeAlias = jax.Array | np.ndarray
"""An array of JAX or NumPy; a formula sees JAX's."""

Axis: TypeAlias = int | tuple[int, ...] | None
"""An axis, several, or None for all."""

MEANINGS = {
    "axis": "along which the sums go: an axis, several, or None for all.",
    "where": "True at the entries that count, of a shape that broadcasts to that of the inputs.",
}
"""What is said of arguments of these names by losses that do not say otherwise."""

Fit: TypeAlias = Literal["broadcast", "equal", "own"]


def loss(*inputs: str, shapes: Fit = "broadcast") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a formula: it sees its inputs in float32 or wider, and its result is rounded once, to their dtype.

    Args:
        inputs: names of the arguments whose common dtype decides. The first must be floating-point; in the others
            integers and booleans, such as one-hot labels, are taken as numbers of that dtype. Further arguments
            that are floating-point arrays are cast to the dtype of the maths.
        shapes: whether the inputs must broadcast against each other, be of equal shape, or are checked by the
            formula itself.

    Raises (when the loss is called):
        TypeError: inputs that are not real, or, where JAX promotes strictly, of several floating-point dtypes.
        ValueError: inputs whose shapes do not fit.
    """

    def decorate(formula: Callable[P, R]) -> Callable[P, R]:
        signature, name = inspect.signature(formula), formula.__name__

        @functools.wraps(formula)
        def rounded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{name}: {error}") from None
            given = {k: jnp.asarray(bound.arguments[k]) for k in inputs if bound.arguments.get(k) is not None}
            check_shapes(name, shapes, **given)
            dtype = common_dtype(name, **given)
            if "axis" in bound.arguments:
                bound.arguments["axis"] = checked_axis(
                    name, bound.arguments["axis"], max(map(jnp.ndim, given.values()))
                )
            wide = precision.compute_dtype(dtype)
            others = {k: follow(x, wide) for k, x in bound.arguments.items() if k not in given}
            bound.arguments.update(others | {k: precision.cast(x, wide) for k, x in given.items()})
            result: Any = formula(*bound.args, **bound.kwargs)
            if isinstance(result, Divergence):
                result = not_below_zero(
                    *result, eps=max(float(jnp.finfo(x.dtype).eps) for x in floating(given.values()))
                )
            return jax.tree.map(lambda x: precision.narrow(x, dtype), result)

        rounded.__doc__ = documented(formula, inputs, shapes)
        return compiled(rounded)

    return decorate


def documented(formula: Callable[..., Any], inputs: tuple[str, ...], shapes: Fit) -> str | None:
    """The docstring of a formula, with what it leaves out: its axis and mask, its result, and the shapes refused."""
    if formula.__doc__ is None:
        return None
    told, names = parsed(formula.__doc__), inspect.signature(formula).parameters
    lines = {name: line for name in names if (line := told.arguments.get(name) or MEANINGS.get(name))}
    result = "example, of the shape without those axes" if "axis" in names else "element"
    sections = {"Returns": f"\n    The loss of each {result}."}
    if len(inputs) > 1 and shapes != "own":
        fit = "are not equal" if shapes == "equal" else "do not broadcast"
        sections["Raises"] = f"\n    ValueError: the shapes of {spoken(inputs)} {fit}."
    return written(Docstring(told.text, lines, sections | told.sections))


def follow(x: Any, dtype: DType) -> Any:
    """A floating-point array in `dtype`; Python numbers, masks and labels as they are."""
    return precision.cast(x, dtype) if hasattr(x, "dtype") and floating([x]) else x


def common_dtype(name: str, **inputs: Array) -> DType:
    """The floating-point dtype that JAX's promotion gives the inputs, integers and booleans left out.

    Raises:
        TypeError: the first is not floating-point, or another is not real.
    """
    for i, (key, x) in enumerate(inputs.items()):
        if not jnp.issubdtype(x.dtype, jnp.floating) and (not i or jnp.issubdtype(x.dtype, jnp.complexfloating)):
            raise TypeError(f"{name}: {key} must be floating-point, got {describe(x)}")
    return jnp.result_type(*floating(inputs.values()))


def floating(arrays: Iterable[Array]) -> list[Array]:
    """Those of a floating-point dtype."""
    return [x for x in arrays if jnp.issubdtype(x.dtype, jnp.floating)]


def check_shapes(name: str, shapes: Fit, **inputs: Any) -> None:
    """Refuse arrays whose shapes do not fit.

    Raises:
        ValueError: names the loss, the arguments and their shapes.
    """
    got = {key: jnp.shape(x) for key, x in inputs.items()}
    if shapes == "equal" and len(set(got.values())) > 1:
        raise ValueError(f"{name}: the shapes of {spoken(got)} must be equal, got {spoken(got.values())}")
    if shapes == "broadcast" and broadcast_shape(*got.values()) is None:
        raise ValueError(f"{name}: the shapes of {spoken(got)} must broadcast, got {spoken(got.values())}")


def checked_axis(name: str, axis: Any, ndim: int) -> Axis:
    """An axis, or several, of arrays of `ndim` axes.

    Raises:
        TypeError: it is neither, nor None.
        ValueError: the arrays do not have it, or it is named twice.
    """
    if axis is None:
        return None
    several = isinstance(axis, Iterable) and not isinstance(axis, str | bytes)
    found: list[Any] = list(cast("Iterable[Any]", axis)) if several else [axis]
    if not all(isinstance(x, int | np.integer) and not isinstance(x, bool) for x in found):
        raise TypeError(f"{name}: axis must be a whole number, several, or None, got {shown(axis)}")
    if not all(-ndim <= x < ndim for x in found) or len({x % ndim for x in found}) < len(found):
        raise ValueError(f"{name}: axis must be of the {ndim} that there are, each once, got {shown(axis)}")
    return tuple(map(int, found)) if several else int(found[0])


def spoken(words: Iterable[Any]) -> str:
    """Words as a sentence lists them: `a, b and c`."""
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last


def broadcast_shape(*shapes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape that `shapes` broadcast to, None where they do not."""
    try:
        return jnp.broadcast_shapes(*shapes)
    except ValueError:
        return None


def hide(where: Values | None, *arrays: Values) -> list[Array]:
    """The arrays broadcast to one shape, with 0 where the mask is False: nothing there reaches value or gradient.

    Args:
        where: True at the entries that count, of a shape that broadcasts to that of the arrays; None keeps all.
        arrays: arrays that broadcast against each other.

    Raises:
        ValueError: a mask that does not broadcast to the arrays.
    """
    together = jnp.broadcast_arrays(*arrays)
    if where is None:
        return [*together]
    mask = as_mask(where, together[0].shape)
    return [jnp.where(mask, x, 0) for x in together]


def as_mask(where: Values, shape: tuple[int, ...]) -> Array:
    """A mask as booleans of this shape; numbers count where they are not 0.

    Raises:
        ValueError: a mask that does not broadcast to the shape.
    """
    mask = jnp.asarray(where).astype(bool)
    if broadcast_shape(mask.shape, shape) != shape:
        raise ValueError(f"the mask `where` must broadcast to the shape of the inputs, got {mask.shape} and {shape}")
    return jnp.broadcast_to(mask, shape)


def sum_kept(x: Array, axis: Axis, where: Values | None, *, keepdims: bool = False) -> Array:
    """The sum over axes of the entries that a mask keeps."""
    return jnp.sum(x, axis, keepdims=keepdims, where=None if where is None else as_mask(where, x.shape))


def pick(name: str, scores: Values, labels: Values) -> Array:
    """scores[..., label] for one label each; NaN where the label is no index.

    Raises:
        TypeError: labels that are not integers.
        ValueError: labels that do not broadcast to the leading axes of the scores.
    """
    labels = jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"{name}: labels must be integers, got {describe(labels)}")
    shape = broadcast_shape(labels.shape, scores.shape[:-1])
    if shape is None:
        raise ValueError(
            f"{name}: the shape of labels must broadcast to the scores without their axis of classes, "
            f"got {labels.shape} and {scores.shape}"
        )
    scores = jnp.broadcast_to(scores, (*shape, scores.shape[-1]))
    return jnp.take_along_axis(scores, jnp.broadcast_to(labels, shape)[..., None], -1)[..., 0]
