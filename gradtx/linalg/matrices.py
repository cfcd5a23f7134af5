"""Arrays as stacks of matrices, so that one call does all matrices of one shape."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core.errors import is_none, path_str
from gradtx.core.explicit import automatically, sharding_of
from gradtx.core.selection import resolve_labels
from gradtx.core.stacks import Packed, Stack
from gradtx.core.typing import Array, PyTree


class DimensionNumbers(NamedTuple):
    """Which axes of a weight are the matrix y = x W; all its other axes count matrices.

    The default is a kernel of shape (in, out). A stack of layers (layer, in, out) is `DimensionNumbers(1, 2)`, an
    attention kernel (embedding, heads, head size) is `DimensionNumbers(0, (1, 2))`.
    """

    reduction_axis: int | tuple[int, ...] = 0
    output_axis: int | tuple[int, ...] = 1


def is_numbers(x: Any) -> bool:
    """Whether `x` is one entry of a tree of dimension numbers."""
    return x is None or isinstance(x, DimensionNumbers)


def resolve_dimensions(
    name: str, numbers: Any, tree: PyTree, *, all_used: bool = False
) -> list[DimensionNumbers | None]:
    """The dimension numbers of every leaf, None where it is not to be treated as a matrix.

    Args:
        name: who asks, for errors.
        numbers: None, which means `DimensionNumbers()` for every leaf of two axes; or for each leaf
            `DimensionNumbers`, None (no matrix) or `"auto"` (a matrix if it has two axes), as a tree or a prefix of
            one, a callable from `tree` to it, or a dictionary from patterns on paths.
        tree: parameters or updates.
        all_used: whether a pattern that matches nothing is an error.

    Raises:
        ValueError: numbers that do not fit, with the path.
    """
    if isinstance(tree, Packed):
        each = resolve_dimensions(name, numbers, tree.shapes(), all_used=all_used)
        each = tree.spread(name, "dimension numbers", each)
        parts = zip(each, tree.present(), strict=True)
        return [_behind_stack(n, part) if isinstance(part, Stack) else n for n, (_, part) in parts]
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=is_none)
    given = "auto" if numbers is None else numbers
    labels = resolve_labels(name, given, tree, is_label=is_numbers, all_used=all_used)
    found: list[DimensionNumbers | None] = []
    for (path, x), label in zip(leaves, labels, strict=True):
        if label == "auto":
            label = DimensionNumbers() if x is not None and len(np.shape(x)) == 2 else None
        if not is_numbers(label):
            raise TypeError(f"{name}: dimension numbers at {path_str(path)} must be DimensionNumbers, got {label!r}")
        if x is not None and label is not None:
            _check(name, path, x, label)
        found.append(label)
    return found


def matrix_shape(x: Any, numbers: DimensionNumbers) -> tuple[int, int]:
    """The inputs and outputs of the matrix in `x`: the products of its reduction axes and of its output axes."""
    _, reduction, output = _axes(x, numbers)
    return prod(x.shape[a] for a in reduction), prod(x.shape[a] for a in output)


def to_matrices(x: Array, numbers: DimensionNumbers) -> Array:
    """`x` with its matrices on the last two axes: (stack axes, inputs, outputs)."""
    stack, reduction, output = _axes(x, numbers)
    return x.transpose(stack + reduction + output).reshape(*(x.shape[a] for a in stack), *matrix_shape(x, numbers))


def from_matrices(y: Array, x: Array, numbers: DimensionNumbers) -> Array:
    """The inverse of `to_matrices`: `y` in the shape of `x`."""
    stack, reduction, output = _axes(x, numbers)
    order = stack + reduction + output
    return y.reshape([x.shape[a] for a in order]).transpose([order.index(a) for a in range(x.ndim)])


def on_matrices(
    function: Callable[..., Array], leaves: list[Any], numbers: list[DimensionNumbers | None], **shared: Any
) -> list[Any]:
    """Apply a function of stacked matrices, (k, m, n) -> (k, m, n), once for all matrices of one shape and dtype.

    Args:
        function: `(matrices, **shared) -> matrices`, which acts on each matrix of a stack by itself.
        leaves: arrays, or None.
        numbers: their dimension numbers; a leaf without stays as it is.
        **shared: what else the function needs. It closes over no arrays: these may lie on the mesh, too.

    Returns:
        The leaves, in their shapes. Leaves with explicit sharding keep it; between, XLA chooses.
    """
    here = [i for i, (x, number) in enumerate(zip(leaves, numbers, strict=True)) if x is not None and number]
    arrays = [leaves[i] for i in here]
    options, structure = jax.tree.flatten(shared, is_leaf=is_none)
    traced = {k: x for k, x in enumerate(options) if isinstance(x, jax.Array)}

    def run(arrays: Sequence[Array], traced: dict[int, Array]) -> tuple[Array, ...]:
        given = structure.unflatten([traced.get(k, x) for k, x in enumerate(options)])
        matrices = [to_matrices(x, cast(Any, numbers[i])) for x, i in zip(arrays, here, strict=True)]
        stacks = [x.reshape(prod(x.shape[:-2]), *x.shape[-2:]) for x in matrices]
        groups: dict[Any, list[int]] = {}
        for j, stack in enumerate(stacks):
            groups.setdefault((stack.shape[1:], stack.dtype), []).append(j)
        for members in groups.values():
            joined = function(jnp.concatenate([stacks[j] for j in members]), **given)
            start = 0
            for j in members:
                stop = start + len(stacks[j])
                stacks[j], start = joined[start:stop], stop
        return tuple(from_matrices(s, x, cast(Any, numbers[i])) for s, x, i in zip(stacks, arrays, here, strict=True))

    results = automatically(run, (arrays, traced), tuple(map(sharding_of, arrays)))
    new = list(leaves)
    for i, y in zip(here, results, strict=True):
        new[i] = y
    return new


def _axes(x: Any, numbers: DimensionNumbers) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Stack, reduction and output axes, counted from 0."""
    ndim = len(x.shape)
    as_tuple = lambda axes: tuple(a % ndim for a in ((axes,) if isinstance(axes, int) else axes))
    reduction, output = as_tuple(numbers.reduction_axis), as_tuple(numbers.output_axis)
    return tuple(a for a in range(ndim) if a not in reduction + output), reduction, output


def _behind_stack(numbers: DimensionNumbers | None, stack: Stack) -> DimensionNumbers | None:
    """The same axes of the leaves in a stack, which has one more axis before them."""
    if numbers is None:
        return None
    _, reduction, output = _axes(jax.eval_shape(lambda x: x[0], stack.value), numbers)
    return DimensionNumbers(tuple(a + 1 for a in reduction), tuple(a + 1 for a in output))


def _check(name: str, path: Any, x: Any, numbers: DimensionNumbers) -> None:
    ndim = len(np.shape(x))
    given = [a for axes in numbers for a in ((axes,) if isinstance(axes, int) else axes)]
    fits = all(-ndim <= a < ndim for a in given)
    if not fits or len({a % ndim for a in given}) < len(given) or len(given) < 2:
        raise ValueError(f"{name}: {numbers} does not fit the shape {np.shape(x)} at {path_str(path)}")
