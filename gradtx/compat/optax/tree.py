"""Optax's tools for trees under their short names: `optax.tree.X` is `optax.tree_utils.tree_X`."""

from typing import Any

from gradtx.compat.optax import tree_utils

globals().update({name[5:]: x for name, x in vars(tree_utils).items() if name.startswith("tree_")})


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
