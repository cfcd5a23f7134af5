"""Which matrices are in an array, and the layout of rules for them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from gradtx.core.errors import is_none, path_str
from gradtx.core.selection import resolve_labels
from gradtx.core.stacks import Packed, Stack, View
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


def to_matrices(x: Array, numbers: DimensionNumbers) -> Array:
    """`x` with its matrices on the last two axes: (stack axes, inputs, outputs)."""
    return view_of(x.shape, numbers).cut(x)


def from_matrices(y: Array, x: Array, numbers: DimensionNumbers) -> Array:
    """The inverse of `to_matrices`: `y` in the shape of `x`."""
    return view_of(x.shape, numbers).join(y)


def view_of(shape: tuple[int, ...], numbers: DimensionNumbers) -> View:
    """Where the matrices lie in a leaf of a shape."""
    return View(tuple(shape), *_axes(shape, numbers))


@dataclass(frozen=True)
class Matrices:
    """The layout of which an item is one matrix (m, n): see `matrices`."""

    numbers: Any
    only: bool

    def views(self, name: str, tree: PyTree) -> list[View | None]:
        """Where the matrices lie in each leaf."""
        found = resolve_dimensions(name, self.numbers, tree)
        leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=is_none)
        views: list[View | None] = []
        for (path, x), numbers in zip(leaves, found, strict=True):
            if self.only and self.numbers is None and x is not None and numbers is None:
                wanted = "wanted a matrix or weight_dimension_numbers; leave other leaves to another transformation"
                raise ValueError(f"{name}: the leaf at {path_str(path)} has shape {np.shape(x)}, {wanted}")
            views.append(None if x is None or numbers is None else view_of(x.shape, numbers))
        return views if not isinstance(tree, Packed) else _in_stacks(views, tree)


def matrices(numbers: Any = None, *, only: bool = True) -> Matrices:
    """The layout of a rule for matrices: an item is one matrix (m, n), of all those in the leaves.

    Matrices of one shape and dtype are stacked, and their slots are kept so. A leaf without dimension numbers is an
    item itself; a rule that asks for `is_matrix` is told.

        gradtx.leafwise(rule, State, layout=matrices(DimensionNumbers(1, 2)))

    Args:
        numbers: which axes of each leaf are a matrix, as in `resolve_dimensions`; None: every leaf of two axes is one.
        only: whether without numbers a leaf that is no matrix is refused.
    """
    return Matrices(numbers, only)


def _in_stacks(views: list[View | None], tree: Packed) -> list[View | None]:
    """The same, where leaves that are no matrices lie in a stack: there, an item is a leaf."""
    whole = lambda shape: View(shape, (0,), tuple((a,) for a in range(1, len(shape))), is_matrix=False)
    return [
        whole(x.value.shape) if view is None and isinstance(x, Stack) else view
        for view, (_, x) in zip(views, tree.present(), strict=True)
    ]


def _axes(
    shape: tuple[int, ...], numbers: DimensionNumbers
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], tuple[int, ...]]]:
    """Stack axes, and those of inputs and outputs, counted from 0."""
    ndim = len(shape)
    as_tuple = lambda axes: tuple(a % ndim for a in ((axes,) if isinstance(axes, int) else axes))
    reduction, output = as_tuple(numbers.reduction_axis), as_tuple(numbers.output_axis)
    return tuple(a for a in range(ndim) if a not in reduction + output), (reduction, output)


def _behind_stack(numbers: DimensionNumbers | None, stack: Stack) -> DimensionNumbers | None:
    """The same axes of the leaves in a stack, which has one more axis before them."""
    if numbers is None:
        return None
    _, (reduction, output) = _axes(stack.value.shape[1:], numbers)
    return DimensionNumbers(tuple(a + 1 for a in reduction), tuple(a + 1 for a in output))


def _check(name: str, path: Any, x: Any, numbers: DimensionNumbers) -> None:
    ndim = len(np.shape(x))
    given = [a for axes in numbers for a in ((axes,) if isinstance(axes, int) else axes)]
    fits = all(-ndim <= a < ndim for a in given)
    if not fits or len({a % ndim for a in given}) < len(given) or len(given) < 2:
        raise ValueError(f"{name}: {numbers} does not fit the shape {np.shape(x)} at {path_str(path)}")
