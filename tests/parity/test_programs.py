"""Programs written for Optax run unchanged on `gradtx.compat.optax`, and make the same numbers for 100 steps."""

import importlib
from collections.abc import Callable
from typing import Any

import chex
import numpy as np
import pytest

import gradtx.compat.optax as gradtx_optax
from tests.parity import programs

optax = pytest.importorskip("optax")
pytestmark = pytest.mark.slow

# Optax computes its bias correction in float32, ours is the more exact: 100 steps carry some roundings along.
CLOSE = dict(rtol=1e-4, atol=2e-5)


def run_both(program: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """The results of our run, after it was compared with Optax's."""
    ours, theirs = program(gradtx_optax), program(optax)
    chex.assert_trees_all_equal_shapes_and_dtypes(ours, theirs)
    chex.assert_trees_all_close(ours, theirs, **CLOSE)
    assert ours["losses"][-1] < ours["losses"][0]
    return ours


@pytest.mark.parametrize(
    "program",
    [
        programs.meta_learning,
        programs.sharpness_aware,
        programs.sharpness_aware_opaque,
        programs.muon,
        programs.private,
    ],
    ids=lambda program: program.__name__,
)
def test_program(program):
    assert len(run_both(program)["losses"]) == 100


def test_gradient_accumulation():
    stepped = run_both(programs.gradient_accumulation)["stepped"]
    np.testing.assert_array_equal(stepped, [False, False, False, True] * 25)


def test_frozen_layers():
    params, start = run_both(programs.frozen_layers)["params"], programs.start_mlp()
    chex.assert_trees_all_equal(params["layer_0"], start["layer_0"])
    assert not np.allclose(params["layer_1"]["w"], start["layer_1"]["w"])


def test_lbfgs_until_converged():
    """It ends where it has converged: past that, rounding alone decides which step is the better."""
    assert len(run_both(programs.lbfgs_until_converged)["losses"]) < 20


def test_schedule_free():
    ours = run_both(programs.schedule_free)
    assert not np.allclose(ours["evaluated"], ours["losses"], rtol=1e-3)


def test_reduce_on_plateau():
    assert run_both(programs.reduce_on_plateau)["scales"][-1] < 0.5


def test_edited_hyperparams():
    hyperparams = run_both(programs.edited_hyperparams)["hyperparams"]
    np.testing.assert_allclose(hyperparams["learning_rate"], 1e-2 / 16, rtol=1e-6)
    np.testing.assert_allclose(hyperparams["weight_decay"], 0.1, rtol=1e-6)


@pytest.mark.parametrize("name", ["linen_train_state", "nnx_optimizer", "equinox_model"])
def test_framework(name):
    pytest.importorskip("flax")
    pytest.importorskip("equinox")
    program = getattr(importlib.import_module("tests.parity.framework_programs"), name)
    assert len(run_both(program)["losses"]) == 100
