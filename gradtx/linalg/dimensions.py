"""What an argument that says which leaves are matrices may be."""

from typing import Annotated, Any, TypeAlias

import jax

from gradtx.core.arguments import Accept
from gradtx.core.containers import IsAxes
from gradtx.core.masks import OF_PARAMS
from gradtx.linalg.matrices import DimensionNumbers, is_numbers


class IsDimensions(Accept):
    """None, a function of the tree, or a tree, or patterns, of `DimensionNumbers`, None and `"auto"`; static."""

    dynamic = False
    wanted = (
        "None, DimensionNumbers, 'auto', a tree of them, a dictionary from patterns to them or a function of the "
        "parameters that gives one"
    )

    def convert(self, where: str, name: str, x: Any) -> Any:
        if callable(x):
            return OF_PARAMS.convert(where, name, x)
        for leaf in jax.tree.leaves(x, is_leaf=is_numbers):
            if isinstance(leaf, DimensionNumbers):
                for axes in leaf:
                    IsAxes()(where, f"an axis of {name}", axes)
            elif leaf is not None and not (isinstance(leaf, str) and leaf == "auto"):
                raise self.refusal(where, name, x)
        return x


Dimensions: TypeAlias = Annotated[Any, IsDimensions()]
"""Which leaves are matrices, and which of their axes: see `gradtx.linalg.matrices.resolve_dimensions`."""
