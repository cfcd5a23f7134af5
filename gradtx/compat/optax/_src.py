"""Optax's private modules, which programs import from nevertheless: `_src.base`, `contrib._muon`, and so on.

Each is an alias: a module without a file that has the public names of the module it is beside (those of `optax` for
`_src`), and what else programs take from it. None has code of its own but the few functions below.
"""

import importlib.machinery
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.compat.optax import base, linesearch, losses, schedules, states, transforms, tree_search, tree_utils
from gradtx.compat.optax.contrib import matrices
from gradtx.compat.optax.transforms.links import scale_by_learning_rate
from gradtx.core import averages
from gradtx.linalg.matrices import DimensionNumbers, from_matrices, to_matrices
from gradtx.linalg.newton_schulz import orthogonalise


def canonicalize_key(key_or_seed: jax.Array | int) -> jax.Array:
    """A key as it is, or the key of a seed."""
    if isinstance(key_or_seed, jax.Array) and jnp.issubdtype(key_or_seed.dtype, jax.dtypes.prng_key):
        return key_or_seed
    return jax.random.key(key_or_seed)


def orthogonalize_via_newton_schulz(
    x: jax.Array, ns_coeffs: jax.Array, ns_steps: int = 5, preconditioning: str = "frobenius", eps: Any = 1e-8,
    dimension_numbers: matrices.MuonDimensionNumbers | None = None,
) -> jax.Array:  # fmt: skip
    """As `gradtx.linalg.newton_schulz.orthogonalise`, of a matrix or of what dimension numbers make one."""
    if x.ndim != 2 and dimension_numbers is None:
        raise ValueError(f"orthogonalize_via_newton_schulz: wanted a matrix or dimension_numbers, got {x.shape}")
    axes = lambda a: a if isinstance(a, int) else tuple(a)
    numbers = DimensionNumbers(0, 1) if x.ndim == 2 else DimensionNumbers(*map(axes, dimension_numbers or ()))
    steps = ns_steps if ns_coeffs.ndim == 1 else None
    y = orthogonalise(to_matrices(x, numbers), ns_coeffs, steps, preconditioning=preconditioning, eps=eps)
    return from_matrices(y, x, numbers)


HERE = sys.modules[__name__]
ROOT = sys.modules[__name__.rpartition(".")[0]]
BESIDE = {
    "_src": """alias base clipping combine constrain factorized linear_algebra linesearch lookahead loss numerics
        schedule transform update utils wrappers""",
    "assignment": "_hungarian_algorithm",
    "contrib": """_acprop _ademamix _adopt _cocob _complex_valued _dadapt_adamw _dog _galore _madgrad _mechanic _momo
        _muon _privacy _prodigy _reduce_on_plateau _sam _schedule_free _sophia""",
    "experimental": "_aggregating",
    "losses": "_classification _fenchel_young _ranking _regression _segmentation _self_supervised _smoothing",
    "microbatching": "_microbatching",
    "perturbations": "_make_pert",
    "projections": "_projections",
    "schedules": "_inject _join _schedule",
    "second_order": "_deprecated",
    "transforms": """_accumulation _adding _clipping _combining _conditionality _constraining _freezing _layouts
        _masking _monitoring""",
    "tree_utils": "_casting _random _state_utils _tree_math",
}
"""For each module with private modules, whose names these have, their names."""

MORE: dict[str, Mapping[str, Any]] = {
    "_src.alias": {"_scale_by_learning_rate": scale_by_learning_rate},
    "_src.base": {
        **vars(base),
        "NO_PARAMS_MSG": "this transformation needs params: call update(updates, state, params)",
        "PRNGKey": jax.Array,
        "StatefulSchedule": schedules.StatefulSchedule,
    },
    "_src.linesearch": vars(linesearch),
    "_src.loss": vars(losses),
    "_src.numerics": {"abs_sq": averages.abs_sq},
    "_src.transform": {"abs_sq": averages.abs_sq, "_scale_by_learning_rate": scale_by_learning_rate},
    "_src.utils": {
        "canonicalize_dtype": lambda dtype: None if dtype is None else jax.dtypes.canonicalize_dtype(dtype),
        "canonicalize_key": canonicalize_key,
        "cast_tree": tree_utils.tree_cast,
    },
    "_src.wrappers": {"ConditionFn": transforms.ConditionFn},
    "contrib._muon": {
        "orthogonalize_via_newton_schulz": orthogonalize_via_newton_schulz,
        "_is_weight_dim_nums": lambda x: isinstance(x, matrices.MuonDimensionNumbers),
    },
    "schedules._inject": {"WrappedScheduleState": states.WrappedScheduleState},
    "tree_utils._state_utils": {"_ParamsPlaceholder": tree_search.ParamsPlaceholder},
}
"""What some of them have besides."""


MOVED = """accumulate condition contrib.adaptive contrib.parameter_free contrib.sam contrib.schedule_free contrib.sophia
    lookahead monitor numerics transforms.accumulation transforms.adding transforms.clipping transforms.constraining
    transforms.moments transforms.scaling transforms.squares tree_math tree_types"""
"""Where 0.1.0 had what is in one place today: pairs that were pickled then are found there."""


def _alias(parent: str, name: str, names: dict[str, Any]) -> None:
    """Make a module of these names, and put it where `import` and its parent have it."""
    at = HERE if parent == "_src" else getattr(ROOT, parent)
    module = ModuleType(f"{at.__name__}.{name}", f"An alias of modules of {ROOT.__name__}.")
    vars(module).update((key, x) for key, x in names.items() if not key.startswith("__"))
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
    sys.modules[module.__name__] = module
    setattr(at, name, module)


for _parent, _names in BESIDE.items():
    _public: Any = ROOT if _parent == "_src" else getattr(ROOT, _parent)
    _public = _public.aggregating if _parent == "experimental" else _public
    _public_names = {key: x for key, x in {**vars(states), **vars(_public)}.items() if not key.startswith("_")}
    for _name in _names.split():
        _alias(_parent, _name, {**_public_names, **MORE.get(f"{_parent}.{_name}", {})})
for _module in MOVED.split():
    sys.modules[f"{ROOT.__name__}.{_module}"] = ModuleType(_module)
    vars(sys.modules[f"{ROOT.__name__}.{_module}"]).update(vars(ROOT) | vars(ROOT.contrib) | vars(tree_utils))
# As in Optax, those of `_src` have each other, so that `from optax._src.transform import *` gives `base`, too.
for _name in BESIDE["_src"].split():
    vars(getattr(HERE, _name)).update({other: getattr(HERE, other) for other in ("base", "numerics", "utils")})
