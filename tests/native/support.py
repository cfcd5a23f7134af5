"""What the tests of the native step share."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.native import load

ROOT = Path(__file__).parents[2]
needs_native = pytest.mark.skipif(not load.available(), reason=f"no native step: {load.why_not()}")


def compiled(tx: Any, *arguments: Any, extra: Any = None) -> Any:
    """A step with the optimizer closed over, compiled for these arguments."""
    make = extra or (lambda p, g: {})
    return jax.jit(lambda p, s, g: gradtx.step(tx, p, s, g, **make(p, g))).lower(*arguments).compile()


def calls(text: str) -> int:
    """How many native calls a program has."""
    return text.count(f'custom_call_target="{load.TARGET}"') or text.count(f"@{load.TARGET}")


def assert_same_steps(tx: Any, params: Any, grads: list[Any], rtol: float, extra: Any = None) -> int:
    """Steps with and without the native kernel agree; the number of its calls."""
    state = tx.init(params)
    ours = compiled(tx, params, state, grads[0], extra=extra)
    with gradtx.native.off():
        plain = compiled(tx, params, state, grads[0], extra=extra)
    assert calls(plain.as_text()) == 0
    a = b = (params, state)
    for g in grads:
        a, b = ours(*a, g), plain(*b, g)
    chex.assert_trees_all_equal_shapes_and_dtypes(a, b)
    data = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    wide = lambda t: jax.tree.map(lambda x: np.asarray(data(x)).astype(np.float64), t)
    chex.assert_trees_all_close(wide(a), wide(b), rtol=rtol, atol=rtol)
    return calls(ours.as_text())


def normal(shape: tuple[int, ...], dtype: Any = jnp.float32, seed: int = 0) -> jax.Array:
    """Normal numbers."""
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def run(code, *arguments, cwd=ROOT, **environment):
    """The output of a new process."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(
        command, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True, cwd=cwd
    ).stdout.strip()
