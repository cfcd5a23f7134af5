"""Optax's private modules, which programs import from nevertheless."""

import importlib
import importlib.util
import pkgutil

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx.compat.optax as ours
from gradtx.compat.optax import _src

HERE = "gradtx.compat.optax"


def test_imports_as_programs_write_them():
    from gradtx.compat.optax._src.alias import _scale_by_learning_rate
    from gradtx.compat.optax._src.base import GradientTransformation, OptState
    from gradtx.compat.optax._src.numerics import safe_int32_increment
    from gradtx.compat.optax._src.utils import canonicalize_dtype, cast_tree
    from gradtx.compat.optax.contrib._muon import MuonDimensionNumbers
    from gradtx.compat.optax.schedules._schedule import cosine_decay_schedule
    from gradtx.compat.optax.transforms._masking import MaskedNode
    from gradtx.compat.optax.tree_utils._state_utils import tree_map_params

    from gradtx.compat.optax._src import alias, base, combine, numerics, transform, utils, wrappers

    assert (alias.adam, combine.chain, transform.scale_by_adam) == (ours.adam, ours.chain, ours.scale_by_adam)
    assert GradientTransformation is base.GradientTransformation is ours.GradientTransformation
    assert OptState is ours.OptState
    assert "params" in base.NO_PARAMS_MSG
    assert wrappers.MultiSteps is ours.MultiSteps
    assert _scale_by_learning_rate is ours.scale_by_learning_rate
    assert safe_int32_increment(jnp.int32(3)) == 4
    assert numerics.abs_sq(jnp.complex64(3 + 4j)) == 25
    assert utils.cast_tree is cast_tree
    assert cast_tree(jnp.ones(2), "bfloat16").dtype == jnp.bfloat16
    assert canonicalize_dtype(None) is None
    assert canonicalize_dtype("float32") == jnp.float32
    assert utils.canonicalize_key(3) == jax.random.key(3) == utils.canonicalize_key(jax.random.key(3))
    assert MuonDimensionNumbers is ours.contrib.MuonDimensionNumbers
    assert cosine_decay_schedule is ours.cosine_decay_schedule
    assert MaskedNode is ours.MaskedNode
    assert tree_map_params is ours.tree_map_params


def test_everything_of_a_module():
    names = {}
    exec(f"from {HERE}._src.transform import *", names)
    assert names["scale_by_adam"] is ours.scale_by_adam
    assert names["base"] is _src.base


@pytest.mark.parametrize("name", ["contrib._schedule_free", "contrib._muon", "_src.base", "transforms._masking"])
def test_specs_are_found(name):
    spec = importlib.util.find_spec(f"{HERE}.{name}")
    assert spec is not None
    assert spec.name == f"{HERE}.{name}"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Optax, by what it is asked for
def test_every_private_module_of_optax():
    optax = pytest.importorskip("optax")
    source = importlib.import_module("optax._src")
    found = [*pkgutil.iter_modules(source.__path__, "_src.")]
    for package in ("contrib", "losses", "transforms", "tree_utils", "schedules", "projections", "perturbations"):
        found += pkgutil.iter_modules(getattr(optax, package).__path__, f"{package}.")
    names = [m.name for m in found if "test" not in m.name and m.name != "_src.deprecations"]
    names = [name for name in names if name.startswith("_src") or name.split(".")[1].startswith("_")]
    assert len(names) > 40
    for name in names:
        theirs, mine = importlib.import_module(f"optax.{name}"), importlib.import_module(f"{HERE}.{name}")
        public = [k for k, x in vars(theirs).items() if not k.startswith("_") and hasattr(optax, k) and callable(x)]
        assert [k for k in public if not hasattr(mine, k)] == []


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2)])
def test_newton_schulz(shape):
    optax = pytest.importorskip("optax")
    x = jax.random.normal(jax.random.key(0), shape)
    coefficients = jnp.array([3.4445, -4.775, 2.0315])
    results = []
    for muon in (ours.contrib._muon, optax.contrib._muon):
        numbers = muon.MuonDimensionNumbers((0,), (1, 2)) if len(shape) == 3 else None
        results.append(muon.orthogonalize_via_newton_schulz(x, coefficients, dimension_numbers=numbers))
    chex.assert_trees_all_close(*results, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="wanted a matrix or dimension_numbers"):
        ours.contrib._muon.orthogonalize_via_newton_schulz(jnp.ones((2, 2, 2)), coefficients)
