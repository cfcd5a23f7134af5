"""Functions of arrays that are one compiled call, and the numbers they are given."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core import eager
from gradtx.core.operands import as_operand
from tests.support import compilations


def test_numbers_of_calls_are_made_arrays_once_and_anew_after_they_were_given_away():
    """A program that gives an operand back as it is gives back the array that it got."""
    same = eager.compiled(lambda x: x)
    for number in (0.1, 0.5):
        found = same(number)
        assert found.weak_type and found.dtype == jnp.float32
        found.delete()
        assert same(number) == np.float32(number)
    wide = gradtx.projections.projection_box(jnp.arange(3, dtype=jnp.bfloat16), 0.5, 1.5)
    assert wide.dtype == jnp.bfloat16 and wide.tolist() == [0.5, 1.0, 1.5]
    assert np.signbit(as_operand(-0.0)) and not np.signbit(as_operand(0.0))
    assert as_operand(1).dtype == jnp.int32 and as_operand(2**40) == 2**40
    with jax.enable_x64(True):
        assert as_operand(0.1).dtype == jnp.float64


FUNCTIONS = {
    "nnls": lambda m: gradtx.nnls(m, m[0], 5),
    "root": lambda m: gradtx.matrix_inverse_pth_root(m, 4),
    "power": lambda m: gradtx.power_iteration(m),
    "assignment": gradtx.assignment.hungarian_algorithm,
    "clip": lambda m: gradtx.per_example_global_norm_clip({"a": m, "b": m[:, 0]}, 1.0),
    "clip of layers": lambda m: gradtx.per_example_layer_norm_clip({"a": m, "b": m[:, 0]}, 1.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_matrices_and_examples_are_compiled_once(name):
    matrices = [jnp.eye(4) * k + 0.1 for k in (1.0, 2.0, 3.0)]
    got = FUNCTIONS[name](matrices[0])
    assert compilations(lambda: [FUNCTIONS[name](m) for m in matrices[1:]]) == 0
    chex.assert_trees_all_close(got, jax.jit(FUNCTIONS[name])(matrices[0]), rtol=1e-5)
