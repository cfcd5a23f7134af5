"""Optax's tools for trees under their short names: `optax.tree.X` is `optax.tree_utils.tree_X`."""

from gradtx.compat.optax import tree_utils

globals().update({name[5:]: x for name, x in vars(tree_utils).items() if name.startswith("tree_")})
