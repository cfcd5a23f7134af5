"""What an argument that is a mask, or a tree of labels, may be."""

from typing import Any

import jax
import numpy as np

from gradtx.core.arguments import Accept
from gradtx.core.functions import IsFunction, is_function


class IsFunctionOfParams(IsFunction):
    """A function of the parameters; one that is a pytree may as well be a tree of masks or labels, such as a module."""

    def __init__(self) -> None:
        super().__init__("of the parameters", least=1, most=1)

    def convert(self, where: str, name: str, x: Any) -> Any:
        is_tree = is_function(x) and not jax.tree_util.all_leaves([x])
        return x if is_tree else super().convert(where, name, x)


OF_PARAMS = IsFunctionOfParams()


class IsMask(Accept):
    """None, patterns on paths, a function of the tree, or a tree of booleans; static."""

    dynamic = False
    wanted = "None, a pattern, a tuple of patterns, a tree of booleans or a function of the parameters that gives one"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if x is None or isinstance(x, str):
            return x
        if callable(x):
            return OF_PARAMS.convert(where, name, x)
        if isinstance(x, tuple) and x and all(isinstance(part, str) for part in x):
            return x
        if not all(isinstance(leaf, bool | np.bool_) for leaf in jax.tree.leaves(x)):
            raise self.refusal(where, name, x)
        return x


class IsLabels(Accept):
    """A tree of labels, patterns with labels, or a function of the tree; static."""

    dynamic = False
    wanted = "a tree of labels, a dictionary from patterns to labels or a function of the parameters that gives one"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if callable(x):
            return OF_PARAMS.convert(where, name, x)
        _ = hash(tuple(jax.tree.leaves(x))), repr(x)  # either raises for what cannot be a label
        return x
